//! JWTs of trusted issuers, exchanged once for one of this daemon.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use enroll_core::context::Grant;
use enroll_core::identity::pem;
use enroll_core::identity::trust::Issuer;
use enroll_protocol::limits::JSON_BYTES_MAX;
use enroll_protocol::{Code, Json, Jwt, code, jwt, person};
use enroll_tests::issuer::Signer;
use enroll_tests::registry::Registry;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{check, key};

const ISSUER: &str = "https://id.example.org";

fn trusting(keys: &str) -> Registry {
    let (issuer, _) = Issuer::read(ISSUER, "enrolld", keys);
    let (other, _) = Issuer::read("https://other.example.org", "enrolld", keys);
    Registry::with_settings(|settings| settings.trusted = [issuer, other].into())
}

fn claims(registry: &Registry) -> Value {
    let now = registry.now.seconds();
    json!({"iss": ISSUER, "aud": "enrolld", "exp": now + 300, "nonce": "n1", "sub": "DOGGO01a", "team": "red"})
}

fn with(registry: &Registry, change: &[(&str, Value)]) -> Value {
    let mut claims = claims(registry);
    for (name, value) in change {
        claims[*name] = value.clone();
    }
    claims
}

fn exchange(registry: &mut Registry, jwt: &Jwt) -> Result<code::Exchanged, Code> {
    registry.call(jwt::Exchange::new(jwt.clone())).map_err(|refusal| refusal.code)
}

