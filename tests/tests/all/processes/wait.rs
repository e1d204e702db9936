//! `enrollctl wait`: it ends when the daemon answers, when the time is over, or when no waiting helps.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use enroll_tests::process::{Daemon, Home, binary, run};
use enroll_tests::skip::is_root;

/// A user that is nobody's.
const OTHER: &str = "12345";

#[test]
fn it_ends_when_the_daemon_answers() {
    let home = Home::make();
    let mut wait = home.enrollctl(&["wait", "--seconds", "50"]);
    let mut waiting = wait.stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
    assert!(waiting.try_wait().expect("a status").is_none(), "there is no daemon yet");
    let daemon = home.start();
    let ended = waiting.wait_with_output().expect("ended");
    assert_eq!((ended.status.code(), ended.stdout, ended.stderr), (Some(0), Vec::new(), Vec::new()));
    let again = daemon.enrollctl(&["wait", "--seconds", "50", "--json"], "");
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), "null\n"), "{again:?}");
}

#[test]
fn the_last_cause_is_told_when_the_time_is_over() {
    let home = Home::make();
    let absent = run(&mut home.enrollctl(&["wait", "--seconds", "1"]), "");
    assert_eq!((absent.code, absent.stderr.lines().count()), (Some(3), 1), "{absent:?}");
    assert!(absent.stderr.contains("no daemon answers at"), "{absent:?}");
    std::fs::create_dir(home.path("run")).expect("made");
    let listener = UnixListener::bind(home.socket()).expect("bound");
    let silent = run(&mut home.enrollctl(&["wait", "--seconds", "1"]), "");
    assert_eq!((silent.code, silent.stderr.lines().count()), (Some(3), 1), "{silent:?}");
    assert!(silent.stderr.contains("does not answer"), "{silent:?}");
    drop(listener);
    let refused = run(&mut home.enrollctl(&["wait", "--seconds", "1", "--json"]), "");
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.stdout.contains("\"unavailable\""), "{refused:?}");
}

#[test]
fn what_no_waiting_helps_ends_at_once() {
    let test = "what_no_waiting_helps_ends_at_once";
    if !is_root(test) {
        return;
    }
    let daemon = Daemon::start();
    let as_other = |daemon: &Daemon| {
        let copied = daemon.home.path("enrollctl");
        std::fs::copy(binary("enrollctl"), &copied).expect("copied");
        let mut command: Command = daemon.home.command("setpriv".as_ref());
        command.args(["--clear-groups", "--reuid", OTHER, "--regid", OTHER]).arg(copied);
        command.arg("--socket").arg(daemon.home.socket()).args(["wait", "--seconds", "86400"]);
        run(&mut command, "")
    };
    let open = |name: &str, mode| {
        set_permissions(daemon.home.path(name), Permissions::from_mode(mode)).expect("a mode");
    };
    open("", 0o755);
    open("run", 0o755);
    open("run/enrolld.sock", 0o600);
    let closed = as_other(&daemon);
    assert_eq!(closed.code, Some(1), "{closed:?}");
    assert!(closed.stderr.contains("may not be opened by this user"), "{closed:?}");
    chown(daemon.home.socket(), None, OTHER.parse().ok()).expect("root may");
    open("run/enrolld.sock", 0o660);
    let refused = as_other(&daemon);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("permission_denied"), "{refused:?}");
}

#[test]
fn a_time_that_is_none_is_refused() {
    let home = Home::make();
    for args in [
        &["wait", "--seconds", "0"][..],
        &["wait", "--seconds", "86401"],
        &["wait", "--seconds", "soon"],
        &["wait", "--dry-run"],
        &["wait", "--as-jwt"],
    ] {
        assert_eq!(run(&mut home.enrollctl(args), "").code, Some(2), "{args:?}");
    }
}
