//! Connection limits: a client that goes past one is refused in one line, and everybody else is served.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use enroll_protocol::frame::FrameKind;
use enroll_protocol::{Code, Json, Refusal, person, server};
use enroll_tests::process::{Daemon, Home, binary, run};

use enroll_tests::skip::is_root;
use enroll_tests::socket::Socket;

/// Neither root nor the daemon's user.
const STRANGER: u32 = 65_533;

/// The user that stands for those whom the kernel can not map.
const NOBODY: u32 = 65_534;

fn configured(toml: &str) -> Daemon {
    let home = Home::make();
    home.configure(toml);
    home.start()
}

/// The refusal that the daemon sends to this connection before closing it.
fn closing_refusal(socket: &mut Socket) -> Refusal {
    let frame = socket.receive().expect("a reason");
    assert_eq!((frame.kind, frame.id), (FrameKind::Refused, 0));
    let refusal = frame.outcome().expect_err("a refusal");
    assert_eq!(socket.receive(), None);
    refusal
}

fn expect_refusal(socket: &mut Socket, words: &[&str]) {
    let refusal = closing_refusal(socket);
    assert_eq!(refusal.code, Code::BUSY, "{}", refusal.message);
    for word in words {
        assert!(refusal.message.contains(word), "{word} is not in: {}", refusal.message);
    }
}

fn expect_served(path: &Path) {
    Socket::connect(path).call(&server::Status {}).expect("others are served");
}

#[test]
fn there_is_room_for_so_many_connections_and_no_more_whether_they_speak_or_not() {
    for (toml, key) in [
        ("[server]\nconnections = 3\nadmin_connections = 0\n", "(server.connections)"),
        ("[server]\nconnections_per_uid = 3\nadmin_connections = 0\n", "(server.connections_per_uid)"),
    ] {
        let daemon = configured(toml);
        let path = daemon.home.socket();
        let mut inside = vec![Socket::silent(&path), Socket::silent(&path), Socket::connect(&path)];
        for _ in 0..20 {
            let refusal = closing_refusal(&mut Socket::silent(&path));
            assert_eq!(refusal.code, Code::BUSY);
            assert!(refusal.message.contains("3 connections") && refusal.message.contains(key), "{}", refusal.message);
            let wait = refusal.details.and_then(|details| details.member::<u64>("retry_after_ms").ok().flatten());
            assert_eq!(wait, Some(500));
        }
        inside[2].call(&server::Status {}).expect("who is inside is served");
        let lines = daemon.log().matches("connections refused: server.connections").count();
        assert!((1..=3).contains(&lines), "{}", daemon.log());
        drop(inside);
        // Our own client waits for its turn.
        daemon.client().call(server::Status {}).expect("there is room again");
    }
}

#[test]
fn administrators_come_in_where_others_find_no_room() {
    for toml in ["connections = 2", "connections_per_uid = 2"] {
        let daemon = configured(&format!("[server]\n{toml}\nadmin_connections = 2\n"));
        let path = daemon.home.socket();
        // The test's own user is the daemon's, and so an administrator.
        let mut inside: Vec<Socket> = (0..4).map(|_| Socket::connect(&path)).collect();
        inside[3].call(&server::Status {}).expect("served");
        expect_refusal(&mut Socket::silent(&path), &["2 connections", "try again"]);
        inside.pop();
        // Our own client waits until the daemon has seen that one left.
        daemon.client().call(server::Status {}).expect("there is room again");
    }
}

