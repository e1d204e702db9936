//! Snapshots of a journal store (MVCC): memtables over a tree, read as of a batch.

use std::sync::Arc;

use super::bloom::BloomFilter;
use super::memtable::Memtable;
use enroll_core::state::{Entries, ReadTxn, StoreError, merge};
use enroll_protocol::backup::Position;

/// The memtables and the tree that views share.
pub(super) struct Snapshot {
    pub(super) active: Arc<Memtable>,
    pub(super) frozen: Option<Arc<Memtable>>,
    pub(super) tree: Arc<dyn ReadTxn + Send + Sync>,
    /// The filter of all keys in the three, once it is complete.
    pub(super) filter: Option<Arc<BloomFilter>>,
}

/// An MVCC snapshot: the state after a batch.
pub(super) struct JournalView {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) number: u64,
    /// That of the batch in a shared journal.
    pub(super) position: Option<Position>,
}

impl ReadTxn for JournalView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Snapshot { active, frozen, tree, filter } = &*self.snapshot;
        if filter.as_ref().is_some_and(|filter| filter.excludes(key)) {
            return Ok(None);
        }
        if let Some(found) = active.get(key, self.number) {
            return Ok(found);
        }
        match frozen.as_ref().and_then(|frozen| frozen.get(key, self.number)) {
            Some(found) => Ok(found),
            None => tree.get(key),
        }
    }

    fn position(&self) -> Option<Position> {
        self.position
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError> {
        let Snapshot { active, frozen, tree, .. } = &*self.snapshot;
        let over = |base: &dyn ReadTxn, table: &Memtable| {
            merge::range(base, (from, to), limit, |from, end, take| table.with_stretch(self.number, (from, end), take))
        };
        match frozen {
            None => over(&**tree, active),
            Some(frozen) => over(&Below { tree: &**tree, frozen, number: self.number }, active),
        }
    }
}

/// The frozen memtable over the tree: the base of the active one.
struct Below<'a> {
    tree: &'a dyn ReadTxn,
    frozen: &'a Memtable,
    number: u64,
}

impl ReadTxn for Below<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.frozen.get(key, self.number).map_or_else(|| self.tree.get(key), Ok)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError> {
        merge::range(self.tree, (from, to), limit, |from, end, take| {
            self.frozen.with_stretch(self.number, (from, end), take);
        })
    }
}
