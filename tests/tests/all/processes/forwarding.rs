//! Forwarding on real etcds: a standby sends writes to the leader with what its host knows of the caller, over fail-overs, and
//! nobody without the secret key gets in.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use enroll_client::Error;
use enroll_protocol::changes::{self, Change};
use enroll_protocol::{Code, LoginCode, code, role, server, token};
use enroll_tests::etcd::Etcd;
use enroll_tests::neighbours::{as_user, open_home_to_all};
use enroll_tests::poll::RaisedAtEnd;
use enroll_tests::process::{Home, PATIENCE, run};
use enroll_tests::skip::is_root;
use nix::sys::signal::Signal;

use super::standby::{client, host, name, share_key, started};

/// Listens for what others forward.
const LISTENS: &str = "listen = \"127.0.0.1:0\"\n";

/// Writes at a standby, each read there at once.
const WRITES: usize = 200;

/// Clients that write at a standby while the leader dies.
const WRITERS: usize = 8;

/// Neither root nor the user of the service.
const OTHER: u32 = 12_345;

/// Connections of somebody who proves nothing.
const STRANGERS: usize = 200;

fn etcd(test: &str) -> Option<Etcd> {
    let etcd = Etcd::start(test, 1, &[])?;
    tokio::runtime::Runtime::new().expect("a runtime").block_on(etcd.await_ready());
    Some(etcd)
}

fn code_of<T: std::fmt::Debug>(called: Result<T, Error>) -> Code {
    match called.expect_err("a refusal") {
        Error::Refused(refusal) => refusal.code,
        other => panic!("{other}"),
    }
}

/// The records of a host's export.
fn records(home: &Home) -> Vec<String> {
    let exported = run(&mut home.enrollctl(&["server", "export", "--with-secrets"]), "").stdout;
    // The first line has the time.
    exported.lines().skip(1).map(str::to_owned).collect()
}

fn expect_sound(home: &Home) {
    let check = run(&mut home.enrollctl(&["server", "check"]), "");
    assert_eq!((check.code, check.stdout.as_str()), (Some(0), ""), "{check:?}");
}

#[test]
fn a_write_at_a_standby_is_done_by_the_leader_once_and_read_there_at_once() {
    let test = "a_write_at_a_standby_is_done_by_the_leader_once_and_read_there_at_once";
    let Some(etcd) = etcd(test) else { return };
    let (a, b) = (host("a", &etcd, LISTENS), host("b", &etcd, &format!("{LISTENS}[guesses]\nper_minute = 5\n")));
    let _leader = started(&a);
    share_key(&a, &b);
    let _standby = started(&b);
    let (at_a, at_b) = (client(&a, PATIENCE), client(&b, PATIENCE));
    for number in 0..WRITES {
        at_b.call(token::Use::new(name(number))).expect("used");
        at_b.call(token::Get { token: name(number) }).unwrap_or_else(|err| panic!("token {number}: {err}"));
    }
    assert_eq!(code_of(at_b.call(token::Use::new(name(0)))), Code::TOKEN_REUSE);
    assert_eq!(code_of(at_a.call(token::Use::new(name(0)))), Code::TOKEN_REUSE);

    // A key has one answer, at whichever host it is asked.
    let key = "00000000-0000-4000-8000-000000000001";
    let create = ["--json", "person", "create", "BOSS", "--role", "superuser", "--key", key];
    let [first, again] = [&b, &a].map(|home| run(&mut home.enrollctl(&create), ""));
    assert_eq!((first.code, first.json()), (Some(0), again.json()), "{first:?}");

    // The JSON encoding, a transaction, and a refusal with its details.
    let mut command = b.enrollctl(&["--json", "person", "create", "BOSS"]);
    let refused = run(&mut command, "");
    assert_eq!(
        refused.json().pointer("/error/code").and_then(|code| code.as_str()),
        Some("callsign_reserved"),
        "{refused:?}"
    );
    assert!(!at_b.call(role::List::default()).expect("roles").is_empty());

    // A change tells the host of its process, as a uid is of a host.
    at_a.call(token::Use::new(name(WRITES))).expect("used");
    let changes =
        at_b.call(changes::List { since: Some(WRITES as u64 - 1), ..Default::default() }).expect("changes").items;
    let member = |change: &Change| change.peer.member.as_ref().map(ToString::to_string);
    assert_eq!(changes.first().and_then(member).as_deref(), Some("b"));
    assert_eq!(changes.last().and_then(member).as_deref(), Some("a"));
    let told = run(&mut b.enrollctl(&["--json", "changes", "of", "BOSS"]), "").json();
    assert_eq!(told["changes"][0]["member"], "b", "{told}");

    // Wrong codes are counted by one daemon, wherever they are asked; the bound is the leader's.
    let wrong: LoginCode = "NOSUCHCODE22".parse().expect("a code");
    let asked: Vec<Code> = (0..31)
        .map(|number| {
            let client = if number % 2 == 0 { &at_a } else { &at_b };
            code_of(client.call(code::Get { code: wrong.clone() }))
        })
        .collect();
    assert!(asked[..30].iter().all(|code| *code != Code::TOO_MANY_ATTEMPTS), "{asked:?}");
    assert_eq!(asked[30], Code::TOO_MANY_ATTEMPTS);
    assert!(records(&a) == records(&b), "the hosts hold other records");
    [&a, &b].into_iter().for_each(expect_sound);
}

