//! The log as administrators read it: refusals for abuse are summed by kind and uid, and no text of a client forges a
//! line or steers a terminal.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use enroll_protocol::envelope::{Hello, MAGIC, PROTOCOL_VERSION};
use enroll_protocol::frame::{self, FrameKind};
use enroll_protocol::{Operation as _, code, codec, is_interpreted, person, server, token};
use enroll_tests::openmetrics::Exposition;
use enroll_tests::process::{Daemon, Home, binary, run};
use enroll_tests::skip::is_root;
use enroll_tests::socket::Socket;
use serde_json::Value;

/// Users without a grant.
const STRANGERS: [u32; 2] = [65_532, 65_533];

/// The lines of a log in JSON that sum this kind of abuse.
fn sums(daemon: &Daemon, kind: &str) -> Vec<Value> {
    let log = daemon.log();
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|err| panic!("{err}: {line}")));
    lines.filter(|line: &Value| line["fields"]["abuse"] == kind).collect()
}

/// The counts of a kind and uid, summed over all its lines.
fn counted(daemon: &Daemon, kind: &str, uid: u32) -> u64 {
    let of_uid = sums(daemon, kind).into_iter().filter(|line| line["fields"]["uid"] == uid);
    of_uid.map(|line| line["fields"]["count"].as_u64().expect("a count")).sum()
}

#[test]
fn refusals_for_abuse_are_summed_with_their_uid() {
    let home = Home::make();
    home.configure("log_format = \"json\"\n[server]\nfinish_frame_seconds = 1\n[guesses]\nper_minute = 3\n");
    let mut daemon = home.start();
    let path = daemon.home.socket();
    let mut inside = Socket::connect(&path);
    for _ in 0..5 {
        Socket::silent(&path).receive().expect("no hello in time");
    }
    for wrong in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 8], &[0; 4]] {
        let mut socket = Socket::silent(&path);
        socket.send(wrong).expect("sent");
        socket.receive().expect("no hello");
    }
    let mut slow = Socket::connect(&path);
    slow.send(&[0, 0, 0, 40, 3]).expect("sent");
    slow.receive().expect("too slow");
    let mut malformed = Socket::connect(&path);
    malformed.send(&[0xff; 8]).expect("sent");
    malformed.receive().expect("no frame");
    let used = token::Use::new("nonce 1".parse().expect("a token"));
    let refused = (0..3).filter(|_| inside.call(&used).is_err()).count() as u64;
    assert_eq!(daemon.terminate(), Some(0));
    let uid = nix::unistd::geteuid().as_raw();
    for (kind, count) in
        [("no_hello", 5), ("wrong_hello", 3), ("slow_frame", 1), ("malformed_frame", 1), ("refused_attempt", refused)]
    {
        assert_eq!(counted(&daemon, kind, uid), count, "{kind}: {}", daemon.log());
        assert!(sums(&daemon, kind).len() <= 5, "{}", daemon.log());
    }
}

/// Texts of a client that would forge a line, a priority of the journal, a field, or steer a terminal.
fn hostile_texts() -> Vec<String> {
    let texts =
        ["a\nFORGED", "\r\n<0>FORGED", "{\"a\":1}\n{\"level\":\"ERROR\"}", "\u{1b}]0;title\u{7}\u{1b}[2J", "x uid=0"];
    let more = ["\u{9b}31m\u{85}", "\u{202e}\u{2066}\u{2028}\u{2029}", "\0\u{8}\u{7f}"];
    let long = "\u{1b}".repeat(100_000);
    texts.into_iter().chain(more).map(str::to_owned).chain([long]).collect()
}

