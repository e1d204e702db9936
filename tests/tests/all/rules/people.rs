//! Rules of people and roles.

use enroll_protocol::{Envelope, Reference};
use enroll_tests::registry::Registry;
use enrolld::config::Config;

use super::check;

#[test]
fn a_callsign_is_one_persons_in_any_case_and_any_form() {
    check(
        &mut Registry::in_memory(),
        r#"
        person.create {"callsign":"DOGGO01a","extra":{"team":"red"}} => {"pk":"..","callsign":"DOGGO01a","extra":{"team":"red"},"roles":[],"supervisor":null,"certificate":false,"revocation":null,"created":"2027-01-15T08:00:00.000000Z","updated":"2027-01-15T08:00:00.000000Z","deleted":null}
        person.create {"callsign":"doggo01A"} => callsign_reserved
        person.create {"callsign":"STRASSE"} => {"pk"..
        person.create {"callsign":"straße"} => callsign_reserved
        person.get {"person":"dOgGo01a"} => {"pk":"..","callsign":"DOGGO01a"..
        person.get {"person":"PORA22b"} => not_found
        person.get {"person":"0195aaaa-0000-7000-8000-000000000000"} => not_found
        person.get {"person":"DOGGO01a","allow_deleted":null} => {"pk"..
        "#,
    );
}

#[test]
fn a_person_is_found_by_pk_in_both_forms_or_as_the_reference_says() {
    let registry = &mut Registry::in_memory();
    let person = registry.call(enroll_protocol::person::Create::new("DOGGO01a".parse().expect("a callsign")));
    let pk = person.expect("made").pk;
    let short = base64_url(pk.as_bytes());
    for reference in [
        format!(r#""{pk}""#),
        format!(r#""{short}""#),
        format!(r#"{{"pk":"{pk}"}}"#),
        format!(r#"{{"pk":"{short}"}}"#),
        r#"{"callsign":"doggo01A"}"#.to_owned(),
    ] {
        check(registry, &format!(r#"person.get {{"person":{reference}}} => {{"pk":"{pk}".."#));
    }
    for (reference, code) in [
        (format!(r#"{{"callsign":"{pk}"}}"#), "not_found"),
        (r#"{"pk":"DOGGO01a"}"#.to_owned(), "invalid_argument"),
        (r#"{"invitecode":"DOGGO01a"}"#.to_owned(), "invalid_argument"),
        (r#"{"name":"DOGGO01a"}"#.to_owned(), "invalid_argument"),
        (format!(r#"{{"callsign":"DOGGO01a","pk":"{pk}"}}"#), "invalid_argument"),
    ] {
        check(registry, &format!(r#"person.get {{"person":{reference}}} => {code}"#));
    }
}

#[test]
fn no_name_reads_as_a_pk_so_nobody_passes_for_somebody_else() {
    let registry = &mut Registry::in_memory();
    let mut boss = enroll_protocol::person::Create::new("BOSS".parse().expect("a callsign"));
    boss.roles = vec!["superuser".parse().expect("a role")];
    let boss = registry.call(boss).expect("made").pk;
    let short = base64_url(boss.as_bytes());
    let wide: String = boss.to_string().chars().map(wide).collect();
    let (text, upper) = (boss.to_string(), boss.to_string().to_ascii_uppercase());
    for callsign in [&text, &upper, &short, &wide] {
        check(
            registry,
            &format!(
                r#"
            enrollment.create {{"callsign":"{callsign}"}} => callsign_reserved
            person.create {{"callsign":"{callsign}"}} => callsign_reserved
            course.create {{"key":"{upper}","modes":["audit"]}} => invalid_argument
            role.assign {{"person":"BOSS","role":"{text}"}} => invalid_argument
            "#
            ),
        );
    }
    check(
        registry,
        &format!(
            r#"
        person.find {{"claims":{{"sub":"{boss}"}}}} => not_found
        person.find {{"claims":{{"CN":"{short}"}}}} => not_found
        person.create {{"callsign":"0195aaaa-0000-4000-8000-000000000000"}} => {{"pk"..
        person.get {{"person":"0195aaaa-0000-4000-8000-000000000000"}} => {{"pk"..
        person.get {{"person":"{boss}"}} => {{"pk":"{boss}"..
        "#
        ),
    );
    let actor = |actor: &str| Envelope {
        actor: Some(Reference::by_callsign(actor).expect("a name").into()),
        ..Envelope::default()
    };
    for (named, expected) in [("BOSS", true), (text.as_str(), false), (short.as_str(), false)] {
        let delete = enroll_protocol::person::Get::new("BOSS".parse().expect("a name"));
        assert_eq!(registry.call_with(actor(named), delete).is_ok(), expected, "{named}");
    }
}

#[test]
fn names_have_no_characters_that_are_not_seen_and_are_compared_without_them() {
    let registry = &mut Registry::in_memory();
    for odd in
        ["\u{200b}", "\u{202e}", "\u{2066}", "\u{feff}", "\u{ad}", "\u{3164}", "\u{fe0f}", "\u{2028}", "\u{e0041}"]
    {
        check(
            registry,
            &format!(
                r#"
            person.create {{"callsign":"DOG{odd}GO"}} => invalid_argument
            enrollment.create {{"callsign":"{odd}DOGGO"}} => invalid_argument
            course.create {{"key":"Navi{odd}gation","modes":["audit"]}} => invalid_argument
            constant.set {{"list":"country","value":"Nor{odd}way"}} => invalid_argument
            constant.set {{"list":"country","value":"NO","label":"Nor{odd}way"}} => invalid_argument
            "#
            ),
        );
    }
    check(
        registry,
        r#"
        course.create {"key":" Navigation","modes":["audit"]} => invalid_argument
        course.create {"key":"Navigation\u00a0","modes":["audit"]} => invalid_argument
        constant.set {"list":"country","value":"Norway "} => invalid_argument
        person.create {"callsign":"DOGGO01a"} => {"pk"..
        person.get {"person":"DOG\u200bGO01a"} => {"pk":"..","callsign":"DOGGO01a"..
        person.get {"person":"\uff24OGGO01a\ufeff"} => {"pk":"..","callsign":"DOGGO01a"..
        person.create {"callsign":"\uff24OGGO01a"} => callsign_reserved
        "#,
    );
}

/// The wide form of a character.
fn wide(c: char) -> char {
    char::from_u32(u32::from(c) + 0xfee0).expect("a character")
}

#[test]
fn what_is_no_callsign_or_no_argument_is_refused_by_its_name() {
    let long = "x".repeat(256);
    let longest = "x".repeat(255);
    check(
        &mut Registry::in_memory(),
        &format!(
            r#"
        person.create {{"callsign":""}} => invalid_argument
        person.create {{"callsign":" DOGGO"}} => invalid_argument
        person.create {{"callsign":"DOGGO "}} => invalid_argument
        person.create {{"callsign":"DOG\u0000GO"}} => invalid_argument
        person.create {{"callsign":"DOG\nGO"}} => invalid_argument
        person.create {{"callsign":"{long}"}} => invalid_argument
        person.create {{"callsign":"{longest}"}} => {{"pk"..
        person.create {{"callsign":"A","extra":[]}} => invalid_argument
        person.create {{"callsign":"A","extra":{{"a":1,"a":2}}}} => invalid_argument
        person.create {{"callsign":"A","nonsense":1}} => invalid_argument
        person.create {{}} => invalid_argument
        person.create {{"callsign":"A","roles":["Boss"]}} => invalid_argument
        person.create {{"callsign":"A","roles":[""]}} => invalid_argument
        person.create {{"callsign":"A","certificate":{{"csr":"-----BEGIN"}}}} => invalid_argument
        person.create {{"callsign":"A","certificate":"none","roles":null,"extra":null}} => {{"pk"..
        person.list {{"limit":0}} => invalid_argument
        person.list {{"limit":1001}} => invalid_argument
        "#
        ),
    );
}

#[test]
fn a_field_that_is_wrong_is_named() {
    let registry = &mut Registry::in_memory();
    for (op, args, named) in [
        ("person.create", r#"{"callsign":" a"}"#, "callsign"),
        ("person.create", r#"{"callsign":"a","nonsense":1}"#, "nonsense"),
        ("person.list", r#"{"limit":0}"#, "limit"),
        ("token.use", r#"{"token":"a","expires":"tomorrow"}"#, "expires"),
        ("token.use", r#"{"token":"a","audit":7}"#, "audit"),
        ("code.create", r#"{"claims":{"iss":"me"}}"#, "claims"),
    ] {
        let refusal = super::call(registry, Default::default(), op, args).expect_err("refused");
        assert!(refusal.message.contains(named), "{op} {args}: {}", refusal.message);
    }
}

#[test]
fn reserved_callsigns_are_nobodys() {
    let config = Config { reserved_callsigns: vec!["Matrix".to_owned()], ..Config::default() };
    check(
        &mut Registry::configured(&config),
        r#"
        person.create {"callsign":"mATRIX"} => callsign_reserved
        person.create {"callsign":"Matrix2"} => {"pk"..
        "#,
    );
}

#[test]
fn roles_are_given_and_taken_once() {
    check(
        &mut Registry::in_memory(),
        r#"
        person.create {"callsign":"A"} => {"pk"..
        role.assign {"person":"a","role":"member"} => true
        role.assign {"person":"a","role":"member"} => false
        role.has {"person":"a","role":"member"} => true
        role.has {"person":"a","role":"admin"} => false
        role.assign {"person":"a","role":"admin"} => true
        role.list {"person":"A"} => ["admin","member"]
        role.remove {"person":"a","role":"member"} => true
        role.remove {"person":"a","role":"member"} => false
        role.list {"person":"A"} => ["admin"]
        role.assign {"person":"b","role":"member"} => not_found
        role.assign {"person":"a","role":"Member"} => invalid_argument
        person.create {"callsign":"B","roles":["member","member","x-1_y"]} => {"pk"..
        role.list {"person":"B"} => ["member","x-1_y"]
        person.list {"role":"member"} => {"items":[{"pk":"..","callsign":"B"..}],"next":null}
        person.list {"role":"nobody"} => {"items":[],"next":null}
        "#,
    );
}

#[test]
fn every_write_that_changed_something_is_in_the_feed() {
    check(
        &mut Registry::in_memory(),
        r#"
        changes.list {} => {"items":[],"next":null}
        person.create {"callsign":"A"} => {"pk"..
        person.create {"callsign":"a"} => callsign_reserved
        role.assign {"person":"a","role":"member"} => true
        role.assign {"person":"a","role":"member"} => false
        token.use {"token":"t"} => {"token":"t"..
        token.use {"token":"t"} => token_reuse
        changes.list {} => {"items":[{"seq":1,"at":"2027-01-15T08:00:00.000000Z","area":"person","verb":"create","subjects":["..-7..-.."],"actor":null,"peer":{"uid":1000,"pid":1,"member":null},"origin":null,"cause":null,"refused":null},{"seq":2,..,"area":"role","verb":"assign",..,"refused":null},{"seq":3,..,"verb":"use",..,"refused":null},{"seq":4,..,"verb":"use",..,"refused":"token_reuse"}],"next":null}
        changes.list {"since":3} => {"items":[{"seq":4,..}],"next":null}
        changes.list {"since":4} => {"items":[],"next":null}
        changes.list {"since":18446744073709551615} => {"items":[],"next":null}
        "#,
    );
}

fn base64_url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let digit = |chunk: &[u8]| (0..6).fold(0, |sum, at| sum << 1 | usize::from(chunk.get(at).copied().unwrap_or(0)));
    bits.chunks(6).map(|chunk| char::from(DIGITS[digit(chunk)])).collect()
}
