//! Reload by SIGHUP: settings that can change at runtime do, the others are named, and an invalid configuration changes
//! nothing.

use std::path::Path;
use std::process::Command;

use enroll_protocol::{server, token};
use enroll_tests::conversation::Conversation;
use enroll_tests::process::{Daemon, Home, PATIENCE, run};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;

use super::daemon::stranger;
use super::expect_sound;
use super::systemd::Notifications;
use enroll_tests::skip::{is_root, skipped};
use enroll_tests::socket::Socket;

/// A daemon that says when it has reloaded.
fn start(toml: &str) -> (Notifications, Daemon) {
    let (notified, home) = Notifications::by(Home::make());
    home.configure(toml);
    let daemon = home.start();
    assert!(notified.next().contains_key("READY"));
    assert_eq!(daemon.enrollctl(&["person", "create", "BOSS"], "").code, Some(0));
    (notified, daemon)
}

/// Reloads this configuration. Returns the status for systemd.
fn reload(notified: &Notifications, daemon: &Daemon, toml: &str) -> String {
    daemon.home.configure(toml);
    daemon.signal(Signal::SIGHUP);
    let reloading = notified.next();
    assert_eq!(reloading.get("RELOADING").map(String::as_str), Some("1"), "{reloading:?}");
    assert!(reloading["MONOTONIC_USEC"].parse::<u64>().is_ok_and(|micros| micros > 0), "{reloading:?}");
    let ready = notified.next();
    assert_eq!(ready.get("READY").map(String::as_str), Some("1"), "{ready:?}");
    ready["STATUS"].clone()
}

fn code_size(daemon: &Daemon) -> usize {
    let made = daemon.enrollctl(&["--json", "pool", "create", "--owner", "BOSS"], "").json();
    made["invitecode"].as_str().expect("a code").len()
}

#[test]
fn what_can_change_does_and_each_change_is_told() {
    let (notified, daemon) = start("");
    let mut before = Socket::connect(&daemon.home.socket());
    assert_eq!(code_size(&daemon), 8);
    let status =
        reload(&notified, &daemon, "code_size = 12\nreserved_callsigns = [\"DAEMON\"]\n[jwt]\nissuer = \"other\"\n");
    assert!(status.starts_with("listening on ") && !status.contains("configuration"), "{status}");
    assert_eq!(code_size(&daemon), 12);
    before.call(&server::Status {}).expect("those who were there are served on");
    let reserved = daemon.enrollctl(&["person", "create", "DAEMON"], "");
    assert_eq!(reserved.code, Some(1), "{reserved:?}");
    let log = daemon.log();
    for line in [
        "code_size is now 12; it was 8",
        "reserved_callsigns is now [\"DAEMON\"]; it was []",
        "jwt.issuer is now \"other\"; it was \"enrolld\"",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{line}: {log}");
    }
    assert!(!log.contains("restart"), "{log}");
    reload(&notified, &daemon, "");
    assert_eq!(code_size(&daemon), 8);
    expect_sound(&daemon);
}

#[test]
fn what_is_not_valid_changes_nothing_and_is_told() {
    let (notified, daemon) = start("code_size = 10\n");
    for (toml, words) in [
        ("code_size = 12\nsokcet = \"/x\"", "sokcet"),
        ("code_size = 12\n[grants]\nread = [\"no-such-user-here\"]", "no-such-user-here"),
        ("code_size = 12\nlog = \"enrolld=loudly\"", "log must be"),
        ("code_size = 1000", "code_size"),
    ] {
        let status = reload(&notified, &daemon, toml);
        assert!(status.contains("can not be used") && status.contains(words), "{status}");
        assert!(daemon.log().contains(words), "{words}: {}", daemon.log());
        assert_eq!(code_size(&daemon), 10, "{toml}");
    }
    let status = reload(&notified, &daemon, "code_size = 10");
    assert!(!status.contains("configuration"), "{status}");
    reload(&notified, &daemon, "code_size = 11\n[grants]\nread = [\"user:no-such-user-here\"]");
    assert_eq!(code_size(&daemon), 11, "a name that the system does not know is a warning");
    let warnings = daemon.client().call(server::Status {}).expect("a status").warnings;
    assert!(warnings.len() == 1 && warnings[0].message.contains("no-such-user-here"), "{warnings:?}");
    reload(&notified, &daemon, "code_size = 10");
    assert_eq!(daemon.client().call(server::Status {}).expect("a status").warnings, []);
}

