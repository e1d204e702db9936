//! Refused calls of other users by the hundred thousand: a bystander who writes does not notice them, and what they leave
//! is bounded.
//!
//! `ENROLL_ATTACK_SECONDS` is the length of a round.

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use enroll_protocol::{Envelope, Key, Operation, Origin, Pk, code, codec, enrollment, person, server, token};
use enroll_tests::neighbours::{Attack, Bystander, Comparison, Round, open_to_all, two_daemons};
use enroll_tests::process::{Daemon, expect_sound};
use enroll_tests::skip::is_root;
use enroll_tests::socket::Socket;

/// A user with the grant `read`, and one with `operate`.
const READER: u32 = 41_001;
const SERVICE: u32 = 41_002;

/// Records that the refused calls of a uid leave in a minute.
const RECORDS: u64 = 3000;

/// Bytes of a refused call's records at most: a change, the count of a window with its expiry, a kept refusal.
const RECORD_BYTES_MAX: u64 = 700;

/// Calls that an attacker has in flight. Those that reach the writer are run in one batch, for which others wait.
const IN_FLIGHT: u64 = 32;

/// The longest wait that counts as noise; a batch takes some milliseconds in a debug build.
const NOTICEABLE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 25 } else { 5 });

/// The bound of the daemon's memory.
const MEMORY_BYTES_MAX: u64 = 160 << 20;

/// The requests of an attack, by their number.
type Ask = fn(u64) -> (Envelope, u16, Vec<u8>);

const ATTACKS: [(&str, u32, Ask); 5] = [
    ("codes that a reader may not name", READER, |_| {
        let pool = Some("WRONG22".parse().expect("a code"));
        of(Envelope::default(), &enrollment::List { pool, ..Default::default() })
    }),
    ("wrong codes", SERVICE, |_| of(Envelope::default(), &code::Get { code: "WRONGWRONG22".parse().expect("a code") })),
    ("wrong codes from fresh origins", SERVICE, |number| {
        let origin = Some(Origin::new(number.to_string()).expect("an origin"));
        of(Envelope { origin, ..Envelope::default() }, &code::Use::new("WRONGWRONG22".parse().expect("a code")))
    }),
    ("a spent token", SERVICE, |_| of(Envelope::default(), &token::Use::new("spent".parse().expect("a token")))),
    ("refused writes under fresh keys", SERVICE, |number| {
        let mut bytes = [7; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let key = Some(Key(Pk::from_bytes(bytes)));
        of(Envelope { key, ..Envelope::default() }, &person::Create::new("TAKEN".parse().expect("a callsign")))
    }),
];

fn of<O: Operation>(envelope: Envelope, operation: &O) -> (Envelope, u16, Vec<u8>) {
    (envelope, O::ROW.number, codec::encode(operation))
}

/// The latest change, and the bytes that a uid has written.
fn written(daemon: &Daemon, uid: u32) -> (u64, u64) {
    let status = daemon.client().call(server::Status {}).expect("a status");
    let own = status.written.iter().filter(|row| row.uid == Some(uid));
    (status.changes_head, own.map(|row| row.bytes_this_hour + row.bytes_last_hour).sum())
}

#[test]
fn others_do_not_notice_refused_calls_and_what_they_leave_is_bounded() {
    let _exclusive = crate::exclusive();
    if !is_root("others_do_not_notice_refused_calls_and_what_they_leave_is_bounded") {
        return;
    }
    let seconds = std::env::var("ENROLL_ATTACK_SECONDS").map_or(1, |text| text.parse().expect("seconds"));
    let grants = format!("[grants]\nread = [\"user:{READER}\"]\noperate = [\"user:{SERVICE}\"]\n");
    let [daemon, other] = two_daemons(&format!("{grants}[database]\ncache_mib = 8\n"));
    for daemon in [&daemon, &other] {
        open_to_all(daemon);
        daemon.client().call(token::Use::new("spent".parse().expect("a token"))).expect("the first use");
        daemon.client().call(person::Create::new("TAKEN".parse().expect("a callsign"))).expect("made");
    }
    let mut bystander = Bystander::of(&daemon);
    for (name, uid, ask) in ATTACKS {
        let (asked, begun) = (AtomicU64::new(0), std::time::Instant::now());
        let run = |path: &Path, round: &Round| {
            let mut socket = Socket::connect(path);
            round.begun();
            while round.goes_on(Duration::ZERO) {
                let first = asked.fetch_add(IN_FLIGHT, Ordering::Relaxed);
                let outcomes = socket.call_all(&(first..first + IN_FLIGHT).map(ask).collect::<Vec<_>>());
                assert!(outcomes.iter().all(Result::is_err), "{name}: all are refused");
            }
        };
        let comparison = Comparison {
            daemon: &daemon,
            other: &other,
            uids: &[uid],
            round: Duration::from_secs(seconds),
            noise: NOTICEABLE,
            memory_bytes_max: MEMORY_BYTES_MAX,
        };
        let (acknowledged, before) = (bystander.acknowledged(), written(&daemon, uid));
        let seen = bystander.expect_undisturbed(&comparison, &Attack { name, run: &run });
        let (now, minutes) = (written(&daemon, uid), begun.elapsed().as_secs() / 60 + 2);
        let changes = now.0 - before.0 - (bystander.acknowledged() - acknowledged) as u64;
        let bytes = now.1 - before.1;
        let _ = writeln!(
            std::io::stderr(),
            "{name}: {asked:?} calls, {changes} changes, {bytes} bytes, p99 {:?}",
            seen.p99
        );
        let records = if uid == READER { 0 } else { minutes * (RECORDS + 3) };
        assert!(changes <= records && bytes <= records * RECORD_BYTES_MAX, "{name}: {changes} changes, {bytes} bytes");
    }
    expect_sound(&daemon);
}
