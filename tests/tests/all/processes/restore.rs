//! Offline commands on the database of a stopped daemon: restoring, compacting, checking. Each says in one line why it
//! does not, with an exit code of its own, and then has changed nothing.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use enroll_core::model::key;
use enroll_core::state::Store as _;
use enroll_tests::process::{Daemon, Home, Output, PATIENCE, run};
use enrolld::storage::redb::{RedbOptions, RedbStore};

use super::backup::{read, restored, spend};
use super::{expect_sound, files};
use enroll_tests::socket::Socket;

const NAME: &str = "registry.backup";

/// A stopped daemon in whose directory lies a backup of what it knows.
fn backed_up(tokens: usize) -> Daemon {
    let mut daemon = Daemon::start();
    spend(&mut Socket::connect(&daemon.home.socket()), 0..tokens);
    assert_eq!(daemon.enrollctl(&["token", "use"], "nonce").code, Some(0));
    assert_eq!(daemon.enrollctl(&["server", "backup", NAME], "").code, Some(0));
    assert_eq!(daemon.terminate(), Some(0));
    daemon
}

/// A directory with the key of another registry and nothing else.
fn with_key_of(daemon: &Daemon) -> Home {
    let home = Home::make();
    std::fs::create_dir(home.state_dir()).expect("a directory");
    std::fs::copy(daemon.home.state_dir().join("enrolld.key"), home.state_dir().join("enrolld.key")).expect("copied");
    home
}

fn restore(home: &Home, backup: &Path, more: &[&str]) -> Output {
    let (backup, state_dir) = (backup.display().to_string(), home.state_dir().display().to_string());
    let args = [&["restore", &backup, "--state-dir", &state_dir], more].concat();
    run(&mut home.enrolld_with(&args), "")
}

fn on_database(home: &Home, command: &str) -> Output {
    let state_dir = home.state_dir().display().to_string();
    run(&mut home.enrolld_with(&[command, "--state-dir", &state_dir]), "")
}

/// It says why in one line, with these words.
fn expect_said(output: &Output, code: i32, words: &[&str]) {
    assert_eq!((output.code, output.stdout.as_str()), (Some(code), ""), "{output:?}");
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    for word in words {
        assert!(output.stderr.contains(word), "{word} is not in {output:?}");
    }
}

/// Restoring is refused, and leaves the directory as it was but for its lock.
fn expect_refused(home: &Home, backup: &Path, code: i32, words: &[&str]) {
    let before = files(&home.state_dir());
    expect_said(&restore(home, backup, &[]), code, words);
    let mut after = files(&home.state_dir());
    if !before.contains_key("lock") {
        after.remove("lock");
    }
    assert!(after == before, "{:?} instead of {:?}", after.keys(), before.keys());
}

#[test]
fn a_file_that_is_not_as_it_was_written_is_refused() {
    let daemon = backed_up(50);
    let whole = std::fs::read(daemon.home.path(NAME)).expect("a backup");
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    let home = with_key_of(&daemon);
    let (middle, end) = (whole.len() / 2, whole.len());
    for (bytes, word) in [
        (whole[..middle].to_vec(), "cut off"),
        (whole[..end - 1].to_vec(), "cut off"),
        (flipped(middle), "damaged"),
        (flipped(end - 1), "damaged"),
        (flipped(9), "format"),
        ([whole.as_slice(), b"\n"].concat(), "something follows"),
        (Vec::new(), "no backup"),
        (b"SQLite format 3\0".repeat(100), "no backup"),
    ] {
        let file = home.path("file");
        std::fs::write(&file, bytes).expect("written");
        expect_refused(&home, &file, 5, &["file", word]);
        expect_said(&restore(&home, &file, &["--check"]), 5, &["file", word]);
    }
    expect_said(&restore(&home, &home.path("nowhere"), &[]), 1, &["nowhere"]);
}

#[test]
fn a_database_that_is_there_is_left_alone() {
    let mut daemon = backed_up(5);
    let backup = daemon.home.path(NAME);
    expect_refused(&daemon.home, &backup, 1, &["enrolld.redb is there already", "move it away"]);
    daemon.restart();
    expect_said(&restore(&daemon.home, &backup, &[]), 3, &["in use"]);
    expect_said(&on_database(&daemon.home, "compact"), 3, &["in use"]);
    expect_said(&on_database(&daemon.home, "check"), 3, &["in use"]);
    let rehearsed = restore(&daemon.home, &backup, &["--check"]);
    assert_eq!(rehearsed.code, Some(0), "a rehearsal meets nobody: {rehearsed:?}");
    expect_sound(&daemon);
}