#[test]
fn what_needs_a_restart_stays_as_it_is_and_is_named_every_time() {
    let (notified, daemon) = start("");
    let toml =
        "log_format = \"json\"\ncode_size = 9\n[database]\ncache_mib = 32\n[server]\nthreads = 2\nidle_seconds = 60\n";
    for times in 1..=2 {
        reload(&notified, &daemon, toml);
        let named = "applied by a restart only: database.cache_mib, log_format, server.threads";
        assert_eq!(daemon.log().matches(named).count(), times, "{}", daemon.log());
    }
    let status = daemon.client().call(server::Status {}).expect("a status");
    assert_eq!(status.database.cache_bytes, 64 << 20);
    assert_eq!(daemon.log().matches("code_size is now 9").count(), 1);
}

#[test]
fn the_log_shows_as_much_as_is_asked_for_at_the_moment() {
    let (notified, daemon) = start("");
    let chatter = "connected";
    drop(Socket::connect(&daemon.home.socket()));
    assert!(!daemon.log().contains(chatter), "{}", daemon.log());
    reload(&notified, &daemon, "log = \"debug\"");
    drop(Socket::connect(&daemon.home.socket()));
    assert!(daemon.log().contains(chatter), "{}", daemon.log());
}

/// The grant of a connection is the one it was given when it began.
#[test]
fn who_is_let_in_later_is_let_in_by_the_later_grants() {
    if !is_root("who_is_let_in_later_is_let_in_by_the_later_grants") {
        return;
    }
    let (notified, daemon) = start("");
    let ask = |args: &[&str]| run(&mut stranger(&daemon, args), "nonce").code;
    assert_eq!(ask(&["token", "use"]), Some(1));
    reload(&notified, &daemon, "[grants]\noperate = [\"user:65533\"]\n");
    assert_eq!(ask(&["token", "use"]), Some(0));
    let mut conversation = Conversation::of(&mut stranger(&daemon, &["call"]));
    let status = r#"{"op":"server.status","args":{}}"#;
    conversation.say(status);
    assert!(conversation.answer().get("ok").is_some());
    reload(&notified, &daemon, "");
    assert_eq!(ask(&["server", "status"]), Some(1));
    conversation.say(status);
    assert!(conversation.answer().get("ok").is_some(), "who was let in stays");
}

/// A daemon in a terminal ends with it, as everything there does.
#[test]
fn a_daemon_ends_with_the_terminal_that_it_was_started_in() {
    if Command::new("script").arg("--version").output().is_err() {
        return skipped("a_daemon_ends_with_the_terminal_that_it_was_started_in", "needs script (package bsdutils)");
    }
    let home = Home::make();
    let enrolld = home.enrolld();
    let words: Vec<_> = enrolld.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    let line = format!("exec {} {}", enrolld.get_program().to_string_lossy(), words.join(" "));
    let mut script = home.command(Path::new("script"));
    script.args(["-q", "-c", &line, "/dev/null"]).stdin(std::process::Stdio::null());
    let mut daemon = home.start_with(&mut script);
    daemon.client().call(token::Use::new("nonce".parse().expect("a token"))).expect("spent");
    daemon.kill9();
    let ends = std::time::Instant::now() + PATIENCE;
    let is_over = || {
        let lock = std::fs::File::open(daemon.home.state_dir().join("lock")).expect("a lock");
        Flock::lock(lock, FlockArg::LockExclusiveNonblock).is_ok()
    };
    while !is_over() {
        assert!(std::time::Instant::now() < ends, "it runs on without its terminal");
        std::thread::yield_now();
    }
    assert!(!daemon.home.socket().exists(), "it ended in good order");
    daemon.restart();
    expect_sound(&daemon);
}
