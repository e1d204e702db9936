//! The service as it is run: `enrollctl sandbox -- sessions`, a process of its own with a daemon of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use enroll_tests::cleanup::expect_nothing_left;
use enroll_tests::process::{PATIENCE, binary};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::http::{CODES, Visitor, race};

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
