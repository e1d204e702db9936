//! Scheduled backups: `enrolld backup` takes one from a running daemon, rehearses it, keeps the last few, and leaves those
//! that it has alone when it fails. The daemon's status has the time of the last one.

use std::path::{Path, PathBuf};
use std::process::Command;

use enroll_tests::process::{Daemon, Home, Output, run};
use serde_json::Value;

/// A daemon whose configuration has scheduled backups, with a few records.
fn configured(more: &str) -> Daemon {
    let home = Home::make();
    let (socket, state, backups) = (home.socket(), home.state_dir(), home.path("backups"));
    home.configure(&format!("socket = {socket:?}\nstate_dir = {state:?}\n[backup]\ndirectory = {backups:?}\n{more}"));
    let daemon = home.start();
    assert_eq!(daemon.enrollctl(&["person", "create", "DOGGO01a"], "").code, Some(0));
    daemon
}

fn command(daemon: &Daemon, more: &[&str]) -> Command {
    let config = daemon.home.path("enrolld.toml").display().to_string();
    daemon.home.enrolld_with(&[&["backup", "--config", &config], more].concat())
}

fn backup(daemon: &Daemon, more: &[&str]) -> Output {
    run(&mut command(daemon, more), "")
}

/// The backups, oldest first, and whatever else lies beside them.
fn kept(daemon: &Daemon) -> Vec<PathBuf> {
    let entries = daemon.home.path("backups").read_dir().expect("a directory");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// Lets the backups be of earlier days: the times are in their names.
fn age(daemon: &Daemon, day: usize) {
    let is_new = |path: &&PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy();
        name.starts_with("enrolld-") && !name.starts_with("enrolld-2020")
    };
    for path in kept(daemon).iter().filter(is_new) {
        let older = path.with_file_name(format!("enrolld-202001{day:02}T030000Z.backup"));
        std::fs::rename(path, older).expect("renamed");
    }
}

fn last_backup(daemon: &Daemon) -> Value {
    daemon.enrollctl(&["--json", "server", "status"], "").json()["last_backup"].clone()
}

#[test]
fn one_is_taken_rehearsed_and_in_the_status() {
    let daemon = configured("");
    assert_eq!(last_backup(&daemon), Value::Null);
    let taken = backup(&daemon, &[]);
    assert_eq!((taken.code, taken.stderr.as_str()), (Some(0), ""), "{taken:?}");
    assert!(taken.stdout.contains("is a backup that can be restored"), "{taken:?}");
    let kept = kept(&daemon);
    assert_eq!(kept.len(), 1, "{kept:?}");
    let (header, _) = super::backup::read(&std::fs::read(&kept[0]).expect("a backup"));
    assert_eq!(last_backup(&daemon), header.at.to_string());
    let status = daemon.enrollctl(&["--json", "server", "status"], "").json();
    assert_eq!(status["backup_directory"], daemon.home.path("backups").display().to_string());
    let mode = std::os::unix::fs::PermissionsExt::mode(&kept[0].metadata().expect("a file").permissions());
    assert_eq!(mode & 0o777, 0o600, "for its owner alone");
    let restored = super::backup::restored(&kept[0], &daemon.home.state_dir().join("enrolld.key"));
    assert_eq!(restored.enrollctl(&["person", "get", "DOGGO01a"], "").code, Some(0));
    assert_eq!(last_backup(&restored), Value::Null, "of another state directory");
}

#[test]
fn the_time_is_known_after_a_restart() {
    let mut daemon = configured("");
    assert_eq!(backup(&daemon, &[]).code, Some(0));
    let before = last_backup(&daemon);
    assert_eq!(daemon.terminate(), Some(0));
    daemon.restart();
    assert!(before.is_string() && last_backup(&daemon) == before, "{before}");
}

#[test]
fn the_oldest_beyond_those_to_keep_go_when_a_newer_one_is_there() {
    let daemon = configured("keep = 2");
    let foreign = daemon.home.path("backups/registry.backup");
    for day in 1..=4 {
        assert_eq!(backup(&daemon, &[]).code, Some(0), "{day}");
        std::fs::write(&foreign, "of somebody else").expect("written");
        age(&daemon, day);
    }
    let names: Vec<_> = kept(&daemon).iter().filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect();
    assert_eq!(names, ["enrolld-20200103T030000Z.backup", "enrolld-20200104T030000Z.backup", "registry.backup"]);
}

#[test]
fn one_that_is_not_due_is_not_taken() {
    let daemon = configured("");
    for expected in [1, 1] {
        let output = backup(&daemon, &["--if-due"]);
        assert_eq!((output.code, kept(&daemon).len()), (Some(0), expected), "{output:?}");
    }
    age(&daemon, 1);
    assert_eq!(backup(&daemon, &["--if-due"]).code, Some(0));
    assert_eq!(kept(&daemon).len(), 2);
}

/// It says why in one line, and what is kept is what it was.
fn expect_failed(daemon: &Daemon, output: &Output, code: i32, word: &str) {
    assert_eq!((output.code, output.stderr.lines().count()), (Some(code), 1), "{output:?}");
    assert!(output.stderr.contains(word), "{word} is not in {output:?}");
    let kept = kept(daemon);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(kept[0].ends_with("enrolld-20200101T030000Z.backup"), "{kept:?}");
}

#[test]
fn whatever_fails_keeps_the_last_good_one() {
    let mut daemon = configured("keep = 1");
    assert_eq!(backup(&daemon, &[]).code, Some(0));
    age(&daemon, 1);
    let before = last_backup(&daemon);
    // A file that can not grow stands for a full disk.
    let full = command(&daemon, &[]);
    for blocks in [1, 64] {
        let mut shell = daemon.home.command(Path::new("sh"));
        shell.args(["-c", &format!("ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
        let output = run(shell.arg(full.get_program()).args(full.get_args()), "");
        assert_ne!(output.code, Some(0), "{output:?}");
        expect_failed(&daemon, &output, output.code.unwrap_or(-1), "backups");
    }
    // What an interrupted one left is removed by the next.
    std::fs::write(daemon.home.path("backups/.enrolld-backup-x"), "half").expect("written");
    assert_eq!(last_backup(&daemon), before);
    assert_eq!(daemon.terminate(), Some(0));
    expect_failed(&daemon, &backup(&daemon, &[]), 1, "no backup was taken");
    daemon.restart();
    assert_eq!(backup(&daemon, &[]).code, Some(0));
    assert_eq!(kept(&daemon).len(), 1);
    assert_ne!(last_backup(&daemon), before);
}

#[test]
fn without_a_directory_none_is_taken_and_two_at_a_time_are_one() {
    let daemon = Daemon::start();
    let none = backup(&daemon, &["--if-due"]);
    assert!(none.code == Some(2) && none.stderr.contains("set directory in [backup]"), "{none:?}");
    let daemon = configured("");
    assert_eq!(backup(&daemon, &[]).code, Some(0));
    age(&daemon, 1);
    let directory = std::fs::File::open(daemon.home.path("backups")).expect("a directory");
    let _held = nix::fcntl::Flock::lock(directory, nix::fcntl::FlockArg::LockExclusive).expect("a lock");
    expect_failed(&daemon, &backup(&daemon, &[]), 1, "another backup is being taken");
}
