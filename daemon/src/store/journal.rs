//! The store that the daemon runs on: a journal and a map in memory, in front of the tree.
//!
//! A commit is one record in the journal, one sync, and its writes in a map in memory, the memtable. The
//! tree takes them over later, many at a time and in the order of their keys, in one transaction that also says how far
//! it has come; what the tree has, the journal no longer needs. A start reads what the tree does not have back into the
//! memtable, so however large the tree is, it takes no longer.
//!
//! Writes pass through two maps: the active one takes them, the frozen one is on its way into the tree and does not change.
//! A view is both maps, the tree as it was when the frozen one was begun, and the number of a batch, behind which it
//! sees nothing. All of these are there already, so taking one costs nothing, and it always fits together:
//!
//! ```text
//! tree: up to the mark  <-  frozen: up to its freezing  <-  active: up to the latest batch
//! ```
//!
//! The flusher is a thread of its own. A commit that finds half the memory taken is held back a little, more the less
//! is left, so that the flusher is never outrun and nobody waits for a whole flush.

mod filter;
mod flusher;
mod log;
mod memtable;
mod pace;
mod record;
mod replay;

use std::ops::{Bound, ControlFlow};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use flusher::Flusher;
pub use log::{JournalFault, MakeSlot, Mark, Slots};

use super::disk::Disk;
use super::layer;
use super::redb::RedbStore;
use super::{Entries, ReadTxn, STRETCH, Store, StoreError, View, Writes, walk};
use crate::metrics::JournalFigures;
use filter::Filter;
use log::{Found, Log};
use memtable::Memtable;
use pace::Pace;
use replay::{Replayed, replay, take_over};

/// How a journal is kept.
#[derive(Debug, Clone, Copy)]
pub struct JournalOptions {
    /// Bytes of a segment. It takes that much of the disk from the beginning.
    pub segment_bytes: u64,
    /// What the maps may take of memory, both together.
    pub memory_bytes: usize,
    /// The first bytes of keys that come in no order and are mostly asked for before they are there.
    pub filtered: &'static [u8],
    /// For a database that has no journal yet: tells its journal from others, and is known to nobody.
    pub identity: u64,
}

/// The writes that are frozen at a time, at most.
const FLUSH_ENTRIES: usize = 100_000;

/// How often, and for how long, the flusher waits for those who look at a map that it is done with. Only a backup takes
/// longer.
const LAST_LOOKS: u32 = 20;
const LAST_LOOK: Duration = Duration::from_millis(1);

/// See the module.
pub struct JournalStore {
    tree: RedbStore,
    /// Whoever holds it may commit or freeze.
    log: Mutex<Log>,
    state: Mutex<State>,
    /// There is something to flush, or nothing will come any more.
    work: Condvar,
    /// Something was flushed, or nothing ever will be.
    flushed: Condvar,
    /// The filter is outgrown, or nothing will come any more.
    outgrown: Condvar,
    has_flusher: AtomicBool,
    options: JournalOptions,
    pace: Pace,
    figures: JournalFigures,
}

/// What changes with every batch.
struct State {
    current: Arc<Snapshot>,
    /// The latest batch.
    number: u64,
    /// When the active map's first write came.
    begun: Option<Instant>,
    /// A filter that takes every new key already, and not all old ones yet.
    growing: Option<Arc<Filter>>,
    /// Nothing more is written: it is not known what the disk has.
    failed: Option<StoreError>,
    is_closing: bool,
}

/// What a view looks at, whatever batches come.
struct Snapshot {
    active: Arc<Memtable>,
    frozen: Option<Arc<Memtable>>,
    tree: Arc<dyn ReadTxn + Send + Sync>,
    /// Of everything in the three, once it is complete.
    filter: Option<Arc<Filter>>,
}

/// The state after a batch.
struct JournalView {
    snapshot: Arc<Snapshot>,
    number: u64,
}