#[test]
fn a_backup_needs_the_key_that_its_registry_had() {
    let daemon = backed_up(5);
    let (backup, home) = (daemon.home.path(NAME), Home::make());
    std::fs::create_dir(home.state_dir()).expect("a directory");
    expect_refused(&home, &backup, 4, &["enrolld.key is missing", NAME, "put the key back"]);
    let rehearsed = restore(&home, &backup, &["--check"]);
    assert_eq!(rehearsed.code, Some(0), "{rehearsed:?}");
    assert!(rehearsed.stdout.contains("not compared") && rehearsed.stdout.contains("enrolld.key"), "{rehearsed:?}");
    let stranger = with_key_of(&backed_up(0));
    expect_refused(&stranger, &backup, 4, &["not the secret key"]);
    expect_said(&restore(&stranger, &backup, &["--check"]), 4, &["not the secret key"]);
}

#[test]
fn a_rehearsal_leaves_nothing() {
    let daemon = backed_up(5);
    let home = Home::make();
    let rehearsed = restore(&home, &daemon.home.path(NAME), &["--check"]);
    assert_eq!(rehearsed.code, Some(0), "{rehearsed:?}");
    assert!(rehearsed.stdout.contains("nothing was changed"), "{rehearsed:?}");
    assert!(!home.state_dir().exists());
}

#[test]
fn a_restore_that_is_killed_leaves_no_database_and_can_be_begun_again() {
    // More than is committed at a time.
    let daemon = backed_up(2500);
    let whole = std::fs::read(daemon.home.path(NAME)).expect("a backup");
    let home = with_key_of(&daemon);
    let state_dir = home.state_dir().display().to_string();
    for part in [1, whole.len() * 9 / 10, whole.len()] {
        let mut command = home.enrolld_with(&["restore", "-", "--state-dir", &state_dir]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("started");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(&whole[..part]).expect("it reads");
        // The pipe is still open, so it waits for more, whatever it has got.
        child.kill().expect("killed");
        child.wait().expect("ended");
        assert!(!home.state_dir().join("enrolld.redb").exists(), "killed behind {part} bytes");
    }
    let backup = daemon.home.path(NAME);
    let output = restore(&home, &backup, &[]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let names: Vec<_> = files(&home.state_dir()).into_keys().collect();
    assert_eq!(names, ["enrolld.key", "enrolld.redb", "lock"]);
    let daemon = home.start();
    let again = daemon.enrollctl(&["token", "use"], "nonce");
    assert!(again.stderr.contains("token_reuse"), "{again:?}");
    expect_sound(&daemon);
}

/// Takes the head of the changes out of a stopped daemon's database.
fn make_unsound(home: &Home) {
    let mut options = std::fs::OpenOptions::new();
    let file = options.read(true).write(true).open(home.state_dir().join("enrolld.redb")).expect("a database");
    let store = RedbStore::open(file, RedbOptions { cache_bytes: 1 << 20, verify: true }).expect("a database");
    store.commit(&[(key::changes_head(), None)].into()).expect("committed");
    store.close().expect("closed");
}

#[test]
fn what_does_not_hold_is_listed_and_not_restored() {
    let mut daemon = backed_up(5);
    make_unsound(&daemon.home);
    let checked = on_database(&daemon.home, "check");
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(5), ""), "{checked:?}");
    assert!(checked.stdout.contains("I4 ") && checked.stdout.contains("I5 "), "{checked:?}");
    daemon.restart();
    assert_eq!(daemon.enrollctl(&["server", "backup", "unsound.backup"], "").code, Some(0));
    let home = with_key_of(&daemon);
    expect_refused(&home, &daemon.home.path("unsound.backup"), 5, &["not sound", "I4"]);
}

#[test]
fn a_check_changes_nothing_whatever_it_finds() {
    let mut daemon = backed_up(200);
    let database = daemon.home.state_dir().join("enrolld.redb");
    let expect = |home: &Home, words: &[&str]| {
        let before = files(&home.state_dir());
        let checked = on_database(home, "check");
        assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""), "{checked:?}");
        words.iter().for_each(|word| assert!(checked.stdout.contains(word), "{word}: {checked:?}"));
        assert!(files(&home.state_dir()) == before, "it was changed");
    };
    expect(&daemon.home, &["sound", "the right one", "closed      in good order"]);
    daemon.restart();
    spend(&mut Socket::connect(&daemon.home.socket()), 200..300);
    daemon.kill9();
    expect(&daemon.home, &["sound", "latest change 301", "the next start repairs it"]);
    let (key, away) = (daemon.home.state_dir().join("enrolld.key"), daemon.home.path("key"));
    std::fs::rename(&key, &away).expect("moved");
    expect(&daemon.home, &["sound", "not compared"]);
    std::fs::rename(&away, &key).expect("moved back");

    let right = std::fs::read(&database).expect("a database");
    let at = right.windows(100).position(|window| window == [b'x'; 100]).expect("an audit");
    let mut flipped = right.clone();
    flipped[at] ^= 1;
    for damaged in [flipped, right[..right.len() / 2].to_vec(), Vec::new()] {
        std::fs::write(&database, &damaged).expect("written");
        expect_said(&on_database(&daemon.home, "check"), 5, &["enrolld.redb"]);
        assert!(std::fs::read(&database).expect("a database") == damaged, "it was changed");
    }
    std::fs::write(&database, right).expect("written");
    daemon.restart();
    expect_sound(&daemon);
}

