//! `event history` and `event show --at`: after any random history of registrations the last counts are those of the event, the first are
//! none, and each step is one that happened; the past of an event is what was shown then.

use enroll_tests::process::{Daemon, Home};
use enroll_tests::seed::{self, Seed};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

const PEOPLE: u32 = 9;

/// An event with two pools, or with none and a maximum; its pk.
fn event(daemon: &Daemon, has_pools: bool, approval: &str) -> String {
    let pools: &[&str] = match has_pools {
        true => &[
            "--pool",
            r#"{"name":"members","capacity":2,"roles":["member"]}"#,
            "--pool",
            r#"{"name":"guests","capacity":1,"roles":["guest","member"]}"#,
        ],
        false => &["--max-participants", "3"],
    };
    let args = ["event", "create", "Camp", "--kind", "camp", "--owner", "BOSS", "--start", "2999-07-01T10:00:00Z"];
    let args = args.into_iter().chain(["--duration-minutes", "60", "--published", "true", "--approval", approval]);
    let args: Vec<&str> = args.chain(["--field", "pk"]).chain(pools.iter().copied()).collect();
    let made = daemon.enrollctl(&args, "");
    assert_eq!(made.code, Some(0), "{made:?}");
    made.stdout.trim().to_owned()
}

fn people(daemon: &Daemon) {
    let create = |name: &str, role: &str| {
        assert_eq!(daemon.enrollctl(&["person", "create", name, "--role", role], "").code, Some(0), "{name}");
    };
    create("BOSS", "superuser");
    (0..PEOPLE).for_each(|n| create(&format!("DOG{n}"), if n % 3 == 0 { "guest" } else { "member" }));
}

/// Does one random thing to the event; many are refused.
fn line(random: &mut SmallRng, event: &str) -> String {
    let person = format!("DOG{}", random.random_range(0..PEOPLE));
    let (op, args) = match random.random_range(0..20) {
        0..8 => ("registration.create", json!({"event": event, "person": person})),
        8..12 => ("registration.cancel", json!({"event": event, "person": person})),
        12 => ("registration.reject", json!({"event": event, "person": person})),
        13 => ("registration.approve", json!({"event": event, "person": person})),
        14 => ("registration.place", json!({"event": event, "person": person, "reason": "so"})),
        15 => ("registration.place", json!({"event": event, "person": person, "position": 1, "reason": "so"})),
        16 => {
            let capacity = random.random_range(1..4);
            ("event.update_pool", json!({"event": event, "pool": "members", "capacity": capacity}))
        }
        17 => ("person.delete", json!({"person": person})),
        18 => ("person.restore", json!({"person": person})),
        _ => ("role.assign", json!({"person": person, "role": "member"})),
    };
    format!("{}\n", json!({"op": op, "args": args}))
}

fn counts(shown: &Value) -> (Value, Value) {
    (shown["places_taken"].clone(), shown["waiting_count"].clone())
}

#[test]
fn a_history_ends_with_the_counts_of_the_event_and_begins_with_none() {
    for seed in seed::of_histories(6) {
        let (seed, daemon) = (Seed(seed), Daemon::start());
        let mut random = SmallRng::seed_from_u64(seed.0);
        people(&daemon);
        let approval = if random.random() { "supervisor" } else { "none" };
        let event = event(&daemon, random.random(), approval);
        for part in 0..4 {
            let lines: String = (0..40).map(|_| line(&mut random, &event)).collect();
            let answers = daemon.enrollctl(&["call"], &lines);
            assert!(answers.stdout.contains("\"ok\""), "{answers:?}");
            let history = daemon.enrollctl(&["event", "history", &event, "--json"], "").json();
            let shown = daemon.enrollctl(&["event", "show", &event, "--json"], "").json()["event"].clone();
            let steps = history["steps"].as_array().expect("steps");
            let (first, last) = (&steps[0], steps.last().expect("a step"));
            assert_eq!((&first["taken"], &first["waiting"]), (&json!(0), &json!(0)), "part {part}: {history}");
            assert_eq!((last["taken"].clone(), last["waiting"].clone()), counts(&shown), "part {part}");
            for pool in shown["pools"].as_array().expect("pools") {
                let name = pool["name"].as_str().expect("a name");
                assert_eq!(first["pools"][name], 0, "part {part}: {history}");
                assert_eq!(last["pools"][name], pool["places_taken"], "part {part}: {name}");
            }
            for step in steps {
                let [taken, waiting] = ["taken", "waiting"].map(|name| step[name].as_i64().expect("a number"));
                let pools = step["pools"].as_object().expect("pools").values();
                let of_pools: i64 = pools.map(|count| count.as_i64().expect("a number")).sum();
                assert!(taken >= 0 && waiting >= 0, "part {part}: {step}");
                assert!(shown["pools"] == json!([]) || of_pools == taken, "part {part}: {step}");
            }
            for pair in steps.windows(2) {
                let moved = ["taken", "waiting"]
                    .map(|name| pair[1][name].as_i64().unwrap_or(9) - pair[0][name].as_i64().unwrap_or(9));
                assert!(moved.iter().all(|step| step.abs() <= 1), "part {part}: one person at a time: {pair:?}");
            }
        }
    }
}

