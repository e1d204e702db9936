//! A flush: a memtable on its way into the tree, in steps between which commits and views go on.

use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::memtable::Memtable;
use super::snapshot::Snapshot;
use super::{JournalStore, Mark, segments};
use enroll_core::state::{ReadTxn, Store as _, StoreError};

/// Waits of the flusher for the last readers of a flushed memtable, and the length of one. Only a backup takes longer.
const LAST_LOOKS: u32 = 20;
const LAST_LOOK: Duration = Duration::from_millis(1);

/// A frozen memtable that the tree does not have yet.
pub struct Flush {
    frozen: Arc<Memtable>,
    mark: Mark,
    begun: Instant,
}

/// A frozen memtable that the tree has, and a view of the tree with it.
pub struct Moved {
    flush: Flush,
    tree: Arc<dyn ReadTxn + Send + Sync>,
}

impl JournalStore {
    /// Makes a segment before it is needed, if one is wanted and the disk has room for it.
    pub fn make_segment(&self) -> Result<(), StoreError> {
        // On a nearly full disk a segment is made only when a commit needs it.
        let has_room = self.tree.free_bytes() / 2 >= self.options.segment_bytes;
        let wanted = if has_room { self.log().make_wanted()? } else { None };
        if let Some(disk) = wanted {
            segments::fill(&*disk, self.options.segment_bytes)?;
            self.log().add_slot(disk);
        }
        Ok(())
    }

    /// Freezes the active memtable and flushes it into the tree. Returns whether there was anything to flush.
    pub(super) fn flush_some(&self) -> Result<bool, StoreError> {
        let Some(flush) = self.freeze() else { return Ok(false) };
        self.settle(self.move_over(flush)?);
        Ok(true)
    }

    /// Begins a new active memtable, and a flush of the one before it. No commit is under way meanwhile, so the mark is the
    /// end of the frozen one. One flush at a time.
    pub fn freeze(&self) -> Option<Flush> {
        let log = self.log();
        let mut state = self.state();
        // A daemon that may append no more to a shared journal still has what it appended before.
        let may_flush = matches!(state.failed, None | Some(StoreError::Deposed | StoreError::Trimmed(_)));
        if !may_flush || state.current.active.entries() == 0 {
            return None;
        }
        let Snapshot { active, tree, filter, .. } = &*state.current;
        let (frozen, tree, filter) = (Arc::clone(active), Arc::clone(tree), filter.clone());
        self.throttle.begin_flush(frozen.bytes());
        let current =
            Snapshot { active: Arc::new(frozen.as_large_as()), frozen: Some(Arc::clone(&frozen)), tree, filter };
        state.current = Arc::new(current);
        state.begun = None;
        Some(Flush { frozen, mark: log.mark(), begun: Instant::now() })
    }

    /// Moves a frozen memtable into the tree, in one transaction.
    pub fn move_over(&self, flush: Flush) -> Result<Moved, StoreError> {
        let Flush { frozen, mark, .. } = &flush;
        let bytes = frozen.bytes();
        let mut done = Ok(());
        frozen.with_stretch(u64::MAX, (&[], Bound::Unbounded), &mut |writes| {
            let count = frozen.entries().max(1);
            let mut writes = writes.enumerate().map(|(done, write)| {
                self.throttle.progress(bytes, done, count);
                write
            });
            done = self.tree.take_over(mark, &mut writes);
        });
        let tree = done.and_then(|()| self.tree.shared_view()).inspect_err(|err| self.fail(err.clone()))?;
        Ok(Moved { flush, tree })
    }

    /// Lets views see the tree in place of the memtable, and frees the segments that it needs no longer.
    pub fn settle(&self, moved: Moved) {
        let Moved { flush: Flush { frozen, mark, begun }, tree } = moved;
        let (bytes, seconds) = (frozen.bytes(), begun.elapsed().as_secs_f64());
        {
            let mut state = self.state();
            let Snapshot { active, filter, .. } = &*state.current;
            let (active, filter) = (Arc::clone(active), filter.clone());
            state.current = Arc::new(Snapshot { active, frozen: None, tree, filter });
            // A commit that finds no room holds the lock until it waits, so this signal can not be missed.
            self.throttle.end_flush(bytes, seconds);
        }
        self.flushed.notify_all();
        self.figures.flushed(frozen.entries(), seconds);
        self.progress.flush(mark.number);
        self.log().free_before(&mark);
        retire(frozen);
    }
}

/// Drops a memtable after its last reader, so that no reader pays for freeing it.
fn retire(frozen: Arc<Memtable>) {
    for _ in 0..LAST_LOOKS {
        if Arc::strong_count(&frozen) == 1 {
            break;
        }
        std::thread::sleep(LAST_LOOK);
    }
}
