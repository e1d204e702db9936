//! The journal store, on which the daemon runs: a write-ahead log and a memtable in front of the tree.
//!
//! A commit is one record in the log, one sync, and its writes in the memtable. A flush moves a memtable into the tree,
//! in key order and in one transaction that also stores the mark: the batch up to which the tree has everything, and
//! which the log no longer needs. Recovery reads the rest of the log back into a memtable, so the size of the tree does
//! not matter for the time of a start.
//!
//! Writes pass through two memtables: the active one takes them, the frozen one is being flushed and does not change. A
//! view is an MVCC snapshot: both memtables, the tree as it was when the frozen one was begun, and the number of the
//! last batch that it sees. All of these exist already, so a view costs nothing, and its parts always fit together:
//!
//! ```text
//! tree: up to the mark  <-  frozen: up to its freezing  <-  active: up to the latest batch
//! ```
//!
//! The flusher is a thread of its own. Backpressure keeps it from being outrun: a commit that finds more than half of
//! the memory taken is throttled, more the less is left, so that nobody waits for a whole flush.

mod bloom;
mod flush;
mod flusher;
mod log;
mod memtable;
mod progress;
mod record;
mod recovery;
mod segments;
mod shared_log;
mod snapshot;
mod standby;
mod throttle;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub use flush::{Flush, Moved};
pub use flusher::Flusher;
pub use progress::Progress;
pub use segments::{JournalFault, MakeSlot, Mark, OtherShared, Slots};
pub use standby::found;

use super::disk::Disk;
use super::redb::{ReadFailure, RedbStore};
use crate::metrics::JournalFigures;
use bloom::BloomFilter;
use enroll_core::state::{SCAN_CHUNK, Store, StoreError, View, Writes, walk};
use enroll_protocol::backup::Position;
use log::Log;
use memtable::Memtable;
use recovery::{Recovered, recover, take_over};
use segments::{Found, SegmentLog};
use snapshot::{JournalView, Snapshot};
use throttle::Throttle;

/// Options of a journal.
#[derive(Debug, Clone, Copy)]
pub struct JournalOptions {
    /// Bytes of a segment. It takes that much of the disk from the beginning.
    pub segment_bytes: u64,
    /// Bytes of memory for both memtables together.
    pub memory_bytes: usize,
    /// The tags of the families whose keys have no order. They are in the Bloom filter: most of them are looked up
    /// before they are there.
    pub unordered: &'static [u8],
    /// The identity for a database that has no journal yet: random, so that no other journal has it.
    pub identity: u64,
}

/// Writes in a frozen memtable at most. The more there are, the more of them share a leaf of the tree, and the longer a
/// start after a crash takes.
const FLUSH_ENTRIES: usize = 250_000;

/// Keys that a Bloom filter has room for at least; that is 5 MB.
const FILTER_KEYS_MIN: usize = 4_000_000;

/// A write-ahead log and memtables in front of a tree.
pub struct JournalStore {
    tree: RedbStore,
    /// Its holder may commit or freeze.
    log: Mutex<Log>,
    state: Mutex<State>,
    /// Signals work for the flusher, or the close.
    work: Condvar,
    /// Signals the end of a flush, or a failure.
    flushed: Condvar,
    /// Signals a batch, or a failure, to those who wait for a batch of the leader's.
    arrived: Condvar,
    has_flusher: AtomicBool,
    options: JournalOptions,
    throttle: Throttle,
    figures: JournalFigures,
    progress: Arc<Progress>,
}

/// The state that changes with every batch.
struct State {
    current: Arc<Snapshot>,
    /// The number of the latest batch.
    number: u64,
    /// Its place in a shared journal.
    position: Option<Position>,
    /// The time of the active memtable's first write.
    begun: Option<Instant>,
    /// A filter that has every new key and not yet all old ones.
    growing: Option<Arc<BloomFilter>>,
    /// The failure after which nothing more is committed, because nobody knows what the disk has.
    failed: Option<StoreError>,
    is_closing: bool,
}

impl JournalStore {
    /// Recovers the log's writes that the tree does not have, and continues the log after them.
    pub fn open(
        tree: RedbStore,
        slots: Slots,
        options: JournalOptions,
        figures: JournalFigures,
    ) -> Result<Self, JournalFault> {
        if tree.mark()?.is_some_and(|mark| mark.is_shared) {
            return Err(JournalFault::OfMember);
        }
        let (found, Recovered { mut table, mark, tail }) = Self::look(&tree, slots.disks, options)?;
        if tree.free_bytes() < throttle::disk_bytes(table.entries(), table.bytes(), tree.bytes()) {
            // Moved at once, so that a lack of space is found before the first request.
            take_over(&tree, &mark, &table)?;
            table = Memtable::new(options.unordered);
        }
        let log = SegmentLog::begin(slots.make, found, &mark, tail, options.segment_bytes)?;
        if !mark.is_open {
            // From now on the journal may hold more than the tree.
            tree.set_mark(&log.mark())?;
        }
        Self::with_log(tree, Log::Segments(log), table, options, figures)
    }

