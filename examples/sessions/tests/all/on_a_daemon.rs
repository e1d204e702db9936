//! The service as it is run: `enrollctl sandbox -- sessions`, a process of its own with a daemon of its own, also with one
//! that has no room for it or is away.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use enroll_tests::cleanup::expect_nothing_left;
use enroll_tests::process::{Daemon, Home, PATIENCE, binary};
use enroll_tests::socket::Socket;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::http::{Answer, CODES, Visitor, race};

/// Prints login codes, one a line, and becomes the service.
const SCRIPT: &str = r#"
enrollctl person create DOGGO01a >&2
n=0; while [ $n -lt $CODES ]; do echo '{"op":"code.create","args":{"claims":{"sub":"DOGGO01a"}}}'; n=$((n+1)); done |
  enrollctl call | sed 's/.*"code":"\([A-Z0-9]*\)".*/\1/'
exec "$SESSIONS"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn eight_workers_open_two_hundred_sessions_and_the_end_is_in_good_order() {
    let directory = tempfile::tempdir().expect("a directory");
    let enrollctl = binary("enrollctl");
    binary("enrolld");
    let path =
        format!("{}:{}", enrollctl.parent().expect("a directory").display(), std::env::var("PATH").unwrap_or_default());
    let mut sandbox = Command::new(&enrollctl);
    sandbox.args(["sandbox", "--", "sh", "-euc", SCRIPT]).env("PATH", path).env("TMPDIR", directory.path());
    sandbox.env("CODES", CODES.to_string()).env("SESSIONS", env!("CARGO_BIN_EXE_sessions"));
    sandbox.env("SESSIONS_LISTEN", "127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = sandbox.spawn().expect("started");
    let mut lines = BufReader::new(running.stdout.take().expect("a pipe")).lines().map(|line| line.expect("a line"));
    let codes: Vec<String> = lines.by_ref().take(CODES).collect();
    let listens = lines.next().expect("where it listens");
    let address: SocketAddr =
        listens.strip_prefix("listens on http://").expect("an address").parse().expect("an address");

    let visitor = Visitor::at(address);
    let (last, raced) = codes.split_last().expect("codes");
    race(raced, 200, |_, code| {
        let visitor = visitor.clone();
        async move { visitor.log_in(&code).await }
    })
    .await;
    let session = visitor.logged_in(last).await;
    assert_eq!(session.get("/me").await.body["callsign"], "DOGGO01a");
    assert_eq!(visitor.log_in(last).await.status, 409);

    kill(Pid::from_raw(i32::try_from(running.id()).expect("a pid")), Signal::SIGTERM).expect("a signal");
    let ended = tokio::task::spawn_blocking(move || running.wait());
    let ended = tokio::time::timeout(PATIENCE, ended).await.expect("in time").expect("waited").expect("ended");
    assert_eq!(ended.code(), Some(0));
    expect_nothing_left(directory.path());
}

/// A service that is killed when this is dropped.
struct Service(Child);

impl Service {
    /// A service of this daemon, and a visitor of it.
    fn of(daemon: &Daemon) -> (Self, Visitor) {
        let mut command = daemon.home.command(Path::new(env!("CARGO_BIN_EXE_sessions")));
        command.env("ENROLLD_SOCKET", daemon.home.socket()).env("SESSIONS_LISTEN", "127.0.0.1:0");
        let mut service = Self(command.stdout(Stdio::piped()).spawn().expect("started"));
        let mut line = String::new();
        BufReader::new(service.0.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let address = line.trim_end().strip_prefix("listens on http://").expect("an address");
        let visitor = Visitor::at(address.parse().expect("an address"));
        (service, visitor)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A daemon that serves so many connections of a user, also of its own.
fn narrow_daemon(connections: usize) -> Daemon {
    let home = Home::make();
    home.configure(&format!("[server]\nconnections_per_uid = {connections}\nadmin_connections = 0\n"));
    home.start()
}

fn code(daemon: &Daemon) -> String {
    let made = daemon.done(&["code", "create", r#"{"sub":"DOGGO01a"}"#, "--field", "code"]);
    made.trim_end().to_owned()
}

/// 503, when to try again, and no word of sockets and limits.
fn expect_later(answer: &Answer) {
    assert_eq!((answer.status, &answer.body["code"]), (503, &"unavailable".into()), "{answer:?}");
    assert_eq!(answer.headers.get("retry-after").map(String::as_str), Some("1"), "{answer:?}");
    let body = answer.body.to_string();
    assert!(!body.contains("sock") && !body.contains("connections"), "{body}");
}

/// The first answer that is not 503: a visitor tries again.
async fn tried<F: Future<Output = Answer>>(ask: impl Fn() -> F) -> Answer {
    let trying = async {
        loop {
            let answer = ask().await;
            if answer.status != 503 {
                return answer;
            }
        }
    };
    tokio::time::timeout(PATIENCE, trying).await.expect("served again")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_busy_or_away_is_503_until_it_serves_again() {
    let mut daemon = narrow_daemon(2);
    daemon.done(&["person", "create", "DOGGO01a"]);
    let (_service, stranger) = Service::of(&daemon);
    let visitor = stranger.logged_in(&code(&daemon)).await;
    let login = code(&daemon);

    // After a restart others are faster, and take every connection that there is.
    assert_eq!(daemon.terminate(), Some(0));
    daemon.restart();
    let others = [Socket::connect(&daemon.home.socket()), Socket::connect(&daemon.home.socket())];
    expect_later(&stranger.log_in(&login).await);
    expect_later(&visitor.get("/me/record").await);
    expect_later(&visitor.spend("t-1").await);
    assert!(daemon.log().contains("server.connections_per_uid"), "it was busy: {}", daemon.log());
    assert_eq!(visitor.get("/me").await.status, 200, "a session is verified without the daemon");

    // Nothing of that was done.
    drop(others);
    assert_eq!(tried(|| stranger.log_in(&login)).await.status, 200);
    assert_eq!(visitor.spend("t-1").await.status, 204);

    daemon.kill9();
    expect_later(&visitor.get("/me/record").await);
    expect_later(&visitor.spend("t-2").await);
    daemon.restart();
    assert_eq!(tried(|| visitor.spend("t-2")).await.status, 204);
}
