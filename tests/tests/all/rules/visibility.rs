//! Visibility: a peer that may only read sees no codes, and `extra` only where the configuration says so.

use enroll_core::context::Grant;
use enroll_protocol::{Envelope, pool};
use enroll_tests::registry::Registry;
use enrolld::config::{Config, Grants};

use super::{call, check};

/// A registry with an `extra` in every record that has one; the pool's invite code.
fn filled(config: &Config) -> (Registry, String) {
    let mut registry = Registry::configured(config);
    check(
        &mut registry,
        r#"
        person.create {"callsign":"DOG","extra":{"secret":1}} => {"pk"..
        enrollment.create {"callsign":"CAT","extra":{"secret":1}} => {"pk"..
        event.create {"title":"Camp","kind":"camp","owner":"DOG","start":"2999-01-01T00:00:00Z","duration_minutes":60,"published":true,"extra":{"secret":1}} => {"pk"..
        "#,
    );
    let extra = serde_json::from_str(r#"{"secret":1}"#).expect("an object");
    let owner = "DOG".parse().ok();
    let pool = registry.call(pool::Create { owner, extra, ..Default::default() }).expect("made");
    (registry, pool.invitecode.expect("a code").as_str().to_owned())
}

const READS: [(&str, &str); 8] = [
    ("person.get", r#"{"person":"DOG"}"#),
    ("person.find", r#"{"claims":{"sub":"DOG"}}"#),
    ("person.list", "{}"),
    ("pool.list", "{}"),
    ("enrollment.get", r#"{"enrollment":"CAT"}"#),
    ("enrollment.list", "{}"),
    ("event.list", "{}"),
    ("changes.list", "{}"),
];

#[test]
fn a_read_peer_sees_no_codes_and_no_extra() {
    let open = Config { grants: Grants { read_sees_extra: true, ..Grants::default() }, ..Config::default() };
    for (config, extra_is_seen) in [(Config::default(), false), (open, true)] {
        let (mut registry, invitecode) = filled(&config);
        for grant in [Grant::Read, Grant::Operate, Grant::Admin] {
            registry.peer.grant = grant;
            for (op, args) in READS {
                let answer = call(&mut registry, Envelope::default(), op, args).expect("an answer");
                let sees_extra = grant > Grant::Read || extra_is_seen;
                let has_extra = op != "changes.list";
                assert_eq!(answer.contains("secret"), sees_extra && has_extra, "{op} by {grant:?}: {answer}");
                for code in ["invitecode", "approvecode"] {
                    let is_shown = answer.contains(&format!("\"{code}\":\""));
                    let is_null = answer.contains(&format!("\"{code}\":null"));
                    assert_eq!(is_shown, (is_shown || is_null) && grant > Grant::Read, "{op} by {grant:?}: {answer}");
                }
                assert!(grant > Grant::Read || !answer.contains(&invitecode), "{op}: {answer}");
            }
        }
    }
}

#[test]
fn a_read_peer_finds_nothing_by_a_code() {
    let (mut registry, invitecode) = filled(&Config::default());
    registry.peer.grant = Grant::Read;
    check(
        &mut registry,
        &format!(
            r#"
            pool.get {{"pool":"{invitecode}"}} => permission_denied
            pool.get {{"pool":"WRONGONE"}} => permission_denied
            pool.check {{"invitecode":"{invitecode}"}} => permission_denied
            enrollment.list {{"pool":"{invitecode}"}} => permission_denied
            enrollment.list {{"pool":"WRONGONE"}} => permission_denied
            enrollment.find {{"approvecode":"WRONGONE"}} => permission_denied
            "#
        ),
    );
}
