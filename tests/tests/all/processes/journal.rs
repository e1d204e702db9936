//! The log in systemd's journal: a daemon whose standard error leads there sends messages with fields, one at its
//! start and one at its end that say everything needed, and nothing to standard error.
//!
//! The journal is a socket of the test, which a mount namespace puts in the place of systemd's.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Stdio};

use enroll_protocol::server;
use enroll_tests::process::{Home, PATIENCE};
use enroll_tests::skip::may_mount;
use enroll_tests::socket::Socket;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Puts a directory in the place of the journal's and names standard error as the stream to it, as systemd does.
const AS_UNDER_SYSTEMD: &str = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && \
    mount --bind \"$1\" /run/systemd/journal && shift && \
    JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) && export JOURNAL_STREAM && exec \"$@\"";

/// A message of the log, by the names of its fields.
type Message = BTreeMap<String, String>;

/// The next message with this beginning of its text.
fn next(journal: &UnixDatagram, begins: &str) -> Message {
    let mut bytes = vec![0; 1 << 18];
    loop {
        let length = journal.recv(&mut bytes).unwrap_or_else(|err| panic!("no message {begins}: {err}"));
        let text = std::str::from_utf8(&bytes[..length]).expect("text");
        let lines = text.lines().map(|line| line.split_once('=').expect("NAME=value"));
        let message: Message = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        if message["MESSAGE"].starts_with(begins) {
            return message;
        }
    }
}

/// The daemon, until this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn under_systemd_the_log_goes_into_the_journal_with_fields() {
    if !may_mount("under_systemd_the_log_goes_into_the_journal_with_fields") {
        return;
    }
    let home = Home::make();
    home.configure("[server]\nfinish_frame_seconds = 1\n");
    let directory = home.path("journal");
    std::fs::create_dir(&directory).expect("a directory");
    let journal = UnixDatagram::bind(directory.join("socket")).expect("a socket");
    journal.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let enrolld = home.enrolld();
    let mut command = home.command("unshare".as_ref());
    command.args(["--mount", "sh", "-c", AS_UNDER_SYSTEMD, "sh"]).arg(&directory);
    command.arg(enrolld.get_program()).args(enrolld.get_args());
    let log = File::create(home.path("log")).expect("a file");
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("started");
    let mut running = Running(child);

    let listening = next(&journal, "listening");
    let uid = nix::unistd::geteuid().to_string();
    for (name, expected) in [
        ("PRIORITY", "6"),
        ("SYSLOG_IDENTIFIER", "enrolld"),
        ("ENROLLD_VERSION", env!("CARGO_PKG_VERSION")),
        ("ENROLLD_SOCKET", &home.socket().display().to_string()),
        ("ENROLLD_DATABASE", &home.state_dir().join("enrolld.redb").display().to_string()),
        ("ENROLLD_UID", &uid),
        ("ENROLLD_LATEST_CHANGE", "0"),
    ] {
        assert_eq!(listening.get(name).map(String::as_str), Some(expected), "{name}: {listening:?}");
    }
    let mut malformed = Socket::silent(&home.socket());
    malformed.send(b"GET / HTTP/1.1\r\n\r\nMESSAGE=FORGED\n").expect("sent");
    while malformed.receive().is_some() {}
    let abuse = next(&journal, "connections ended: no hello of this version");
    assert_eq!((abuse["ENROLLD_ABUSE"].as_str(), abuse["PRIORITY"].as_str()), ("wrong_hello", "4"), "{abuse:?}");
    assert_eq!(abuse["ENROLLD_UID"], uid);
    Socket::connect(&home.socket()).call(&server::Status {}).expect("a status");
    let pid = i32::try_from(running.0.id()).expect("a pid");
    kill(Pid::from_raw(pid), Signal::SIGTERM).expect("a signal");
    let stopped = next(&journal, "stopped in good order");
    assert_eq!((stopped["ENROLLD_DONE"].as_str(), stopped["ENROLLD_FAILED"].as_str()), ("1", "0"), "{stopped:?}");
    assert_eq!(running.0.wait().expect("ended").code(), Some(0));
    assert_eq!(std::fs::read_to_string(home.path("log")).expect("a log"), "", "it is all in the journal");
}
