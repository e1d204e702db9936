//! Rules of merge patches (RFC 7396) of `extra`, of each record that has one: what results, what does not go together,
//! and that bounds and constants hold for the result.

use enroll_protocol::limits::JSON_BYTES_MAX;
use enroll_protocol::{Code, Envelope};
use enroll_tests::registry::Registry;

use super::{call, check};

/// The records that have an `extra`: the operation that changes it, and the argument that names the record.
const RECORDS: [(&str, &str); 4] = [
    ("person.update", r#""person":"BOSS""#),
    ("pool.update", r#""pool":"$POOL""#),
    ("enrollment.update", r#""enrollment":"ANT""#),
    ("event.update", r#""event":"$CAMP""#),
];

/// A registry with one of each record, and the arguments that name them.
fn prepared() -> (Registry, [(&'static str, String); 4]) {
    let mut registry = Registry::in_memory();
    let mut made = |op: &str, args: &str| {
        let reply = call(&mut registry, Envelope::default(), op, args).expect("made");
        reply.split_once("\"pk\":\"").and_then(|(_, rest)| rest.split_once('"')).expect("a pk").0.to_owned()
    };
    made("person.create", r#"{"callsign":"BOSS"}"#);
    let pool = made("pool.create", r#"{"owner":"BOSS"}"#);
    made("enrollment.create", r#"{"callsign":"ANT"}"#);
    let camp = made(
        "event.create",
        r#"{"title":"Camp","kind":"camp","owner":"BOSS","start":"2999-01-01T00:00:00Z","duration_minutes":60}"#,
    );
    (registry, RECORDS.map(|(op, named)| (op, named.replace("$POOL", &pool).replace("$CAMP", &camp))))
}

#[test]
fn extras_of_every_record_are_patched() {
    let (mut registry, records) = prepared();
    for (op, named) in records {
        check(
            &mut registry,
            &format!(
                r#"
                {op} {{{named},"extra":{{"a":1.50,"b":{{"c":1,"d":2}}}}}} => {{..,"extra":{{"a":1.50,"b":{{"c":1,"d":2}}}},..}}
                {op} {{{named},"patch":{{"e":[1]}}}} => {{..,"extra":{{"a":1.50,"b":{{"c":1,"d":2}},"e":[1]}},..}}
                {op} {{{named},"patch":{{"b":{{"c":null}}}}}} => {{..,"extra":{{"a":1.50,"b":{{"d":2}},"e":[1]}},..}}
                {op} {{{named},"patch":{{"a":null,"b":3,"no":null}}}} => {{..,"extra":{{"b":3,"e":[1]}},..}}
                {op} {{{named},"patch":{{}}}} => {{..,"extra":{{"b":3,"e":[1]}},..}}
                {op} {{{named},"patch":{{"b":4}},"extra":{{}}}} => invalid_argument
                {op} {{{named},"patch":[1]}} => invalid_argument
                {op} {{{named},"patch":{{}}}} => {{..,"extra":{{"b":3,"e":[1]}},..}}
                "#
            ),
        );
    }
}

#[test]
fn what_is_cleared_is_not_given_a_value_at_once() {
    let (mut registry, records) = prepared();
    let (op, named) = &records[1];
    check(
        &mut registry,
        &format!(
            r#"
            {op} {{{named},"clear":["extra"],"extra":{{}}}} => invalid_argument
            {op} {{{named},"clear":["extra"],"patch":{{}}}} => invalid_argument
            {op} {{{named},"clear":["extra"]}} => {{..,"extra":{{}},..}}
            "#
        ),
    );
}

#[test]
fn bounds_hold_for_what_results() {
    let (mut registry, records) = prepared();
    let half = "x".repeat(JSON_BYTES_MAX / 2);
    for (op, named) in records {
        let mut patch = |patch: &str| {
            let reply = call(&mut registry, Envelope::default(), op, &format!(r#"{{{named},"patch":{patch}}}"#));
            reply.map(drop).map_err(|refusal| refusal.code)
        };
        assert_eq!(patch(&format!(r#"{{"a":"{half}"}}"#)), Ok(()), "{op}");
        assert_eq!(patch(&format!(r#"{{"b":"{half}"}}"#)), Err(Code::INVALID_ARGUMENT), "{op}: both halves");
        assert_eq!(patch(&format!(r#"{{"a":null,"b":"{half}"}}"#)), Ok(()), "{op}: one for the other");
    }
}

#[test]
fn constants_hold_for_what_results() {
    let (mut registry, records) = prepared();
    check(&mut registry, r#"constant.set {"list":"country","value":"Norway"} => true"#);
    for (op, named) in &records[..3] {
        check(
            &mut registry,
            &format!(
                r#"
                {op} {{{named},"patch":{{"country":"Norway","n":1}}}} => {{..,"extra":{{"country":"Norway","n":1}},..}}
                {op} {{{named},"patch":{{"country":"Nowhere"}}}} => invalid_argument
                {op} {{{named},"patch":{{"n":null}}}} => {{..,"extra":{{"country":"Norway"}},..}}
                {op} {{{named},"patch":{{"country":null}}}} => {{..,"extra":{{}},..}}
                "#
            ),
        );
    }
}
