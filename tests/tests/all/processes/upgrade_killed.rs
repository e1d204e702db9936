//! Migrations that are killed or fail: at every sync, at the copy and at every rename of a start, by way of strace. The next start
//! does it again or finds it done; no state in between has a schema without its records, or no copy to go back to.

use std::path::Path;
use std::process::Command;

use enroll_core::rules::bootstrap::{OLDEST_SCHEMA, SCHEMA};
use enroll_tests::oracle::Map;
use enroll_tests::process::{Home, count, run_refused};
use enroll_tests::skip::{may_trace, say};

use super::databases::{home_of, schema_of};
use super::upgrade::{NOT_MIGRATED, copies, database, entries};
use super::{expect_sound, files};

/// The calls at which a start is killed. The copy is one call, or a few; everything that is durable is so by a sync.
const CALLS: &[&str] = &["fdatasync", "fsync", "copy_file_range", "renameat"];

/// The daemon of this directory, with this done to the call of this number, counted from 1, if it makes so many.
fn traced(home: &Home, call: &str, what: &str, number: usize) -> Command {
    let enrolld = home.enrolld();
    let mut strace = home.command(Path::new("strace"));
    // With -D the daemon, not strace, is the process that was started.
    strace.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={call}:{what}:when={number}")]);
    strace.arg(enrolld.get_program()).args(enrolld.get_args());
    strace
}

/// The files that a kill may leave: the older database as it was, or the migrated one with its copy.
fn expect_whole(home: &Home, before: &Map, at: &str) {
    let copies = copies(home);
    assert!(copies.len() <= 1, "{at}: {copies:?}");
    for copy in &copies {
        assert!(entries(copy) == *before, "{at}: a copy that is not whole");
    }
    match schema_of(&database(home)) {
        OLDEST_SCHEMA => assert!(entries(&database(home)) == *before, "{at}: half a migration"),
        SCHEMA => assert_eq!(copies.len(), 1, "{at}: no way back"),
        other => panic!("{at}: schema {other}"),
    }
}

#[test]
fn a_migration_that_is_killed_anywhere_is_done_by_the_next_start() {
    if !may_trace("a_migration_that_is_killed_anywhere_is_done_by_the_next_start") {
        return;
    }
    let before = entries(&database(&home_of(OLDEST_SCHEMA)));
    let (mut kills, mut older, mut migrated) = (0, 0, 0);
    for call in CALLS {
        for number in 1.. {
            let (home, at) = (home_of(OLDEST_SCHEMA), format!("{call} {number}"));
            let output = run_refused(&mut traced(&home, call, "signal=KILL", number));
            if !output.stdout.is_empty() {
                break;
            }
            assert_eq!(output.code, None, "{at}: {output:?}");
            expect_whole(&home, &before, &at);
            kills += 1;
            match schema_of(&database(&home)) {
                SCHEMA => migrated += 1,
                _ => older += 1,
            }
            let daemon = home.start();
            expect_sound(&daemon);
            assert!(daemon.enrollctl(&["token", "use"], "kept nonce").stderr.contains("token_reuse"), "{at}");
            assert!(count(&daemon, "person") > 0, "{at}");
            assert_eq!(copies(&daemon.home).len(), 1, "{at}: one copy, however often it was begun");
        }
    }
    say(&format!("{kills} kills of a migration: {older} left the older database, {migrated} the migrated one"));
    assert!(older > 0 && migrated > 0, "{older} and {migrated}: no kill met the transaction");
}

#[test]
fn a_copy_that_does_not_fit_leaves_the_database_and_no_half_of_itself() {
    if !may_trace("a_copy_that_does_not_fit_leaves_the_database_and_no_half_of_itself") {
        return;
    }
    let home = home_of(OLDEST_SCHEMA);
    let before = entries(&database(&home));
    let output = run_refused(&mut traced(&home, "copy_file_range", "error=ENOSPC", 1));
    assert_eq!(output.code, Some(NOT_MIGRATED), "{output:?}");
    for words in [".schema-4.", "No space left on device", "make room there", "it is as it was"] {
        assert!(output.stderr.contains(words), "{words}: {output:?}");
    }
    assert!(entries(&database(&home)) == before);
    let left: Vec<_> = files(&home.state_dir()).into_keys().collect();
    assert_eq!(left, ["enrolld.key", "enrolld.redb", "lock"]);
    expect_sound(&home.start());
}
