//! Clock steps by years, forward and back: nothing freezes, and times are compared with the current clock.

mod steps;

use enroll_protocol::person::CertificateWanted;
use enroll_protocol::{Code, Time, changes, code, person};
use enroll_tests::registry::Registry;

use super::check;

const YEAR: u64 = 365 * 24 * 60 * 60;

/// A registry that lived ten years ahead for a while, in which this was done.
fn been_ahead(table: &str) -> (Registry, Time) {
    let mut registry = Registry::in_memory();
    check(&mut registry, r#"person.create {"callsign":"BEFORE"} => {"pk".."#);
    let now = registry.now.plus_seconds(60);
    registry.set_clock(now.plus_seconds(10 * YEAR));
    check(&mut registry, table);
    registry.set_clock(now);
    registry.wake();
    (registry, now)
}

#[test]
fn the_feed_is_in_the_order_of_its_numbers_and_tells_of_every_step() {
    let (mut registry, now) = been_ahead(r#"person.create {"callsign":"AHEAD"} => {"pk".."#);
    check(&mut registry, r#"person.create {"callsign":"AFTER"} => {"pk"..,"created":"2027-01-15T08:01:00.000000Z".."#);
    let feed = registry.call(changes::List::default()).expect("a page").items;
    let seqs: Vec<u64> = feed.iter().map(|change| change.seq).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "{seqs:?}");
    let printed = feed.iter().filter(|change| change.verb != "listed");
    let printed: Vec<(&str, bool)> = printed.map(|change| (change.verb.as_str(), change.at > now)).collect();
    let expected = [("create", false), ("clock", true), ("create", true), ("clock", false), ("create", false)];
    assert_eq!(printed, expected);
    let warnings = registry.call(enroll_protocol::server::Status {}).expect("a status").warnings;
    assert!(
        warnings.iter().any(|warning| warning.topic == "clock" && warning.message.contains("back")),
        "{warnings:?}"
    );
}

#[test]
fn what_expires_goes_by_the_clock_as_it_is() {
    let (mut registry, now) = been_ahead(r#"code.use {"code":"WRONGWRONG22"} => not_found"#);
    let expires = Some(now.plus_seconds(60));
    let made = registry.call(code::Create { expires, ..code::Create::new(Default::default()) }).expect("made");
    let used = registry.call(code::Use::new(made.code.expect("a code"))).expect("used");
    let lifetime = used.expires.seconds() - now.seconds();
    assert!((1..=24 * 60 * 60).contains(&lifetime), "{lifetime}");
    let late = registry.call(code::Create { expires, ..code::Create::new(Default::default()) }).expect("made");
    registry.pass_seconds(61);
    let refused = registry.call(code::Use::new(late.code.expect("a code"))).expect_err("expired");
    assert_eq!(refused.code, Code::EXPIRED);
    assert_eq!(registry.violations(), Vec::<String>::new());
}

#[test]
fn nobody_is_kept_out_by_a_window_of_the_future() {
    let guesses = "code.use {\"code\":\"WRONGWRONG22\"} => not_found\n".repeat(30);
    let (mut registry, _) =
        been_ahead(&format!("{guesses}code.use {{\"code\":\"WRONGWRONG22\"}} => too_many_attempts"));
    check(&mut registry, r#"code.use {"code":"WRONGWRONG22"} => not_found"#);
}

#[test]
fn a_list_of_the_future_gives_way_to_one_of_now_with_a_greater_number() {
    let (mut registry, now) = been_ahead(
        r#"
        person.create {"callsign":"GONE"} => {"pk"..
        "#,
    );
    let mut certified = person::Create::new("TLS".parse().expect("a callsign"));
    certified.certificate = CertificateWanted::Generate;
    registry.call(certified).expect("made");
    let list = |registry: &Registry| registry.list_head();
    let before = list(&registry);
    assert!(before.since <= now, "the list is of now: {before:?}");
    registry.call(person::Delete { person: "TLS".parse().expect("a name") }).expect("deleted");
    assert!(list(&registry).number > before.number);
    assert_eq!(registry.violations(), Vec::<String>::new());
}
