//! Online backups: each is one committed state, under concurrent writes, and hinders nobody; one that breaks off leaves
//! no file that looks like a backup.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

use enroll_protocol::backup::{Header, Part, Reader};
use enroll_protocol::envelope::{PROTOCOL_VERSION, Welcome};
use enroll_protocol::frame::{self, FrameKind, FrameReader};
use enroll_protocol::limits::FRAME_BYTES_MAX;
use enroll_protocol::server::{Backup, Piece};
use enroll_protocol::{Code, Envelope, Json, Operation as _, changes, codec, server, token};
use enroll_tests::poll::RaisedAtEnd;
use enroll_tests::process::{Daemon, Home, PATIENCE, run, run_into};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::versions::next_request;
use super::{expect_sound, files};
use enroll_tests::socket::{Received, Socket};

/// Bytes that a token brings with it, so that a few thousand fill every buffer between daemon and reader.
const AUDIT_BYTES: usize = 4000;

/// The content of a backup.
pub(super) type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// Reads a backup; panics where it is none.
pub(super) fn read(bytes: &[u8]) -> (Header, Entries) {
    let (mut reader, mut header, mut entries) = (Reader::new(), None, Entries::new());
    reader.push(bytes);
    while let Some(part) = reader.next_part().expect("a backup") {
        match part {
            Part::Header(found) => header = Some(found),
            Part::Entry(key, value) => drop(entries.insert(key.to_owned(), value.to_owned())),
            Part::End(count) => assert_eq!(count, entries.len() as u64),
        }
    }
    reader.finish().expect("a whole backup");
    (header.expect("a header"), entries)
}

pub(super) fn use_of(number: usize) -> token::Use {
    let audit = Json::new(&format!("{{\"a\":\"{}\"}}", "x".repeat(AUDIT_BYTES))).ok();
    token::Use { audit, ..token::Use::new(format!("nonce {number}").parse().expect("a token")) }
}

/// Spends these tokens, one change each, in their order.
pub(super) fn spend(socket: &mut Socket, numbers: std::ops::Range<usize>) {
    let spend = |number| (Envelope::default(), token::Use::ROW.number, codec::encode(&use_of(number)));
    let spent = socket.call_all(&numbers.map(spend).collect::<Vec<_>>());
    assert!(spent.iter().all(Result::is_ok));
}

/// Restores a backup into a directory of its own, with the key of another, and starts a daemon there.
pub(super) fn restored(backup: &Path, key: &Path) -> Daemon {
    let home = Home::make();
    std::fs::create_dir(home.state_dir()).expect("a directory");
    std::fs::copy(key, home.state_dir().join("enrolld.key")).expect("copied");
    let output = run(home.enrolld_with(&["restore", "--state-dir"]).arg(home.state_dir()).arg(backup), "");
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{output:?}");
    assert!(output.stdout.contains("is restored"), "{output:?}");
    home.start()
}

/// The token of change number N is number N, so the head of its changes says which tokens a registry has.
#[test]
fn a_backup_under_load_is_exactly_one_committed_state() {
    let daemon = Daemon::start();
    let mut writer = Socket::connect(&daemon.home.socket());
    spend(&mut writer, 1..501);
    let is_over = AtomicBool::new(false);
    let names = ["1.backup", "2.backup", "3.backup"];
    let (sender, batches) = channel();
    let written = std::thread::scope(|scope| {
        let end = RaisedAtEnd(&is_over);
        // Dropped with this scope if anything fails, which ends the writer.
        let (is_over, batches) = (&is_over, batches);
        let writing = scope.spawn(move || {
            let mut next = 501;
            while !is_over.load(Ordering::Relaxed) {
                spend(&mut writer, next..next + 50);
                next += 50;
                sender.send(()).expect("the test goes on");
            }
            next
        });
        for name in names {
            batches.recv_timeout(PATIENCE).expect("writes go on");
            let output = daemon.enrollctl(&["server", "backup", name, "--json"], "");
            assert_eq!(output.code, Some(0), "{output:?}");
        }
        drop(end);
        writing.join().expect("written")
    });
    let key = daemon.home.state_dir().join("enrolld.key");
    for name in names {
        let (header, entries) = read(&std::fs::read(daemon.home.path(name)).expect("a backup"));
        let head = header.changes_head;
        assert!((500..written as u64).contains(&head), "{head}");
        let restored = restored(&daemon.home.path(name), &key);
        expect_sound(&restored);
        let mut socket = Socket::connect(&restored.home.socket());
        assert_eq!(socket.call(&server::Status {}).expect("a status").changes_head, head);
        let limit = enroll_protocol::value::PageLimit::new(1).expect("a limit");
        let behind = changes::List { since: Some(head), limit, after: None };
        assert_eq!(socket.call(&behind).expect("changes").items, []);
        let head = usize::try_from(head).expect("small");
        let again = |number| (Envelope::default(), token::Use::ROW.number, codec::encode(&use_of(number)));
        let known = socket.call_all(&(1..=head).map(again).collect::<Vec<_>>());
        let is_refused = |outcome: &enroll_tests::socket::Outcome| {
            outcome.as_ref().err().map(|refusal| refusal.code) == Some(Code::TOKEN_REUSE)
        };
        assert!(known.iter().all(is_refused), "{name}: a token that was spent before the backup is fresh");
        // Refused attempts are changes as well; what the backup held is compared by what comes out of the other one.
        spend(&mut socket, head + 1..head + 50);
        assert!(entries.len() > head);
    }
}

