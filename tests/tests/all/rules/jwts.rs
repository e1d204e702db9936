//! Refreshing JWTs and rotating the keys that sign them.

use enroll_core::identity::jwt::SigningAlgorithm;
use enroll_protocol::{Code, Envelope, Json, Jwt, Key, Pk, code, jwt, person};
use enroll_tests::registry::Registry;
use enrolld::config::Config;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{DecodingKey, Validation};
use serde::Deserialize as _;

use super::check;

fn log_in(registry: &mut Registry, claims: &str) -> Jwt {
    let create = code::Create::new(Json::new(claims).expect("claims"));
    let code = registry.call(create).expect("made").code.expect("a code");
    registry.call(code::Use::new(code)).expect("exchanged").jwt.expect("a JWT")
}

fn claims(registry: &mut Registry, jwt: &Jwt) -> Json {
    registry.call(jwt::Verify { jwt: jwt.clone() }).expect("valid")
}

#[test]
fn a_jwt_is_refreshed_with_its_claims_until_the_first_one_is_too_old() {
    let registry = &mut Registry::with_settings(|settings| settings.issuing.refresh_seconds = 5000);
    let mut jwt = log_in(registry, r#"{"sub":"DOG","n":1.50}"#);
    let first = claims(registry, &jwt);
    for _ in 0..2 {
        registry.pass_seconds(2400);
        jwt = registry.call(jwt::Refresh { jwt }).expect("refreshed").jwt.expect("a JWT");
        let again = claims(registry, &jwt);
        assert!(again.as_str().ends_with(r#""n":1.50,"sub":"DOG"}"#), "{again:?}");
        let number = |claims: &Json, name: &str| claims.member::<i64>(name).expect("members");
        assert_eq!(number(&again, "orig_iat"), number(&first, "iat"));
        assert_eq!(number(&again, "exp"), number(&again, "iat").map(|iat| iat + 3600));
        assert_ne!(again.member::<String>("jti"), first.member::<String>("jti"));
    }
    registry.pass_seconds(200);
    assert_eq!(registry.call(jwt::Refresh { jwt: jwt.clone() }).expect_err("refused").code, Code::JWT_INVALID);
    claims(registry, &jwt);
    registry.pass_seconds(3600);
    assert_eq!(registry.call(jwt::Refresh { jwt }).expect_err("refused").code, Code::JWT_INVALID);
}

#[test]
fn nobody_who_is_deleted_and_nothing_forged_is_refreshed() {
    let registry = &mut Registry::in_memory();
    check(registry, r#"person.create {"callsign":"DOG"} => {"pk".."#);
    check(registry, r#"person.create {"callsign":"CAT"} => {"pk".."#);
    let jwt = log_in(registry, r#"{"sub":"DOG"}"#);
    check(registry, &format!("CAT> jwt.refresh {{\"jwt\":\"{}\"}} => permission_denied", jwt.as_str()));
    check(registry, &format!("DOG> jwt.refresh {{\"jwt\":\"{}\"}} => {{\"jwt\":..", jwt.as_str()));
    registry.call(person::Delete { person: "DOG".parse().expect("a name") }).expect("deleted");
    assert_eq!(registry.call(jwt::Refresh { jwt }).expect_err("refused").code, Code::JWT_INVALID);
    check(registry, r#"jwt.refresh {"jwt":"a.b.c"} => jwt_invalid"#);
    check(registry, r#"code.create {"claims":{"orig_iat":99999999999}} => invalid_argument"#);
}

#[test]
fn after_a_rotation_the_new_key_signs_and_the_old_one_still_verifies() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        person.create {"callsign":"BOSS","roles":["superuser"]} => {"pk"..
        person.create {"callsign":"ADMIN","roles":["admin"]} => {"pk"..
        ADMIN> jwt.rotate {} => permission_denied
        "#,
    );
    let old = log_in(registry, "{}");
    registry.pass_seconds(1);
    let set = registry.call_as("BOSS", jwt::Rotate {}).expect("rotated");
    assert_eq!(registry.call(jwt::Keys {}).expect("keys"), set);
    assert_eq!(set.member::<Vec<serde_json::Value>>("keys").expect("members").expect("keys").len(), 2);
    let new = log_in(registry, "{}");
    let header = |jwt: &Jwt| jwt.as_str().split('.').next().expect("a header").to_owned();
    assert_ne!(header(&old), header(&new));
    claims(registry, &old);
    claims(registry, &new);
    assert_eq!(registry.violations(), Vec::<String>::new());
    // JWTs signed with the replaced key have expired by then, so it is neither needed nor trusted any more.
    registry.pass_seconds(3601);
    let set = registry.call(jwt::Keys {}).expect("keys");
    assert_eq!(set.member::<Vec<serde_json::Value>>("keys").expect("members").expect("keys").len(), 1);
}

#[test]
fn what_the_configuration_signs_by_holds_from_the_next_rotation_on_and_what_was_signed_stays_valid() {
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Rs256] {
        let registry = &mut Registry::with_settings(|settings| settings.issuing.algorithm = algorithm);
        let before = log_in(registry, r#"{"sub":"DOG"}"#);
        registry.pass_seconds(1);
        let set = registry.call(jwt::Rotate {}).expect("rotated");
        let after = log_in(registry, r#"{"sub":"DOG"}"#);
        let keys = set.member::<Vec<serde_json::Value>>("keys").expect("members").expect("keys");
        let algorithms: Vec<_> = keys.iter().map(|key| key["alg"].as_str().expect("a name")).collect();
        assert_eq!(algorithms, ["EdDSA", algorithm.name()]);
        for (jwt, key) in [(&before, &keys[0]), (&after, &keys[1])] {
            expect_verified_by(jwt, key);
            claims(registry, jwt);
        }
        registry.restart();
        claims(registry, &after);
        assert_eq!(registry.violations(), Vec::<String>::new());
    }
}

/// Verifies a JWT of ours as a service does, by a member of our key set.
fn expect_verified_by(jwt: &Jwt, key: &serde_json::Value) {
    let key = Jwk::deserialize(key).expect("a JWK");
    let verifying = DecodingKey::from_jwk(&key).expect("a key");
    let header = jsonwebtoken::decode_header(jwt.as_str()).expect("a header");
    assert_eq!(header.kid, key.common.key_id);
    let mut validation = Validation::new(header.alg);
    validation.validate_exp = false;
    validation.set_audience(&["enrolld"]);
    jsonwebtoken::decode::<serde_json::Value>(jwt.as_str(), &verifying, &validation).expect("verified");
}

#[test]
fn without_an_audience_jwts_have_none_and_none_is_expected() {
    let registry = &mut Registry::with_settings(|settings| settings.issuing.audience = String::new());
    let jwt = log_in(registry, r#"{"sub":"DOG"}"#);
    let names: Vec<String> = claims(registry, &jwt).members().expect("members").into_keys().collect();
    assert_eq!(names, ["exp", "iat", "iss", "jti", "sub"]);
    let again = registry.call(jwt::Refresh { jwt: jwt.clone() }).expect("refreshed").jwt.expect("a JWT");
    assert_eq!(claims(registry, &again).member::<String>("aud").expect("members"), None);
    // With one it is expected again.
    registry.reload(&Config::default());
    assert_eq!(registry.call(jwt::Verify { jwt }).expect_err("refused").code, Code::JWT_INVALID);
}

#[test]
fn what_is_asked_for_again_under_its_key_is_the_first_jwt_whatever_signs() {
    for algorithm in SigningAlgorithm::ALL {
        let registry = &mut Registry::with_settings(|settings| settings.issuing.algorithm = algorithm);
        registry.call(jwt::Rotate {}).expect("rotated");
        let create = code::Create::new(Json::new(r#"{"sub":"DOG"}"#).expect("claims"));
        let code = registry.call(create).expect("made").code.expect("a code");
        let envelope = Envelope { key: Some(Key(Pk::from_bytes([1; 16]))), ..Envelope::default() };
        let mut exchange = || {
            registry.call_with(envelope.clone(), code::Use::new(code.clone())).expect("exchanged").jwt.expect("a JWT")
        };
        let first = exchange();
        assert_eq!(exchange(), first, "{algorithm:?}");
        claims(registry, &first);
    }
}