#[test]
fn writers_at_a_standby_meet_no_error_while_the_leader_dies() {
    let Some(etcd) = etcd("writers_at_a_standby_meet_no_error_while_the_leader_dies") else { return };
    let hosts = ["a", "b", "c"].map(|name| host(name, &etcd, LISTENS));
    let mut leader = started(&hosts[0]);
    let [_b, _c] = [&hosts[1], &hosts[2]].map(|home| {
        share_key(&hosts[0], home);
        started(home)
    });
    let (used, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let done = std::thread::scope(|scope| {
        let end = RaisedAtEnd(&is_over);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (client, used, is_over) = (client(&hosts[1 + writer % 2], PATIENCE), &used, &is_over);
                scope.spawn(move || {
                    let mut own = Vec::new();
                    while !is_over.load(Ordering::SeqCst) {
                        let token = name(used.fetch_add(1, Ordering::SeqCst));
                        client.call(token::Use::new(token.clone())).unwrap_or_else(|err| panic!("{token:?}: {err}"));
                        own.push(token);
                    }
                    own
                })
            })
            .collect();
        let wait_for = |count: usize| {
            let (begun, from) = (Instant::now(), used.load(Ordering::SeqCst));
            while used.load(Ordering::SeqCst) < from + count {
                assert!(begun.elapsed() < PATIENCE, "writers are stuck");
                std::thread::yield_now();
            }
        };
        wait_for(100);
        leader.kill9();
        // More than one for each writer, so that some were begun afterwards.
        wait_for(100 + 2 * WRITERS);
        drop(end);
        writers.into_iter().flat_map(|writer| writer.join().expect("no panic")).collect::<Vec<_>>()
    });
    let (at_b, at_c) = (client(&hosts[1], PATIENCE), client(&hosts[2], PATIENCE));
    for token in &done {
        at_c.call(token::Get { token: token.clone() }).unwrap_or_else(|err| panic!("{token:?} is lost: {err}"));
    }
    assert_eq!(code_of(at_b.call(token::Use::new(done[0].clone()))), Code::TOKEN_REUSE);
    assert!(records(&hosts[1]) == records(&hosts[2]), "the hosts hold other records");
    hosts[1..].iter().for_each(expect_sound);
}