impl JournalStore {
    /// Replays what is in the journal and not in the tree, and goes on behind it.
    pub fn open(
        tree: RedbStore,
        slots: Slots,
        options: JournalOptions,
        figures: JournalFigures,
    ) -> Result<Self, JournalFault> {
        let (found, Replayed { mut table, mark, tail }) = Self::look(&tree, slots.disks, options)?;
        if tree.free_bytes() < pace::disk_bytes(table.entries(), table.bytes(), tree.bytes()) {
            // Whether there is place for it is found out before anybody relies on it.
            take_over(&tree, &mark, &std::mem::take(&mut table))?;
        }
        let (number, begun) = (tail.last, (table.entries() > 0).then(Instant::now));
        let log = Log::begin(slots.make, found, &mark, tail, options.segment_bytes)?;
        if !mark.is_open {
            // From here on there may be more in the journal.
            tree.take_over(&log.mark(), |_| {})?;
        }
        let active = Arc::new(table);
        let current = Snapshot { active, frozen: None, tree: tree.shared_view()?, filter: None };
        let current = Arc::new(current);
        let state = State { current, number, begun, growing: None, failed: None, is_closing: false };
        figures.bytes.set(log.bytes());
        Ok(Self {
            tree,
            log: Mutex::new(log),
            state: Mutex::new(state),
            work: Condvar::new(),
            flushed: Condvar::new(),
            outgrown: Condvar::new(),
            has_flusher: AtomicBool::new(false),
            options,
            pace: Pace::default(),
            figures,
        })
    }

    /// Brings the tree up to the end of its journal, which is left as it is.
    pub fn replay(tree: &RedbStore, disks: Vec<Arc<dyn Disk>>, options: JournalOptions) -> Result<(), JournalFault> {
        let (_, Replayed { table, mark, .. }) = Self::look(tree, disks, options)?;
        Ok(take_over(tree, &mark, &table)?)
    }

    /// What is there, and what of it the tree does not have.
    fn look(
        tree: &RedbStore,
        disks: Vec<Arc<dyn Disk>>,
        options: JournalOptions,
    ) -> Result<(Found, Replayed), JournalFault> {
        let unused = Mark { identity: options.identity, number: 0, generation: 0, is_open: false };
        let mark = match tree.mark()? {
            Some(mark) => mark,
            // Before there is a segment of it, so that none is taken for another database's.
            None => tree.take_over(&unused, |_| {}).map(|()| unused)?,
        };
        let found = Found::look(disks, &mark)?;
        let replayed = replay(tree, &found, mark, options.memory_bytes)?;
        Ok((found, replayed))
    }

    /// Moves everything that was committed into the tree.
    pub fn flush(&self) -> Result<(), StoreError> {
        // What is frozen already first, and then what was active meanwhile.
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
        let mark = Mark { is_open: false, ..self.log().mark() };
        self.tree.take_over(&mark, |_| {})?;
        Ok(self.tree)
    }

    /// Freezes the active map if there is none that is frozen, and moves the frozen one into the tree. Tells whether there
    /// was one.
    fn flush_some(&self) -> Result<bool, StoreError> {
        let Some((frozen, mark)) = self.freeze() else { return Ok(false) };
        let (begun, bytes) = (Instant::now(), frozen.bytes());
        let done = self.tree.take_over(&mark, |put| {
            frozen.with_stretch(u64::MAX, (&[], Bound::Unbounded), &mut |writes| {
                let count = frozen.entries().max(1);
                for (done, (key, value)) in writes.enumerate() {
                    put(key, value);
                    self.pace.progress(bytes, done, count);
                }
            });
        });
        let tree = done.and_then(|()| self.tree.shared_view()).inspect_err(|err| self.fail(err.clone()))?;
        let seconds = begun.elapsed().as_secs_f64();
        {
            let mut state = self.state();
            let Snapshot { active, filter, .. } = &*state.current;
            let (active, filter) = (Arc::clone(active), filter.clone());
            state.current = Arc::new(Snapshot { active, frozen: None, tree, filter });
            // Whoever found no room and is about to wait for some holds the state until it waits.
            self.pace.end_flush(bytes, seconds);
        }
        self.flushed.notify_all();
        self.figures.flushed(frozen.entries(), seconds);
        self.log().free_before(mark.generation);
        retire(frozen);
        Ok(true)
    }