/// Says everything that a client can say with this text in it.
fn say_everywhere(daemon: &Daemon, text: &str) {
    let path = daemon.home.socket();
    for protocol in [PROTOCOL_VERSION, PROTOCOL_VERSION + 1] {
        let mut socket = Socket::silent(&path);
        let mut bytes = Vec::new();
        frame::append(&mut bytes, FrameKind::Hello, 0, 0, &Hello { magic: MAGIC, protocol, client: text.to_owned() });
        socket.send(&bytes).expect("sent");
        socket.receive().expect("a welcome or a refusal");
    }
    let mut socket = Socket::connect(&path);
    let request = codec::encode(&(text, text, text));
    for number in [server::Status::ROW.number, person::Create::ROW.number, code::Use::ROW.number, 60_000] {
        // The front of a request that has the text as its actor, its origin, and in its body.
        let mut bytes = Vec::new();
        frame::append_with(&mut bytes, FrameKind::Request, number, u64::from(number), |bytes| {
            codec::encode_into(&(Some(text), Some(text), None::<&str>, false), bytes);
            bytes.extend_from_slice(&request);
        });
        socket.send(&bytes).expect("sent");
        socket.receive().expect("an answer");
    }
}

#[test]
fn no_text_of_a_client_forges_a_line() {
    for (format, begins) in [("text", "20"), ("json", "{\"")] {
        let home = Home::make();
        home.configure(&format!("log = \"trace\"\nlog_format = \"{format}\"\n"));
        let mut daemon = home.start();
        for text in hostile_texts() {
            say_everywhere(&daemon, &text);
        }
        assert_eq!(daemon.terminate(), Some(0));
        let log = daemon.log();
        assert!(log.contains("FORGED"), "the name in a hello is logged: {log}");
        for line in log.lines() {
            assert!(line.starts_with(begins), "{line:?}");
            assert!(!line.contains(is_interpreted) && line.len() < 10_000, "{line:?}");
            assert!(!line.contains("client=x uid=0"), "{line:?}");
        }
    }
}

#[test]
fn an_error_before_the_log_begins_is_one_line() {
    let home = Home::make();
    let wrong = home.path("a\n<0>FORGED \u{1b}[2J");
    let refused = run(&mut home.enrolld_with(&["--config".as_ref(), wrong.as_os_str()]), "");
    assert_eq!((refused.code, refused.stderr.lines().count()), (Some(2), 1), "{refused:?}");
    assert!(refused.stderr.contains("\\n<0>FORGED") && !refused.stderr.contains('\u{1b}'), "{refused:?}");
}

#[test]
fn connections_past_a_limit_are_summed_and_counted() {
    let home = Home::make();
    home.configure("log_format = \"json\"\n[server]\nconnections_per_uid = 1\nadmin_connections = 0\n");
    let mut daemon = home.start();
    let path = daemon.home.socket();
    let mut inside = Socket::connect(&path);
    for _ in 0..50 {
        Socket::silent(&path).receive().expect("no room");
    }
    let metrics = Exposition::read(&inside.call(&server::Metrics {}).expect("metrics"));
    assert_eq!(metrics.value("enrolld_abuse_total", &[("kind", "connections_of_uid")]), Some(50.0));
    assert_eq!(daemon.terminate(), Some(0));
    assert_eq!(counted(&daemon, "connections_of_uid", nix::unistd::geteuid().as_raw()), 50, "{}", daemon.log());
}

#[test]
fn a_stranger_hides_no_other() {
    if !is_root("a_stranger_hides_no_other") {
        return;
    }
    let home = Home::make();
    home.configure("log_format = \"json\"\n");
    let mut daemon = home.start();
    let copied = Command::new("cp").arg(binary("enrollctl")).arg(daemon.home.path("enrollctl")).status();
    assert!(copied.expect("cp").success());
    for (path, mode) in [("", 0o755), ("run", 0o755), ("run/enrolld.sock", 0o666)] {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(daemon.home.path(path), mode).expect("opened");
    }
    for (uid, times) in STRANGERS.into_iter().zip([5, 1]) {
        for _ in 0..times {
            let mut command = daemon.home.command("setpriv".as_ref());
            command.args(["--clear-groups", "--reuid", &uid.to_string(), "--regid", &uid.to_string()]);
            command.arg(daemon.home.path("enrollctl")).arg("--socket").arg(daemon.home.socket());
            assert_eq!(run(command.args(["server", "status"]), "").code, Some(1));
        }
    }
    assert_eq!(daemon.terminate(), Some(0));
    assert_eq!(STRANGERS.map(|uid| counted(&daemon, "no_grant", uid)), [5, 1], "{}", daemon.log());
}
