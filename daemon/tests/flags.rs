//! The daemon's flags that end at once, through the real binary: what is wrong with a configuration is named, and
//! nothing is made.
//!
//! This file is also why cargo builds that binary for the workspace's tests, so it stays the only one here.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

fn enrolld(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_enrolld"));
    command.env_clear().env("HOME", home).current_dir(home);
    command
}

/// Checks this configuration.
fn check(toml: &str, variables: &[(&str, &str)]) -> (TempDir, Output) {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("enrolld.toml");
    std::fs::write(&file, toml).expect("written");
    let mut command = enrolld(home.path());
    let output = command.arg("--check-config").arg("--config").arg(&file).envs(variables.iter().copied()).output();
    (home, output.expect("run"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_good_configuration_is_fine_and_nothing_is_made() {
    for (toml, variables) in [
        ("", vec![]),
        ("state_dir = \"/somewhere/state\"\nsocket = \"/somewhere/sock\"\n", vec![]),
        ("[grants]\noperate = [\"user:4000\", \"group:4000\"]\n[database]\nverify_mib = 0\n", vec![]),
        ("", vec![("ENROLLD_STATE_DIR", "/somewhere/state"), ("ENROLLD_DATABASE_CACHE_MIB", "8")]),
        ("state_dir = \"/elsewhere\"", vec![("ENROLLD_STATE_DIR", "/somewhere/state")]),
    ] {
        let (home, output) = check(toml, &variables);
        assert_eq!(output.status.code(), Some(0), "{toml}: {output:?}");
        let told = text(&output.stdout);
        assert!(told.contains("enrolld.toml: fine"), "{told}");
        let names_state = toml.contains("state_dir") || !variables.is_empty();
        assert!(!names_state || told.contains("/somewhere/state"), "{told}");
        assert_eq!(std::fs::read_dir(home.path()).expect("a directory").count(), 1, "only the configuration is there");
    }
}

#[test]
fn a_bad_configuration_is_named_and_ends_with_2() {
    for (toml, variables, words) in [
        ("sokcet = \"/x\"", vec![], &["enrolld.toml", "sokcet", "did you mean \"socket\"?"][..]),
        ("[database]\ncache = 1", vec![], &["cache"]),
        ("[server]\nthreads = 0", vec![], &["server.threads"]),
        ("[grants]\nadmin = [\"somebody\"]", vec![], &["somebody", "user:NAME"]),
        ("[grants]\nadmin = [\"no-such-user-here\"]", vec![], &["no-such-user-here"]),
        ("this is no toml", vec![], &["enrolld.toml"]),
        ("", vec![("ENROLLD_DATABASE_CACHE_MIB", "much")], &["ENROLLD_DATABASE_CACHE_MIB", "a number"]),
        ("log = \"enrolld=loud\"", vec![], &["log"]),
    ] {
        let (_home, output) = check(toml, &variables);
        assert_eq!(output.status.code(), Some(2), "{toml} {variables:?}: {output:?}");
        assert_eq!(text(&output.stdout), "");
        let told = text(&output.stderr);
        for word in words {
            assert!(told.contains(word), "{toml} {variables:?}: {told}");
        }
    }
}

#[test]
fn a_variable_that_is_no_key_is_warned_of() {
    let (_home, output) = check("", &[("ENROLLD_SOKCET", "/x"), ("ENROLLD_CONFIG_DIR", "/y")]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = text(&output.stderr);
    assert_eq!(told.lines().count(), 2, "{told}");
    assert!(told.contains("warning: ENROLLD_SOKCET: ") && told.contains("\"ENROLLD_SOCKET\"?"), "{told}");
    assert!(told.contains("warning: ENROLLD_CONFIG_DIR: "), "{told}");
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let home = tempfile::tempdir().expect("a directory");
    let output = enrolld(home.path()).args(["--check-config", "--config", "nowhere.toml"]).output().expect("run");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("nowhere.toml"), "{output:?}");
}

#[test]
fn the_example_is_a_configuration() {
    let home = tempfile::tempdir().expect("a directory");
    let example = enrolld(home.path()).arg("--example-config").output().expect("run");
    assert_eq!(example.status.code(), Some(0));
    let (_home, output) = check(&text(&example.stdout), &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn help_and_version_are_told() {
    let home = tempfile::tempdir().expect("a directory");
    for (args, code, words) in [
        (&["--version"][..], 0, concat!("enrolld ", env!("CARGO_PKG_VERSION"))),
        (&["--help"], 0, "Example"),
        (&["--no-such-flag"], 2, "--no-such-flag"),
        (&["serve"], 2, "serve"),
    ] {
        let output = enrolld(home.path()).args(args).output().expect("run");
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        assert!((text(&output.stdout) + &text(&output.stderr)).contains(words), "{args:?}: {output:?}");
    }
}
