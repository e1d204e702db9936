//! Offline commands on a stopped daemon's files by another user: by root, with the key somewhere else, and on a disk
//! that is only read.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use enroll_tests::process::{Daemon, Output, run};
use enroll_tests::skip::{is_root, may_mount};

use super::files;

/// The owner of the state directory that root works on.
const OWNER: u32 = 65_533;

/// A stopped daemon with a backup, whose key is outside of its state directory; and the key.
fn stopped() -> (Daemon, String) {
    let mut daemon = Daemon::start();
    assert_eq!(daemon.enrollctl(&["token", "use"], "nonce").code, Some(0));
    assert_eq!(daemon.enrollctl(&["server", "backup", "registry.backup"], "").code, Some(0));
    assert_eq!(daemon.terminate(), Some(0));
    let keys = daemon.home.path("keys");
    fs::create_dir(&keys).expect("a directory");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o700)).expect("a mode");
    let key = keys.join("site.key");
    fs::rename(daemon.home.state_dir().join("enrolld.key"), &key).expect("moved");
    (daemon, key.display().to_string())
}

fn offline(daemon: &Daemon, args: &[&str]) -> Output {
    let state = daemon.home.state_dir().display().to_string();
    run(&mut daemon.home.enrolld_with(&[args, &["--state-dir", &state]].concat()), "")
}

fn expect_done(output: &Output, word: &str) {
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{output:?}");
    assert!(output.stdout.contains(word), "{word}: {output:?}");
}

fn backup_of(daemon: &Daemon) -> String {
    daemon.home.path("registry.backup").display().to_string()
}

#[test]
fn every_command_takes_the_key_that_is_named() {
    let (mut daemon, key) = stopped();
    let (named, backup) = (["--key-file", &key], backup_of(&daemon));
    let with = |args: &[&str]| offline(&daemon, &[args, &named].concat());
    expect_done(&with(&["check"]), "the right one");
    expect_done(&offline(&daemon, &["check"]), "--key-file");
    expect_done(&with(&["compact"]), "now");
    expect_done(&with(&["restore", &backup, "--check"]), "the right one");
    let refused = offline(&daemon, &["rotate-key"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(4), ""), "{refused:?}");
    assert!(refused.stderr.contains("--key-file"), "{refused:?}");
    for args in [&["check"][..], &["compact"], &["rotate-key"], &["restore", &backup, "--check"]] {
        let refused = offline(&daemon, &[args, &["--key-file", "elsewhere.key"]].concat());
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(4), ""), "{refused:?}");
        assert!(refused.stderr.contains("elsewhere.key: there is no such file"), "{refused:?}");
    }
    let before = fs::read(&key).expect("a key");
    expect_done(&with(&["rotate-key"]), &key);
    assert_eq!(fs::read(format!("{key}.old")).expect("the key before"), before);
    fs::remove_dir_all(daemon.home.state_dir()).expect("removed");
    let old = format!("{key}.old");
    let restored = offline(&daemon, &["restore", &backup, "--key-file", &old]);
    expect_done(&restored, "forgotten");
    fs::rename(&old, daemon.home.state_dir().join("enrolld.key")).expect("moved");
    daemon.restart();
    assert!(daemon.enrollctl(&["token", "use"], "nonce").stderr.contains("token_reuse"));
}

/// Every file of a directory belongs to this user, and is closed to others.
fn expect_owned(directory: &Path, uid: u32) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("an entry");
        let metadata = entry.metadata().expect("metadata");
        let is_right = (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777) == (uid, uid, 0o600);
        assert!(is_right, "{}: {metadata:?}", entry.path().display());
    }
}

#[test]
fn what_root_makes_belongs_to_the_owner_of_the_directory() {
    if !is_root("what_root_makes_belongs_to_the_owner_of_the_directory") {
        return;
    }
    let (daemon, key) = stopped();
    let (state, backup) = (daemon.home.state_dir(), backup_of(&daemon));
    fs::remove_file(state.join("lock")).expect("removed");
    for path in files(&state).keys().map(|name| state.join(name)).chain([state.clone()]) {
        chown(path, Some(OWNER), Some(OWNER)).expect("an owner");
    }
    let named = ["--key-file", &key];
    for args in [&["check"][..], &["compact"], &["rotate-key"], &["check"]] {
        let done = offline(&daemon, &[args, &named].concat());
        assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{args:?}: {done:?}");
        expect_owned(&state, OWNER);
    }
    expect_owned(&daemon.home.path("keys"), 0);
    // A key in the directory is the owner's too, and so is its replacement.
    fs::rename(&key, state.join("enrolld.key")).expect("moved");
    let refused = offline(&daemon, &["rotate-key"]);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert!(refused.stderr.contains("chown 65533:65533"), "{refused:?}");
    chown(state.join("enrolld.key"), Some(OWNER), Some(OWNER)).expect("an owner");
    expect_done(&offline(&daemon, &["rotate-key"]), "enrolld.key.old");
    expect_owned(&state, OWNER);
    for name in files(&state).keys() {
        fs::remove_file(state.join(name)).expect("removed");
    }
    let old = format!("{key}.old");
    expect_done(&offline(&daemon, &["restore", &backup, "--key-file", &old]), "forgotten");
    expect_owned(&state, OWNER);
    assert_eq!(fs::metadata(&state).expect("metadata").uid(), OWNER);
}

#[test]
fn a_check_makes_no_lock() {
    let (daemon, key) = stopped();
    fs::remove_file(daemon.home.state_dir().join("lock")).expect("removed");
    let before = files(&daemon.home.state_dir());
    expect_done(&offline(&daemon, &["check", "--key-file", &key]), "the right one");
    assert!(files(&daemon.home.state_dir()) == before, "it was changed");
}

#[test]
fn a_database_on_a_disk_that_is_only_read_is_checked() {
    if !may_mount("a_database_on_a_disk_that_is_only_read_is_checked") {
        return;
    }
    let (daemon, key) = stopped();
    let state = daemon.home.state_dir().display().to_string();
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && ! touch \"$1/lock\" 2>/dev/null || exit 77; \
                  exec \"$0\" check --state-dir \"$1\" --key-file \"$2\"";
    let enrolld = daemon.home.enrolld();
    for has_lock in [true, false] {
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "sh", "-c", script]).arg(enrolld.get_program()).args([&state, &key]);
        expect_done(&run(&mut unshare, ""), "the right one");
        if has_lock {
            fs::remove_file(daemon.home.state_dir().join("lock")).expect("removed");
        }
    }
}
