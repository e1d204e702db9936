//! A promoted member goes on where the last leader was: kept answers, counted guesses, timers, numbers of lists of
//! revoked certificates and of changes; and it does not go by a clock that is off.

use std::collections::BTreeMap;

use enroll_tests::cluster::{Cluster, DEPOSED, Host, enrolld_with_clock_off};
use enroll_tests::poll::until_within;
use enroll_tests::process::PATIENCE;
use enroll_tests::skip::is_installed;
use enrolld::daemon::clock::Clock;
use enrolld::sys;
use serde_json::Value;

use super::revocations::number;

const GUESSES: usize = 20;

const DAY: u64 = 24 * 60 * 60;

fn in_seconds(seconds: u64) -> String {
    Clock::default().now().plus_seconds(seconds).to_string()
}

/// A field of what `enrollctl` answers.
fn field(host: &Host, name: &str, args: &[&str]) -> Value {
    let output = host.run(&[&["--json"], args].concat(), "");
    // A status with warnings ends with 1.
    assert!(output.code == Some(0) || args[1] == "status", "{} {args:?}: {output:?}", host.name);
    output.json()[name].clone()
}

/// The code of a refusal.
fn refused(host: &Host, args: &[&str], stdin: &str) -> String {
    let output = host.run(&[&["--json"], args].concat(), stdin);
    let code = output.json().pointer("/error/code").and_then(Value::as_str).map(str::to_owned);
    code.unwrap_or_else(|| panic!("{args:?} is not refused: {output:?}"))
}

/// The whole feed, whose numbers have no hole: number and verb.
fn feed(host: &Host) -> BTreeMap<u64, (String, String)> {
    let changes = field(host, "items", &["changes", "list", "--limit", "1000"]);
    let changes = changes.as_array().expect("changes").iter().map(|change| {
        let name =
            format!("{}.{}", change["area"].as_str().expect("an area"), change["verb"].as_str().expect("a verb"));
        (change["seq"].as_u64().expect("a number"), (name, change["at"].to_string()))
    });
    let changes: BTreeMap<_, _> = changes.collect();
    assert!(changes.keys().copied().eq(1..=changes.len() as u64), "{changes:?}");
    changes
}

/// Makes an event for which one person has a place and one waits until the pools are merged at this time; its pk.
fn make_event(host: &Host, merge: &str) -> String {
    for person in ["BOSS", "DOG", "CAT"] {
        host.done(&["person", "create", person], "");
        host.done(&["role", "assign", person, "member"], "");
    }
    let mut event = vec!["event", "create", "Camp", "--kind", "camp", "--owner", "BOSS", "--published", "true"];
    event.extend(["--start", "2100-01-01T00:00:00Z", "--duration-minutes", "60", "--merge-time", merge]);
    event.extend(["--pool", "{\"name\":\"m\",\"capacity\":1,\"roles\":[\"member\"]}"]);
    event.extend(["--pool", "{\"name\":\"g\",\"capacity\":1,\"roles\":[\"guest\"]}"]);
    let event = field(host, "pk", &event).as_str().expect("a pk").to_owned();
    for person in ["DOG", "CAT"] {
        host.done(&["registration", "create", &event, person], "");
    }
    event
}

#[test]
fn answers_guesses_timers_and_numbers_go_on_over_fail_overs() {
    let test = "answers_guesses_timers_and_numbers_go_on_over_fail_overs";
    let keys = format!("guesses.per_minute = {GUESSES}");
    let Some(mut cluster) = Cluster::start_with(test, &["a", "b"], &keys) else { return };
    let key = "01a22736-5238-7702-b745-20eb446a007e";
    let create = ["--key", key, "code", "create", "{\"sub\":\"DOG\"}"];
    let a = &cluster.hosts[0];
    for person in ["OWL", "COW", "PIG"] {
        a.done(&["person", "create", person, "--certificate", "generate"], "");
    }
    let code = field(a, "code", &create).as_str().expect("a code").to_owned();
    a.done(&["person", "revoke", "OWL", "superseded"], "");
    let list = number(&a.done(&["certificate", "crl"], ""));
    let guesses = "{\"op\":\"code.use\",\"args\":{\"code\":\"NOSUCHCODE22\"}}\n".repeat(GUESSES);
    assert_eq!(a.run(&["call"], &guesses).stdout.matches("\"not_found\"").count(), GUESSES);
    let event = make_event(a, &in_seconds(6));
    assert_eq!(field(a, "waiting_count", &["event", "get", &event]), 1, "the timer is due after the fail-over");
    let before = feed(a);
    cluster.hosts[0].kill9();

    cluster.await_leader(Some(0));
    let b = &cluster.hosts[1];
    assert_eq!(refused(b, &["code", "use"], &code), "too_many_attempts", "guesses count on");
    assert_eq!(field(b, "code", &create), code, "the answer was kept");
    assert_eq!(number(&b.done(&["certificate", "crl"], "")), list, "one number is one list");
    b.done(&["person", "revoke", "COW", "superseded"], "");
    let next = number(&b.done(&["certificate", "crl"], ""));
    assert!(next > list, "{next} after {list}");
    until_within(PATIENCE, "the timer", || field(b, "waiting_count", &["event", "get", &event]) == 0);
    let then = feed(b);
    assert!(before.iter().all(|(number, change)| then[number] == *change), "{before:?} {then:?}");
    let placed =
        |feed: &BTreeMap<_, (String, _)>| feed.values().filter(|(name, _)| name.starts_with("registration.")).count();

    // And back by a hand-over: the other host has an older list in its file.
    cluster.start_all();
    cluster.hosts[0].await_serving();
    // The one that leads looks every second who is there.
    until_within(PATIENCE, "a member", || cluster.hosts[1].run(&["cluster", "hand-over", "a"], "").code == Some(0));
    assert_eq!(cluster.hosts[1].ended(), Some(DEPOSED));
    cluster.await_leader(Some(1));
    let a = &cluster.hosts[0];
    assert_eq!(number(&a.done(&["certificate", "crl"], "")), next);
    a.done(&["person", "revoke", "PIG", "superseded"], "");
    assert!(number(&a.done(&["certificate", "crl"], "")) > next);
    assert_eq!(refused(a, &["code", "use"], &code), "too_many_attempts");
    assert_eq!(placed(&feed(a)), placed(&then), "nobody is placed twice");
    cluster.expect_same_everywhere();
}

