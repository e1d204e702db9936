//! The rate limit of wrong codes in a running daemon: counts are exact when reads and writes race, and survive an
//! orderly restart; single look-ups never wake the writer. What a user asks who may only read leaves nothing behind.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Barrier;

use enroll_protocol::frame::FrameKind;
use enroll_protocol::{
    Code, Envelope, Key, Kind, LoginCode, Operation as _, OperationRow, Origin, Pk, changes, code, codec, enrollment,
    server,
};
use enroll_tests::neighbours::{as_user, open_to_all};
use enroll_tests::process::{Daemon, Home};
use enroll_tests::skip::is_root;
use enroll_tests::socket::Socket;

const PER_MINUTE: usize = 40;

fn daemon() -> Daemon {
    let home = Home::make();
    home.configure(&format!("guesses.per_minute = {PER_MINUTE}"));
    home.start()
}

fn wrong() -> LoginCode {
    "NOSUCHCODE22".parse().expect("a code")
}

/// The answers to so many wrong codes, by their code: look-ups, or every other one a write.
fn guess(home: &Home, times: usize, writes: bool, ready: &Barrier) -> BTreeMap<Code, usize> {
    let mut socket = Socket::connect(&home.socket());
    ready.wait();
    let mut counts = BTreeMap::new();
    for number in 0..times {
        let refused = match writes && number % 2 == 0 {
            true => socket.call(&code::Use::new(wrong())).expect_err("a wrong code").code,
            false => socket.call(&code::Get { code: wrong() }).expect_err("a wrong code").code,
        };
        *counts.entry(refused).or_default() += 1;
    }
    counts
}

fn commits(daemon: &Daemon) -> String {
    let metrics = daemon.client().call(server::Metrics {}).expect("metrics");
    let line = metrics.lines().find(|line| line.starts_with("enrolld_commit_seconds_count"));
    line.expect("the number of commits").to_owned()
}

#[test]
fn wrong_codes_count_exactly_when_reads_and_writes_race_and_past_the_limit_a_right_one_is_refused() {
    let daemon = daemon();
    let right = daemon.client().call(code::Create::new(Default::default())).expect("made").code.expect("a code");
    let (home, ready) = (&daemon.home, &Barrier::new(4));
    let counts: Vec<_> = std::thread::scope(|scope| {
        let guess = |number| move || guess(home, PER_MINUTE, number % 2 == 0, ready);
        let guessing: Vec<_> = (0..4).map(|number| scope.spawn(guess(number))).collect();
        guessing.into_iter().map(|guessing| guessing.join().expect("answers")).collect()
    });
    let sum = |code| counts.iter().filter_map(|counts| counts.get(&code)).sum::<usize>();
    assert_eq!(sum(Code::NOT_FOUND), PER_MINUTE);
    assert_eq!(sum(Code::TOO_MANY_ATTEMPTS), 3 * PER_MINUTE);
    let mut socket = Socket::connect(&daemon.home.socket());
    assert_eq!(socket.call(&code::Get { code: right.clone() }).expect_err("refused").code, Code::TOO_MANY_ATTEMPTS);
    assert_eq!(socket.call(&code::Use::new(right)).expect_err("refused").code, Code::TOO_MANY_ATTEMPTS);
}

#[test]
fn look_ups_commit_nothing_and_their_counts_survive_an_orderly_restart() {
    let mut daemon = daemon();
    let before = commits(&daemon);
    let counts = guess(&daemon.home, PER_MINUTE, false, &Barrier::new(1));
    assert_eq!(counts, BTreeMap::from([(Code::NOT_FOUND, PER_MINUTE)]));
    assert_eq!(commits(&daemon), before);
    assert_eq!(daemon.terminate(), Some(0));
    daemon.restart();
    let counts = guess(&daemon.home, 2, false, &Barrier::new(1));
    assert_eq!(counts, BTreeMap::from([(Code::TOO_MANY_ATTEMPTS, 2)]));
    let recorded = daemon.client().call(changes::List::default()).expect("changes").items;
    assert_eq!(recorded.len(), PER_MINUTE, "the refusals past the limit wait for the next batch");
    assert!(recorded.iter().all(|change| change.verb == "get" && change.refused == Some(Code::NOT_FOUND)));
}