#[test]
fn a_jwt_of_a_trusted_issuer_is_exchanged_once_by_each_kind_of_key() {
    for signer in [Signer::rsa(), Signer::ec(), Signer::ed()] {
        for keys in [signer.public.clone(), signer.set("a")] {
            let registry = &mut trusting(&keys);
            let jwt =
                signer.sign(&with(registry, &[("jti", json!("theirs")), ("orig_iat", json!(1)), ("n", json!(1.5))]));
            let session = exchange(registry, &jwt).expect("exchanged").jwt.expect("a JWT");
            let verified = registry.call(jwt::Verify { jwt: session.clone() }).expect("valid");
            let member = |name: &str| verified.member::<Value>(name).expect("members");
            assert_eq!((member("iss"), member("sub")), (Some(json!("enrolld")), Some(json!("DOGGO01a"))));
            assert_eq!((member("team"), member("n")), (Some(json!("red")), Some(json!(1.5))));
            assert_eq!((member("nonce"), member("orig_iat")), (None, None));
            assert_ne!(member("jti"), Some(json!("theirs")));
            assert_eq!(exchange(registry, &jwt), Err(Code::TOKEN_REUSE));
            let same_nonce = signer.sign(&with(registry, &[("sub", json!("BOSS"))]));
            assert_eq!(exchange(registry, &same_nonce), Err(Code::TOKEN_REUSE));
            let of_other = signer.sign(&with(registry, &[("iss", json!("https://other.example.org"))]));
            exchange(registry, &of_other).expect("a nonce is its issuer's own");
            // Neither is a token of that text spent, nor the other way round.
            check(registry, r#"token.use {"token":"n1"} => {"token".."#);
            let fresh = registry.call(jwt::Refresh { jwt: session }).expect("refreshed");
            assert!(fresh.jwt.is_some());
            assert_eq!(registry.violations(), Vec::<String>::new());
        }
    }
}

#[test]
fn what_is_not_for_us_now_is_invalid_and_spends_nothing() {
    let signer = Signer::ed();
    let registry = &mut trusting(&signer.public);
    let now = registry.now.seconds();
    for (what, change) in [
        ("expired", &[("exp", json!(now - 61))][..]),
        ("no expiry", &[("exp", Value::Null)]),
        ("an expiry in words", &[("exp", json!("tomorrow"))]),
        ("to come", &[("nbf", json!(now + 61))]),
        ("issued in the future", &[("iat", json!(now + 61))]),
        ("another audience", &[("aud", json!("others"))]),
        ("no audience", &[("aud", Value::Null)]),
        ("an audience among others that is not ours", &[("aud", json!(["a", "b"]))]),
        ("another issuer", &[("iss", json!("https://evil.example.org"))]),
        ("our own name", &[("iss", json!("enrolld"))]),
        ("no issuer", &[("iss", Value::Null)]),
        ("no nonce", &[("nonce", Value::Null)]),
        ("an empty nonce", &[("nonce", json!(""))]),
        ("a nonce that is a number", &[("nonce", json!(7))]),
    ] {
        let jwt = signer.sign(&with(registry, change));
        assert_eq!(exchange(registry, &jwt), Err(Code::JWT_INVALID), "{what}");
    }
    // The clocks of issuers may differ by a minute.
    for (nonce, change) in
        [("a", ("exp", json!(now - 59))), ("b", ("nbf", json!(now + 59))), ("c", ("iat", json!(now + 59)))]
    {
        let jwt = signer.sign(&with(registry, &[change, ("nonce", json!(nonce)), ("aud", json!(["x", "enrolld"]))]));
        exchange(registry, &jwt).expect("within the leeway");
    }
    let jwt = signer.sign(&claims(registry));
    exchange(registry, &jwt).expect("nothing that was refused has spent the nonce");
    // "For ever" is the last time that can be stored.
    let jwt = signer.sign(&with(registry, &[("exp", json!(100_000_000_000_000_000_u64)), ("nonce", json!("d"))]));
    exchange(registry, &jwt).expect("exchanged");
    assert_eq!(exchange(registry, &jwt), Err(Code::TOKEN_REUSE));
    assert_eq!(registry.violations(), Vec::<String>::new());
}

#[test]
fn nothing_forged_is_believed() {
    let signer = Signer::rsa();
    let registry = &mut trusting(&signer.public);
    let genuine = signer.sign(&claims(registry));
    let parts: Vec<&str> = genuine.as_str().split('.').collect();
    let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let payload = encoded(&with(registry, &[("sub", json!("BOSS"))]).to_string());
    // The public key, which everybody has, as the secret of a keyed hash.
    let hs256 = jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &claims(registry),
        &EncodingKey::from_secret(signer.public.as_bytes()),
    );
    let foreign = Signer::ec().sign(&claims(registry));
    for forged in [
        format!("{}.{payload}.{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{}", encoded(r#"{"alg":"none"}"#), parts[1], ""),
        format!("{}.{}.{}", encoded(r#"{"alg":"none"}"#), parts[1], parts[2]),
        format!("{}.{}.{}", encoded(r#"{"alg":"RS512"}"#), parts[1], parts[2]),
        hs256.expect("signed"),
        foreign.as_str().to_owned(),
        Signer::rsa().sign(&claims(registry)).as_str().to_owned(),
        "x".to_owned(),
        "..".to_owned(),
    ] {
        let jwt = Jwt::new(forged.clone()).expect("text");
        assert_eq!(exchange(registry, &jwt), Err(Code::JWT_INVALID), "{forged}");
    }
    let header = Header { crit: Some(vec!["b64".to_owned()]), ..Header::new(Algorithm::RS256) };
    assert_eq!(exchange(registry, &signer.sign_with(&header, &claims(registry))), Err(Code::JWT_INVALID));
    exchange(registry, &genuine).expect("exchanged");
    let nobody = &mut Registry::in_memory();
    assert_eq!(exchange(nobody, &genuine), Err(Code::JWT_INVALID));
    // A session of our own is nobody's to exchange.
    let own = registry.call(code::Create::new(Json::default())).expect("made").code.expect("a code");
    let own = registry.call(code::Use::new(own)).expect("exchanged").jwt.expect("a JWT");
    assert_eq!(exchange(registry, &own), Err(Code::JWT_INVALID));
}

#[test]
fn keys_that_prove_nothing_are_left_out_and_named() {
    let (ec, ed) = (Signer::ec(), Signer::ed());
    let weak = URL_SAFE_NO_PAD.encode([0xff; 128]);
    for (keys, words) in [
        ("", "no public key"),
        ("{}", "no JWK set"),
        (r#"{"keys":"s3cret"}"#, "no JWK set"),
        (r#"{"keys":[]}"#, "no public key"),
        (r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#, "its key 1: it is of the kind \"oct\""),
        (r#"{"keys":[{"kty":"EC","crv":"P-521","kid":"k5"}]}"#, "its key \"k5\""),
        (&format!(r#"{{"keys":[{{"kty":"RSA","n":"{weak}","e":"AQAB"}}]}}"#), "its RSA key of 1024 bits is weak"),
        (&pem::write("CERTIFICATE", b"x"), "only PUBLIC KEY will do"),
        (&pem::write("PUBLIC KEY", b"x"), "can not be read"),
        (&ec.set("a").replace("\"ES256\"", "\"HS256\""), "it is for HS256"),
    ] {
        let (issuer, wrong) = Issuer::read(ISSUER, "enrolld", keys);
        assert!(issuer.is_unusable() && wrong.len() == 1 && wrong[0].contains(words), "{keys}: {wrong:?}");
        assert!(!wrong[0].contains("c2VjcmV0") && !wrong[0].contains("s3cret"), "{wrong:?}");
        let refused =
            trusting(keys).call(jwt::Exchange::new(ed.sign(&claims(&Registry::in_memory())))).expect_err("refused");
        assert!(refused.code == Code::JWT_INVALID && refused.message.contains("server status"), "{refused:?}");
    }
    // One key that can not be used costs the others nothing, nor does a mark in front of the file.
    let among_others = ec.set("b").replace("{\"keys\":[", "\u{feff}{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"},7,");
    let (_, wrong) = Issuer::read(ISSUER, "enrolld", &among_others);
    assert_eq!(wrong.len(), 2, "{among_others}: {wrong:?}");
    let registry = &mut trusting(&among_others);
    let jwt = ec.sign(&claims(registry));
    exchange(registry, &jwt).expect("exchanged");
    // A JWT that names its key is verified by that one.
    let registry = &mut trusting(&ed.set("mine"));
    let mut other = ed;
    other.kid = Some("other");
    assert_eq!(exchange(registry, &other.sign(&claims(registry))), Err(Code::JWT_INVALID));
    other.kid = Some("mine");
    exchange(registry, &other.sign(&claims(registry))).expect("exchanged");
}

#[test]
fn an_exchange_asks_for_leave_is_kept_and_tells_nothing_in_a_dry_run() {
    let signer = Signer::ed();
    let registry = &mut trusting(&signer.public);
    check(registry, r#"person.create {"callsign":"DOGGO01a"} => {"pk".."#);
    check(registry, r#"person.create {"callsign":"CAT"} => {"pk".."#);
    let jwt = signer.sign(&claims(registry));
    let asked = jwt::Exchange { jwt: jwt.clone(), audit: Some(Json::new(r#"{"ip":"::1"}"#).expect("audit")) };
    registry.peer.grant = Grant::Operate;
    let refused = registry.call_as("CAT", asked.clone()).expect_err("not theirs").code;
    assert_eq!(refused, Code::PERMISSION_DENIED);
    let dry = enroll_protocol::Envelope { dry_run: true, ..Default::default() };
    assert_eq!(registry.call_with(dry, asked.clone()).expect("answered").jwt, None);
    let first = registry.call_with(key(1), asked.clone()).expect("exchanged");
    assert_eq!(registry.call_with(key(1), asked.clone()).expect("kept"), first);
    assert_eq!(registry.call_as("DOGGO01a", asked).expect_err("spent").code, Code::TOKEN_REUSE);
    registry.peer.grant = Grant::Admin;
    registry.call(person::Delete { person: "DOGGO01a".parse().expect("a name") }).expect("deleted");
    let another = signer.sign(&with(registry, &[("nonce", json!("n2"))]));
    assert_eq!(exchange(registry, &another), Err(Code::JWT_INVALID));
    // Long after it expired its audit is gone, and it is still spent.
    registry.pass_seconds(3 * 24 * 60 * 60);
    registry.wake();
    assert_eq!(exchange(registry, &jwt), Err(Code::JWT_INVALID));
    assert_eq!(registry.violations(), Vec::<String>::new());
}

#[test]
fn claims_that_would_not_fit_with_ours_are_refused() {
    let signer = Signer::ed();
    let registry = &mut trusting(&signer.public);
    // Those of a code have the same bound.
    let most = JSON_BYTES_MAX - (4 << 10);
    for (length, is_taken) in [(most, true), (most + 1, false), (most + 100, false)] {
        let kept = json!({"sub": "DOGGO01a", "team": "red", "pad": ""}).to_string().len();
        let pad = "x".repeat(length - kept);
        let jwt = signer.sign(&with(registry, &[("pad", json!(pad)), ("nonce", json!(length.to_string()))]));
        assert_eq!(exchange(registry, &jwt).is_ok(), is_taken, "{length}");
    }
}
