//! The command line of `enroll-bench` without a daemon: help, usage errors, and an absent daemon.
//!
//! Because of this file cargo builds the binary for the workspace's tests, where it measures daemons.

use std::process::{Command, Output};

fn enroll_bench(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_enroll-bench"));
    command.env_clear().env("ENROLLD_SOCKET", "/nonexistent/enrolld.sock").args(args);
    command.output().expect("run")
}

#[test]
fn help_has_examples_and_the_global_options() {
    let output = enroll_bench(&["--help"]);
    let help = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for needed in ["Usage: enroll-bench [OPTIONS] <WORKLOAD>", "  enroll-bench token-use ", "--socket", "--json"] {
        assert!(help.contains(needed), "{needed}: {help}");
    }
}

#[test]
fn a_wrong_command_line_ends_with_2_and_an_absent_daemon_with_3() {
    for (args, code) in [
        (&[][..], 2),
        (&["no-such-workload"], 2),
        (&["token-use", "--vs", "no-such-peer"], 2),
        (&["token-use", "--rounds", "3"], 2),
        (&["token-use", "--connections", "0"], 2),
        (&["token-use", "--in-flight", "0"], 2),
        (&["token-use", "--in-flight", "2", "--vs", "postgres"], 2),
        (&["token-use", "--dry-run"], 2),
        (&["token-use"], 3),
    ] {
        let output = enroll_bench(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{args:?}: {output:?}");
    }
}