    /// A store with this memtable over its tree.
    fn with_log(
        tree: RedbStore,
        log: Log,
        table: Memtable,
        options: JournalOptions,
        figures: JournalFigures,
    ) -> Result<Self, JournalFault> {
        let (number, begun) = (log.mark().number, (table.entries() > 0).then(Instant::now));
        let progress = Progress::new(number, tree.mark()?.map_or(0, |mark| mark.number));
        let active = Arc::new(table);
        let current = Snapshot { active, frozen: None, tree: tree.shared_view()?, filter: None };
        let current = Arc::new(current);
        let position = log.position();
        let state = State { current, number, position, begun, growing: None, failed: None, is_closing: false };
        figures.bytes.set(log.bytes());
        Ok(Self {
            tree,
            log: Mutex::new(log),
            state: Mutex::new(state),
            work: Condvar::new(),
            flushed: Condvar::new(),
            arrived: Condvar::new(),
            has_flusher: AtomicBool::new(false),
            options,
            throttle: Throttle::default(),
            figures,
            progress: progress.into(),
        })
    }

    /// The segments that are there, and the writes of theirs that the tree does not have.
    fn look(
        tree: &RedbStore,
        disks: Vec<Arc<dyn Disk>>,
        options: JournalOptions,
    ) -> Result<(Found, Recovered), JournalFault> {
        let unused = Mark { identity: options.identity, number: 0, generation: 0, is_open: false, is_shared: false };
        let mark = match tree.mark()? {
            Some(mark) => mark,
            // The identity is stored before the first segment, so that no segment can be of an unknown database.
            None => tree.set_mark(&unused).map(|()| unused)?,
        };
        let found = Found::look(disks, &mark)?;
        let recovered = recover(tree, &found, mark, options)?;
        Ok((found, recovered))
    }

    /// Moves everything that was committed into the tree.
    pub fn flush(&self) -> Result<(), StoreError> {
        // The frozen memtable first, then the one that was active meanwhile.
        while self.flush_some()? {}
        Ok(())
    }

    /// Flushes everything and closes the tree, which then needs no journal. No flusher may be at work.
    pub fn close(self) -> Result<(), StoreError> {
        self.into_tree()?.close()
    }

    /// The tree, which then needs no journal: everything is flushed.
    pub fn into_tree(self) -> Result<RedbStore, StoreError> {
        self.flush()?;
        if let Some(err) = &self.state().failed {
            return Err(err.clone());
        }
        let mark = self.log().closed_mark();
        self.tree.set_mark(&mark)?;
        Ok(self.tree)
    }

    /// The progress of this store: the records that were applied, and those that are in the tree.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// The first read of the tree that failed: nothing more can be read of it until the store is opened again.
    pub fn read_failure(&self) -> Arc<ReadFailure> {
        self.tree.read_failure()
    }

    /// Fails with the error of that read, if there was one.
    pub fn expect_readable(&self) -> Result<(), StoreError> {
        self.read_failure().first().cloned().map_or(Ok(()), Err)
    }

    /// True if the active memtable must be frozen at once.
    fn is_full(&self, active: &Memtable) -> bool {
        active.bytes() >= self.options.memory_bytes / 2 || active.entries() >= FLUSH_ENTRIES
    }

    /// Adds a durable batch to the active memtable, and makes it visible. Only the holder of the log replaces that one.
    fn add(&self, log: MutexGuard<'_, Log>, number: u64, writes: &Writes) {
        let (active, filters) = {
            let state = self.state();
            (Arc::clone(&state.current.active), [state.current.filter.clone(), state.growing.clone()])
        };
        filters.iter().flatten().for_each(|filter| filter.add(writes));
        active.insert(number, writes);
        let mut state = self.state();
        state.number = number;
        state.position = log.position();
        self.arrived.notify_all();
        self.progress.apply(number);
        let is_first = state.begun.is_none();
        state.begun.get_or_insert_with(Instant::now);
        drop((state, log));
        if is_first || self.is_full(&active) {
            self.work.notify_one();
        }
        self.figures.memory.set(active.bytes() as u64);
    }