#[test]
fn a_backup_of_what_was_restored_is_the_same() {
    let daemon = Daemon::start();
    spend(&mut Socket::connect(&daemon.home.socket()), 0..200);
    for args in [&["person", "create", "BOSS", "--role", "superuser"][..], &["code", "create", "{}"]] {
        assert_eq!(daemon.enrollctl(args, "").code, Some(0));
    }
    assert_eq!(daemon.enrollctl(&["code", "use"], "WRONGWRONG22").code, Some(1), "a guess, which is counted");
    let first = daemon.home.path("first");
    assert_eq!(daemon.enrollctl(&["server", "backup", "first"], "").code, Some(0));
    assert_eq!(std::fs::metadata(&first).expect("a file").permissions().mode() & 0o7777, 0o600);
    let restored = restored(&first, &daemon.home.state_dir().join("enrolld.key"));
    let output = std::fs::File::create(restored.home.path("second")).expect("a file");
    let printed = run_into(&mut restored.home.enrollctl(&["server", "backup", "-"]), "", Stdio::from(output));
    assert_eq!(printed.code, Some(0), "{printed:?}");
    assert!(printed.stderr.contains("latest change"), "{printed:?}");
    let bytes = |path: &Path| std::fs::read(path).expect("a backup");
    assert!(read(&bytes(&first)).1 == read(&bytes(&restored.home.path("second"))).1);
}

fn begin(socket: &mut Socket) {
    socket.ask(&Backup {});
    assert_eq!(socket.receive().map(|frame| frame.kind), Some(FrameKind::StreamBegun));
}

#[test]
fn who_reads_slowly_hinders_nobody_and_gets_what_there_was() {
    let daemon = Daemon::start();
    let path = daemon.home.socket();
    let (mut slow, mut other) = (Socket::connect(&path), Socket::connect(&path));
    spend(&mut other, 0..1500);
    begin(&mut slow);
    let first = slow.receive().expect("a piece");
    spend(&mut other, 1500..1700);
    expect_sound(&daemon);
    slow.ask(&server::Status {});
    let (mut bytes, mut is_answered) = (Vec::new(), false);
    let mut take = |frame: Received| match frame.kind {
        FrameKind::StreamItem => bytes.extend(codec::decode::<Piece>(&frame.body).expect("a piece").0),
        FrameKind::Reply => is_answered = true,
        other => panic!("{other:?}"),
    };
    take(first);
    loop {
        match slow.receive().expect("a frame") {
            frame if frame.kind == FrameKind::StreamEnd => break,
            frame => take(frame),
        }
    }
    assert!(is_answered, "the connection was used beside its backup");
    assert_eq!(read(&bytes).0.changes_head, 1500);
}

/// It keeps its turn and its snapshot no longer than its connection.
#[test]
fn who_does_not_read_at_all_keeps_the_next_backup_waiting_but_not_for_ever() {
    let daemon = Daemon::start();
    let path = daemon.home.socket();
    let mut silent = Socket::connect(&path);
    spend(&mut Socket::connect(&path), 0..1500);
    begin(&mut silent);
    let next = daemon.enrollctl(&["server", "backup", "registry.backup"], "");
    assert_eq!(next.code, Some(0), "{next:?}");
    assert_eq!(read(&std::fs::read(daemon.home.path("registry.backup")).expect("a backup")).0.changes_head, 1500);
}