#[test]
fn a_clock_that_is_an_hour_ahead_does_not_lead_and_orders_nothing() {
    let test = "a_clock_that_is_an_hour_ahead_does_not_lead_and_orders_nothing";
    if !is_installed(test, "faketime") {
        return;
    }
    let Some(mut cluster) = Cluster::start(test, &["a", "b", "c"]) else { return };
    cluster.hosts[1].kill9();
    let mut ahead = enrolld_with_clock_off(&cluster.hosts[1].home, 3600);
    cluster.hosts[1].start_by(&mut ahead);
    until_within(PATIENCE, "b says why it does not lead", || {
        cluster.hosts[1].log().contains("this member does not lead: its clock is at least 35")
    });
    cluster.hosts[0].done(&["token", "use"], "first");
    cluster.hosts[0].kill9();
    assert_eq!(cluster.await_leader(Some(0)), 2, "the one whose clock is right");
    cluster.hosts[2].done(&["token", "use"], "second");
    // Alone it leads, and dates what it does by its clock.
    cluster.hosts[2].kill9();
    assert_eq!(cluster.await_leader(Some(2)), 1);
    cluster.hosts[1].done(&["token", "use"], "third");
    cluster.hosts[0].start();
    cluster.hosts[0].await_serving();
    cluster.hosts[1].kill9();
    assert_eq!(cluster.await_leader(Some(1)), 0);
    let a = &cluster.hosts[0];
    until_within(PATIENCE, "the step", || {
        let step = field(a, "clock", &["server", "status"])["last_step_seconds"].as_i64();
        step.is_some_and(|step| (-3700..-3500).contains(&step))
    });
    for token in ["first", "second", "third"] {
        assert_eq!(refused(a, &["token", "use"], token), "token_reuse");
    }
    let steps = feed(a).values().filter(|(name, _)| name == "server.clock").count();
    assert!(steps >= 1, "{:?}", feed(a));
    cluster.expect_same_everywhere();
}

#[test]
fn a_promoted_clock_that_is_far_ahead_is_doubted_as_at_a_start() {
    let test = "a_promoted_clock_that_is_far_ahead_is_doubted_as_at_a_start";
    if !is_installed(test, "faketime") {
        return;
    }
    let Some(mut cluster) = Cluster::start(test, &["a", "b"]) else { return };
    let event = make_event(&cluster.hosts[0], &in_seconds(DAY));
    assert_eq!(field(&cluster.hosts[0], "waiting_count", &["event", "get", &event]), 1);
    cluster.hosts[1].kill9();
    let mut ahead = enrolld_with_clock_off(&cluster.hosts[1].home, 40 * i64::try_from(DAY).expect("a number"));
    cluster.hosts[1].start_by(&mut ahead);
    cluster.hosts[1].await_serving();
    cluster.hosts[0].kill9();
    cluster.await_leader(Some(0));
    let b = &cluster.hosts[1];
    if sys::is_clock_unsynchronised() {
        let warnings = field(b, "warnings", &["server", "status"]).to_string();
        assert!(warnings.contains("40 days after the latest change"), "{warnings}");
        b.done(&["token", "use"], "meanwhile");
        assert_eq!(
            field(b, "waiting_count", &["event", "get", &event]),
            1,
            "no pool merges by a clock that is doubted"
        );
        b.done(&["server", "accept-clock"], "");
    }
    until_within(PATIENCE, "the timer", || field(b, "waiting_count", &["event", "get", &event]) == 0);
    feed(b);
}
