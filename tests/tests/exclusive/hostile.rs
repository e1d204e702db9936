//! Hostile connections beside a well-behaved one: its latency does not suffer, the daemon's memory stays within bounds,
//! and no acknowledged write is lost.
//!
//! A difference below [`NOTICEABLE`] is noise.

use std::path::Path;
use std::time::Duration;

use enroll_protocol::envelope::PROTOCOL_VERSION;
use enroll_protocol::frame::{self, FrameKind};
use enroll_protocol::{Code, Envelope, Json, Operation, codec, person, token};
use enroll_tests::neighbours::{Attack, Bystander, Comparison, Round, two_daemons};
use enroll_tests::process::{Daemon, count, expect_sound};
use enroll_tests::socket::Socket;

/// The longest wait that counts as noise.
const NOTICEABLE: Duration = Duration::from_millis(5);

/// The bound of the daemon's memory: 8 MiB for the database's cache here, the rest for connections.
const MEMORY_BYTES_MAX: u64 = 160 << 20;

/// Hostile connections at once, unless a pattern needs more.
const HOSTILE: usize = 16;

const CONFIGURATION: &str = "[server]\nconnections_per_uid = 200\nadmin_connections = 0\nfinish_frame_seconds = 2\ntake_answer_seconds = 2\n\
                             [database]\ncache_mib = 8\n";

/// A hostile pattern, which many connections run at once.
struct Pattern {
    name: &'static str,
    begin: fn(&Path) -> Vec<Socket>,
    then: Then,
}

/// The next step of a pattern, until its round is over.
#[derive(Clone, Copy)]
enum Then {
    /// It begins again after its end, with a pause: at full speed this process itself would starve the others.
    Again,
    /// The connections stay open until the daemon closes them.
    Hold,
    /// They send one byte a second.
    Drip,
}

const PATTERNS: &[Pattern] = &[
    Pattern {
        name: "half a frame and silence",
        begin: |path| each(path, |socket| socket.send(&[0, 0, 0, 40, 3])),
        then: Then::Hold,
    },
    Pattern {
        name: "one byte a second",
        begin: |path| each(path, |socket| socket.send(&[0, 0, 0, 40, 3])),
        then: Then::Drip,
    },
    Pattern {
        name: "all of a large frame but its last byte",
        begin: |path| {
            let mut most = framed(token::Use::ROW.number, &vec![0; (1 << 20) - 11]);
            most.pop();
            each(path, |socket| socket.send(&most))
        },
        then: Then::Hold,
    },
    Pattern {
        name: "a length of 4 GiB",
        begin: |path| ended(each(path, |socket| socket.send(&[0xff; 4]))),
        then: Then::Again,
    },
    Pattern {
        name: "bytes that are not bincode",
        begin: |path| asked(path, token::Use::ROW.number, &[0xfe; 60]),
        then: Then::Again,
    },
    Pattern {
        name: "trailing bytes",
        begin: |path| asked(path, token::Use::ROW.number, &[0, 0, 0, 0, 1, b'a', 0, 0, 0, 7, 7, 7]),
        then: Then::Again,
    },
    Pattern { name: "an unknown operation", begin: |path| asked(path, 9999, &[0; 4]), then: Then::Again },
    Pattern {
        name: "a hostile length inside a body",
        begin: |path| {
            let claims = [0xff; 8];
            asked(path, token::Use::ROW.number, &[&[0, 0, 0, 0, 0xfd][..], &claims].concat())
        },
        then: Then::Again,
    },
    Pattern {
        name: "a newer protocol",
        begin: |path| {
            let mut hello = Vec::new();
            frame::append(&mut hello, FrameKind::Hello, 0, 0, &(*b"enrolld\0", PROTOCOL_VERSION + 1, "newer"));
            let mut sockets: Vec<Socket> = (0..HOSTILE).map(|_| Socket::silent(path)).collect();
            sockets.iter_mut().for_each(|socket| drop(socket.send(&hello)));
            ended(sockets)
        },
        then: Then::Again,
    },
    Pattern {
        name: "peers that never read",
        begin: |path| {
            let request = codec::encode(&person::Get::new("LARGE".parse().expect("a name")));
            each(path, |socket| {
                let mut bytes = Vec::new();
                for _ in 0..200 {
                    socket.frame(&mut bytes, &Envelope::default(), person::Get::ROW.number, &request);
                }
                socket.send(&bytes)
            })
        },
        then: Then::Hold,
    },
];

/// Connections that were welcomed and then ran this pattern. The daemon may close them at any time.
fn each(path: &Path, mut act: impl FnMut(&mut Socket) -> std::io::Result<()>) -> Vec<Socket> {
    let mut sockets: Vec<Socket> = (0..HOSTILE).map(|_| Socket::connect(path)).collect();
    sockets.iter_mut().for_each(|socket| drop(act(socket)));
    sockets
}