#[test]
fn a_standby_that_does_not_reach_the_leader_reads_and_refuses_writes_as_busy() {
    let test = "a_standby_that_does_not_reach_the_leader_reads_and_refuses_writes_as_busy";
    let Some(etcd) = etcd(test) else { return };
    // Nobody listens there.
    let a = host("a", &etcd, &format!("{LISTENS}address = \"127.0.0.1:1\"\n"));
    let b = host("b", &etcd, LISTENS);
    let _leader = started(&a);
    share_key(&a, &b);
    let _standby = started(&b);
    client(&a, PATIENCE).call(token::Use::new(name(0))).expect("used");
    let begun = Instant::now();
    let refused = client(&b, Duration::ZERO).call(token::Use::new(name(1))).expect_err("busy");
    assert!(refused.to_string().contains("a, which leads or led, does not answer"), "{refused}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let at_b = client(&b, PATIENCE);
    at_b.call(token::Get { token: name(0) }).expect("read");
    assert_eq!(code_of(at_b.call(token::Get { token: name(1) })), Code::NOT_FOUND);
}

#[test]
fn the_grant_of_the_caller_s_host_decides() {
    let test = "the_grant_of_the_caller_s_host_decides";
    if !is_root(test) {
        return;
    }
    let Some(etcd) = etcd(test) else { return };
    let a = host("a", &etcd, LISTENS);
    let b = host(
        "b",
        &etcd,
        &format!(
            "{LISTENS}[grants]\noperate = [\"user:{OTHER}\"]\n[grants.act_for]\n\"user:{OTHER}\" = [\"role:staff\"]\n"
        ),
    );
    let c = host("c", &etcd, &format!("{LISTENS}[grants]\nread = [\"user:{OTHER}\"]\n"));
    let _leader = started(&a);
    let [_b, _c] = [&b, &c].map(|home| {
        share_key(&a, home);
        started(home)
    });
    [&a, &b, &c].into_iter().for_each(open_home_to_all);
    let use_token = |home: &Home, number: usize| {
        let socket = home.socket();
        as_user(OTHER, move || {
            let client = enroll_client::Client::builder(socket).require_peer("root").connect_blocking()?;
            client.call(token::Use::new(name(number)))
        })
    };
    use_token(&b, 1).expect("operate at b");
    assert_eq!(code_of(use_token(&c, 2)), Code::PERMISSION_DENIED);
    assert_eq!(code_of(use_token(&a, 3)), Code::PERMISSION_DENIED);
    // The bounds on whom it may act for travel, too.
    let acting = run(&mut a.enrollctl(&["person", "create", "BOSS", "--role", "superuser"]), "");
    assert_eq!(acting.code, Some(0), "{acting:?}");
    let socket = b.socket();
    let bounded = as_user(OTHER, move || {
        let client = enroll_client::Client::builder(socket).require_peer("root").connect_blocking()?;
        client.as_actor("BOSS".parse().expect("an actor")).call(token::Use::new(name(4)))
    });
    assert_eq!(code_of(bounded), Code::PERMISSION_DENIED);
}

#[test]
fn strangers_learn_nothing_and_keep_no_member_away() {
    let Some(etcd) = etcd("strangers_learn_nothing_and_keep_no_member_away") else { return };
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let (a, b) = (host("a", &etcd, &format!("listen = \"127.0.0.1:{port}\"\n")), host("b", &etcd, LISTENS));
    let _leader = started(&a);
    share_key(&a, &b);
    let _standby = started(&b);
    let stranger = || TcpStream::connect(("127.0.0.1", port)).expect("connected");
    // Bytes that are no TLS are answered with an alert at most.
    let mut talking = stranger();
    talking.write_all(b"\0\0\0\x10{\"member\":\"b\"}..enrolld\0").expect("written");
    talking.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut told = Vec::new();
    let _ = talking.read_to_end(&mut told);
    assert!(told.len() <= 7, "{told:?}");
    let silent: Vec<TcpStream> = (0..STRANGERS).map(|_| stranger()).collect();
    let at_b = client(&b, PATIENCE);
    let begun = Instant::now();
    at_b.call(token::Use::new(name(0))).expect("used");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    drop(silent);
    let log = std::fs::read_to_string(a.path("log")).expect("a log");
    let refused = log.matches("a connection to cluster.listen was refused").count();
    assert!((1..10).contains(&refused), "{refused} lines: {log}");
    assert!(client(&a, PATIENCE).call(server::Status {}).is_ok());
}

#[test]
fn a_standby_that_reads_locally_needs_no_etcd_for_it_and_its_writers_read_their_own_writes() {
    let test = "a_standby_that_reads_locally_needs_no_etcd_for_it_and_its_writers_read_their_own_writes";
    let Some(etcd) = etcd(test) else { return };
    let (a, b) = (host("a", &etcd, LISTENS), host("b", &etcd, &format!("{LISTENS}reads = \"local\"\n")));
    let _leader = started(&a);
    share_key(&a, &b);
    let _standby = started(&b);
    let (reader, writer) = (client(&b, PATIENCE), client(&b, PATIENCE));
    for number in 0..WRITES {
        writer.call(token::Use::new(name(number))).expect("used");
        writer.call(token::Get { token: name(number) }).unwrap_or_else(|err| panic!("token {number}: {err}"));
    }
    // The last look of the writer saw all of them arrive here.
    etcd.signal(0, Signal::SIGSTOP);
    reader.call(token::Get { token: name(WRITES - 1) }).expect("read without etcd");
    etcd.signal(0, Signal::SIGCONT);
}
