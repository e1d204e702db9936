//! What a start reads back: everything in the journal that the tree does not have.

use std::ops::Bound;

use super::log::{Found, JournalFault, Mark, Tail};
use super::memtable::Memtable;
use crate::store::StoreError;
use crate::store::redb::RedbStore;

/// What was in a journal and not in its tree.
pub(super) struct Replayed {
    /// The latest of it; the tree has taken over what was before.
    pub(super) table: Memtable,
    /// What the tree will say of the journal when it has that, too.
    pub(super) mark: Mark,
    /// Where the journal goes on.
    pub(super) tail: Tail,
}

/// Reads a journal to its end. The tree takes over what would need more memory than this.
pub(super) fn replay(
    tree: &RedbStore,
    found: &Found,
    before: Mark,
    memory_bytes: usize,
) -> Result<Replayed, JournalFault> {
    let (mut table, mut mark) = (Memtable::default(), before);
    let tail = found.replay(&before, |generation, number, writes| {
        table.insert(number, writes);
        mark = Mark { number, generation, ..before };
        if table.bytes() >= memory_bytes {
            take_over(tree, &mark, &std::mem::take(&mut table))?;
        }
        Ok(())
    })?;
    Ok(Replayed { table, mark, tail })
}

/// Moves a map into the tree, if there is anything in it.
pub(super) fn take_over(tree: &RedbStore, mark: &Mark, table: &Memtable) -> Result<(), StoreError> {
    if table.entries() == 0 {
        return Ok(());
    }
    tree.take_over(mark, |put| {
        table.with_stretch(u64::MAX, (&[], Bound::Unbounded), &mut |writes| {
            for (key, value) in writes {
                put(key, value);
            }
        });
    })
}
