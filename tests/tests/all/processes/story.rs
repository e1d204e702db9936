//! `changes of`: the history of a person with the enrollment that they came by, of an event and of a pool.

use enroll_tests::process::Daemon;

/// The column `happened` of a record's history.
fn told(daemon: &Daemon, record: &str) -> Vec<String> {
    let lines = daemon.done(&["changes", "of", record]);
    lines.lines().skip(1).map(|line| line.split('\t').nth(3).unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_history_tells_all_that_happened_to_a_record_and_nothing_else() {
    let daemon = Daemon::start();
    daemon.done(&["person", "create", "BOSS", "--role", "superuser"]);
    daemon.done(&["person", "create", "CAT02b"]);
    let code = daemon.done(&["pool", "create", "--owner", "BOSS", "--field", "invitecode"]);
    let pool = daemon.done(&["pool", "get", &code, "--field", "pk"]);
    daemon.done(&["enrollment", "create", "DOGGO01a", "--pool", &code]);
    daemon.done(&["enrollment", "approve", "DOGGO01a", "--as", "BOSS"]);
    daemon.done(&["role", "assign", "DOGGO01a", "member"]);
    let members = r#"{"name":"members","capacity":1,"roles":["member","superuser"]}"#;
    let camp = ["--kind", "camp", "--start", "2999-07-01T10:00:00Z", "--duration-minutes", "60", "--published", "true"];
    let camp =
        [&["event", "create", "Camp", "--owner", "BOSS", "--field", "pk", "--pool", members], &camp[..]].concat();
    let event = daemon.done(&camp);
    daemon.done(&["registration", "create", &event, "DOGGO01a", "--origin", "203.0.113.9"]);
    daemon.done(&["registration", "create", &event, "BOSS"]);
    daemon.done(&["registration", "cancel", &event, "DOGGO01a"]);
    daemon.done(&["person", "delete", "DOGGO01a"]);

    let dog = told(&daemon, "DOGGO01a");
    assert!(dog[0].starts_with("DOGGO01a enrolled by the pool "), "{dog:?}");
    assert_eq!(
        dog[1..],
        [
            "DOGGO01a was approved and became DOGGO01a",
            "DOGGO01a was given a role",
            "DOGGO01a registered for Camp and got a place in members",
            "DOGGO01a canceled for Camp and gave up a place in members",
            "DOGGO01a was deleted",
        ]
    );
    assert_eq!(
        told(&daemon, &event),
        [
            "Camp was made",
            "DOGGO01a registered for Camp and got a place in members",
            "BOSS registered for Camp",
            "DOGGO01a canceled for Camp and gave up a place in members",
            "BOSS moved up from the waiting list of Camp into members",
        ]
    );
    let of_pool = told(&daemon, &pool);
    assert_eq!(of_pool.len(), 2, "{of_pool:?}");
    assert!(of_pool[1].starts_with("DOGGO01a enrolled by the pool "), "{of_pool:?}");
    assert_eq!(told(&daemon, "CAT02b"), ["CAT02b was made a person"]);

    let json = daemon.enrollctl(&["changes", "of", "DOGGO01a", "--json"], "").json();
    assert_eq!((&json["name"], json["changes"].as_array().map(Vec::len)), (&"DOGGO01a".into(), Some(6)));
    assert_eq!(json["changes"][1]["actor"], "BOSS");
    assert_eq!(json["changes"][3]["origin"], "203.0.113.9");
    let seated = daemon.enrollctl(&["changes", "of", &event, "--json"], "").json()["changes"][4].clone();
    assert_eq!((&seated["what"], seated["cause"].is_u64()), (&"registration.seated".into(), true), "{seated}");
}

#[test]
fn a_name_that_nothing_has_is_refused_and_a_person_needs_the_permission() {
    let daemon = Daemon::start();
    daemon.done(&["person", "create", "DOGGO01a"]);
    let nobody = daemon.enrollctl(&["changes", "of", "nobody"], "");
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    assert!(nobody.stderr.contains("(not_found)"), "{nobody:?}");
    let denied = daemon.enrollctl(&["changes", "of", "DOGGO01a", "--as", "DOGGO01a"], "");
    assert_eq!(denied.code, Some(1), "{denied:?}");
    assert!(denied.stderr.contains("(permission_denied)"), "{denied:?}");
    let usage = daemon.enrollctl(&["changes", "of"], "");
    assert_eq!(usage.code, Some(2), "{usage:?}");
}
