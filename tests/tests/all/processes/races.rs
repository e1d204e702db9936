//! Races between processes: eight want the same things at the same moment, and each thing goes to exactly one of them.
//!
//! Each process is connected before the first begins, and begins at another thing, so that all are met in the middle.
//! Any of them may win; the other seven must be refused.

use std::collections::BTreeMap;
use std::sync::Barrier;

use enroll_tests::conversation::Conversation;
use enroll_tests::issuer::Signer;
use enroll_tests::process::{Daemon, Home};
use serde_json::{Value, json};

use super::{count, expect_sound};

const PROCESSES: usize = 8;
const THINGS: usize = 200;

/// Lets every process ask for every thing, each beginning at another one, and counts the answers per thing: `ok`, or
/// the refusal's code.
fn race(daemon: &Daemon, line: impl Fn(usize, usize) -> Value + Sync) -> Vec<BTreeMap<String, usize>> {
    let (home, line, ready) = (&daemon.home, &line, &Barrier::new(PROCESSES));
    let run = |process: usize| {
        let mut conversation = Conversation::begin(home);
        conversation.say("{\"op\":\"server.status\"}");
        assert!(conversation.answer()["ok"].is_object());
        ready.wait();
        for step in 0..THINGS {
            let thing = (step + process * THINGS / PROCESSES) % THINGS;
            let mut asked = line(process, thing);
            asked["id"] = json!(thing);
            conversation.say(&asked.to_string());
        }
        let (answers, code) = conversation.finish();
        assert_eq!((answers.len(), code), (THINGS, Some(0)));
        answers
    };
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..PROCESSES).map(|process| scope.spawn(move || run(process))).collect();
        running.into_iter().flat_map(|running| running.join().expect("a race")).collect()
    });
    let mut counts = vec![BTreeMap::new(); THINGS];
    for answer in answers {
        let thing = answer["id"].as_u64().and_then(|id| usize::try_from(id).ok()).expect("the thing");
        let outcome = answer["error"]["code"].as_str().unwrap_or("ok").to_owned();
        *counts[thing].entry(outcome).or_default() += 1;
    }
    counts
}

/// Each thing went to one process, and the others were refused.
fn expect_one_winner(counts: &[BTreeMap<String, usize>], refusal: &str) {
    for (thing, counts) in counts.iter().enumerate() {
        let expected = BTreeMap::from([("ok".to_owned(), 1), (refusal.to_owned(), PROCESSES - 1)]);
        assert_eq!(*counts, expected, "thing {thing}");
    }
}

#[test]
fn a_login_code_is_exchanged_by_one_of_eight() {
    let daemon = Daemon::start();
    let lines = "{\"op\":\"code.create\",\"args\":{\"claims\":{\"sub\":\"DOG\"}}}\n".repeat(THINGS);
    let made = daemon.enrollctl(&["call"], &lines).stdout;
    let codes: Vec<String> = made
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).expect("JSON")["ok"]["code"].as_str().expect("a code").to_owned()
        })
        .collect();
    assert_eq!(codes.len(), THINGS);
    let counts = race(&daemon, |_, thing| json!({"op": "code.use", "args": {"code": codes[thing]}}));
    expect_one_winner(&counts, "token_reuse");
    expect_sound(&daemon);
    assert_eq!(count(&daemon, "code"), THINGS as u64);
}

#[test]
fn a_token_is_spent_by_one_of_eight() {
    let daemon = Daemon::start();
    let counts = race(&daemon, |_, thing| json!({"op": "token.use", "args": {"token": format!("nonce {thing}")}}));
    expect_one_winner(&counts, "token_reuse");
    expect_sound(&daemon);
    assert_eq!(count(&daemon, "token"), THINGS as u64);
}

/// Each process writes the callsign in letters of its own: the bits of its number say which are capitals.
#[test]
fn a_callsign_is_given_to_one_of_eight_however_it_is_written() {
    let daemon = Daemon::start();
    let written = |process: usize, thing: usize| -> String {
        let name = format!("dög-{thing}");
        let capital = |at: usize| process & (1 << at) != 0;
        let letters = name.chars().enumerate();
        letters
            .map(|(at, c)| if at < 3 && capital(at) { c.to_uppercase().to_string() } else { c.to_string() })
            .collect()
    };
    let counts = race(&daemon, |process, thing| {
        let args = json!({"callsign": written(process, thing), "roles": ["member"]});
        json!({"op": "person.create", "args": args})
    });
    expect_one_winner(&counts, "callsign_reserved");
    expect_sound(&daemon);
    assert_eq!(count(&daemon, "person"), THINGS as u64);
}

#[test]
fn a_jwt_of_another_issuer_becomes_one_session_of_eight() {
    let (home, signer) = (Home::make(), Signer::ed());
    let keys = home.path("keys.json");
    std::fs::write(&keys, signer.set("a")).expect("written");
    let trusted = format!("{{ issuer = \"id\", audience = \"us\", keys = \"{}\" }}", keys.display());
    home.configure(&format!("[jwt]\ntrusted = [{trusted}]"));
    let daemon = home.start();
    // Long after every run of this test.
    let claims = |thing| json!({"iss": "id", "aud": "us", "exp": 99_999_999_999_u64, "nonce": format!("n{thing}")});
    let jwts: Vec<String> = (0..THINGS).map(|thing| signer.sign(&claims(thing)).as_str().to_owned()).collect();
    let counts = race(&daemon, |_, thing| json!({"op": "jwt.exchange", "args": {"jwt": jwts[thing]}}));
    expect_one_winner(&counts, "token_reuse");
    expect_sound(&daemon);
    assert_eq!(count(&daemon, "token"), THINGS as u64);
    assert!(jwts.iter().all(|jwt| !daemon.log().contains(jwt)));
}