#[test]
fn compacting_makes_it_smaller_and_loses_nothing() {
    let mut daemon = backed_up(1000);
    let bytes =
        |daemon: &Daemon| std::fs::metadata(daemon.home.state_dir().join("enrolld.redb")).expect("a file").len();
    let before = bytes(&daemon);
    let output = on_database(&daemon.home, "compact");
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{output:?}");
    let after = bytes(&daemon);
    assert!(after < before, "{before} bytes before, {after} after");
    assert!(output.stdout.contains(&format!("{before} bytes before, {after} now")), "{output:?}");
    daemon.restart();
    expect_sound(&daemon);
    assert_eq!(daemon.enrollctl(&["server", "backup", "compacted"], "").code, Some(0));
    let read = |name| read(&std::fs::read(daemon.home.path(name)).expect("a backup")).1;
    assert!(read(NAME) == read("compacted"));
}

#[test]
fn where_there_is_no_database_none_is_made() {
    let home = Home::make();
    std::fs::create_dir(home.state_dir()).expect("a directory");
    for command in ["check", "compact"] {
        expect_said(&on_database(&home, command), 5, &["no database", "--state-dir"]);
        assert!(files(&home.state_dir()).is_empty());
    }
}

/// The daemon of a restored registry goes on where the backup was taken, under a key that was used before.
#[test]
fn kept_answers_come_back_with_everything_else() {
    let daemon = Daemon::start();
    let spend = ["token", "use", "--json", "--key", "019aab01-997b-774b-bfff-ffffffffffff"];
    let first = daemon.enrollctl(&spend, "nonce");
    assert_eq!(daemon.enrollctl(&["server", "backup", NAME], "").code, Some(0));
    assert_eq!(daemon.enrollctl(&["token", "use"], "later").code, Some(0));
    let mut restored = restored(&daemon.home.path(NAME), &daemon.home.state_dir().join("enrolld.key"));
    assert_eq!(restored.enrollctl(&spend, "nonce"), first);
    assert_eq!(restored.enrollctl(&["token", "use"], "later").code, Some(0), "what came later is not known");
    restored.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(restored.ended(PATIENCE), Some(0));
}

/// Commits that are in the journal only.
#[test]
fn what_only_the_journal_has_is_checked_moved_and_not_restored_over() {
    let mut daemon = backed_up(5);
    let backup = daemon.home.path(NAME);
    daemon.restart();
    spend(&mut Socket::connect(&daemon.home.socket()), 100..150);
    assert_eq!(daemon.enrollctl(&["server", "backup", "later"], "").code, Some(0));
    let (header, entries) = read(&std::fs::read(daemon.home.path("later")).expect("a backup"));
    daemon.kill9();

    let before = files(&daemon.home.state_dir());
    let checked = on_database(&daemon.home, "check");
    assert_eq!(checked.code, Some(0), "{checked:?}");
    for words in
        ["sound", &format!("{} entries, latest change {}", entries.len(), header.changes_head), "not in good order"]
    {
        assert!(checked.stdout.contains(words), "{words}: {checked:?}");
    }
    assert!(files(&daemon.home.state_dir()) == before, "it was looked at, and nothing changed");

    // A directory whose database was moved away, and its journal was not.
    let database = daemon.home.state_dir().join("enrolld.redb");
    let aside = daemon.home.path("aside");
    std::fs::rename(&database, &aside).expect("moved");
    expect_refused(&daemon.home, &backup, 1, &["enrolld.journal.0 is there already", "move it away"]);
    std::fs::rename(&aside, &database).expect("moved back");

    let compacted = on_database(&daemon.home, "compact");
    assert_eq!(compacted.code, Some(0), "{compacted:?}");
    let checked = on_database(&daemon.home, "check");
    assert!(checked.stdout.contains("in good order") && !checked.stdout.contains("not in good"), "{checked:?}");
    // The database has all now.
    for (name, _) in files(&daemon.home.state_dir()).iter().filter(|(name, _)| name.contains("journal")) {
        std::fs::remove_file(daemon.home.state_dir().join(name)).expect("removed");
    }
    daemon.restart();
    assert_eq!(daemon.enrollctl(&["server", "backup", "again"], "").code, Some(0));
    assert!(read(&std::fs::read(daemon.home.path("again")).expect("a backup")).1 == entries);
    expect_sound(&daemon);
}