#[test]
fn scripts_get_columns_and_people_a_picture() {
    let daemon = Daemon::start();
    people(&daemon);
    let event = event(&daemon, true, "none");
    for (verb, name) in
        [("create", "DOG1"), ("create", "DOG2"), ("create", "DOG4"), ("create", "DOG5"), ("cancel", "DOG1")]
    {
        assert_eq!(daemon.enrollctl(&["registration", verb, &event, name], "").code, Some(0));
    }
    let plain = daemon.enrollctl(&["event", "history", &event], "");
    let rows: Vec<&str> = plain.stdout.lines().map(|line| line.split_once('\t').map_or("", |(_, rest)| rest)).collect();
    assert_eq!(rows, ["taken\twaiting", "0\t0", "1\t0", "2\t0", "3\t0", "3\t1", "2\t1", "3\t0"], "{plain:?}");
    let future = daemon.enrollctl(&["event", "history", &event, "--since", "2999-01-01T00:00:00Z"], "");
    assert_eq!(future.stdout, "time\ttaken\twaiting\n2999-01-01T00:00:00.000000Z\t3\t0\n");
    for wrong in [&["--width", "5"][..], &["--since", "yesterday"], &["--dry-run"]] {
        let args: Vec<&str> = ["event", "history", &event].iter().chain(wrong).copied().collect();
        assert_eq!(daemon.enrollctl(&args, "").code, Some(2), "{wrong:?}");
    }
    let unknown = daemon.enrollctl(&["event", "history", "01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b"], "");
    assert!(unknown.code == Some(1) && unknown.stderr.contains("(not_found)"), "{unknown:?}");
}

#[test]
fn a_feed_that_begins_after_the_event_is_told() {
    let home = Home::make();
    home.configure("[changes]\nkeep_seconds = 1\n");
    let daemon = home.start();
    people(&daemon);
    let event = event(&daemon, true, "none");
    for name in ["DOG1", "DOG2"] {
        assert_eq!(daemon.enrollctl(&["registration", "create", &event, name], "").code, Some(0));
    }
    let until = std::time::Instant::now() + enroll_tests::process::PATIENCE;
    // What is due is removed while others write.
    for number in 0.. {
        let history = daemon.enrollctl(&["event", "history", &event], "");
        assert!(history.stdout.ends_with("\t2\t0\n"), "{history:?}");
        if history.stderr.contains("the feed begins at") {
            break;
        }
        assert!(std::time::Instant::now() < until, "the changes are kept");
        assert_eq!(daemon.enrollctl(&["token", "use"], &format!("nonce {number}")).code, Some(0));
    }
    let past = daemon.enrollctl(&["event", "show", &event, "--at", "2999-01-01T00:00:00Z"], "");
    assert!(past.code == Some(1) && past.stderr.contains("its past is not known"), "{past:?}");
    assert_eq!(daemon.enrollctl(&["registration", "create", &event, "DOG4"], "").code, Some(0));
    let history = daemon.enrollctl(&["event", "history", &event], "");
    assert!(history.stdout.ends_with("\t3\t0\n"), "{history:?}");
    assert!(history.stderr.contains("the feed begins at"), "{history:?}");
}

/// What `event show` tells of places and waiting list, now or after a change.
fn shown(daemon: &Daemon, event: &str, moment: &[&str]) -> (Value, Value) {
    let shown = daemon.enrollctl(&[&["event", "show", event, "--json"], moment].concat(), "");
    assert_eq!(shown.code, Some(0), "{moment:?}: {shown:?}");
    let shown = shown.json();
    match moment {
        [] => (json!([shown["event"]["places_taken"], shown["event"]["waiting_count"]]), shown["waiting"].clone()),
        _ => {
            let people = shown["waiting"].as_array().expect("a list").iter().map(|person| person["name"].clone());
            (json!([shown["places_taken"], shown["waiting_count"]]), people.collect())
        }
    }
}

/// `event show` names the first five who wait.
const NAMED: usize = 5;

#[test]
fn the_past_of_an_event_is_what_was_shown_then() {
    let daemon = Daemon::start();
    let mut random = SmallRng::seed_from_u64(7);
    people(&daemon);
    let before = daemon.enrollctl(&["changes", "head", "--json"], "").json();
    let event = event(&daemon, true, "supervisor");
    let mut kept = Vec::new();
    for _ in 0..12 {
        let lines: String = (0..6).map(|_| line(&mut random, &event)).collect();
        daemon.enrollctl(&["call"], &lines);
        let head = daemon.enrollctl(&["changes", "head", "--json"], "").json();
        kept.push((head["seq"].to_string(), head["at"].clone(), shown(&daemon, &event, &[])));
    }
    for (seq, at, (counts, first)) in &kept {
        for moment in [seq.as_str(), at.as_str().expect("a time")] {
            let (then, waiting) = shown(&daemon, &event, &["--at", moment]);
            assert_eq!(&then, counts, "{moment}");
            let named: Vec<Value> = waiting.as_array().expect("a list").iter().take(NAMED).cloned().collect();
            assert_eq!(&json!(named), first, "{moment}");
        }
    }
    let latest = &kept.last().expect("a step").0;
    let plain = daemon.done(&["event", "show", &event, "--at", latest]);
    assert!(plain.starts_with(&format!("event\t{event}\nchange\t{latest}\nat\t")), "{plain}");
    for (moment, code, why) in [
        (before["seq"].to_string(), 1, "the event was made at "),
        ("999999".to_owned(), 2, "there is no change 999999 yet"),
        ("yesterday".to_owned(), 2, "or the number of a change"),
    ] {
        let refused = daemon.enrollctl(&["event", "show", &event, "--at", &moment], "");
        assert!(refused.code == Some(code) && refused.stderr.contains(why), "{moment}: {refused:?}");
    }
}
