//! Attacks by other users on the daemon's memory, at the default settings: resident memory stays within a bound, others'
//! latency does not suffer, and one at a time is answered all the while.
//!
//! `ENROLL_ATTACK_SECONDS` is the least length of a round; a short one is the default.

use std::path::Path;
use std::time::Duration;

use enroll_protocol::envelope::{Hello, MAGIC, PROTOCOL_VERSION};
use enroll_protocol::frame::{self, FrameKind, HEADER_BYTES};
use enroll_protocol::{Envelope, Json, Operation, PageLimit, changes, codec, person, server, token};
use enroll_tests::neighbours::{Attack, Bystander, Comparison, Round, abandon, hold, open_to_all, two_daemons};
use enroll_tests::process::{Daemon, expect_sound};
use enroll_tests::process_memory::MemoryGroup;
use enroll_tests::skip::{is_root, say};
use enroll_tests::socket::Socket;
use enrolld::config::Config;

/// The users that attack: one alone, or all at once.
const UIDS: [u32; 3] = [64_001, 64_002, 64_003];

/// The longest wait that counts as noise. A debug build waits for steps that take six times as long, and on two cores,
/// which the attackers keep busy too, for some of the kernel's time slices of 4 ms.
const NOISE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 12 } else { 1 });

/// The same of writes beside those of others: theirs have a batch of the writer, and the next one is for all in turn.
const QUEUED: Duration = Duration::from_millis(if cfg!(debug_assertions) { 500 } else { 50 });

/// The bound of resident memory under attack.
const MEMORY_BYTES_MAX: u64 = 200 << 20;

#[test]
fn unfinished_frames() {
    let mut frame = large_frame();
    frame.pop();
    expect_bounded("250 connections, each with a frame of 1 MiB but for its last byte", NOISE, &|path, round| {
        hold(path, round, 250, &frame)
    });
}

#[test]
fn unread_lists() {
    // Larger ones would measure the speed of a debug build.
    let limit = PageLimit::new(10).expect("a limit");
    let lists = requests(256, |_| (Envelope::default(), person::List { limit, ..person::List::default() }));
    expect_bounded("120 connections, each with 256 lists that are not read", NOISE, &|path, round| {
        hold(path, round, 120, &lists)
    });
}

#[test]
fn unread_streams() {
    let follow = requests(4, |_| (Envelope::default(), changes::Follow { since: Some(0) }));
    expect_bounded("250 connections, each with 4 streams that are not read", NOISE, &|path, round| {
        hold(path, round, 250, &follow)
    });
}

#[test]
fn streams_that_come_with_the_hello() {
    let hello = Hello { magic: MAGIC, protocol: PROTOCOL_VERSION, client: "attacker".to_owned() };
    let mut bytes = Vec::new();
    frame::append(&mut bytes, FrameKind::Hello, 0, 0, &hello);
    bytes.extend(requests(4, |_| (Envelope::default(), changes::Follow { since: Some(0) })));
    expect_bounded("400 connections, each with a hello and 4 streams in one go", NOISE, &|path, round| {
        let begin = || {
            let mut sockets: Vec<Socket> = (0..400).map(|_| Socket::silent(path)).collect();
            // One that was turned away, while those before it are being closed, can not send.
            sockets.iter_mut().for_each(|socket| drop(socket.send(&bytes)));
            sockets
        };
        let mut sockets = begin();
        round.begun();
        while round.goes_on(Duration::from_millis(200)) {
            sockets.clear();
            sockets = begin();
        }
    });
}

#[test]
fn large_writes() {
    let writes = creations();
    expect_bounded("120 connections, each with 256 large writes", QUEUED, &|path, round| {
        hold(path, round, 120, &writes)
    });
}

#[test]
fn abandoned_writes() {
    let writes = creations();
    expect_bounded("large writes of connections that are gone", QUEUED, &|path, round| {
        abandon(path, round, 120, &writes)
    });
}

