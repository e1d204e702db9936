//! The journal's files beside their database: which may be removed, and the errors for missing ones.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use enroll_core::state::Store as _;
use enroll_tests::oracle::{Map, everything};
use enrolld::metrics::JournalFigures;
use enrolld::storage::journal::{JournalOptions, JournalStore};
use enrolld::storage::open::{DATABASE, OpenError, OpenOptions, StateDir};
use tempfile::TempDir;

use super::{JOURNAL, put};

fn options(identity: u64) -> OpenOptions {
    OpenOptions { cache_bytes: 1 << 20, verify_bytes_max: u64::MAX, journal: JournalOptions { identity, ..JOURNAL } }
}

fn open(directory: &Path, identity: u64) -> Result<JournalStore, OpenError> {
    StateDir::lock(directory)?.open_database(&options(identity), JournalFigures::default())
}

fn all(directory: &Path) -> Map {
    // The identity in the options is not used if the database has a journal already.
    everything(&open(directory, 99).expect("it opens")).expect("read")
}

/// A directory after three committed batches, all in the journal and none in the database; and the batches.
fn killed() -> (TempDir, Map) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path(), 1).expect("a database");
    for key in ["a", "b", "c"] {
        store.commit(&put(key, vec![7; 3000])).expect("committed");
    }
    let held = everything(&store).expect("read");
    assert_eq!(held.len(), 3);
    (directory, held)
}

fn journal(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("enrolld.journal.")))
        .collect();
    found.sort();
    found
}

/// The error of opening it; the journal stays as it was.
fn refusal(directory: &Path) -> String {
    let bytes = |paths: Vec<std::path::PathBuf>| -> Vec<_> {
        paths.into_iter().map(|path| std::fs::read(path).expect("readable")).collect()
    };
    let before = bytes(journal(directory));
    let said = open(directory, 99).err().expect("it does not open").to_string();
    assert!(bytes(journal(directory)) == before, "{said}");
    said
}

#[test]
fn what_was_not_closed_is_replayed_and_what_was_closed_needs_no_journal() {
    let (directory, held) = killed();
    let path = directory.path();
    assert!(journal(path).len() > 1, "{:?}", journal(path));
    for file in journal(path) {
        assert_eq!(file.metadata().expect("metadata").permissions().mode() & 0o7777, 0o600);
    }
    assert_eq!(all(path), held);
    open(path, 99).expect("it opens").close().expect("closed");
    journal(path).iter().for_each(|file| std::fs::remove_file(file).expect("removed"));
    assert_eq!(all(path), held);
    assert_eq!(journal(path).len(), 1, "it has a journal again");
}

#[test]
fn a_segment_that_is_missing_is_named() {
    let (directory, held) = killed();
    let path = directory.path();
    let files = journal(path);
    for file in &files {
        let aside = path.join("aside");
        std::fs::rename(file, &aside).expect("moved");
        let said = refusal(path);
        assert!(said.contains("the journal is damaged: segment ") && said.contains(" is missing"), "{said}");
        std::fs::rename(&aside, file).expect("moved back");
    }
    files.iter().for_each(|file| std::fs::rename(file, path.join(file.file_stem().expect("a name"))).expect("moved"));
    std::fs::remove_file(path.join("enrolld.journal")).expect("removed");
    assert!(refusal(path).contains("is missing"));
    drop(held);
}

#[test]
fn a_journal_without_its_database_or_with_another_one_is_refused() {
    let (directory, held) = killed();
    let (path, database) = (directory.path(), directory.path().join(DATABASE));
    let aside = path.join("aside");
    std::fs::rename(&database, &aside).expect("moved");
    let said = refusal(path);
    assert!(said.contains("enrolld.journal.0 belongs to a database that is not here"), "{said}");
    assert!(!database.exists(), "none was made");

    let other = tempfile::tempdir().expect("a directory");
    open(other.path(), 2).expect("a database").close().expect("closed");
    std::fs::copy(other.path().join(DATABASE), &database).expect("copied");
    std::fs::set_permissions(&database, std::fs::Permissions::from_mode(0o600)).expect("closed to others");
    let said = refusal(path);
    assert!(said.contains("enrolld.journal.0 belongs to a database that is not here"), "{said}");

    std::fs::rename(&aside, &database).expect("moved back");
    assert_eq!(all(path), held, "nothing of it was lost");
}

/// A copy of the database from before its journal's segments were recycled.
#[test]
fn an_older_copy_of_the_database_is_refused_where_its_journal_went_on() {
    let (directory, _) = killed();
    let path = directory.path();
    open(path, 99).expect("it opens").close().expect("closed");
    let store = open(path, 99).expect("it opens");
    std::fs::copy(path.join(DATABASE), path.join("older")).expect("copied");
    for number in 0..12 {
        store.commit(&put(&format!("later {number}"), vec![7; 3000])).expect("committed");
        store.flush().expect("flushed");
    }
    drop(store);
    std::fs::rename(path.join("older"), path.join(DATABASE)).expect("moved");
    std::fs::set_permissions(path.join(DATABASE), std::fs::Permissions::from_mode(0o600)).expect("closed to others");
    let said = refusal(path);
    assert!(said.contains("the journal is damaged: segment ") && said.contains("is missing"), "{said}");
}
