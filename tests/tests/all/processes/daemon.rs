//! The life of a daemon for its administrator: files it makes, messages, access, and stopping.
//!
//! The contract gives it five seconds to stop. That limit is the one clock in these tests; a client that holds on
//! to a connection must not stretch it.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use enroll_protocol::frame::FrameKind;
use enroll_protocol::{Code, Envelope, Json, Operation, codec, person, server, token};
use enroll_tests::process::{Daemon, Home, binary, run};
use nix::sys::signal::Signal;

use super::{count, expect_sound, files};
use enroll_tests::skip::is_root;
use enroll_tests::socket::Socket;

/// The time that the contract gives a daemon to stop.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// Neither root nor the daemon's user, and not the one that stands for unknown users.
const STRANGER: u32 = 65_533;

#[test]
fn directories_and_files_are_closed_to_others_whatever_the_umask() {
    let home = Home::make();
    let enrolld = home.enrolld();
    let mut shell = home.command(Path::new("sh"));
    shell.args(["-c", "umask 0; exec \"$0\" \"$@\""]).arg(enrolld.get_program()).args(enrolld.get_args());
    let daemon = home.start_with(&mut shell);
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o7777;
    let state_dir = daemon.home.state_dir();
    assert_eq!(format!("{:o}", mode(&state_dir)), "700");
    assert_eq!(format!("{:o}", mode(&daemon.home.path("run"))), "750");
    assert_eq!(format!("{:o}", mode(&daemon.home.socket())), "660");
    let files = files(&state_dir);
    assert_eq!(files.keys().collect::<Vec<_>>(), ["enrolld.journal.0", "enrolld.key", "enrolld.redb", "lock"]);
    for (name, (mode, _)) in files {
        assert_eq!(format!("{mode:o}"), "600", "{name}");
    }
}

#[test]
fn the_commands_that_are_printed_work_as_printed() {
    let printed = |daemon: &Daemon| -> Vec<String> {
        let lines = daemon.announced().iter();
        let lines = lines.skip_while(|line| !line.trim_start().starts_with("try "));
        lines.map(|line| line.trim().trim_start_matches("try ").trim().to_owned()).collect()
    };
    let mut daemon = Daemon::start();
    let announced = daemon.announced().join("\n");
    for words in ["enrolld ", &daemon.home.socket().display().to_string(), "enrolld.redb", "person 0"] {
        assert!(announced.contains(words), "{announced}");
    }
    for expected in ["callsign\tBOSS", "callsign\tBOSS"] {
        let commands = printed(&daemon);
        assert_eq!(commands.len(), 2, "{announced}");
        for command in &commands {
            let output = run(daemon.home.command(Path::new("sh")).args(["-c", command]), "");
            assert_eq!(output.code, Some(0), "{command}: {output:?}");
        }
        let boss = daemon.enrollctl(&["person", "get", "BOSS"], "");
        assert!(boss.stdout.contains(expected), "{boss:?}");
        assert_eq!(daemon.terminate(), Some(0));
        daemon.restart();
    }
    assert!(daemon.announced().join("\n").contains("person 1"), "{:?}", daemon.announced());
}

#[test]
fn the_commands_that_are_printed_work_in_a_directory_with_a_blank() {
    let home = Home::make();
    let mut enrolld = home.enrolld_at(&home.path("a state"), &home.path("a run/enrolld.sock"));
    let daemon = home.start_with(&mut enrolld);
    let last = daemon.announced().last().expect("a command").trim().to_owned();
    let output = run(daemon.home.command(Path::new("sh")).args(["-c", &last]), "");
    assert_eq!(output.code, Some(0), "{last}: {output:?}");
}

#[test]
fn what_was_written_is_there_after_every_kind_of_end() {
    let mut daemon = Daemon::start();
    let made = daemon.enrollctl(&["--json", "person", "create", "DOG", "--role", "member"], "");
    for end in ["SIGTERM", "SIGINT", "kill"] {
        match end {
            "kill" => {
                daemon.kill9();
                assert!(daemon.home.socket().exists(), "a stale socket stays behind");
            }
            signal => {
                daemon.signal(if signal == "SIGINT" { Signal::SIGINT } else { Signal::SIGTERM });
                assert_eq!(daemon.ended(STOPS_WITHIN), Some(0), "{signal}");
                assert!(!daemon.home.socket().exists(), "{signal}: its socket is gone");
            }
        }
        let gone = daemon.enrollctl(&["person", "get", "DOG"], "");
        assert_eq!(gone.code, Some(3), "{gone:?}");
        daemon.restart();
        assert_eq!(daemon.enrollctl(&["--json", "person", "get", "DOG"], "").stdout, made.stdout, "after {end}");
        expect_sound(&daemon);
    }
}

#[test]
fn a_daemon_that_stops_answers_what_it_has_taken() {
    const WRITES: usize = 200;
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut daemon = Daemon::start();
        let mut socket = Socket::connect(&daemon.home.socket());
        let mut bytes = Vec::new();
        for number in 0..WRITES {
            let request = codec::encode(&token::Use::new(format!("nonce {number}").parse().expect("a token")));
            socket.frame(&mut bytes, &Envelope::default(), token::Use::ROW.number, &request);
        }
        socket.send(&bytes).expect("sent");
        let mut answered = socket.outcomes(1);
        daemon.signal(signal);
        // Requests it had begun are answered; requests it had only read are refused.
        let farewell = loop {
            let frame = socket.receive().expect("an answer or a word of farewell");
            if frame.kind == FrameKind::Refused && frame.id == 0 {
                break frame;
            }
            answered.insert(frame.id, frame.outcome());
        };
        assert!(answered.values().all(Result::is_ok), "{signal}");
        assert_eq!(farewell.outcome().expect_err("a refusal").code, Code::SHUTTING_DOWN);
        assert_eq!(socket.receive(), None);
        assert_eq!(daemon.ended(STOPS_WITHIN), Some(0));
        daemon.restart();
        assert_eq!(count(&daemon, "token"), answered.len() as u64);
    }
}

