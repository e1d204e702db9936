//! Recovery: a start reads the part of the write-ahead log that the tree does not have back into a memtable.

use std::ops::Bound;
use std::sync::Arc;

use super::memtable::Memtable;
use super::segments::{Found, JournalFault, Mark, Tail};
use super::{JournalOptions, JournalStore};
use crate::storage::disk::Disk;
use crate::storage::redb::RedbStore;
use enroll_core::state::StoreError;

/// The writes of a journal that its tree does not have.
pub(super) struct Recovered {
    /// The latest of them; the tree has taken over those before.
    pub(super) table: Memtable,
    /// The mark of the tree once it has these, too.
    pub(super) mark: Mark,
    /// The end of the journal.
    pub(super) tail: Tail,
}

impl JournalStore {
    /// Moves into the tree what only its journal has, and leaves the journal's files as they are. The tree then needs
    /// no journal, as after a stop in good order.
    pub fn replay(tree: &RedbStore, disks: Vec<Arc<dyn Disk>>, options: JournalOptions) -> Result<(), JournalFault> {
        if tree.mark()?.is_some_and(|mark| mark.is_shared) {
            // What it lacks is in a journal that is not here.
            return Ok(());
        }
        let (_, Recovered { table, mark, .. }) = Self::look(tree, disks, options)?;
        take_over(tree, &mark, &table)?;
        if mark.is_open {
            tree.set_mark(&Mark { is_open: false, ..mark })?;
        }
        Ok(())
    }
}

/// Makes a journal durable and reads it to its end. The tree takes over what would need more memory than the options allow.
pub(super) fn recover(
    tree: &RedbStore,
    found: &Found,
    before: Mark,
    options: JournalOptions,
) -> Result<Recovered, JournalFault> {
    found.sync()?;
    let (mut table, mut mark) = (Memtable::new(options.unordered), before);
    let tail = found.replay(&before, |generation, number, writes| {
        table.insert(number, writes);
        mark = Mark { number, generation, ..before };
        if table.bytes() >= options.memory_bytes {
            take_over(tree, &mark, &table)?;
            table = Memtable::new(options.unordered);
        }
        Ok(())
    })?;
    Ok(Recovered { table, mark, tail })
}

/// Moves a memtable into the tree, if there is anything in it.
pub(super) fn take_over(tree: &RedbStore, mark: &Mark, table: &Memtable) -> Result<(), StoreError> {
    let mut done = Ok(());
    if table.entries() > 0 {
        table.with_stretch(u64::MAX, (&[], Bound::Unbounded), &mut |writes| {
            done = tree.take_over(mark, writes);
        });
    }
    done
}
