//! Erasing a person's data: nothing that is stored or exported tells who they were, and what was counted, signed or
//! numbered is as it was.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use enroll_core::identity::Secrets;
use enroll_core::identity::secrets::SecretKey;
use enroll_core::model::idempotency::{Kept, KeptPart};
use enroll_core::model::key::Family;
use enroll_core::model::record;
use enroll_protocol::server::Export;
use enroll_protocol::{Code, Envelope, Json, code, jwt, person, token};
use enroll_tests::registry::{KEY, Registry};

use super::{call, check, key, login};

/// The CN of the signing request below.
const CALLSIGN: &str = "DOGGO01a";

const REQUEST: &str = include_str!("../../../requests/p256.pem");

/// What is known of the person beside their callsign: parts of values of their extra, reasons, and an external key.
const KNOWN: [&str; 6] = ["Rover", "paw@example", "muddy boots", "barked at", "S-0042", "kennel 7"];

const PROGRAM: &str = "00000000-0000-0000-0000-00000000000a";

/// Everything that is stored, opened where it is sealed, and the certificates decoded from an export.
fn stored(registry: &mut Registry) -> Vec<u8> {
    let secrets = Secrets::derive(&SecretKey::new(KEY)).expect("keys");
    let entries = registry.store().view().expect("a view").range(&[], &[0xff; 64], usize::MAX).expect("entries");
    let mut all = Vec::new();
    for (key, value) in &entries {
        all.extend([key.as_slice(), value, b"\n"].concat());
        let sealed = match key.first() {
            Some(tag) if *tag == Family::Kept as u8 => record::decode::<Kept>(value).expect("kept").sealed,
            Some(tag) if *tag == Family::KeptParts as u8 => record::decode::<KeptPart>(value).expect("a part").sealed,
            _ => continue,
        };
        let plain = secrets.open_counted(key, &sealed).expect("opens");
        all.extend(decoded(&String::from_utf8_lossy(&plain)));
        all.extend(plain.iter());
    }
    for with_secrets in [true, false] {
        let export = registry.walk(Envelope::default(), &Export { with_secrets }).expect("an export").concat();
        all.extend(export.into_bytes());
    }
    all
}

/// The bytes of the base64 in a text: of certificates and of the claims of JWTs.
fn decoded(text: &str) -> Vec<u8> {
    let text = text.replace("-----", " ").replace('\n', "").replace('_', "/").replace('-', "+");
    let runs = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '+' || c == '/')).filter(|run| run.len() > 8);
    let cut = |run: &str, from: usize| run[from..from + (run.len() - from) / 4 * 4].to_owned();
    runs.flat_map(|run| (0..4).filter_map(move |from| STANDARD.decode(cut(run, from)).ok()).flatten()).collect()
}

fn found(registry: &mut Registry) -> Vec<&'static str> {
    let all = String::from_utf8_lossy(&stored(registry)).to_lowercase();
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let is_there = |text: &&str| all.contains(&text.to_lowercase()) || all.contains(&hex(text));
    [CALLSIGN].into_iter().chain(KNOWN).filter(is_there).collect()
}

