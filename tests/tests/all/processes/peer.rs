//! The peer check of clients: what listens at the socket as somebody else is not sent a byte, unless it is named.

use std::fs::{Permissions, set_permissions};
use std::iter::once;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixListener;

use enroll_client::Client;
use enroll_tests::process::{Daemon, Home, binary, run};
use enroll_tests::skip::is_root;
use nix::unistd::geteuid;

/// Neither root nor the user of the service.
const OTHER: u32 = 12_345;

/// Another user that is nobody's.
const THIRD: u32 = 12_346;

/// Starts a daemon of [`OTHER`] in this directory, which becomes that user's.
fn start_as_other(home: Home) -> Daemon {
    for name in ["run", "state", "bin"] {
        std::fs::create_dir_all(home.path(name)).expect("made");
        chown(home.path(name), Some(OTHER), Some(OTHER)).expect("root may");
        set_permissions(home.path(name), Permissions::from_mode(0o755)).expect("a mode");
    }
    set_permissions(home.path(""), Permissions::from_mode(0o755)).expect("opened");
    let (program, copied) = (binary("enrolld"), home.path("bin/enrolld"));
    std::fs::copy(&program, &copied).expect("copied");
    let enrolld = home.enrolld();
    let mut command = home.command("setpriv".as_ref());
    command.args(["--clear-groups", "--reuid", &OTHER.to_string(), "--regid", &OTHER.to_string()]);
    for part in once(enrolld.get_program()).chain(enrolld.get_args()) {
        command.arg(if part == program { copied.as_os_str() } else { part });
    }
    command.stdin(home.stdin());
    home.start_with(&mut command)
}

#[test]
fn a_daemon_of_somebody_else_is_not_sent_a_byte() {
    if !is_root("a_daemon_of_somebody_else_is_not_sent_a_byte") {
        return;
    }
    let home = Home::make();
    home.configure("log = \"debug\"\n");
    let mut daemon = start_as_other(home);
    let refused = daemon.enrollctl(&["server", "status"], "");
    assert_eq!(refused.code, Some(3), "{refused:?}");
    for words in ["nothing was sent", "uid 12345", "--require-peer"] {
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
    let blocking = Client::builder(daemon.home.socket()).connect_blocking().expect_err("refused");
    assert!(blocking.to_string().contains("uid 12345"), "{blocking}");
    let named = daemon.enrollctl(&["--require-peer", "12345", "server", "status"], "");
    assert_eq!(named.code, Some(0), "{named:?}");
    assert_eq!(daemon.terminate(), Some(0));
    let log = daemon.log();
    assert_eq!((log.matches("it said nothing").count(), log.matches("connected").count()), (2, 1), "{log}");
}

#[test]
fn a_required_user_is_the_only_one() {
    let daemon = Daemon::start();
    let own = geteuid().as_raw().to_string();
    let third = THIRD.to_string();
    for (required, code) in [
        (&["--require-peer", &own][..], 0),
        (&["--require-peer", &third], 3),
        (&["--require-peer", "no-such-user-here"], 3),
        (&["--require-peer", &third, "--require-peer", &own], 0),
    ] {
        let asked = daemon.enrollctl(&[required, &["--json", "server", "status"]].concat(), "");
        assert_eq!(asked.code, Some(code), "{required:?}: {asked:?}");
    }
    for (variable, code) in [(own.clone(), 0), (third.clone(), 3), (format!("{third},{own}"), 0)] {
        let mut command = daemon.home.enrollctl(&["server", "status"]);
        assert_eq!(run(command.env("ENROLL_REQUIRE_PEER", &variable), "").code, Some(code), "{variable}");
    }
    let client = Client::builder(daemon.home.socket()).require_peer(&third).connect_blocking();
    assert!(client.expect_err("refused").to_string().contains("--require-peer"));
}

/// The socket that systemd passed bears the daemon's credentials once the daemon has it.
#[test]
fn a_passed_socket_shows_the_daemon() {
    if !is_root("a_passed_socket_shows_the_daemon") {
        return;
    }
    let home = Home::make();
    std::fs::create_dir(home.path("run")).expect("made");
    let listener = UnixListener::bind(home.socket()).expect("a socket");
    let daemon = start_as_other(home.passing(listener));
    let refused = daemon.enrollctl(&["server", "status"], "");
    assert!(refused.code == Some(3) && refused.stderr.contains("uid 12345"), "{refused:?}");
    let asked = daemon.enrollctl(&["--require-peer", "12345", "server", "status"], "");
    assert_eq!(asked.code, Some(0), "{asked:?}");
}
