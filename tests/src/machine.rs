//! A machine with the disks of a journal store: the database's, and one for each slot of the journal, made when the
//! journal wants it. They lose their power together, at a call that is counted over all of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use enroll_core::identity::Secrets;
use enroll_core::state::{Store, StoreError, View, Writes};
use enrolld::metrics::JournalFigures;
use enrolld::storage::disk::Disk;
use enrolld::storage::io_error;
use enrolld::storage::journal::{JournalOptions, JournalStore, MakeSlot, Slots};
use enrolld::storage::redb::{RedbOptions, RedbStore};
use enrolld::storage::shared_journal::SharedJournal;
use rand::RngExt as _;
use rand::rngs::SmallRng;

use crate::disk::{Call, Fate, Power, SimulatedDisk, Unsynced, failure};

/// Offset of a segment's first record, after its headers.
const RECORDS: u64 = 8192;

/// The disk images between two lives.
#[derive(Debug, Clone, Default)]
pub struct Platters {
    /// The database.
    pub database: Vec<u8>,
    /// The journal's files, in the order they were made.
    pub slots: Vec<Vec<u8>>,
    /// The dirty pages of each of them, the database first. One without an entry has none.
    unsynced: Vec<Option<Unsynced>>,
}

impl Platters {
    /// A database without a journal.
    pub fn of(database: Vec<u8>) -> Self {
        Self { database, ..Self::default() }
    }

    /// A database and the files of its journal, all of it durable.
    pub fn holding(database: Vec<u8>, slots: Vec<Vec<u8>>) -> Self {
        Self { database, slots, unsynced: Vec::new() }
    }

    /// True if a loss of power takes nothing of it.
    pub fn is_durable(&self) -> bool {
        self.unsynced.iter().all(Option::is_none)
    }
}

/// The disks that lie about syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liar {
    /// None.
    None,
    /// The database's.
    Database,
    /// The journal's.
    Journal,
    /// All.
    All,
}

/// The place of a power loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// At a call of the database's disk.
    InDatabase,
    /// A journal slot that is made, filled or given its header.
    InSegment,
    /// A record that is written or synced.
    InRecord,
}

/// See the module.
pub struct Machine {
    power: Arc<Power>,
    database: Arc<SimulatedDisk>,
    journal: Arc<Journal>,
}

struct Journal {
    power: Arc<Power>,
    lies: bool,
    slots: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    disks: Vec<Arc<SimulatedDisk>>,
    /// The power was lost while the next one was made.
    is_next_in_doubt: bool,
}

impl Machine {
    /// With these disks, until its fate comes.
    pub fn with(platters: Platters, fate: Fate, liar: Liar) -> Self {
        let power = Power::with(fate);
        let [database_lies, lies] = [Liar::Database, Liar::Journal].map(|it| liar == it || liar == Liar::All);
        let mut unsynced = platters.unsynced.into_iter();
        let mut disk = |image, lies| {
            Arc::new(SimulatedDisk::sharing(&power, image, lies).with_unsynced(unsynced.next().flatten()))
        };
        let database = disk(platters.database, database_lies);
        let disks = platters.slots.into_iter().map(|image| disk(image, lies)).collect();
        let slots = Mutex::new(Made { disks, is_next_in_doubt: false });
        let journal = Arc::new(Journal { power: Arc::clone(&power), lies, slots });
        Self { power, database, journal }
    }

    /// The same without a fate.
    pub fn holding(platters: Platters) -> Self {
        Self::with(platters, Fate::None, Liar::None)
    }

    /// Opens the store that lies on it.
    pub fn open(&self, redb: RedbOptions, journal: JournalOptions) -> Result<JournalStore, String> {
        let tree = RedbStore::open_on(self.database(), redb).map_err(|err| err.to_string())?;
        JournalStore::open(tree, self.slots(), journal, JournalFigures::default()).map_err(|err| err.to_string())
    }

    /// Opens the standby that lies on it, of a journal that several hosts share.
    pub fn open_shared(
        &self,
        redb: RedbOptions,
        options: JournalOptions,
        journal: Arc<dyn SharedJournal>,
        secrets: Secrets,
    ) -> Result<JournalStore, String> {
        let tree = RedbStore::open_on(self.database(), redb).map_err(|err| err.to_string())?;
        let opened = JournalStore::open_shared(tree, journal, secrets.into(), options, JournalFigures::default());
        opened.map_err(|err| err.to_string())
    }

    /// The database's disk.
    pub fn database(&self) -> Arc<SimulatedDisk> {
        Arc::clone(&self.database)
    }

    /// The journal's disks, and how one more is made.
    pub fn slots(&self) -> Slots {
        let disks = self.journal.made().disks.iter().map(|disk| Arc::clone(disk) as Arc<dyn Disk>).collect();
        let journal = Arc::clone(&self.journal);
        let make: MakeSlot = Box::new(move |number| journal.make(number));
        Slots { disks, make }
    }

    /// Sets the free bytes of its disks.
    pub fn set_free_bytes(&self, bytes: u64) {
        self.power.set_free_bytes(bytes);
    }