#[test]
fn a_flood_of_look_ups_from_many_origins_wakes_the_writer_now_and_then() {
    let daemon = daemon();
    let mut follower = Socket::connect(&daemon.home.socket());
    follower.ask(&changes::Follow { since: Some(0) });
    assert_eq!(follower.receive().map(|frame| frame.kind), Some(FrameKind::StreamBegun));
    let find = codec::encode(&enrollment::Find { approvecode: "WRONG22".parse().expect("a code") });
    let from = |number: usize| {
        let origin = Some(Origin::new(format!("198.51.100.{number}")).expect("an origin"));
        (Envelope { origin, ..Envelope::default() }, enrollment::Find::ROW.number, find.clone())
    };
    let requests: Vec<_> = (0..200).map(from).collect();
    let outcomes = Socket::connect(&daemon.home.socket()).call_all(&requests);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(refusal) if refusal.code == Code::NOT_FOUND)));
    assert_eq!(follower.receive().map(|frame| frame.kind), Some(FrameKind::StreamItem), "nobody else writes");
}

/// A user that has the grant `read`.
const READER: u32 = 41_001;

/// Each operation's request with the bytes of the golden file, in each envelope that may matter: numbers and bodies.
fn requests() -> Vec<(Envelope, u16, Vec<u8>)> {
    let lines = include_str!("../../../golden/wire.txt").lines().filter_map(|line| line.split_once(" request "));
    let plain = Envelope::default;
    let key = |number: usize| Some(Key(Pk::from_bytes([u8::try_from(number % 256).expect("a byte"); 16])));
    let envelopes = |number| {
        let origin = Some(Origin::new(format!("198.51.100.{number}")).expect("an origin"));
        [
            plain(),
            Envelope { key: key(number), ..plain() },
            Envelope { dry_run: true, ..plain() },
            Envelope { origin, ..plain() },
        ]
    };
    let mut all = Vec::new();
    for (number, (name, hex)) in lines.enumerate() {
        let (row, hex) = (OperationRow::by_name(name).expect("an operation"), hex.trim_matches('-'));
        if !matches!(row.kind, Kind::Stream | Kind::Walk) {
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("a byte");
            let body: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
            all.extend(envelopes(number).map(|envelope| (envelope, row.number, body.clone())));
        }
    }
    all
}

/// The metrics of what is durable, and the bytes of the journal's files.
fn durable(daemon: &Daemon) -> Vec<String> {
    let names =
        ["enrolld_commit_seconds_count", "enrolld_journal", "enrolld_changes_head", "enrolld_records", "enrolld_uid"];
    let metrics = daemon.client().call(server::Metrics {}).expect("metrics");
    let is_of = |line: &&str| names.iter().any(|name| line.starts_with(name));
    metrics.lines().filter(is_of).map(str::to_owned).collect()
}

#[test]
fn whatever_a_user_asks_who_may_only_read_leaves_no_durable_trace() {
    const ROUNDS: usize = 100;
    if !is_root("whatever_a_user_asks_who_may_only_read_leaves_no_durable_trace") {
        return;
    }
    let home = Home::make();
    home.configure(&format!("[grants]\nread = [\"user:{READER}\"]"));
    let mut daemon = home.start();
    open_to_all(&daemon);
    let (before, begun) = (durable(&daemon), std::time::Instant::now());
    let (path, requests) = (daemon.home.socket(), requests());
    let counts = as_user(READER, || {
        let mut counts = BTreeMap::<_, usize>::new();
        for _ in 0..ROUNDS {
            let outcomes = Socket::connect(&path).call_all(&requests);
            outcomes.into_iter().for_each(|outcome| *counts.entry(outcome.err().map(|no| no.code)).or_default() += 1);
        }
        counts
    });
    let _ = writeln!(
        std::io::stderr(),
        "{} requests of a reader in {:?}: {counts:?}",
        requests.len() * ROUNDS,
        begun.elapsed()
    );
    assert!(counts[&None] > ROUNDS && counts[&Some(Code::PERMISSION_DENIED)] > ROUNDS, "{counts:?}");
    assert_eq!(durable(&daemon), before);
    assert_eq!(daemon.terminate(), Some(0));
    daemon.restart();
    let after = durable(&daemon);
    let is_of = |line: &&String| line.starts_with("enrolld_changes_head") || line.starts_with("enrolld_records");
    let kept = |lines: &[String]| lines.iter().filter(is_of).cloned().collect::<Vec<_>>();
    assert_eq!(kept(&after), kept(&before));
}