/// A person about whom there is something in every record that can hold it, deleted at the end.
fn filled() -> Registry {
    let mut registry = Registry::in_memory();
    let mut number = 0;
    let mut kept = |registry: &mut Registry, op: &str, args: &str| {
        number += 1;
        let args = args.replace("$DOG", CALLSIGN).replace("$P", PROGRAM);
        call(registry, key(number), op, &args).unwrap_or_else(|refusal| refusal.to_string())
    };
    check(
        &mut registry,
        r#"
        person.create {"callsign":"BOSS","roles":["supervisor","superuser"]} => {"pk"..
        person.create {"callsign":"CAT","extra":{"likes":"fish"}} => {"pk"..
        constant.set {"list":"level","value":"1"} => true
        course.create {"key":"Hiking","modes":["audit","masters"]} => {"pk"..
        "#,
    );
    let csr = REQUEST.replace('\n', "\\n");
    let registry = &mut { registry };
    kept(
        registry,
        "enrollment.create",
        &format!(r#"{{"callsign":"$DOG","extra":{{"name":"Rover","mail":"paw@example.org"}},"csr":"{csr}"}}"#),
    );
    kept(registry, "enrollment.reject", r#"{"enrollment":"$DOG","reason":"muddy boots"}"#);
    kept(registry, "enrollment.reopen", r#"{"enrollment":"$DOG"}"#);
    let approved = kept(registry, "enrollment.approve", r#"{"enrollment":"$DOG"}"#);
    assert!(approved.contains(r#""certificate":true"#), "{approved}");
    kept(registry, "certificate.renew", r#"{"person":"$DOG"}"#);
    kept(registry, "role.assign", r#"{"person":"$DOG","role":"supervisor"}"#);
    kept(registry, "supervisor.assign", r#"{"person":"$DOG","supervisor":"BOSS"}"#);
    kept(registry, "supervisor.assign", r#"{"person":"CAT","supervisor":"$DOG"}"#);
    kept(registry, "supervisor.add_representative", r#"{"supervisor":"BOSS","representative":"$DOG"}"#);
    kept(registry, "person.create", r#"{"callsign":"doggo01A"}"#);
    let event = kept(
        registry,
        "event.create",
        r#"{"title":"Camp","kind":"camp","owner":"BOSS","start":"2999-01-01T00:00:00Z","duration_minutes":60,"approval":"supervisor","published":true}"#,
    );
    let event = event.split('"').nth(3).expect("a pk").to_owned();
    let of_event = |args: &str| args.replace("$EVENT", &event);
    kept(registry, "registration.create", &of_event(r#"{"event":"$EVENT","person":"$DOG"}"#));
    kept(registry, "registration.reject", &of_event(r#"{"event":"$EVENT","person":"$DOG","reason":"barked at"}"#));
    kept(registry, "registration.approve", &of_event(r#"{"event":"$EVENT","person":"$DOG","reason":"kennel 7"}"#));
    kept(
        registry,
        "program.enroll",
        r#"{"program":"$P","create":true,"update":false,"enrollments":[{"external_key":"S-0042","curriculum":"$P","status":"enrolled"},{"external_key":"other","curriculum":"$P","status":"enrolled"}]}"#,
    );
    kept(
        registry,
        "program.enroll_course",
        r#"{"program":"$P","course":"Hiking","create":true,"update":false,"enrollments":[{"external_key":"S-0042","status":"active"}]}"#,
    );
    let linked = kept(registry, "program.link", r#"{"program":"$P","links":{"S-0042":"$DOG"}}"#);
    assert_eq!(linked, "{}");
    kept(registry, "code.create", r#"{"claims":{"sub":"$DOG","name":"Rover"},"audit":{"mail":"paw@example.org"}}"#);
    kept(registry, "code.create", r#"{"claims":{"sub":"CAT","friend":"$DOG","n":1.50}}"#);
    kept(registry, "token.use", r#"{"token":"t1","audit":{"note":"opened by $DOG."}}"#);
    kept(registry, "token.use", r#"{"token":"t2","audit":{"who":"CAT"}}"#);
    for sub in [CALLSIGN, "CAT"] {
        let code = login(registry, sub);
        number_use(registry, &code);
    }
    kept(registry, "person.delete", r#"{"person":"$DOG"}"#);
    kept(registry, "code.create", r#"{"claims":{"sub":"$DOG"}}"#);
    std::mem::replace(registry, Registry::in_memory())
}

/// Exchanges a code under a key, so that the answer with its JWT is kept.
fn number_use(registry: &mut Registry, code: &enroll_protocol::LoginCode) {
    let number = u8::try_from(registry.now.seconds() % 100).expect("a number") + 100;
    registry.call_with(key(number), code::Use::new(code.clone())).expect("exchanged");
    registry.pass_seconds(1);
}

fn erase(registry: &mut Registry) -> person::Person {
    registry.call(person::Erase { person: CALLSIGN.parse().expect("a name") }).expect("erased")
}

#[test]
fn nothing_that_is_stored_or_exported_tells_who_an_erased_person_was() {
    let mut registry = filled();
    let all: Vec<_> = [CALLSIGN].into_iter().chain(KNOWN).collect();
    // The reason of a decision that was taken back is in no record but a kept answer.
    assert_eq!(found(&mut registry), all);
    let erased = erase(&mut registry);
    assert_eq!(erased.callsign.as_str(), format!("erased-{}", erased.pk));
    assert_eq!((erased.extra.as_str(), erased.supervisor, erased.deleted.is_some()), ("{}", None, true));
    assert_eq!(found(&mut registry), Vec::<&str>::new());
    assert_eq!(registry.violations(), Vec::<String>::new());
    let table = r#"
        person.get {"person":"$PK"} => deleted
        person.get {"person":"$PK","allow_deleted":true} => ..,"callsign":"erased-..,"extra":{},..
        person.get {"person":"DOGGO01a","allow_deleted":true} => not_found
        enrollment.get {"enrollment":"erased-$PK"} => ..,"extra":{},"csr":null,..
        certificate.get {"person":"$PK","allow_deleted":true} => not_found
        certificate.crl {} => "-----BEGIN X509 CRL-----..
        program.enrollments {"program":"$P","person":"$PK"} => {"items":[{..,"external_key":"erased-..,"person":"$PK",..}],"next":null}
        program.enrollments {"program":"$P","external_key":"S-0042"} => {"items":[],"next":null}
        program.enrollments {"program":"$P","external_key":"other"} => {"items":[{..,"external_key":"other",..}],"next":null}
        token.get {"token":"t1"} => ..,"audit":{},..
        token.get {"token":"t2"} => ..,"audit":{"who":"CAT"},..
        token.use {"token":"t1"} => token_reuse
        person.get {"person":"CAT"} => ..,"extra":{"likes":"fish"},..
        changes.list {"since":5} => {"items":[..,"area":"person","verb":"erase","subjects":["$PK"],..}],"next":null}
    "#;
    check(&mut registry, &table.replace("$PK", &erased.pk.to_string()).replace("$P\"", &format!("{PROGRAM}\"")));
}

#[test]
fn an_erased_person_stays_gone_and_so_does_their_callsign() {
    let mut registry = filled();
    let start = registry.now;
    let erased = erase(&mut registry).pk.to_string();
    let table = r#"
        person.erase {"person":"$PK"} => conflict
        person.restore {"person":"$PK"} => conflict
        person.erase {"person":"DOGGO01a"} => not_found
        person.erase {"person":"CAT"} => conflict
        person.update {"person":"$PK","extra":{}} => deleted
        person.create {"callsign":"DOGGO01a"} => callsign_reserved
        person.create {"callsign":"doggo01A"} => callsign_reserved
        enrollment.create {"callsign":"DOGGO01A"} => callsign_reserved
        code.create {"claims":{"sub":"doggo01a"}} => deleted
        person.find {"claims":{"sub":"DOGGO01a"}} => not_found
        DOGGO01a> person.get {"person":"CAT"} => not_found
        $PK> person.get {"person":"CAT"} => deleted
        person.create {"callsign":"DOGGO01b"} => {"pk"..
    "#;
    check(&mut registry, &table.replace("$PK", &erased));
    assert!(registry.now >= start);
}

#[test]
fn a_jwt_and_a_code_of_an_erased_person_stay_refused_and_those_of_others_go_on() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        person.create {"callsign":"DOGGO01a"} => {"pk"..
        person.create {"callsign":"CAT"} => {"pk"..
        "#,
    );
    let (used, unused, of_cat) = (login(registry, "DOGGO01a"), login(registry, "doggo01A"), login(registry, "CAT"));
    let claims: Json = r#"{"sub":"CAT","friend":"doggo01a","n":1.50}"#.parse().expect("claims");
    let naming = registry.call(code::Create::new(claims)).expect("made").code.expect("a code");
    let jwt = registry.call(code::Use::new(used.clone())).expect("exchanged").jwt.expect("a JWT");
    check(registry, r#"person.delete {"person":"DOGGO01a"} => {"pk".."#);
    erase(registry);
    let verified = registry.call(jwt::Verify { jwt: jwt.clone() });
    assert_eq!(verified.expect_err("refused").code, Code::JWT_INVALID);
    let refreshed = registry.call(jwt::Refresh { jwt });
    assert_eq!(refreshed.expect_err("refused").code, Code::JWT_INVALID);
    for code in [used, unused] {
        assert_eq!(registry.call(code::Use::new(code)).expect_err("refused").code, Code::DELETED);
    }
    registry.call(code::Use::new(of_cat)).expect("exchanged");
    let claims = registry.call(code::Use::new(naming)).expect("exchanged").claims;
    assert_eq!(claims.as_str(), r#"{"n":1.50,"sub":"CAT"}"#);
}

#[test]
fn a_call_whose_answer_was_erased_is_not_done_again() {
    let registry = &mut Registry::in_memory();
    check(registry, r#"person.create {"callsign":"CAT"} => {"pk".."#);
    let make = |name: &str| person::Create::new(name.parse().expect("a callsign"));
    registry.call_with(key(1), make(CALLSIGN)).expect("made");
    let of_cat = registry.call_with(key(2), make("CAT2")).expect("made");
    let spend = token::Use::new("t".parse().expect("a token"));
    let naming = token::Use { audit: r#"{"who":"DOGGO01a"}"#.parse().ok(), ..spend };
    registry.call_with(key(3), naming.clone()).expect("spent");
    let delete = person::Delete { person: CALLSIGN.parse().expect("a name") };
    registry.call_with(key(4), delete.clone()).expect("deleted");
    let by_key = person::Erase { person: CALLSIGN.parse().expect("a name") };
    let erased = registry.call_with(key(5), by_key.clone()).expect("erased");
    let refused =
        |registry: &mut Registry, number| registry.call_with(key(number), make(CALLSIGN)).map_err(|err| err.code);
    assert_eq!(refused(registry, 1), Err(Code::DELETED));
    let again = registry.call_with(key(3), naming).map_err(|refusal| refusal.code);
    assert_eq!(again, Err(Code::DELETED));
    assert_eq!(registry.call_with(key(4), delete).expect_err("refused").code, Code::DELETED);
    assert_eq!(registry.call_with(key(5), by_key), Ok(erased), "the erasure's own answer is kept");
    assert_eq!(registry.call_with(key(2), make("CAT2")), Ok(of_cat));
    assert_eq!(registry.call_with(key(1), make("OTHER")).expect_err("refused").code, Code::KEY_REUSED);
}

#[test]
fn a_tombstone_is_told_from_a_callsign_that_looks_like_it() {
    let registry = &mut Registry::in_memory();
    let made = registry.call(person::Create::new(CALLSIGN.parse().expect("a callsign"))).expect("made").pk;
    let table = r#"
        person.create {"callsign":"ERASED-$PK"} => {"pk"..
        person.delete {"person":"DOGGO01a"} => {"pk"..
        person.erase {"person":"DOGGO01a"} => ..,"callsign":"erased-$PK-2",..
    "#;
    check(registry, &table.replace("$PK", &made.to_string()));
}

#[test]
fn a_dry_run_erases_nothing() {
    let mut registry = filled();
    let before = stored(&mut registry);
    let dry = Envelope { dry_run: true, ..Envelope::default() };
    let erase = person::Erase { person: CALLSIGN.parse().expect("a name") };
    assert_eq!(registry.call_with(dry, erase).expect("shown").extra.as_str(), "{}");
    assert!(stored(&mut registry) == before, "a dry run wrote");
}

#[test]
fn what_an_erased_person_left_in_others_records_goes_and_the_rest_stays() {
    let mut registry = Registry::in_memory();
    check(
        &mut registry,
        r#"
        person.create {"callsign":"CAT"} => {"pk"..
        enrollment.create {"callsign":"DOGGO01a"} => {"pk"..
        enrollment.approve {"enrollment":"DOGGO01a"} => {"pk"..
        "#,
    );
    let codes = [("nobody", "DOGGO01a was here"), ("DOGGO01a", "somebody else")].map(|(friend, by)| {
        let claims = Json::of(&serde_json::json!({ "sub": "CAT", "friend": friend })).expect("JSON");
        let code = registry.call(code::Create::new(claims)).expect("made").code.expect("a code");
        let audit = Some(Json::of(&serde_json::json!({ "by": by })).expect("JSON"));
        registry.call(code::Use { audit, ..code::Use::new(code.clone()) }).expect("exchanged");
        code
    });
    check(
        &mut registry,
        r#"
        person.delete {"person":"DOGGO01a"} => {"pk"..
        +60
        person.erase {"person":"DOGGO01a"} => {"pk"..
        "#,
    );
    let audits = codes.map(|code| registry.call(code::Get { code }).expect("a code").audit);
    assert_eq!(audits[0], None);
    assert!(audits[1].as_ref().is_some_and(|audit| audit.as_str().contains("somebody else")), "{audits:?}");
    let list = enroll_protocol::enrollment::List::default();
    let found = registry.call(list).expect("listed").items.remove(0);
    assert_eq!(found.updated, registry.now);
}
