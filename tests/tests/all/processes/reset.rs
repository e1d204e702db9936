//! Identities of machines: `enrolld make-key` makes a secret key once and never over another or for a registry that has
//! one, and `enrolld reset` removes key, registry and socket, but no records unless it is told to.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

use enroll_tests::process::{Daemon, Home, Output, run};

use super::files;

fn make_key(home: &Home, file: &Path) -> Output {
    let (file, state_dir) = (file.display().to_string(), home.state_dir().display().to_string());
    run(&mut home.enrolld_with(&["make-key", &file, "--state-dir", &state_dir]), "")
}

fn reset(home: &Home, more: &[&str], answer: &str) -> Output {
    home.configure(&format!("socket = {:?}", home.socket()));
    reset_as_configured(home, more, answer)
}

fn reset_as_configured(home: &Home, more: &[&str], answer: &str) -> Output {
    let (config, state_dir) = (home.path("enrolld.toml").display().to_string(), home.state_dir().display().to_string());
    let args = [&["reset", "--config", &config, "--state-dir", &state_dir], more].concat();
    run(&mut home.enrolld_with(&args), answer)
}

fn expect_refused(output: &Output, code: i32, word: &str) {
    assert_eq!((output.code, output.stderr.lines().count()), (Some(code), 1), "{output:?}");
    assert!(output.stderr.contains(word), "{word} is not in {output:?}");
}

#[test]
fn a_key_is_made_once_and_is_that_of_the_registry() {
    let home = Home::make();
    let key = home.path("enrolld.key");
    let made = make_key(&home, &key);
    assert_eq!((made.code, made.stderr.as_str()), (Some(0), ""), "{made:?}");
    assert!(made.stdout.contains(&key.display().to_string()) && made.stdout.contains("keep a copy"), "{made:?}");
    assert_eq!(key.metadata().expect("a key").permissions().mode() & 0o7777, 0o600);
    let before = std::fs::read(&key).expect("a key");
    expect_refused(&make_key(&home, &key), 1, "never replaced");
    assert_eq!(std::fs::read(&key).expect("a key"), before);
    assert!(!home.state_dir().exists(), "it makes nothing else");

    home.configure(&format!("key_file = {key:?}"));
    let mut daemon = home.start();
    assert_eq!(daemon.enrollctl(&["server", "check"], "").code, Some(0));
    assert_eq!(daemon.terminate(), Some(0));
    // A registry whose key is missing needs that one.
    std::fs::rename(&key, daemon.home.path("aside")).expect("renamed");
    expect_refused(&make_key(&daemon.home, &key), 4, "put that back");
    assert!(!key.exists());
    // Nor does it follow a link that leads nowhere.
    std::os::unix::fs::symlink("nowhere", &key).expect("a link");
    expect_refused(&make_key(&Home::make(), &key), 1, "never replaced");
    expect_refused(&make_key(&Home::make(), &daemon.home.path("nowhere/enrolld.key")), 4, "nowhere");
}

/// A stopped daemon, and its socket file as one that was killed leaves it.
fn stopped(people: &[&str]) -> Daemon {
    let mut daemon = Daemon::start();
    for callsign in people {
        assert_eq!(daemon.enrollctl(&["person", "create", callsign], "").code, Some(0));
    }
    assert_eq!(daemon.terminate(), Some(0));
    drop(UnixListener::bind(daemon.home.socket()).expect("a socket"));
    daemon
}

#[test]
fn nothing_is_left_but_the_configuration_and_the_next_start_begins_anew() {
    let mut daemon = stopped(&[]);
    let key = std::fs::read(daemon.home.state_dir().join("enrolld.key")).expect("a key");
    std::fs::write(daemon.home.state_dir().join("notes"), "of somebody").expect("written");
    let before = files(&daemon.home.state_dir());
    for answer in ["", "no\n", "y\n"] {
        let output = reset(&daemon.home, &[], answer);
        expect_refused(&output, 1, "nothing was removed");
        for name in ["enrolld.key", "enrolld.redb", "enrolld.journal.0", "enrolld.sock"] {
            assert!(output.stdout.contains(name), "{name} is not in {output:?}");
        }
        assert!(files(&daemon.home.state_dir()) == before && daemon.home.socket().exists());
    }
    let output = reset(&daemon.home, &[], "yes\n");
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{output:?}");
    assert_eq!(files(&daemon.home.state_dir()).into_keys().collect::<Vec<_>>(), ["lock", "notes"]);
    assert!(!daemon.home.socket().exists());
    let again = reset(&daemon.home, &["--yes"], "");
    assert!(again.code == Some(0) && again.stdout.contains("there is no registry"), "{again:?}");
    daemon.restart();
    assert_ne!(std::fs::read(daemon.home.state_dir().join("enrolld.key")).expect("a key"), key);
    expect_refused(&reset(&daemon.home, &["--yes"], ""), 3, "in use");
}

#[test]
fn backups_stay_and_are_named() {
    let daemon = stopped(&[]);
    let backups = daemon.home.path("backups");
    std::fs::create_dir(&backups).expect("a directory");
    daemon.home.configure(&format!("socket = {:?}\n[backup]\ndirectory = {backups:?}\n", daemon.home.socket()));
    std::fs::write(backups.join("enrolld-20270115T080000Z.backup"), "").expect("written");
    let output = reset_as_configured(&daemon.home, &["--yes"], "");
    let named = format!("the backups in {} stay", backups.display());
    assert!(output.code == Some(0) && output.stdout.contains(&named), "{output:?}");
}

#[test]
fn records_are_removed_only_where_that_is_said() {
    let daemon = stopped(&["DOGGO01a", "DOGGO02b"]);
    let before = files(&daemon.home.state_dir());
    expect_refused(&reset(&daemon.home, &["--yes"], ""), 1, "person 2");
    assert!(files(&daemon.home.state_dir()) == before);
    assert_eq!(reset(&daemon.home, &["--yes", "--with-records"], "").code, Some(0));
    assert_eq!(files(&daemon.home.state_dir()).into_keys().collect::<Vec<_>>(), ["lock"]);
}

#[test]
fn a_key_elsewhere_goes_too_with_the_one_before_it() {
    let home = Home::make();
    let key = home.path("keys/enrolld.key");
    std::fs::create_dir(home.path("keys")).expect("a directory");
    assert_eq!(make_key(&home, &key).code, Some(0));
    std::fs::copy(&key, home.path("keys/enrolld.key.old")).expect("copied");
    std::fs::write(home.path("keys/ca.key"), "another").expect("written");
    let file = key.display().to_string();
    let output = reset(&home, &["--yes", "--key-file", &file], "");
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(files(&home.path("keys")).into_keys().collect::<Vec<_>>(), ["ca.key"]);
}
