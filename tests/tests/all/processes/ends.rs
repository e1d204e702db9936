//! Signals and limits of the process: the daemon ends in good order, and says why.

use std::process::Command;

use enroll_tests::process::{Daemon, Home, Output, PATIENCE, count, run, run_refused};
use nix::sys::signal::Signal;

/// A program below limits that a shell sets.
fn limited(home: &Home, limits: &str, command: &Command) -> Command {
    let mut shell = home.command("sh".as_ref());
    shell.args(["-c", &format!("{limits}; exec \"$0\" \"$@\"")]).arg(command.get_program()).args(command.get_args());
    shell
}

/// Signals, the exit code they end with, and what is said of them.
const SIGNALS: &[(Signal, i32, &str)] = &[
    (Signal::SIGTERM, 0, "SIGTERM: stopping"),
    (Signal::SIGINT, 0, "SIGINT: stopping"),
    (Signal::SIGQUIT, 1, "enrolld: ended by SIGQUIT"),
    (Signal::SIGUSR1, 1, "enrolld: ended by SIGUSR1"),
    (Signal::SIGALRM, 1, "enrolld: ended by SIGALRM"),
    (Signal::SIGXCPU, 1, "the limit of processor time (LimitCPU=, ulimit -t)"),
];

#[test]
fn a_signal_ends_it_in_good_order_and_by_name() {
    let mut daemon = Daemon::start();
    for (number, (signal, code, said)) in SIGNALS.iter().enumerate() {
        assert_eq!(daemon.enrollctl(&["token", "use"], &format!("nonce {number}")).code, Some(0));
        daemon.signal(*signal);
        assert_eq!(daemon.ended(PATIENCE), Some(*code), "{signal}");
        assert!(daemon.log().contains(said), "{signal}: {}", daemon.log());
        let state = daemon.home.state_dir().display().to_string();
        let checked = run(&mut daemon.home.enrolld_with(&["check", "--state-dir", &state]), "");
        assert!(checked.stdout.contains("closed      in good order"), "{signal}: {checked:?}");
        daemon.restart();
    }
    assert_eq!(count(&daemon, "token"), SIGNALS.len() as u64);
    daemon.signal(Signal::SIGPIPE);
    assert_eq!(count(&daemon, "token"), SIGNALS.len() as u64, "nothing of that ends it");
}

fn expect_said(output: &Output, words: &str) {
    assert_eq!((output.code, output.stderr.lines().count()), (Some(1), 1), "{output:?}");
    assert!(output.stderr.contains(words), "{words}: {output:?}");
}

#[test]
fn a_limit_is_named_by_what_meets_it() {
    let open_files = "limit of open files (LimitNOFILE=, ulimit -n)";
    let home = Home::make();
    for files in [5, 7, 10] {
        let refused = run_refused(&mut limited(&home, &format!("ulimit -n {files}"), &home.enrolld()));
        // The first file that can not be opened decides on the code.
        let has_words = refused.code != Some(0) && refused.stderr.contains(open_files);
        assert!(has_words, "{refused:?}");
    }
    let mut daemon = home.start();
    assert_eq!(daemon.enrollctl(&["token", "use"], &"nonce".repeat(10)).code, Some(0));
    let backup = daemon.home.enrollctl(&["server", "backup", "registry.backup"]);
    let refused = run(&mut limited(&daemon.home, "ulimit -f 0", &backup), "");
    expect_said(&refused, "File too large");
    assert_eq!(daemon.enrollctl(&["server", "backup", "registry.backup"], "").code, Some(0));
    assert_eq!(daemon.terminate(), Some(0));
    let (state, backup) = (daemon.home.path("other"), daemon.home.path("registry.backup"));
    std::fs::create_dir(&state).expect("a directory");
    std::fs::copy(daemon.home.state_dir().join("enrolld.key"), state.join("enrolld.key")).expect("copied");
    let [state, backup] = [state, backup].map(|path| path.display().to_string());
    let restore = daemon.home.enrolld_with(&["restore", &backup, "--state-dir", &state]);
    let refused = run(&mut limited(&daemon.home, "ulimit -f 8", &restore), "");
    expect_said(&refused, "file size limit (LimitFSIZE=, ulimit -f)");
}

/// A state directory that is lost while its key is not, as where it lies on a disk that was not mounted.
#[test]
fn a_registry_that_is_made_where_a_key_was_is_warned_of() {
    let mut daemon = Daemon::start();
    let status = |daemon: &Daemon| daemon.enrollctl(&["--json", "server", "status"], "").json();
    let first = status(&daemon);
    assert_eq!(first["warnings"], serde_json::json!([]), "{first}");
    assert_eq!(daemon.terminate(), Some(0));
    daemon.restart();
    assert_eq!(status(&daemon)["registry_created"], first["registry_created"], "its birth is what it was");
    assert_eq!(daemon.terminate(), Some(0));
    for name in ["enrolld.redb", "enrolld.journal.0"] {
        std::fs::remove_file(daemon.home.state_dir().join(name)).expect("removed");
    }
    daemon.restart();
    let second = status(&daemon);
    assert_eq!(second["warnings"][0]["topic"], "registry", "{second}");
    assert_ne!(second["registry_created"], first["registry_created"], "{second}");
    assert!(daemon.log().contains("WARN") && daemon.log().contains("new, empty registry"), "{}", daemon.log());
    assert_eq!(daemon.terminate(), Some(0));
    daemon.restart();
    assert_eq!(status(&daemon)["warnings"], serde_json::json!([]), "until the next start");
}
