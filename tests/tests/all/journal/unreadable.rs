//! A tree that can not be read: after one read that the disk fails there is nothing more to be read of it, whatever the
//! disk does then, and the store says so.

use enroll_core::state::{Store as _, StoreError};
use enroll_tests::disk::Fate;
use enroll_tests::machine::{Liar, Machine, Platters};
use enrolld::storage::journal::JournalStore;
use enrolld::storage::redb::RedbOptions;

use super::{JOURNAL, REDB, put};

const KEYS: usize = 2_000;

/// So that every read is one of the disk.
const UNCACHED: RedbOptions = RedbOptions { cache_bytes: 0, ..REDB };

fn key(number: usize) -> String {
    format!("key {number}")
}

fn filled() -> Platters {
    let machine = Machine::holding(Platters::default());
    let store = machine.open(REDB, JOURNAL).expect("a store");
    (0..KEYS).for_each(|number| store.commit(&put(&key(number), vec![7; 100])).expect("committed"));
    store.close().expect("closed");
    machine.live()
}

/// The reads of all keys, up to the first that fails.
fn read_all(store: &JournalStore) -> Result<(), StoreError> {
    let view = store.view()?;
    (0..KEYS).try_for_each(|number| view.get(key(number).as_bytes()).map(drop))
}

#[test]
fn a_read_that_fails_is_told_and_no_other_succeeds() {
    let platters = filled();
    let sound = Machine::holding(platters.clone()).open(UNCACHED, JOURNAL).expect("a store");
    read_all(&sound).expect("read");
    sound.expect_readable().expect("nothing failed");
    let fails_after_opening = (0..).step_by(20).find_map(|at| {
        let machine = Machine::with(platters.clone(), Fate::FailsOnce(at), Liar::None);
        let store = machine.open(UNCACHED, JOURNAL).ok()?;
        (!machine.has_met_its_fate()).then_some((machine, store))
    });
    let (machine, store) = fails_after_opening.expect("openings are short");
    let failed = read_all(&store).expect_err("a read fails");
    assert!(machine.has_met_its_fate() && matches!(failed, StoreError::Io { .. }), "{failed}");
    let told = store.expect_readable().expect_err("it is told");
    assert_eq!(told.to_string(), failed.to_string());
    // The disk is fine again, and the tree is not.
    read_all(&store).expect_err("no read succeeds");
    let (tell, told) = std::sync::mpsc::channel();
    store.read_failure().tell(move |err| tell.send(err.to_string()).expect("somebody waits"));
    assert_eq!(told.recv(), Ok(failed.to_string()), "also who asks later");
}