/// New connections that send this request, and have it refused, many times each, and leave.
fn asked(path: &Path, operation: u16, body: &[u8]) -> Vec<Socket> {
    let request = framed(operation, body);
    let mut sockets = each(path, |socket| socket.send(&request.repeat(20)));
    for socket in &mut sockets {
        for _ in 0..20 {
            let frame = socket.receive().expect("an answer");
            let code = frame.outcome().expect_err("a refusal").code;
            assert!(matches!(code, Code::INVALID_ARGUMENT | Code::UNKNOWN_OPERATION));
        }
    }
    Vec::new()
}

/// Each is refused and closed, so none is left.
fn ended(mut sockets: Vec<Socket>) -> Vec<Socket> {
    for mut socket in sockets.drain(..) {
        assert_eq!(socket.receive().map(|frame| frame.kind), Some(FrameKind::Refused));
        assert_eq!(socket.receive(), None);
    }
    sockets
}

fn framed(operation: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::append_with(&mut bytes, FrameKind::Request, operation, 77, |bytes| bytes.extend_from_slice(body));
    bytes
}

/// Runs a pattern as an attack: again and again until its round is over, or holding what it opened.
fn expect_undisturbed(client: &mut Bystander, [daemon, other]: [&Daemon; 2], pattern: &Pattern) {
    let run = |path: &Path, round: &Round| {
        let mut held = (pattern.begin)(path);
        round.begun();
        let wait = match pattern.then {
            Then::Again => Duration::from_millis(25),
            Then::Hold => Duration::from_secs(2),
            Then::Drip => Duration::from_secs(1),
        };
        while round.goes_on(wait) {
            match pattern.then {
                // Connections that the daemon closed can not send.
                Then::Drip if held.iter_mut().all(|socket| socket.send(&[0]).is_ok()) => {}
                _ => held = (pattern.begin)(path),
            }
        }
    };
    let (round, noise) = (Duration::ZERO, NOTICEABLE);
    let comparison = Comparison { daemon, other, uids: &[], round, noise, memory_bytes_max: MEMORY_BYTES_MAX };
    client.expect_undisturbed(&comparison, &Attack { name: pattern.name, run: &run });
}

#[test]
fn others_do_not_notice_hostile_connections_and_nothing_is_lost() {
    let _exclusive = crate::exclusive();
    let [mut daemon, other] = two_daemons(CONFIGURATION);
    let mut client = Bystander::of(&daemon);
    // Many of these fill a connection's outbox. Larger ones would measure the speed of a debug build.
    let extra = Json::new(&format!("{{\"a\":\"{}\"}}", "x".repeat(10_000))).expect("an object");
    let large = person::Create { extra, ..person::Create::new("LARGE".parse().expect("a callsign")) };
    for daemon in [&daemon, &other] {
        Socket::connect(&daemon.home.socket()).call(&large).expect("made");
    }
    for pattern in PATTERNS {
        expect_undisturbed(&mut client, [&daemon, &other], pattern);
    }
    daemon.kill9();
    daemon.restart();
    assert_eq!(count(&daemon, "token"), client.acknowledged() as u64, "every use that was acknowledged, and no other");
    expect_sound(&daemon);
}

/// Ten thousand connections, in waves larger than the connection limit.
#[test]
fn ten_thousand_connections_are_let_in_or_told_and_others_do_not_notice() {
    let _exclusive = crate::exclusive();
    const CONNECTIONS: usize = 10_000;
    const WAVE: usize = 250;
    let [daemon, other] = two_daemons(CONFIGURATION);
    let path = daemon.home.socket();
    let mut client = Bystander::of(&daemon);
    let wave = |path: &Path| {
        let mut sockets: Vec<Socket> = (0..WAVE).map(|_| Socket::silent(path)).collect();
        // Over the limit: the last one is refused at once.
        assert_eq!(sockets.pop().and_then(|mut last| last.receive()).map(|frame| frame.kind), Some(FrameKind::Refused));
        sockets.clear();
        sockets
    };
    let waves = Pattern { name: "waves of connections", begin: wave, then: Then::Again };
    expect_undisturbed(&mut client, [&daemon, &other], &waves);
    (0..CONNECTIONS / WAVE).for_each(|_| drop(wave(&path)));
    assert!(daemon.resident_bytes() < MEMORY_BYTES_MAX);
    assert!(daemon.log().lines().count() < 200, "one line a second at most: {}", daemon.log());
    daemon.client().call(token::Use::new("the last".parse().expect("a token"))).expect("used");
    assert_eq!(count(&daemon, "token"), client.acknowledged() as u64 + 1);
    expect_sound(&daemon);
}
