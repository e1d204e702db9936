//! The log as administrators read it: refusals for abuse are summed by kind and uid.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use enroll_protocol::{server, token};
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

#[test]
fn connections_past_a_limit_are_summed_and_counted() {
    let home = Home::make();
    home.configure("log_format = \"json\"\n[server]\nconnections_per_uid = 1\n");
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
