//! A registry that lives on through power losses, and is looked at after each.

use std::ops::{AddAssign, Range};
use std::sync::{Arc, Mutex};

use enroll_tests::disk::{Fate, SimulatedDisk};
use enroll_tests::load::Load;
use enroll_tests::registry::Registry;
use enroll_tests::witness::{Map, Testimony, Verdict, Witness, everything, new_database, new_registry};
use enrolld::model::key::Family;
use enrolld::store::redb::{RedbOptions, RedbStore};
use enrolld::store::{Store, StoreError, View, Writes};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

/// Batches of one life at most; the power is lost in one of them, or behind the last.
const BATCHES: usize = 12;

/// What is wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    /// Nothing.
    None,
    /// The store acknowledges without waiting for what becomes of the commit.
    AcknowledgesAnyway,
    /// The disk says it synced and did not.
    SyncLies,
    /// One index is not written.
    SkipsIndex,
}

/// What the losses met.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figures {
    pub(super) losses: u64,
    pub(super) while_opening: u64,
    pub(super) batches_acknowledged: u64,
    pub(super) batches_done: u64,
    pub(super) batches_undone: u64,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.losses += other.losses;
        self.while_opening += other.while_opening;
        self.batches_acknowledged += other.batches_acknowledged;
        self.batches_done += other.batches_done;
        self.batches_undone += other.batches_undone;
    }
}

/// A registry, its disk between two lives, and what must be on that.
pub(super) struct History {
    random: SmallRng,
    control: Control,
    image: Vec<u8>,
    testimony: Arc<Mutex<Testimony>>,
    load: Load,
    /// As it was in its last life; its clock and its random bytes go on.
    registry: Option<Registry>,
    /// Writes of the last life, answered or not.
    last: Range<usize>,
    pub(super) figures: Figures,
}

/// Why a life ended.
enum End {
    PowerLoss,
    Wrong(String),
}

impl History {
    pub(super) fn new(seed: u64, control: Control) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        // Some lose their power while they make the registry.
        let (image, committed) = match random.random_bool(0.1) {
            true => (new_database().live(), Map::new()),
            false => new_registry().clone(),
        };
        Self {
            random,
            control,
            image,
            testimony: Arc::new(Mutex::new(Testimony::that(committed))),
            load: Load::new(seed),
            registry: None,
            last: 0..0,
            figures: Figures::default(),
        }
    }

    /// One life and its end.
    pub(super) fn lose_power(&mut self) -> Result<(), String> {
        // Opening takes the first few calls, and a batch a dozen.
        let calls = if self.random.random_bool(0.2) { 12 } else { 150 };
        let fate = Fate::PowerLoss(self.random.random_range(0..calls));
        let disk = SimulatedDisk::holding(std::mem::take(&mut self.image)).with(fate);
        let disk = Arc::new(if self.control == Control::SyncLies { disk.lying() } else { disk });
        let end = self.live(&disk);
        self.image = disk.after_power_loss(&mut self.random);
        self.figures.losses += 1;
        match end {
            Err(End::Wrong(wrong)) => Err(wrong),
            Ok(()) | Err(End::PowerLoss) => Ok(()),
        }
    }

    /// Opens what is there, looks at it, and goes on until the power is lost.
    fn live(&mut self, disk: &Arc<SimulatedDisk>) -> Result<(), End> {
        let ended = |what: &str, err: &dyn std::fmt::Display| match disk.has_met_its_fate() {
            true => End::PowerLoss,
            false => End::Wrong(format!("{what}: {err}")),
        };
        let options = RedbOptions {
            cache_bytes: [0, 64 << 10, 16 << 20][self.random.random_range(0..3)],
            verify: self.random.random_bool(0.8),
        };
        self.figures.while_opening += 1;
        let store = RedbStore::open_on(disk.clone(), options).map_err(|err| ended("it does not open", &err))?;
        let found = everything(&store).map_err(|err| ended("it can not be read", &err))?;
        self.figures.while_opening -= 1;
        match self.testimony.lock().expect("unpoisoned").judge(found).map_err(End::Wrong)? {
            Verdict::Nothing => {}
            Verdict::Done => self.figures.batches_done += 1,
            Verdict::Undone => self.figures.batches_undone += 1,
        }
        let store = self.watched(Arc::new(store));
        let mut registry = match &self.registry {
            Some(registry) => registry.restarted(store),
            None => Registry::started(store),
        }
        .map_err(|err| ended("it does not start", &err))?;
        if disk.has_met_its_fate() {
            return Err(End::PowerLoss);
        }
        match &*registry.violations() {
            [] => {}
            some => return Err(End::Wrong(some.join("; "))),
        }
        let result = self.go_on(&mut registry);
        self.registry = Some(registry);
        match (result?, self.load.take_failed_inside()) {
            (true, 0) => Ok(()),
            (false, _) => Err(ended("the writer ended", &"the power is on")),
            (true, failed) => Err(ended("requests failed inside", &failed)),
        }
    }

    /// Asks again what was asked in the last life, then new things. `false`: the writer has ended.
    fn go_on(&mut self, registry: &mut Registry) -> Result<bool, End> {
        let before = self.load.len();
        let again = self.load.send_again(registry, self.last.clone()).map_err(End::Wrong);
        let mut goes_on = again?;
        if goes_on {
            // Otherwise nobody knows more of them than before.
            self.last = before..before;
        }
        for _ in 0..BATCHES {
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

    fn watched(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        let control = self.control;
        let wrong = |store| -> Arc<dyn Store> { Arc::new(WrongStore { store, control }) };
        match control {
            Control::AcknowledgesAnyway => Arc::new(Witness::of(wrong(store), &self.testimony)),
            Control::SkipsIndex => wrong(Arc::new(Witness::of(store, &self.testimony))),
            Control::None | Control::SyncLies => Arc::new(Witness::of(store, &self.testimony)),
        }
    }
}

struct WrongStore {
    store: Arc<dyn Store>,
    control: Control,
}

impl Store for WrongStore {
    fn view(&self) -> Result<View, StoreError> {
        self.store.view()
    }

    fn commit(&self, writes: &Writes) -> Result<(), StoreError> {
        if self.control == Control::SkipsIndex {
            let (from, to) = Family::StateEnrollments.bounds();
            let kept = writes.iter().filter(|(key, _)| **key < from || **key >= to);
            return self.store.commit(&kept.map(|(key, value)| (key.clone(), value.clone())).collect());
        }
        let _ = self.store.commit(writes);
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.store.bytes()
    }
}
