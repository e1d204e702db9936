//! A standby on real etcds: it answers reads from its own copy and never from the past, refuses writes by naming the member
//! that leads, and is promoted while its connections and followers go on.

use std::time::{Duration, Instant};

use enroll_client::blocking::Client as Blocking;
use enroll_client::{Client, Error};
use enroll_protocol::changes::{Change, Follow};
use enroll_protocol::{Code, token};
use enroll_tests::etcd::Etcd;
use enroll_tests::process::{Home, PATIENCE, Process, run};
use nix::sys::signal::Signal;

/// Tokens that are used at one host and read at the other.
const READS: usize = 500;

/// A host of a member with this name, and with these lines more in its section of the configuration.
pub(super) fn host(name: &str, etcd: &Etcd, more: &str) -> Home {
    let home = Home::make();
    home.configure(&format!(
        "store = \"etcd\"\n[etcd]\nendpoints = {:?}\ntimeout_ms = 500\n[cluster]\nmember = \"{name}\"\nlease_seconds = 2\n{more}",
        etcd.endpoints()
    ));
    home
}

/// Gives a host the secret key of another one.
pub(super) fn share_key(from: &Home, to: &Home) {
    std::fs::create_dir(to.state_dir()).expect("a directory");
    std::fs::copy(from.state_dir().join("enrolld.key"), to.state_dir().join("enrolld.key")).expect("the same key");
}

/// Starts the daemon of a host, and waits until it serves.
pub(super) fn started(home: &Home) -> Process {
    let process = home.spawn();
    let begun = Instant::now();
    while run(&mut home.enrollctl(&["server", "status"]), "").code.is_none_or(|code| code > 1) {
        assert!(begun.elapsed() < PATIENCE, "it does not serve: {}", home.path("log").display());
    }
    process
}

/// A client of a host that sends a refused write again for this long.
pub(super) fn client(home: &Home, busy_for: Duration) -> Blocking {
    Client::builder(home.socket()).reconnect_for(PATIENCE).busy_for(busy_for).connect_blocking().expect("connected")
}

pub(super) fn name(number: usize) -> enroll_protocol::Token {
    format!("token-{number}").parse().expect("a token")
}

#[test]
fn a_standby_reads_what_the_leader_acknowledged_and_is_promoted_under_its_clients() {
    let test = "a_standby_reads_what_the_leader_acknowledged_and_is_promoted_under_its_clients";
    let Some(etcd) = Etcd::start(test, 3, &[]) else { return };
    tokio::runtime::Runtime::new().expect("a runtime").block_on(etcd.await_ready());
    let (a, b) = (host("a", &etcd, ""), host("b", &etcd, ""));
    let mut leader = started(&a);
    share_key(&a, &b);
    let standby = started(&b);

    // What the leader has acknowledged is there at once.
    let (at_a, at_b) = (client(&a, PATIENCE), client(&b, PATIENCE));
    let follower = at_b.stream(Follow { since: Some(0) }).expect("a stream");
    for number in 0..READS {
        at_a.call(token::Use::new(name(number))).expect("used");
        at_b.call(token::Get { token: name(number) }).unwrap_or_else(|err| panic!("token {number}: {err}"));
    }

    // A write is refused, and told where to go.
    let refused = client(&b, Duration::ZERO).call(token::Use::new(name(READS))).expect_err("refused");
    let Error::Refused(refusal) = refused else { panic!("{refused}") };
    assert!(refusal.code == Code::BUSY && refusal.to_string().contains("a leads"), "{refusal}");
    let missing = at_a.call(token::Get { token: name(READS) }).expect_err("nobody used it");
    assert!(matches!(missing, Error::Refused(refusal) if refusal.code == Code::NOT_FOUND));

    // One that was paused over a write answers with it.
    standby.signal(Signal::SIGSTOP);
    at_a.call(token::Use::new(name(READS))).expect("used");
    let read = std::thread::scope(|scope| {
        let read = scope.spawn(|| at_b.call(token::Get { token: name(READS) }));
        standby.signal(Signal::SIGCONT);
        read.join().expect("no panic")
    });
    read.expect("read after a pause");

    // The leader dies. The standby leads: the write that waits at it is done, on the connection that it came by.
    leader.kill9();
    at_b.call(token::Use::new(name(READS + 1))).expect("used at the host that leads now");
    let again = at_b.call(token::Use::new(name(0))).expect_err("used before");
    assert!(matches!(again, Error::Refused(refusal) if refusal.code == Code::TOKEN_REUSE));

    // Its follower has seen every change, once and in order, over the fail-over.
    let changes: Vec<Change> = follower.take(READS + 2).map(|change| change.expect("a change")).collect();
    let numbers: Vec<u64> = changes.iter().map(|change| change.seq).collect();
    assert_eq!(numbers, (1..=READS as u64 + 2).collect::<Vec<_>>());
    let check = run(&mut b.enrollctl(&["server", "check"]), "");
    assert_eq!((check.code, check.stdout.as_str()), (Some(0), ""), "{check:?}");

    // The other host comes back as a standby with the same registry, and stops in good order.
    let _ = std::fs::remove_file(a.socket());
    let mut standby_again = started(&a);
    let exported = |home: &Home| run(&mut home.enrollctl(&["server", "export", "--with-secrets"]), "").stdout;
    let records = |text: String| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert!(records(exported(&a)) == records(exported(&b)), "the hosts hold other records");
    standby_again.signal(Signal::SIGTERM);
    assert_eq!(standby_again.ended(PATIENCE), Some(0));
}
