//! A service that speaks to the daemon through one `enrollctl call`: what its adapter did around `call` is needless. It
//! starts `call` once, whatever becomes of the daemon, and gets lists in their place among the other answers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use enroll_protocol::envelope::{PROTOCOL_VERSION, Welcome};
use enroll_protocol::frame::{self, FrameKind};
use enroll_tests::conversation::Conversation;
use enroll_tests::process::{Daemon, Home, run};
use serde_json::{Value, json};

use super::{count, expect_sound};

fn spend(token: &str) -> String {
    json!({"op": "token.use", "args": {"token": token}}).to_string()
}

/// Asks, and expects an answer.
fn expect_served(conversation: &mut Conversation, token: &str) {
    conversation.say(&spend(token));
    let answer = conversation.answer();
    assert_eq!(answer["ok"]["token"], json!(token), "{answer}");
}

/// Asks, and expects that the daemon is away, for a reason with these words.
fn expect_away(conversation: &mut Conversation, words: &str) {
    conversation.say(&spend("lost"));
    let answer = conversation.answer();
    assert_eq!(answer["error"]["code"], "unavailable", "{answer}");
    assert!(answer["error"]["message"].as_str().is_some_and(|why| why.contains(words)), "{answer}");
}

#[test]
fn ported_call_is_started_once_and_serves_for_life() {
    let home = Home::make();
    let mut conversation = Conversation::begin(&home);
    for _ in 0..2 {
        expect_away(&mut conversation, "no daemon answers");
    }
    let mut daemon = home.start();
    for life in 0..3 {
        expect_served(&mut conversation, &format!("life {life}"));
        daemon.kill9();
        if life == 1 {
            std::fs::remove_file(daemon.home.socket()).expect("removed");
        }
        for _ in 0..50 {
            expect_away(&mut conversation, "no daemon answers");
        }
        // A line that is wrong is told so in any weather.
        conversation.say(r#"{"op":"no.such"}"#);
        assert_eq!(conversation.answer()["error"]["code"], "unknown_operation");
        daemon.restart();
    }
    expect_served(&mut conversation, "the last line");
    assert_eq!(conversation.finish(), (vec![], Some(0)), "an outage that is over is no failure");
    assert_eq!(count(&daemon, "token"), 4);
    expect_sound(&daemon);
}

#[test]
fn ported_call_answers_any_number_of_lines_of_an_outage() {
    const LINES: usize = 5_000;
    let home = Home::make();
    let lines = (spend("lost") + "\n").repeat(LINES);
    let output = run(&mut home.enrollctl(&["call"]), &lines);
    assert_eq!((output.code, output.stdout.lines().count()), (Some(3), LINES), "{}", output.stderr);
    assert!(output.stdout.lines().all(|line| line.contains("\"unavailable\"")));
}

/// Something at the socket that welcomes with another protocol.
struct OtherVersion {
    socket: PathBuf,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl OtherVersion {
    fn listen(socket: &Path) -> Self {
        let _ = std::fs::remove_file(socket);
        std::fs::create_dir_all(socket.parent().expect("a directory")).expect("made");
        let listener = UnixListener::bind(socket).expect("a socket");
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            let (daemon, grant) = ("99.0".to_owned(), "admin".to_owned());
            let welcome = Welcome { protocol: PROTOCOL_VERSION + 1, daemon, grant, frame_bytes_max: 1 << 20 };
            let mut bytes = Vec::new();
            frame::append(&mut bytes, FrameKind::Welcome, 0, 0, &welcome);
            for stream in listener.incoming() {
                if seen.load(Ordering::Relaxed) {
                    return;
                }
                // The client may be gone already.
                let _ = stream.and_then(|mut stream| stream.write_all(&bytes));
            }
        });
        Self { socket: socket.to_owned(), is_over, thread: Some(thread) }
    }
}

impl Drop for OtherVersion {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = std::os::unix::net::UnixStream::connect(&self.socket);
        let _ = self.thread.take().map(JoinHandle::join);
        let _ = std::fs::remove_file(&self.socket);
    }
}

#[test]
fn ported_call_waits_for_the_right_daemon_and_starts_with_no_other() {
    let mut daemon = Daemon::start();
    let mut conversation = Conversation::begin(&daemon.home);
    expect_served(&mut conversation, "before");
    daemon.kill9();
    let other = OtherVersion::listen(&daemon.home.socket());
    let started = daemon.enrollctl(&["call"], &spend("lost"));
    assert_eq!((started.code, started.stdout.as_str()), (Some(1), ""), "{started:?}");
    assert!(started.stderr.contains("enrolld 99.0 with protocol"), "{started:?}");
    for _ in 0..2 {
        expect_away(&mut conversation, "enrolld 99.0 with protocol");
    }
    drop(other);
    daemon.restart();
    expect_served(&mut conversation, "after");
    assert_eq!(conversation.finish(), (vec![], Some(0)));
}