    /// Begins a new active map. No commit is under way meanwhile, so the mark is where the frozen one ends.
    fn freeze(&self) -> Option<(Arc<Memtable>, Mark)> {
        let log = self.log();
        let mut state = self.state();
        if state.failed.is_some() || state.current.active.entries() == 0 {
            return None;
        }
        let Snapshot { active, tree, filter, .. } = &*state.current;
        let (frozen, tree, filter) = (Arc::clone(active), Arc::clone(tree), filter.clone());
        self.pace.begin_flush(frozen.bytes());
        let current = Snapshot { active: Arc::default(), frozen: Some(Arc::clone(&frozen)), tree, filter };
        state.current = Arc::new(current);
        state.begun = None;
        Some((frozen, log.mark()))
    }

    /// Whether the active map should be frozen, however little time has passed.
    fn is_full(&self, active: &Memtable) -> bool {
        active.bytes() >= self.options.memory_bytes / 2 || active.entries() >= FLUSH_ENTRIES
    }

    /// Holds a commit back while memory is short.
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
                let waiting = active + self.pace.left();
                self.figures.paced(self.pace.hold_back(bytes, waiting, self.options.memory_bytes));
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

    /// Makes a filter of everything that is there, and of what comes meanwhile. Stops in the middle when the store closes.
    pub fn make_filter(&self) -> Result<(), StoreError> {
        let tags = self.options.filtered;
        let (filter, view) = {
            let log = self.log();
            let mut state = self.state();
            let outgrown = state.current.filter.as_ref().and_then(|filter| filter.outgrown());
            let keys = outgrown.map_or_else(|| self.tree.entries().map(|entries| entries / 2), Ok)?;
            let filter = Arc::new(Filter::new(tags, log.mark().identity, keys));
            state.growing = Some(Arc::clone(&filter));
            (filter, JournalView { snapshot: Arc::clone(&state.current), number: state.number })
        };
        for tag in tags {
            walk(&view, (&[*tag], &[*tag + 1]), STRETCH, |key, _| {
                filter.add_key(key);
                Ok::<_, StoreError>(ControlFlow::Continue(()))
            })?;
            if self.state().is_closing {
                return Ok(());
            }
        }
        drop(view);
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
        Ok(Box::new(JournalView { snapshot: Arc::clone(&state.current), number: state.number }))
    }

    fn commit(&self, writes: &Writes) -> Result<(), StoreError> {
        self.make_room(memtable::bytes_of(writes))?;
        let mut log = self.log();
        let number = log.append(writes).inspect_err(|err| self.fail(err.clone()))?;
        self.figures.synced(log.bytes());
        // Only whoever holds the log replaces the active map.
        let (active, filters) = {
            let state = self.state();
            (Arc::clone(&state.current.active), [state.current.filter.clone(), state.growing.clone()])
        };
        filters.iter().flatten().for_each(|filter| filter.add(writes));
        active.insert(number, writes);
        let mut state = self.state();
        state.number = number;
        let is_first = state.begun.is_none();
        state.begun.get_or_insert_with(Instant::now);
        drop((state, log));
        if is_first || self.is_full(&active) {
            self.work.notify_one();
        }
        self.figures.memory.set(active.bytes() as u64);
        Ok(())
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
        let pending = pace::disk_bytes(active.0 + frozen.0, active.1 + frozen.1, self.tree.bytes());
        let wanted = self.log().bytes_wanted();
        self.tree.free_bytes().saturating_sub(pending).saturating_sub(wanted)
    }
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

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError> {
        let Snapshot { active, frozen, tree, .. } = &*self.snapshot;
        let over = |base: &dyn ReadTxn, table: &Memtable| {
            layer::range(base, (from, to), limit, |from, end, take| table.with_stretch(self.number, (from, end), take))
        };
        match frozen {
            None => over(&**tree, active),
            Some(frozen) => over(&Below { tree: &**tree, frozen, number: self.number }, active),
        }
    }
}

/// What lies below the active map.
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
        layer::range(self.tree, (from, to), limit, |from, end, take| {
            self.frozen.with_stretch(self.number, (from, end), take);
        })
    }
}

/// Lets a map go when nobody looks at it any more, so that no reader is the one to take it apart.
fn retire(frozen: Arc<Memtable>) {
    for _ in 0..LAST_LOOKS {
        if Arc::strong_count(&frozen) == 1 {
            break;
        }
        std::thread::sleep(LAST_LOOK);
    }
}