#[test]
fn a_stranger_is_refused_at_once_and_takes_nobodys_place() {
    if !is_root("a_stranger_is_refused_at_once_and_takes_nobodys_place") {
        return;
    }
    let daemon = configured("[server]\nconnections = 1\n");
    let copied = Command::new("cp").arg(binary("enrollctl")).arg(daemon.home.path("enrollctl")).status();
    assert!(copied.expect("cp").success());
    for (path, mode) in [("", 0o755), ("run", 0o755), ("run/enrolld.sock", 0o666)] {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(daemon.home.path(path), mode).expect("opened");
    }
    let mut inside = Socket::connect(&daemon.home.socket());
    for (uid, words) in [(STRANGER, "uid 65533 has no grant here"), (NOBODY, "it can be granted nothing")] {
        let mut command = daemon.home.command(&daemon.home.path("enrollctl"));
        command.arg("--socket").arg(daemon.home.socket()).args(["server", "status"]).uid(uid).gid(uid);
        let refused = run(&mut command, "");
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
    inside.call(&server::Status {}).expect("served");
}

#[test]
fn who_begins_and_does_not_finish_is_told_and_let_go() {
    let daemon = configured("[server]\nfinish_frame_seconds = 1\n");
    let path = daemon.home.socket();
    let mut silent = Socket::silent(&path);
    expect_refusal(&mut silent, &["hello within 1 s", "server.finish_frame_seconds"]);
    let mut half = Socket::connect(&path);
    half.send(&[0, 0, 0, 40, 3]).expect("sent");
    expect_refusal(&mut half, &["whole within 1 s", "server.finish_frame_seconds"]);
    // The timeout is per frame: more of its bytes do not extend it.
    for mut socket in [Socket::silent(&path), Socket::connect(&path)] {
        socket.send(&[0, 0, 0]).expect("sent");
        let mut dripped = 0;
        while !socket.is_heard_within(Duration::from_millis(100)) {
            socket.send(&[200]).expect("sent");
            dripped += 1;
            assert!(dripped < 100, "ten frames' time");
        }
        expect_refusal(&mut socket, &["within 1 s"]);
    }
    expect_served(&path);
}

#[test]
fn who_does_not_take_answers_is_let_go_even_if_it_goes_on_talking() {
    let daemon = configured("[server]\ntake_answer_seconds = 1\n");
    let path = daemon.home.socket();
    let mut greedy = Socket::connect(&path);
    let extra = Json::new(&format!("{{\"a\":\"{}\"}}", "x".repeat(60_000))).expect("an object");
    let create = person::Create { extra, ..person::Create::new("DOG".parse().expect("a callsign")) };
    greedy.call(&create).expect("made");
    for _ in 0..12 {
        greedy.ask(&person::Get::new("DOG".parse().expect("a name")));
    }
    let mut other = Socket::connect(&path);
    let open = |other: &mut Socket| other.call(&server::Status {}).expect("others are served").connections;
    let mut asked = 0;
    while open(&mut other) > 1 {
        // It may be gone at any time, and must be at some time.
        let _ = greedy.send(&[0]);
        assert!(!other.is_heard_within(Duration::from_millis(50)));
        asked += 1;
        assert!(asked < 400, "twenty times its time");
    }
}

#[test]
fn the_size_of_a_frame_can_be_configured() {
    let daemon = configured("[server]\nframe_kib = 256\n");
    let mut socket = Socket::connect(&daemon.home.socket());
    socket.send(&(256 * 1024 + 1_u32).to_be_bytes()).expect("sent");
    let refusal = closing_refusal(&mut socket);
    assert_eq!(refusal.code, Code::INVALID_ARGUMENT);
    assert!(refusal.message.contains("over the limit of 262144"), "{}", refusal.message);
    let extra = || Json::new(&format!("{{\"a\":\"{}\"}}", "x".repeat(60_000))).expect("an object");
    let mut socket = Socket::connect(&daemon.home.socket());
    for number in 0..6 {
        let callsign = format!("DOG{number}").parse().expect("a callsign");
        socket.call(&person::Create { extra: extra(), ..person::Create::new(callsign) }).expect("made");
    }
    let page = socket.call(&person::List::default()).expect("a page fits a frame");
    assert!(page.next.is_some() && page.items.len() < 6);
}

#[test]
fn what_came_before_bytes_that_are_no_frames_is_answered() {
    let daemon = Daemon::start();
    let mut socket = Socket::connect(&daemon.home.socket());
    let first = socket.ask(&server::Status {});
    socket.send(&[0xff; 8]).expect("sent");
    let answer = socket.receive().expect("an answer");
    assert_eq!((answer.kind, answer.id), (FrameKind::Reply, first));
    assert!(closing_refusal(&mut socket).message.contains("4294967295 bytes"));
}

/// With a low limit of open files the daemon warns at its start, and refuses connections beyond the limit.
#[test]
fn who_comes_when_no_files_are_left_is_told() {
    let home = Home::make();
    let enrolld = home.enrolld();
    let mut limited = home.command("sh".as_ref());
    limited.args(["-c", "ulimit -n 40; exec \"$0\" \"$@\""]).arg(enrolld.get_program()).args(enrolld.get_args());
    let daemon = home.start_with(&mut limited);
    let path = daemon.home.socket();
    assert!(daemon.log().contains("LimitNOFILE"), "{}", daemon.log());
    let mut inside = Socket::connect(&path);
    let mut silent: Vec<Socket> = (0..60).map(|_| Socket::silent(&path)).collect();
    expect_refusal(silent.last_mut().expect("one"), &["no files left"]);
    inside.call(&server::Status {}).expect("who is inside is served");
    assert!(daemon.log().matches("accepting a connection failed").count() < 20, "{}", daemon.log());
    drop(silent);
    daemon.client().call(server::Status {}).expect("there are files again");
}