#[test]
fn a_daemon_that_is_killed_leaves_a_backup_that_says_it_is_none() {
    let mut daemon = Daemon::start();
    spend(&mut Socket::connect(&daemon.home.socket()), 0..1500);
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = daemon.home.enrollctl(&["server", "backup", "-"]);
    let asking = std::thread::spawn(move || run_into(&mut command, "", Stdio::from(writer)));
    // It has begun, and it can not go on before this pipe is read.
    let mut bytes = vec![0; 1000];
    std::io::Read::read_exact(&mut reader, &mut bytes).expect("its beginning");
    daemon.kill9();
    std::io::Read::read_to_end(&mut reader, &mut bytes).expect("its rest");
    let output = asking.join().expect("it ends");
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.stderr.contains("broke off") && output.stderr.contains("begin it again"), "{output:?}");
    std::fs::write(daemon.home.path("half.backup"), &bytes).expect("written");
    let rehearsed = run(&mut daemon.home.enrolld_with(&["restore", "half.backup", "--check"]), "");
    assert_eq!(rehearsed.code, Some(5), "{rehearsed:?}");
    assert!(rehearsed.stderr.contains("cut off"), "{rehearsed:?}");
}

/// A daemon that welcomes every client, sends these frames, and goes away or stays.
fn fake(home: &Home, frames: Vec<u8>, stays: bool) -> std::thread::JoinHandle<()> {
    std::fs::create_dir_all(home.path("run")).expect("a directory");
    let listener = UnixListener::bind(home.socket()).expect("a socket");
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().expect("a connection");
        let (daemon, grant) = ("fake".to_owned(), "admin".to_owned());
        let welcome = Welcome { protocol: PROTOCOL_VERSION, daemon, grant, frame_bytes_max: 1 << 20 };
        let mut bytes = Vec::new();
        frame::append(&mut bytes, FrameKind::Welcome, 0, 0, &welcome);
        stream.write_all(&bytes).expect("sent");
        let mut reader = FrameReader::new(FRAME_BYTES_MAX);
        next_request(&mut stream, &mut reader);
        stream.write_all(&frames).expect("sent");
        if stays {
            // Until the client has gone.
            while stream.read(&mut [0; 64]).is_ok_and(|length| length > 0) {}
        }
    })
}

#[test]
fn a_backup_that_is_interrupted_leaves_no_file() {
    let home = Home::make();
    let number = Backup::ROW.number;
    let mut frames = Vec::new();
    frame::append(&mut frames, FrameKind::StreamBegun, number, 1, &Backup {});
    frame::append(&mut frames, FrameKind::StreamItem, number, 1, &Piece(b"enrollbk".to_vec()));
    let serving = fake(&home, frames, true);
    std::fs::create_dir(home.path("backups")).expect("a directory");
    let mut command = home.enrollctl(&["server", "backup", "backups/registry.backup"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let mut looks = 0;
    while files(&home.path("backups")).is_empty() && looks < 5_000_000 {
        looks += 1;
        std::thread::yield_now();
    }
    assert_eq!(files(&home.path("backups")).values().map(|(mode, _)| *mode).collect::<Vec<_>>(), [0o600]);
    kill(Pid::from_raw(i32::try_from(child.id()).expect("a pid")), Signal::SIGTERM).expect("a signal");
    let output = child.wait_with_output().expect("ended");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("interrupted"), "{output:?}");
    assert!(files(&home.path("backups")).is_empty());
    serving.join().expect("served");
}

#[test]
fn half_a_backup_leaves_no_file() {
    let daemon = Daemon::start();
    assert_eq!(daemon.enrollctl(&["server", "backup", "whole"], "").code, Some(0));
    let whole = std::fs::read(daemon.home.path("whole")).expect("a backup");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let half = whole[..whole.len() / 2].to_vec();
    for (bytes, ends, code, word) in [
        (&half, false, 3, "broke off"),
        (&half, true, 1, "cut off"),
        (&flipped, true, 1, "damaged"),
        (&whole, false, 3, "broke off"),
    ] {
        let home = Home::make();
        let number = Backup::ROW.number;
        let mut frames = Vec::new();
        frame::append(&mut frames, FrameKind::StreamBegun, number, 1, &Backup {});
        frame::append(&mut frames, FrameKind::StreamItem, number, 1, &Piece(bytes.clone()));
        if ends {
            frame::append_with(&mut frames, FrameKind::StreamEnd, number, 1, |_| {});
        }
        let serving = fake(&home, frames, false);
        std::fs::create_dir(home.path("backups")).expect("a directory");
        let output = run(&mut home.enrollctl(&["server", "backup", "backups/registry.backup"]), "");
        assert_eq!((output.code, output.stdout.as_str()), (Some(code), ""), "{output:?}");
        assert!(output.stderr.contains(word), "{word}: {output:?}");
        assert!(
            files(&home.path("backups")).is_empty(),
            "something was left: {:?}",
            files(&home.path("backups")).keys()
        );
        serving.join().expect("served");
    }
}
