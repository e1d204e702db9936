//! A history of power losses: one registry through several of them, checked after each.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Range};
use std::sync::{Arc, Mutex};

use enroll_core::model::key::WITHOUT_ORDER;
use enroll_core::state::{Store, StoreError};
use enroll_tests::disk::Fate;
use enroll_tests::load::Load;
use enroll_tests::machine::{Lent, Liar, Lost, Machine, Platters};
use enroll_tests::oracle::{Map, Oracle, Recorder, Verdict, everything, new_database, new_registry};
use enroll_tests::registry::Registry;
use enrolld::metrics::JournalFigures;
use enrolld::storage::journal::{JournalOptions, JournalStore, Mark};
use enrolld::storage::redb::{RedbOptions, RedbStore};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::wrong::{Mispaired, WrongStore};

/// Batches of one life at most; the power is lost during one, between two, or after the last.
const BATCHES: usize = 14;

/// The deliberate fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    /// Nothing.
    None,
    /// The store acknowledges without waiting for the commit's result.
    AcknowledgesAnyway,
    /// All disks report a sync that they did not do.
    SyncLies,
    /// The journal's disks do: a write is acknowledged before it is synced.
    JournalLies,
    /// The database's disk does: segments are recycled before the database has their content.
    DatabaseLies,
    /// Views see the writes since a flush over the tree before it.
    MispairsViews,
    /// A batch counts as flushed that is in the journal only.
    SkipsBatch,
    /// One index is not written.
    SkipsIndex,
}

impl Control {
    fn liar(self) -> Liar {
        match self {
            Self::SyncLies => Liar::All,
            Self::JournalLies => Liar::Journal,
            Self::DatabaseLies => Liar::Database,
            _ => Liar::None,
        }
    }
}

/// The work under way when the power was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doing {
    /// The database was opened, and repaired if need be.
    Open,
    /// The tree took over what the journal had.
    Replay,
    /// A start began its own segment.
    Begin,
    /// A record was written or synced.
    Record,
    /// A segment was begun after a full one: made, or used again.
    Segment,
    /// A frozen memtable was flushed into the tree.
    Flush,
    /// It was closed in good order.
    Close,
    /// Nothing.
    Nothing,
}

/// Counts of the work that power losses interrupted.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    pub(super) losses: BTreeMap<Doing, u64>,
    /// Lives that ended like a process that is killed, with the power on.
    pub(super) kills: u64,
    pub(super) batches_acknowledged: u64,
    pub(super) batches_done: u64,
    pub(super) batches_undone: u64,
    /// Lives that ended in good order, and of them those whose journal was removed then.
    pub(super) closed: u64,
    pub(super) journals_removed: u64,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        for (doing, losses) in other.losses {
            *self.losses.entry(doing).or_default() += losses;
        }
        self.kills += other.kills;
        self.batches_acknowledged += other.batches_acknowledged;
        self.batches_done += other.batches_done;
        self.batches_undone += other.batches_undone;
        self.closed += other.closed;
        self.journals_removed += other.journals_removed;
    }
}

/// A registry, its disks between two lives, and what must be on them.
pub(super) struct History {
    random: SmallRng,
    control: Control,
    platters: Platters,
    oracle: Arc<Mutex<Oracle>>,
    load: Load,
    /// The state of its last life; its clock and its random bytes continue.
    registry: Option<Registry>,
    /// Writes of the last life, answered or not.
    last: Range<usize>,
    /// Its last life ended in good order.
    is_closed: bool,
    stage: Stage,
    pub(super) figures: Figures,
}

/// The progress of a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    OpeningDatabase,
    OpeningJournal,
    Serving,
    Closing,
    Closed,
}

/// The end of a life.
enum End {
    PowerLoss,
    Wrong(String),
}