#[test]
fn abandoned_checks() {
    let checks = requests(256, |_| (Envelope::default(), server::Check::default()));
    expect_bounded("checks of connections that are gone", NOISE, &|path, round| abandon(path, round, 120, &checks));
}

#[test]
fn idle_connections_after_a_large_frame() {
    let frame = large_frame();
    expect_bounded("250 idle connections that each sent a frame of 1 MiB", NOISE, &|path, round| {
        hold(path, round, 250, &frame)
    });
}

/// Attacks a daemon of the default settings, by one user and by several at once.
fn expect_bounded(name: &str, noise: Duration, run: &(dyn Fn(&Path, &Round) + Sync)) {
    if !is_root(name) {
        return;
    }
    let _exclusive = crate::exclusive();
    let grants = UIDS.map(|uid| format!("\"user:{uid}\"")).join(", ");
    let daemons = two_daemons(&format!("[grants]\noperate = [{grants}]\n"));
    let [daemon, other] = &daemons;
    // Kernel memory counts: killed, the daemon would answer nobody.
    let limit_bytes = (Config::default().memory_mib() as u64) << 20;
    let group = MemoryGroup::of(name, daemon.pid(), limit_bytes);
    daemons.iter().for_each(open_to_all);
    daemons.iter().for_each(fill);
    let seconds = std::env::var("ENROLL_ATTACK_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let round = Duration::from_secs(seconds.unwrap_or(1));
    let mut bystander = Bystander::of(daemon);
    for uids in [&UIDS[..1], &UIDS] {
        let comparison = Comparison { daemon, other, uids, round, noise, memory_bytes_max: MEMORY_BYTES_MAX };
        let seen = bystander.expect_undisturbed(&comparison, &Attack { name, run });
        let peak = group.as_ref().map(|group| group.peak_bytes() >> 20);
        say(&format!("{name}; users: {}; {seen}; MiB of the group: {peak:?}", uids.len()));
    }
    expect_sound(daemon);
}

/// People with large records, and some hundred KiB of changes.
fn fill(daemon: &Daemon) {
    let mut socket = Socket::connect(&daemon.home.socket());
    let uses = (0..4000).map(|number| {
        let token = format!("of the filling {number}").parse().expect("a token");
        (Envelope::default(), token::Use::ROW.number, codec::encode(&token::Use::new(token)))
    });
    assert!(socket.call_all(&uses.collect::<Vec<_>>()).iter().all(Result::is_ok));
    let extra = extra();
    for number in 0..20 {
        let callsign = format!("P{number}").parse().expect("a callsign");
        socket.call(&person::Create { extra: extra.clone(), ..person::Create::new(callsign) }).expect("made");
    }
}

/// Dry runs that bring the largest `extra` and are answered with it.
fn creations() -> Vec<u8> {
    let extra = extra();
    requests(256, |number| {
        let callsign = format!("NEW{number}").parse().expect("a callsign");
        let envelope = Envelope { dry_run: true, ..Envelope::default() };
        (envelope, person::Create { extra: extra.clone(), ..person::Create::new(callsign) })
    })
}

fn extra() -> Json {
    Json::new(&format!("{{\"a\":\"{}\"}}", "x".repeat(10_000))).expect("an object")
}

/// Frames of so many requests.
fn requests<O: Operation>(count: u64, request: impl Fn(u64) -> (Envelope, O)) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 0..count {
        let (envelope, request) = request(number);
        frame::append_with(&mut bytes, FrameKind::Request, O::ROW.number, number + 1, |bytes| {
            codec::encode_into(&envelope, bytes);
            codec::encode_into(&request, bytes);
        });
    }
    bytes
}

/// The largest frame; what is in it is no request.
fn large_frame() -> Vec<u8> {
    let mut bytes = Vec::new();
    let body = vec![0; (1 << 20) - HEADER_BYTES];
    frame::append_with(&mut bytes, FrameKind::Request, token::Use::ROW.number, 7, |bytes| bytes.extend(body));
    bytes
}