    /// Looks at what the machine holds, as nobody on it can: no call of the disks fails, and none counts.
    pub fn watch<T>(&self, look: impl FnOnce() -> T) -> T {
        self.power.watch(true);
        let seen = look();
        self.power.watch(false);
        seen
    }

    /// Ends the process that uses its disks at once: what closes its files afterwards changes nothing on them.
    pub fn crash(&self) {
        self.power.crash();
    }

    /// The fault to inject.
    pub fn fate(&self) -> Fate {
        self.power.fate()
    }

    /// True once the fault was injected.
    pub fn has_met_its_fate(&self) -> bool {
        self.power.has_met_its_fate()
    }

    /// The place of the power loss, if there was one.
    pub fn lost(&self) -> Option<Lost> {
        let made = self.journal.made();
        if self.database.is_where_power_was_lost() {
            return Some(Lost::InDatabase);
        }
        match made.disks.iter().find(|disk| disk.is_where_power_was_lost()) {
            Some(disk) if disk.written_at().is_some_and(|at| at >= RECORDS) => Some(Lost::InRecord),
            Some(_) => Some(Lost::InSegment),
            None => made.is_next_in_doubt.then_some(Lost::InSegment),
        }
    }

    /// True if the journal was written to in this life.
    pub fn has_written_journal(&self) -> bool {
        self.journal.made().disks.iter().any(|disk| disk.written_at().is_some())
    }

    /// The images after the process has ended, however it did: the power stays on, and dirty pages stay dirty.
    pub fn live(&self) -> Platters {
        let made = self.journal.made();
        let disks = || [&self.database].into_iter().chain(&made.disks);
        Platters {
            database: self.database.live(),
            slots: made.disks.iter().map(|disk| disk.live()).collect(),
            unsynced: disks().map(|disk| disk.unsynced()).collect(),
        }
    }

    /// An image that a power loss now may leave, drawn at random.
    pub fn after_power_loss(&self, random: &mut SmallRng) -> Platters {
        let made = self.journal.made();
        let database = self.database.after_power_loss(random);
        let mut slots: Vec<_> = made.disks.iter().map(|disk| disk.after_power_loss(random)).collect();
        if made.is_next_in_doubt && random.random_bool(0.5) {
            slots.push(Vec::new());
        }
        Platters::holding(database, slots)
    }
}

impl Journal {
    /// Makes a file and its name durable.
    fn make(&self, number: usize) -> Result<Arc<dyn Disk>, StoreError> {
        let mut made = self.made();
        assert_eq!(number, made.disks.len(), "slots are numbered in the order they are made");
        match self.power.call(Call::Change) {
            Ok(true) => {}
            Ok(false) => {
                made.is_next_in_doubt = true;
                return Err(io_error("a segment of the journal can not be made")(failure("the power was lost")));
            }
            Err(err) => return Err(io_error("a segment of the journal can not be made")(err)),
        }
        let disk = Arc::new(SimulatedDisk::sharing(&self.power, Vec::new(), self.lies));
        made.disks.push(Arc::clone(&disk));
        Ok(disk)
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A store that its owner can close while others hold it.
pub struct Lent(RwLock<Option<JournalStore>>);

impl Lent {
    /// Lends this one.
    pub fn new(store: JournalStore) -> Arc<Self> {
        Arc::new(Self(RwLock::new(Some(store))))
    }

    /// Moves everything that was committed into the tree, and makes a filter of all keys.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.with(|store| store.flush().and_then(|()| store.make_filter(|| ())))
    }

    /// Closes it in good order.
    pub fn close(&self) -> Result<(), StoreError> {
        let store = self.0.write().unwrap_or_else(PoisonError::into_inner).take();
        store.map_or_else(|| Err(closed()), JournalStore::close)
    }

    pub(crate) fn with<T>(&self, act: impl FnOnce(&JournalStore) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let store = self.0.read().unwrap_or_else(PoisonError::into_inner);
        store.as_ref().map_or_else(|| Err(closed()), act)
    }
}

impl Store for Lent {
    fn view(&self) -> Result<View, StoreError> {
        self.with(|store| store.view())
    }

    fn commit(&self, writes: &Writes) -> Result<(), StoreError> {
        self.with(|store| store.commit(writes))
    }

    fn confirm(&self) -> Result<(), StoreError> {
        self.with(JournalStore::confirm)
    }

    fn is_shared(&self) -> bool {
        self.with(|store| Ok(store.is_shared())).unwrap_or(false)
    }

    fn bytes(&self) -> u64 {
        self.with(|store| Ok(store.bytes())).unwrap_or(0)
    }

    fn free_bytes(&self) -> u64 {
        self.with(|store| Ok(store.free_bytes())).unwrap_or(u64::MAX)
    }

    fn journal_free_bytes(&self) -> u64 {
        self.with(|store| Ok(store.journal_free_bytes())).unwrap_or(u64::MAX)
    }
}

fn closed() -> StoreError {
    StoreError::Closed("it was closed before")
}