#[test]
fn ported_call_outlives_a_daemon_without_room() {
    let home = Home::make();
    home.configure("[server]\nconnections_per_uid = 1\nadmin_connections = 0");
    let daemon = home.start();
    let mut keeps = Conversation::begin(&daemon.home);
    expect_served(&mut keeps, "first");
    let mut turned_away = Conversation::begin(&daemon.home);
    expect_away(&mut turned_away, "no room for this connection");
    assert_eq!(keeps.finish(), (vec![], Some(0)));
    // The daemon sees the end of that connection in its own time.
    loop {
        turned_away.say(&spend("second"));
        let answer = turned_away.answer();
        if answer["ok"].is_object() {
            break;
        }
        assert_eq!(answer["error"]["code"], "unavailable", "{answer}");
    }
    assert_eq!(turned_away.finish(), (vec![], Some(0)));
}

#[test]
fn ported_call_goes_on_when_the_disk_has_room_again() {
    let mut daemon = Daemon::start();
    let mut conversation = Conversation::begin(&daemon.home);
    // More than any disk has.
    for (free_mib, expected) in [("1048576", "storage"), ("0", "")] {
        assert_eq!(daemon.terminate(), Some(0));
        daemon.home.configure(&format!("[database]\nfree_mib = {free_mib}\n"));
        daemon.restart();
        conversation.say(&spend("nonce"));
        let answer = conversation.answer();
        assert_eq!(answer["error"]["code"].as_str().unwrap_or_default(), expected, "{answer}");
    }
    assert_eq!(conversation.finish(), (vec![], Some(0)));
}

#[test]
fn ported_lists_are_whole_and_in_their_place_among_the_lines() {
    let daemon = Daemon::start();
    let list = || daemon.enrollctl(&["certificate", "crl"], "").stdout;
    let before = list();
    let lines = [
        r#"{"op":"certificate.crl"}"#,
        r#"{"op":"person.create","args":{"callsign":"DOG","certificate":"generate"}}"#,
        r#"{"op":"certificate.crl","args":{"der":false}}"#,
        r#"{"op":"person.revoke","args":{"person":"DOG","reason":"superseded"}}"#,
        r#"{"op":"certificate.crl"}"#,
        r#"{"op":"certificate.crl","args":{"der":true}}"#,
        r#"{"op":"certificate.crl","args":{"pem":true}}"#,
        r#"{"op":"server.backup"}"#,
        r#"{"op":"server.export"}"#,
        r#"{"op":"server.check"}"#,
    ];
    let output = daemon.enrollctl(&["call"], &lines.join("\n"));
    let answers: Vec<Value> = output.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((output.code, answers.len()), (Some(0), lines.len()), "{output:?}");
    let after = list();
    assert_ne!(before, after);
    for (at, expected) in [(0, &before), (2, &before), (4, &after)] {
        assert_eq!(answers[at]["ok"], json!(expected), "line {at}");
    }
    let der = daemon.home.enrollctl(&["certificate", "crl", "--der"]).output().expect("a list").stdout;
    let body: String = after.lines().filter(|line| !line.starts_with('-')).collect();
    assert_eq!(der, STANDARD.decode(&body).expect("base64"));
    assert_eq!(answers[5]["ok"], json!(body));
    for answer in &answers[6..9] {
        assert_eq!(answer["error"]["code"], "invalid_argument", "{answer}");
    }
    assert_eq!(answers[9]["ok"], json!([]));
}

#[test]
fn call_ends_when_nobody_reads_its_answers_any_more() {
    let daemon = Daemon::start();
    let mut call = daemon.home.enrollctl(&["call"]);
    let mut call = call.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("call");
    let mut stdin = call.stdin.take().expect("a pipe");
    writeln!(stdin, "{}", spend("nonce")).expect("written");
    let mut stdout = BufReader::new(call.stdout.take().expect("a pipe"));
    let mut answer = String::new();
    stdout.read_line(&mut answer).expect("an answer");
    assert!(answer.contains("\"ok\""), "{answer}");
    drop(stdout);
    assert_eq!(call.wait().expect("an end").code(), Some(4), "its input is still open");
    let mut said = String::new();
    call.stderr.take().expect("a pipe").read_to_string(&mut said).expect("read");
    assert!(said.contains("standard output"), "{said}");
}