    /// Throttles a commit while memory is short, and blocks it while there is none (backpressure).
    fn make_room(&self, bytes: usize) -> Result<(), StoreError> {
        loop {
            let state = self.state();
            if let Some(err) = &state.failed {
                return Err(err.clone());
            }
            let Snapshot { active, frozen, .. } = &*state.current;
            let active = active.bytes();
            if active + frozen.as_ref().map_or(0, |frozen| frozen.bytes()) < self.options.memory_bytes {
                drop(state);
                let waiting = active + self.throttle.left();
                self.figures.paced(self.throttle.hold_back(bytes, waiting, self.options.memory_bytes));
                return Ok(());
            }
            if self.has_flusher.load(Ordering::Acquire) {
                self.work.notify_one();
                let begun = Instant::now();
                drop(self.flushed.wait(state).unwrap_or_else(PoisonError::into_inner));
                self.figures.paced(begun.elapsed().as_secs_f64());
            } else {
                drop(state);
                self.flush()?;
            }
        }
    }

    /// Makes a filter of all keys, with those of commits meanwhile. Stops in the middle when the store closes.
    ///
    /// The keys of the memtables come first, under their locks, for which commits wait. Then `unlocked` is called, and the
    /// rest is read from the tree: a thread of low priority that held such a lock would stop the writer whenever others
    /// run (priority inversion).
    pub fn make_filter(&self, unlocked: impl FnOnce()) -> Result<(), StoreError> {
        let tags = self.options.unordered;
        let (filter, snapshot) = {
            let log = self.log();
            let mut state = self.state();
            // About half of all entries are of these families, and there may be twice as many one day.
            let room = self.tree.entries()?.max(FILTER_KEYS_MIN);
            let filter = Arc::new(BloomFilter::new(tags, log.mark().identity, room));
            state.growing = Some(Arc::clone(&filter));
            (filter, Arc::clone(&state.current))
        };
        for table in [Some(&snapshot.active), snapshot.frozen.as_ref()].into_iter().flatten() {
            table.for_each_key(tags, |key| filter.add_key(key));
        }
        let tree = Arc::clone(&snapshot.tree);
        drop(snapshot);
        unlocked();
        for tag in tags {
            let mut keys = 0_usize;
            walk(&*tree, (&[*tag], &[*tag + 1]), SCAN_CHUNK, |key, _| {
                filter.add_key(key);
                keys += 1;
                let ends = keys.is_multiple_of(SCAN_CHUNK) && self.state().is_closing;
                Ok::<_, StoreError>(if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
            if self.state().is_closing {
                return Ok(());
            }
        }
        drop(tree);
        let _log = self.log();
        let mut state = self.state();
        let Snapshot { active, frozen, tree, .. } = &*state.current;
        let (active, frozen, tree) = (Arc::clone(active), frozen.clone(), Arc::clone(tree));
        state.growing = None;
        state.current = Arc::new(Snapshot { active, frozen, tree, filter: Some(filter) });
        Ok(())
    }

    fn fail(&self, err: StoreError) {
        self.state().failed.get_or_insert(err);
        self.flushed.notify_all();
        self.arrived.notify_all();
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for JournalStore {
    fn view(&self) -> Result<View, StoreError> {
        let state = self.state();
        Ok(Box::new(JournalView {
            snapshot: Arc::clone(&state.current),
            number: state.number,
            position: state.position,
        }))
    }

    fn commit(&self, writes: &Writes) -> Result<(), StoreError> {
        self.make_room(memtable::bytes_of(writes))?;
        let mut log = self.log();
        let number = log.append(writes).inspect_err(|err| self.fail(err.clone()))?;
        self.figures.synced(log.bytes());
        self.add(log, number, writes);
        Ok(())
    }

    fn confirm(&self) -> Result<(), StoreError> {
        self.look_at_end()?.map_or(Ok(()), |number| self.wait_for(number))
    }

    fn is_shared(&self) -> bool {
        matches!(&*self.log(), Log::Shared(_))
    }

    fn bytes(&self) -> u64 {
        self.tree.bytes()
    }

    fn free_bytes(&self) -> u64 {
        let (active, frozen) = {
            let state = self.state();
            let frozen = state.current.frozen.as_ref().map_or((0, 0), |frozen| (frozen.entries(), frozen.bytes()));
            ((state.current.active.entries(), state.current.active.bytes()), frozen)
        };
        let pending = throttle::disk_bytes(active.0 + frozen.0, active.1 + frozen.1, self.tree.bytes());
        let wanted = self.log().bytes_wanted();
        self.tree.free_bytes().saturating_sub(pending).saturating_sub(wanted)
    }

    fn journal_free_bytes(&self) -> u64 {
        self.log().free_bytes()
    }
}
