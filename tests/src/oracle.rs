//! A test oracle for stores: it records every commit, and compares what a store holds after a crash with what it must hold.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use enroll_core::state::{Store, StoreError, View, Writes};
use enrolld::storage::redb::{RedbOptions, RedbStore};

use crate::disk::SimulatedDisk;
use crate::registry::Registry;

/// Everything that a store holds.
pub type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// The fate of a batch whose commit failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No commit had failed.
    Nothing,
    /// The whole batch is there.
    Done,
    /// Nothing of it is there.
    Undone,
}

/// The content that a store must have.
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    /// The entries of all commits that returned.
    committed: Map,
    /// The batch whose commit failed, if one did.
    doubtful: Option<Writes>,
}

/// A store that passes everything on to another one and records its commits.
pub struct Recorder {
    store: Arc<dyn Store>,
    oracle: Arc<Mutex<Oracle>>,
}

impl Recorder {
    /// Records the commits of this store.
    pub fn of(store: Arc<dyn Store>, oracle: &Arc<Mutex<Oracle>>) -> Self {
        Self { store, oracle: Arc::clone(oracle) }
    }
}

impl Store for Recorder {
    fn view(&self) -> Result<View, StoreError> {
        self.store.view()
    }

    fn commit(&self, writes: &Writes) -> Result<(), StoreError> {
        let result = self.store.commit(writes);
        let mut oracle = self.oracle.lock().expect("unpoisoned");
        match &result {
            Ok(()) => apply(&mut oracle.committed, writes),
            Err(_) => oracle.doubtful = Some(writes.clone()),
        }
        result
    }

    fn bytes(&self) -> u64 {
        self.store.bytes()
    }

    fn free_bytes(&self) -> u64 {
        self.store.free_bytes()
    }
}

impl Oracle {
    /// An oracle for a store that holds this.
    pub fn expecting(committed: Map) -> Self {
        Self { committed, doubtful: None }
    }

    /// Compares the entries found with those that must be there. The ones found are expected from now on.
    pub fn judge(&mut self, found: Map) -> Result<Verdict, String> {
        let doubtful = self.doubtful.take();
        let verdict = match &doubtful {
            None if found == self.committed => Ok(Verdict::Nothing),
            Some(_) if found == self.committed => Ok(Verdict::Undone),
            Some(writes) => {
                let mut done = self.committed.clone();
                apply(&mut done, writes);
                if found == done { Ok(Verdict::Done) } else { Err(difference(&self.committed, &found)) }
            }
            None => Err(difference(&self.committed, &found)),
        };
        self.committed = found;
        verdict
    }
}

/// Everything that a store holds.
pub fn everything(store: &dyn Store) -> Result<Map, StoreError> {
    Ok(store.view()?.range(&[], &[0xff; 8], usize::MAX)?.into_iter().collect())
}

/// A disk with a new database on it, and no registry in that yet.
pub fn new_database() -> SimulatedDisk {
    let disk = Arc::new(SimulatedDisk::holding(Vec::new()));
    let options = RedbOptions { cache_bytes: 1 << 20, verify: true };
    drop(RedbStore::open_on(disk.clone(), options).expect("a database"));
    SimulatedDisk::holding(disk.live())
}

/// A disk with a new registry on it, closed in good order, and what is in that.
pub fn new_registry() -> &'static (Vec<u8>, Map) {
    static NEW: OnceLock<(Vec<u8>, Map)> = OnceLock::new();
    NEW.get_or_init(|| {
        let disk = Arc::new(new_database());
        let options = RedbOptions { cache_bytes: 1 << 20, verify: true };
        let store = Arc::new(RedbStore::open_on(disk.clone(), options).expect("a database"));
        drop(Registry::started(store.clone()).expect("a registry"));
        let committed = everything(&*store).expect("a view");
        drop(store);
        (disk.live(), committed)
    })
}

fn apply(map: &mut Map, writes: &Writes) {
    for (key, value) in writes {
        match value {
            Some(value) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
    }
}

fn difference(expected: &Map, found: &Map) -> String {
    let lost = expected.keys().filter(|key| !found.contains_key(*key)).count();
    let other = expected.iter().filter(|(key, value)| found.get(*key).is_some_and(|found| found != *value)).count();
    let more = found.keys().filter(|key| !expected.contains_key(*key)).count();
    format!("of {} acknowledged entries {lost} are lost and {other} are others; {more} are new", expected.len())
}