/// Clients that send nothing, break off, or do not read their answers: none of them keeps the daemon.
#[test]
fn nobody_keeps_a_daemon_from_stopping_in_time() {
    let mut daemon = Daemon::start();
    let path = daemon.home.socket();
    let _silent = Socket::silent(&path);
    let _idle = Socket::connect(&path);
    let mut broken_off = Socket::connect(&path);
    broken_off.send(&[0, 0, 0, 40, 3]).expect("sent");
    let mut greedy = Socket::connect(&path);
    let extra = Json::new(&format!("{{\"a\":\"{}\"}}", "x".repeat(60_000))).expect("an object");
    let create = person::Create { extra, ..person::Create::new("DOG".parse().expect("a callsign")) };
    greedy.call(&create).expect("made");
    for _ in 0..200 {
        greedy.ask(&person::Get::new("DOG".parse().expect("a name")));
    }
    let first = greedy.receive().expect("an answer");
    assert_eq!(first.kind, FrameKind::Reply);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.ended(STOPS_WITHIN), Some(0));
    daemon.restart();
    expect_sound(&daemon);
}

/// `enrollctl` run by a stranger, who can reach the daemon as far as files are concerned.
pub(super) fn stranger(daemon: &Daemon, args: &[&str]) -> Command {
    let copy = daemon.home.path("enrollctl");
    if !copy.exists() {
        let copied = Command::new("cp").arg(binary("enrollctl")).arg(&copy).status();
        assert!(copied.expect("cp").success());
    }
    for (path, mode) in [("", 0o755), ("run", 0o755), ("run/enrolld.sock", 0o666)] {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(daemon.home.path(path), mode).expect("opened");
    }
    let mut command = daemon.home.command(&copy);
    command.arg("--socket").arg(daemon.home.socket()).args(args).uid(STRANGER).gid(STRANGER);
    command
}

#[test]
fn who_has_no_grant_is_told_the_line_that_gives_it() {
    if !is_root("who_has_no_grant_is_told_the_line_that_gives_it") {
        return;
    }
    let mut daemon = Daemon::start();
    let ask = |daemon: &Daemon, args: &[&str]| run(&mut stranger(daemon, args), "nonce");
    for args in [&["token", "use"][..], &["person", "list"], &["server", "status"], &["call"]] {
        let refused = ask(&daemon, args);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("permission_denied"), "{refused:?}");
        assert!(refused.stderr.contains("[grants]"), "{refused:?}");
        assert!(refused.stderr.contains("operate = [\"user:65533\"]"), "{refused:?}");
    }
    assert_eq!(daemon.terminate(), Some(0));
    daemon.home.configure("[grants]\noperate = [\"user:65533\"]\n");
    daemon.restart();
    let spent = ask(&daemon, &["token", "use"]);
    assert_eq!(spent.code, Some(0), "{spent:?}");
    let denied = ask(&daemon, &["role", "assign", "DOG", "superuser"]);
    assert!(denied.stderr.contains("permission_denied"), "{denied:?}");
    let change = daemon.enrollctl(&["--json", "changes", "list"], "").json();
    assert_eq!(change["items"][0]["peer"]["uid"], STRANGER, "{change}");
}

#[test]
fn the_status_says_how_the_daemon_is() {
    let daemon = Daemon::start();
    let mut sockets: Vec<Socket> = (0..3).map(|_| Socket::connect(&daemon.home.socket())).collect();
    for number in 0..5 {
        let spend = token::Use::new(format!("nonce {number}").parse().expect("a token"));
        sockets[1].call(&spend).expect("spent");
    }
    let status = sockets[0].call(&server::Status {}).expect("a status");
    assert_eq!((status.connections, status.changes_head, status.records["token"]), (3, 5, 5));
    assert_eq!(status.state_dir, daemon.home.state_dir().display().to_string());
    let database = std::fs::metadata(daemon.home.state_dir().join("enrolld.redb")).expect("a database");
    assert_eq!(status.database.bytes, database.len());
}

#[test]
fn a_daemon_of_whom_nothing_is_asked_does_not_wake() {
    let daemon = Daemon::start();
    let mut socket = Socket::connect(&daemon.home.socket());
    socket.call(&token::Use::new("a token".parse().expect("a token"))).expect("used");
    // Work that was begun before may still be ending.
    let is_at_rest = (0..100).any(|_| {
        let before = switches(daemon.pid());
        assert!(!socket.is_heard_within(Duration::from_millis(500)));
        switches(daemon.pid()) == before
    });
    assert!(is_at_rest, "it wakes though nothing is asked of it");
}

/// Context switches of each thread of a process.
fn switches(pid: u32) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("threads");
    let status = threads.map(|thread| std::fs::read_to_string(thread.expect("a thread").path().join("status")));
    status.flat_map(|status| status.map_or(Vec::new(), |status| lines_about(&status, "ctxt_switches"))).collect()
}

fn lines_about(text: &str, word: &str) -> Vec<String> {
    text.lines().filter(|line| line.contains(word)).map(str::to_owned).collect()
}
