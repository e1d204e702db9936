//! Invite pools and enrollments across processes: a pool lets in as many as it says, and an enrollment is decided once,
//! in a race as well. The output of `pool show` is tested here too.
//!
//! Each process is connected before the first begins.

use std::collections::BTreeMap;
use std::sync::Barrier;

use enroll_tests::conversation::Conversation;
use enroll_tests::process::{Daemon, Home};
use serde_json::{Value, json};

use super::{count, expect_sound};

/// The number of each answer: `ok`, or the refusal's code.
type Outcomes = BTreeMap<String, usize>;

fn outcomes<'a>(answers: impl IntoIterator<Item = &'a Value>) -> Outcomes {
    let mut outcomes = Outcomes::new();
    for answer in answers {
        let outcome = if answer["error"].is_null() { "ok" } else { answer["error"]["code"].as_str().unwrap_or("?") };
        *outcomes.entry(outcome.to_owned()).or_default() += 1;
    }
    outcomes
}

fn expected<const N: usize>(counts: [(&str, usize); N]) -> Outcomes {
    counts.into_iter().map(|(outcome, count)| (outcome.to_owned(), count)).collect()
}

/// A conversation whose connection is there.
fn connected(home: &Home) -> Conversation {
    let mut conversation = Conversation::begin(home);
    conversation.say("{\"op\":\"server.status\"}");
    assert!(conversation.answer()["ok"].is_object());
    conversation
}

/// The JSON answer of a command that is not refused.
fn answer(daemon: &Daemon, args: &[&str]) -> Value {
    let output = daemon.enrollctl(&[&["--json"], args].concat(), "");
    assert_eq!(output.code, Some(0), "{args:?}: {output:?}");
    output.json()
}

/// The answers of many requests, asked by one process.
fn answers(daemon: &Daemon, requests: impl Iterator<Item = Value>) -> Vec<Value> {
    let lines: String = requests.map(|request| format!("{request}\n")).collect();
    let output = daemon.enrollctl(&["call"], &lines);
    assert_eq!(output.code, Some(0), "{output:?}");
    output.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The invite code of a new pool of BOSS, who is made first.
fn invitation(daemon: &Daemon, max_uses: usize) -> String {
    answer(daemon, &["person", "create", "BOSS", "--role", "superuser"]);
    let pool = answer(daemon, &["--as", "BOSS", "pool", "create", "--max-uses", &max_uses.to_string()]);
    pool["invitecode"].as_str().expect("an invite code").to_owned()
}

#[test]
fn a_pool_of_50_uses_lets_in_50_of_8_processes() {
    const PROCESSES: usize = 8;
    const EACH: usize = 20;
    const USES: usize = 50;
    let daemon = Daemon::start();
    let code = invitation(&daemon, USES);
    let (home, ready, code) = (&daemon.home, &Barrier::new(PROCESSES), code.as_str());
    let enroll = |process: usize| {
        let mut conversation = connected(home);
        ready.wait();
        for number in 0..EACH {
            let args = json!({"callsign": format!("P{process}N{number}"), "pool": code});
            conversation.say(&json!({"op": "enrollment.create", "args": args}).to_string());
        }
        let (answers, exit) = conversation.finish();
        assert_eq!((answers.len(), exit), (EACH, Some(0)));
        answers
    };
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..PROCESSES).map(|process| scope.spawn(move || enroll(process))).collect();
        running.into_iter().flat_map(|running| running.join().expect("a race")).collect()
    });
    assert_eq!(outcomes(&answers), expected([("ok", USES), ("pool_exhausted", PROCESSES * EACH - USES)]));
    assert_eq!(answer(&daemon, &["pool", "get", code])["uses"], USES);
    assert_eq!(count(&daemon, "enrollment"), USES as u64);
    expect_sound(&daemon);
}

/// Two approvals and a rejection, 50 times over, each time by three processes at the same moment.
#[test]
fn an_enrollment_is_decided_once() {
    const DECISIONS: [&str; 3] = ["enrollment.approve", "enrollment.approve", "enrollment.reject"];
    const ENROLLMENTS: usize = 50;
    let daemon = Daemon::start();
    let code = invitation(&daemon, ENROLLMENTS);
    let about = |op: &str, args: &dyn Fn(String) -> Value| {
        let requests = (0..ENROLLMENTS).map(|number| json!({"op": op, "args": args(format!("N{number}"))}));
        answers(&daemon, requests)
    };
    let enrolled = about("enrollment.create", &|callsign| json!({"callsign": callsign, "pool": code}));
    assert_eq!(outcomes(&enrolled), expected([("ok", ENROLLMENTS)]));
    let (home, together) = (&daemon.home, &Barrier::new(DECISIONS.len()));
    let decide = |op: &'static str| {
        let mut conversation = connected(home);
        let decide = |number| {
            let line = json!({"op": op, "args": {"enrollment": format!("N{number}")}, "actor": "BOSS"}).to_string();
            together.wait();
            conversation.say(&line);
            conversation.answer()
        };
        let answers: Vec<Value> = (0..ENROLLMENTS).map(decide).collect();
        assert_eq!(conversation.finish().1, Some(0));
        answers
    };
    let decisions = std::thread::scope(|scope| {
        let running = DECISIONS.map(|op| scope.spawn(move || decide(op)));
        running.map(|running| running.join().expect("a race"))
    });
    let decided = about("enrollment.get", &|callsign| json!({"enrollment": callsign}));
    let mut approved = 0;
    for (number, enrollment) in decided.iter().map(|answer| &answer["ok"]).enumerate() {
        let answered = decisions.each_ref().map(|answers| &answers[number]);
        assert_eq!(outcomes(answered), expected([("ok", 1), ("already_decided", 2)]), "N{number}");
        let winner = answered.iter().position(|answer| answer["error"].is_null()).expect("a decision");
        let state = if DECISIONS[winner] == "enrollment.approve" { "approved" } else { "rejected" };
        assert_eq!((&enrollment["state"], enrollment["person"].is_null()), (&state.into(), state == "rejected"));
        approved += u64::from(state == "approved");
    }
    assert_eq!(count(&daemon, "person"), approved + 1, "those who were approved, and BOSS");
    expect_sound(&daemon);
}

#[test]
fn pool_show_puts_the_pool_and_its_enrollments_together() {
    let daemon = Daemon::start();
    let code = invitation(&daemon, 9);
    for callsign in ["A", "B", "C", "D"] {
        answer(&daemon, &["enrollment", "create", callsign, "--pool", &code]);
    }
    answer(&daemon, &["enrollment", "create", "Z"]);
    answer(&daemon, &["enrollment", "approve", "B"]);
    answer(&daemon, &["enrollment", "reject", "C"]);

    let shown = answer(&daemon, &["pool", "show", &code]);
    assert_eq!(shown["pool"], answer(&daemon, &["pool", "get", &code]));
    assert_eq!(shown["enrollments"], json!({"pending": ["A", "D"], "approved": ["B"], "rejected": ["C"]}));

    let got = daemon.enrollctl(&["pool", "get", &code], "");
    let shown = daemon.enrollctl(&["pool", "show", &code], "");
    let counts = "pending_count\t2\napproved_count\t1\nrejected_count\t1\n";
    let each = "pending\tA\npending\tD\napproved\tB\nrejected\tC\n";
    assert_eq!((shown.stdout, shown.code), (format!("{}{counts}{each}", got.stdout), Some(0)));
    assert!(got.stdout.contains("uses\t4\n"), "{}", got.stdout);

    let unknown = daemon.enrollctl(&["pool", "show", "AAAAAAAA"], "");
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("not_found"), "{unknown:?}");
}
