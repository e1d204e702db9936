//! The systemd protocols, with the tests in the part of systemd: notifications, socket activation and watchdog.

use std::collections::BTreeMap;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use enroll_protocol::{server, token};
use enroll_tests::poll::RaisedAtEnd;
use enroll_tests::process::{Daemon, Home, PATIENCE, run_refused};
use nix::sys::signal::Signal;

use super::{count, expect_sound};
use enroll_tests::skip::may_trace;
use enroll_tests::socket::Socket;

/// The watchdog's timeout in these tests; it is fed twice as often.
const WATCHDOG: Duration = Duration::from_millis(200);

/// The messages to systemd, one by one.
pub(super) struct Notifications(UnixDatagram);

impl Notifications {
    /// A directory whose daemon has a notification socket.
    pub(super) fn by(home: Home) -> (Self, Home) {
        let path = home.path("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        (Self(socket), home.with("NOTIFY_SOCKET", &path.display().to_string()))
    }

    /// The next message; `None` if none comes in this time.
    pub(super) fn within(&self, patience: Duration) -> Option<BTreeMap<String, String>> {
        self.0.set_read_timeout(Some(patience)).expect("a timeout");
        let mut bytes = [0; 4096];
        let length = self.0.recv(&mut bytes).ok()?;
        let text = std::str::from_utf8(&bytes[..length]).expect("a text");
        let pairs = text.lines().map(|line| line.split_once('=').expect("NAME=VALUE"));
        Some(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// The next message, without heartbeats and extensions of the timeout.
    pub(super) fn next(&self) -> BTreeMap<String, String> {
        loop {
            let message = self.within(PATIENCE).expect("a message");
            if !message.contains_key("WATCHDOG") && !message.contains_key("EXTEND_TIMEOUT_USEC") {
                return message;
            }
        }
    }

    /// Waits for this many heartbeats; panics if one takes much longer than the watchdog's timeout.
    fn heartbeats(&self, count: usize) {
        for _ in 0..count {
            let message = self.within(WATCHDOG * 20).expect("a heartbeat in time");
            assert_eq!(message.get("WATCHDOG").map(String::as_str), Some("1"), "{message:?}");
        }
    }
}

/// A directory whose daemon is passed the socket that it would have made.
fn activated() -> Home {
    let home = Home::make();
    std::fs::create_dir(home.path("run")).expect("a directory");
    let listener = UnixListener::bind(home.socket()).expect("a socket");
    home.passing(listener)
}

#[test]
fn it_is_told_of_a_long_start_of_readiness_and_of_the_end() {
    let (notified, home) = Notifications::by(Home::make());
    let mut daemon = home.start();
    let first = notified.within(PATIENCE).expect("a message");
    assert_eq!(first.get("EXTEND_TIMEOUT_USEC").map(String::as_str), Some("30000000"), "{first:?}");
    let ready = notified.next();
    assert_eq!(ready.get("READY").map(String::as_str), Some("1"), "{ready:?}");
    assert_eq!(ready["STATUS"], format!("listening on {}", daemon.home.socket().display()));
    Socket::connect(&daemon.home.socket());
    daemon.signal(Signal::SIGTERM);
    let stopping = notified.next();
    assert_eq!(stopping.get("STOPPING").map(String::as_str), Some("1"), "{stopping:?}");
    assert_eq!(daemon.ended(PATIENCE), Some(0));
    assert_eq!(notified.within(Duration::from_millis(1)), None, "nobody is left to say anything");
}

#[test]
fn a_daemon_that_can_not_start_is_never_ready() {
    let (notified, home) = Notifications::by(Home::make());
    let daemon = home.start();
    assert!(notified.next().contains_key("READY"));
    let refused = run_refused(&mut daemon.home.enrolld());
    assert_eq!(refused.code, Some(3), "{refused:?}");
    while let Some(message) = notified.within(Duration::from_millis(1)) {
        assert!(message.contains_key("EXTEND_TIMEOUT_USEC"), "{message:?}");
    }
}

#[test]
fn the_watchdog_is_fed_while_nothing_happens_and_while_much_does() {
    let (notified, home) = Notifications::by(Home::make().with("WATCHDOG_USEC", &WATCHDOG.as_micros().to_string()));
    let daemon = home.start();
    while notified.next().contains_key("EXTEND_TIMEOUT_USEC") {}
    notified.heartbeats(5);
    let (path, is_over) = (daemon.home.socket(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let end = RaisedAtEnd(&is_over);
        for writer in 0..4 {
            let (path, is_over) = (&path, &is_over);
            scope.spawn(move || {
                let mut socket = Socket::connect(path);
                for number in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let token = format!("nonce {writer} {number}").parse().expect("a token");
                    socket.call(&token::Use::new(token)).expect("spent");
                }
            });
        }
        notified.heartbeats(10);
        drop(end);
    });
    assert!(count(&daemon, "token") > 4);
    notified.heartbeats(5);
}

#[test]
fn a_watchdog_of_another_process_is_not_fed() {
    let home = Home::make().with("WATCHDOG_USEC", "1000").with("WATCHDOG_PID", "1");
    let (notified, home) = Notifications::by(home);
    let mut daemon = home.start();
    Socket::connect(&daemon.home.socket()).call(&server::Status {}).expect("a status");
    assert_eq!(daemon.terminate(), Some(0));
    while let Some(message) = notified.within(Duration::from_millis(1)) {
        assert!(!message.contains_key("WATCHDOG"), "{message:?}");
    }
}

/// A disk that does not answer, by way of strace: a thread's syncs from the thirtieth on take longer than the test.
/// Only the writer makes so many.
#[test]
fn a_writer_whose_disk_does_not_answer_feeds_nobody() {
    if !may_trace("a_writer_whose_disk_does_not_answer_feeds_nobody") {
        return;
    }
    let (notified, home) = Notifications::by(Home::make().with("WATCHDOG_USEC", &WATCHDOG.as_micros().to_string()));
    let enrolld = home.enrolld();
    let mut strace = home.command(Path::new("strace"));
    // With -D the daemon, not strace, is the process that was started, and is killed.
    strace.args(["-D", "-f", "-o", "/dev/null", "-e", "trace=fdatasync"]);
    strace.args(["-e", "inject=fdatasync:delay_enter=10s:when=100+"]);
    strace.arg(enrolld.get_program()).args(enrolld.get_args());
    let mut daemon = home.start_with(&mut strace);
    let mut socket = Socket::connect(&daemon.home.socket());
    let writing = std::thread::spawn(move || {
        for number in 1.. {
            socket.ask(&token::Use::new(format!("nonce {number}").parse().expect("a token")));
            if socket.receive().is_none() {
                return number;
            }
        }
        0
    });
    let mut heartbeats = 0;
    while notified.within(WATCHDOG * 20).is_some() {
        heartbeats += 1;
        assert!(heartbeats < 200, "a writer that is stuck feeds the watchdog");
    }
    daemon.kill9();
    assert!(writing.join().expect("it wrote") > 1, "it was stuck in a write, not before");
}

#[test]
fn who_connects_before_the_daemon_runs_is_served_when_it_does() {
    let home = activated();
    let mut early = Socket::hello(&home.socket());
    let other = home.path("other/enrolld.sock");
    let mut enrolld = home.enrolld_at(&home.state_dir(), &other);
    let mut daemon = home.start_with(&mut enrolld);
    early.welcomed();
    early.call(&server::Status {}).expect("a status");
    assert!(!other.exists(), "the passed socket is the only one");
    let announced = daemon.announced().join("\n");
    assert!(announced.contains(&daemon.home.socket().display().to_string()), "{announced}");

    assert_eq!(daemon.terminate(), Some(0));
    assert!(daemon.home.socket().exists(), "it is not the daemon's to remove");
    let mut between = Socket::hello(&daemon.home.socket());
    daemon.restart();
    between.welcomed();
    between.call(&server::Status {}).expect("a status");
}

#[test]
fn nobody_is_refused_over_restarts() {
    const RESTARTS: usize = 5;
    let mut daemon = activated().start();
    let (path, is_over) = (daemon.home.socket(), AtomicBool::new(false));
    let spent = std::thread::scope(|scope| {
        let end = RaisedAtEnd(&is_over);
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let (path, is_over) = (&path, &is_over);
                scope.spawn(move || {
                    let mut spent = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        // A new connection for each: a refused connection fails here.
                        let client_of_one = enroll_client::blocking::Client::connect(path).expect("a connection");
                        let token = format!("nonce {client} {spent}").parse().expect("a token");
                        client_of_one.call(token::Use::new(token)).expect("spent");
                        spent += 1;
                    }
                    spent
                })
            })
            .collect();
        for _ in 0..RESTARTS {
            assert_eq!(daemon.terminate(), Some(0));
            daemon.restart();
        }
        drop(end);
        clients.into_iter().map(|client| client.join().expect("nobody was refused")).sum::<u64>()
    });
    assert_eq!(count(&daemon, "token"), spent);
    expect_sound(&daemon);
}

#[test]
fn what_can_not_be_served_is_refused_by_name() {
    let datagrams = UnixDatagram::unbound().expect("a socket");
    let (connected, _other) = UnixStream::pair().expect("a pair");
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
    let file = std::fs::File::open("/dev/null").expect("a file");
    let homes = [
        Home::make().passing(datagrams),
        Home::make().passing(connected),
        Home::make().passing(tcp),
        Home::make().passing(file),
    ];
    for home in homes {
        let refused = run_refused(&mut home.enrolld());
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("the socket that systemd passed"), "{refused:?}");
        assert!(!home.state_dir().exists(), "nothing is made");
    }
}

/// Variables of a shell are not meant for this process.
#[test]
fn a_socket_that_is_passed_to_another_process_is_left_alone() {
    let daemon = Home::make().with("LISTEN_FDS", "1").with("LISTEN_PID", "1").start();
    Daemon::client(&daemon).call(server::Status {}).expect("a status");
}