impl History {
    pub(super) fn new(seed: u64, control: Control) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        // Some lose their power while they make the registry.
        let (database, committed) = match random.random_bool(0.1) {
            true => (new_database().live(), Map::new()),
            false => new_registry().clone(),
        };
        Self {
            random,
            control,
            platters: Platters::of(database),
            oracle: Arc::new(Mutex::new(Oracle::expecting(committed))),
            load: Load::new(seed),
            registry: None,
            last: 0..0,
            is_closed: false,
            stage: Stage::OpeningDatabase,
            figures: Figures::default(),
        }
    }

    /// One life and its end.
    pub(super) fn lose_power(&mut self) -> Result<(), String> {
        // Opening takes the first calls, a batch two, and a flush a dozen.
        let calls = if self.random.random_bool(0.25) { 30 } else { 160 };
        let fate = Fate::PowerLoss(self.random.random_range(0..calls));
        if self.is_closed && self.random.random_bool(0.3) {
            self.platters.slots.clear();
            self.figures.journals_removed += 1;
        }
        let machine = Machine::with(std::mem::take(&mut self.platters), fate, self.control.liar());
        let end = self.live(&machine);
        let doing = self.doing(&machine);
        *self.figures.losses.entry(doing).or_default() += 1;
        let is_killed = self.random.random_bool(0.15);
        self.figures.kills += u64::from(is_killed);
        self.platters = if is_killed { machine.live() } else { machine.after_power_loss(&mut self.random) };
        match end {
            Err(End::Wrong(wrong)) => Err(format!("{wrong} ({doing:?})")),
            Ok(()) | Err(End::PowerLoss) => Ok(()),
        }
    }

    fn doing(&self, machine: &Machine) -> Doing {
        match (self.stage, machine.lost()) {
            (_, None) => Doing::Nothing,
            (Stage::OpeningDatabase, _) => Doing::Open,
            (Stage::OpeningJournal, Some(Lost::InDatabase)) if !machine.has_written_journal() => Doing::Replay,
            (Stage::OpeningJournal, _) => Doing::Begin,
            (Stage::Closing | Stage::Closed, _) => Doing::Close,
            (Stage::Serving, Some(Lost::InDatabase)) => Doing::Flush,
            (Stage::Serving, Some(Lost::InSegment)) => Doing::Segment,
            (Stage::Serving, Some(Lost::InRecord)) => Doing::Record,
        }
    }

    /// Opens the registry, checks it, and writes until the power is lost.
    fn live(&mut self, machine: &Machine) -> Result<(), End> {
        let ended = |what: &str, err: &dyn std::fmt::Display| match machine.has_met_its_fate() {
            true => End::PowerLoss,
            false => End::Wrong(format!("{what}: {err}")),
        };
        let store = self.open(machine).map_err(|err| ended("it does not open", &err))?;
        let found = everything(&store).map_err(|err| ended("it can not be read", &err))?;
        self.stage = Stage::Serving;
        match self.oracle.lock().expect("unpoisoned").judge(found).map_err(End::Wrong)? {
            Verdict::Nothing => {}
            Verdict::Done => self.figures.batches_done += 1,
            Verdict::Undone => self.figures.batches_undone += 1,
        }
        let store = Lent::new(store);
        let mispaired = match self.control {
            Control::MispairsViews => {
                Some(Mispaired::over(store.clone()).map_err(|err| ended("it has no view", &err))?)
            }
            _ => None,
        };
        let shown: Arc<dyn Store> = match &mispaired {
            Some(wrong) => wrong.clone(),
            None => store.clone(),
        };
        let watched = self.watched(shown);
        let mut registry = match &self.registry {
            Some(registry) => registry.restarted(watched),
            None => Registry::started(watched),
        }
        .map_err(|err| ended("it does not start", &err))?;
        if machine.has_met_its_fate() {
            return Err(End::PowerLoss);
        }
        match &*registry.violations() {
            [] => {}
            some => return Err(End::Wrong(some.join("; "))),
        }
        let flush = || {
            mispaired.as_ref().map_or(Ok(()), |wrong| wrong.before_flush())?;
            store.flush()
        };
        let result = self.go_on(&mut registry, &flush);
        self.registry = Some(registry);
        match (result?, self.load.take_failed_inside()) {
            (true, 0) => self.close(&store).map_err(|err| ended("it does not close", &err)),
            (false, _) => Err(ended("the writer ended", &"the power is on")),
            (true, failed) => Err(ended("requests failed inside", &failed)),
        }
    }

    fn open(&mut self, machine: &Machine) -> Result<JournalStore, String> {
        let options = RedbOptions {
            cache_bytes: [0, 64 << 10, 16 << 20][self.random.random_range(0..3)],
            verify: self.random.random_bool(0.8),
        };
        // A new configuration finds segments of other sizes. With no memory, every commit flushes the one before.
        let journal = JournalOptions {
            segment_bytes: [9 << 10, 12 << 10, 32 << 10][self.random.random_range(0..3)],
            memory_bytes: [1, 32 << 10, 16 << 20, 16 << 20][self.random.random_range(0..4)],
            unordered: WITHOUT_ORDER,
            identity: self.random.random(),
        };
        self.stage = Stage::OpeningDatabase;
        let tree = RedbStore::open_on(machine.database(), options).map_err(|err| err.to_string())?;
        let mark = tree.mark().map_err(|err| err.to_string())?;
        let was_closed = std::mem::take(&mut self.is_closed);
        if was_closed && mark.is_none_or(|mark| mark.is_open) {
            return Err(format!("it was closed in good order and has something to replay: {mark:?}"));
        }
        if let (Control::SkipsBatch, Some(mark)) = (self.control, mark) {
            let skipping = Mark { number: mark.number + 1, ..mark };
            tree.set_mark(&skipping).map_err(|err| err.to_string())?;
        }
        self.stage = Stage::OpeningJournal;
        JournalStore::open(tree, machine.slots(), journal, JournalFigures::default()).map_err(|err| err.to_string())
    }

    /// Repeats the calls of the last life, then makes new ones. Returns false if the writer has ended.
    fn go_on(&mut self, registry: &mut Registry, flush: &dyn Fn() -> Result<(), StoreError>) -> Result<bool, End> {
        let before = self.load.len();
        let again = self.load.send_again(registry, self.last.clone()).map_err(End::Wrong);
        let mut goes_on = again?;
        if goes_on {
            // Otherwise their outcome stays unknown.
            self.last = before..before;
        }
        let flushes = [0.0, 0.1, 0.4][self.random.random_range(0..3)];
        for _ in 0..BATCHES {
            if goes_on && self.random.random_bool(flushes) {
                goes_on = flush().is_ok();
            }
            if !goes_on {
                break;
            }
            registry.pass_seconds(self.random.random_range(1..30));
            let count = self.random.random_range(1..6);
            goes_on = self.load.send(registry, count).map_err(End::Wrong)?;
            self.figures.batches_acknowledged += u64::from(goes_on);
        }
        self.last.end = self.load.len();
        Ok(goes_on)
    }

    /// Ends some lives in good order.
    fn close(&mut self, store: &Lent) -> Result<(), StoreError> {
        if !self.random.random_bool(0.6) {
            return Ok(());
        }
        self.stage = Stage::Closing;
        store.close()?;
        self.stage = Stage::Closed;
        self.is_closed = true;
        self.figures.closed += 1;
        Ok(())
    }

    fn watched(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        let wrong = |store| -> Arc<dyn Store> { Arc::new(WrongStore { store, control: self.control }) };
        match self.control {
            Control::AcknowledgesAnyway => Arc::new(Recorder::of(wrong(store), &self.oracle)),
            Control::SkipsIndex => wrong(Arc::new(Recorder::of(store, &self.oracle))),
            _ => Arc::new(Recorder::of(store, &self.oracle)),
        }
    }
}
