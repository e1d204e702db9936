//! The tree on disk: one redb table (a copy-on-write B-tree), one redb commit per batch.
//!
//! Commits are immediate and two-phase: redb's own advice where input may be hostile, and free once batches are large.
//! Each keeps the allocator's state, so that opening takes milliseconds whatever the size. A view is a redb read
//! transaction, an MVCC snapshot; it must not be held longer than a request, a page or a backup, because the file grows
//! meanwhile.

mod read_failure;
mod write_transaction;

use crate::storage::io_error;
use std::fs::File;
use std::io;
use std::iter::Peekable;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{
    Builder, CursorError, Database, DatabaseError, Durability, ReadOnlyTable, ReadTransaction, ReadableDatabase,
    ReadableTable, ReadableTableMetadata, StorageBackend, StorageError, Table, TableDefinition, TableError,
    WriteTransaction,
};

use super::copy_on_write::CopyOnWrite;
use super::disk::{Disk, Space};
use super::journal::Mark;
use crate::file_error::is_disk_full;
use enroll_core::state::merge::{Stretch, Write};
use enroll_core::state::{Entries, ReadTxn, Store, StoreError, View, WriteTxn, Writes};
pub use read_failure::ReadFailure;
use write_transaction::WholeTable;

/// Keys and values, as redb names them.
type Bytes = &'static [u8];

const TABLE: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("enrolld");

/// The mark of the journal that the tree has taken over: identity, number, generation, and whether there may be more.
const MARK: TableDefinition<'_, (), (u64, u64, u64, bool)> = TableDefinition::new("journal");

/// The identity of the journal in front of the tree, where other hosts share that.
const SHARED: TableDefinition<'_, (), u64> = TableDefinition::new("journal.shared");

const OPEN: &str = "the database can not be opened";
const READ: &str = "the database can not be read";
const WRITE: &str = "the database can not be written";

/// Rounds of compacting; each ends when redb finds nothing more to move.
const COMPACT_ROUNDS_MAX: usize = 8;

/// Keys between two looks for a run, at most.
const PAUSE_MAX: usize = 64;

/// Options for opening a database.
#[derive(Debug, Clone, Copy)]
pub struct RedbOptions {
    /// Bytes of redb's cache, which takes about 2.2 times as much memory.
    pub cache_bytes: usize,
    /// True if opening verifies every checksum, which takes about a second for each 100 MiB.
    pub verify: bool,
}

/// An error of a database that can not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenFault {
    /// Another process has it open.
    #[error("it is in use by another process")]
    InUse,
    /// The disk is full.
    #[error("{0}")]
    DiskFull(StoreError),
    /// It can not be read.
    #[error("{0}")]
    Unreadable(#[from] StoreError),
}

impl From<DatabaseError> for OpenFault {
    fn from(err: DatabaseError) -> Self {
        match err {
            DatabaseError::DatabaseAlreadyOpen => Self::InUse,
            DatabaseError::Storage(StorageError::Io(source)) if is_disk_full(&source) => {
                Self::DiskFull(io_error(OPEN)(source))
            }
            err => Self::Unreadable(failed(OPEN)(err)),
        }
    }
}

impl From<OpenFault> for StoreError {
    fn from(fault: OpenFault) -> Self {
        match fault {
            OpenFault::InUse => io_error(OPEN)(fault),
            OpenFault::DiskFull(err) | OpenFault::Unreadable(err) => err,
        }
    }
}

/// Passes a view of the database in this file to `look`; nothing is written. `None` if the database has to be repaired
/// first, which only opening it does.
pub fn peek<T>(file: File, look: impl FnOnce(&dyn ReadTxn) -> T) -> Result<Option<T>, OpenFault> {
    if file.metadata().map_err(io_error(OPEN))?.len() == 0 {
        return Err(StoreError::Corrupt("it is empty, which no database ever is".to_owned()).into());
    }
    let backend = FileBackend::new(file)?;
    unless_damaged(|| {
        let database = match Builder::new().set_cache_size(1 << 20).open_read_only_with_backend(backend) {
            Ok(database) => database,
            Err(DatabaseError::RepairAborted) => return Ok(None),
            Err(err) => return Err(err.into()),
        };
        Ok(Some(look(&RedbView::of(&database, &Arc::default())?)))
    })
}

/// A redb database.
pub struct RedbStore {
    database: Database,
    space: Arc<dyn Space>,
    failure: Arc<ReadFailure>,
}

/// The backend of redb over a disk. It has no locks, because no other process opens the disk.
#[derive(Debug)]
struct Backend(Arc<dyn Disk>);

struct RedbView {
    table: ReadOnlyTable<Bytes, Bytes>,
    _transaction: ReadTransaction,
    failure: Arc<ReadFailure>,
}

impl RedbStore {
    /// Opens the database in this file, or makes one if the file is empty. All tables exist when it returns.
    pub fn open(file: File, options: RedbOptions) -> Result<Self, OpenFault> {
        let kept = file.try_clone().map_err(io_error(OPEN))?;
        let backend = FileBackend::new(file)?;
        Self::open_backend(backend, Arc::new(kept), options)
    }

    /// Opens the database copy-on-write, and repairs it in memory if necessary. The file is not written to.
    pub fn open_copy(file: File, options: RedbOptions) -> Result<Self, OpenFault> {
        Self::open_on(Arc::new(CopyOnWrite::over(file).map_err(io_error(OPEN))?), options)
    }

    /// Compacts the file, and truncates it. It works in transactions, so a crash leaves the database intact.
    pub fn compact(&mut self) -> Result<(), StoreError> {
        for _ in 0..COMPACT_ROUNDS_MAX {
            if !self.database.compact().map_err(failed("the database can not be compacted"))? {
                break;
            }
        }
        Ok(())
    }

    /// Opens a database on any disk, such as one of a test.
    pub fn open_on(disk: Arc<dyn Disk>, options: RedbOptions) -> Result<Self, OpenFault> {
        Self::open_backend(Backend(Arc::clone(&disk)), disk, options)
    }

    fn open_backend(
        backend: impl StorageBackend,
        space: Arc<dyn Space>,
        options: RedbOptions,
    ) -> Result<Self, OpenFault> {
        unless_damaged(|| {
            let database = Builder::new()
                .set_cache_size(options.cache_bytes)
                .set_check_integrity_on_open(options.verify)
                .create_with_backend(backend)?;
            let store = Self { database, space, failure: Arc::default() };
            if store.view().is_err() {
                store.commit(&Writes::new())?;
            }
            Ok(store)
        })
    }

    /// Closes the database and returns its errors.
    pub fn close(self) -> Result<(), StoreError> {
        self.database.close().map_err(failed("the database can not be closed"))
    }
}

impl RedbStore {
    /// A view that threads may share.
    pub(super) fn shared_view(&self) -> Result<Arc<dyn ReadTxn + Send + Sync>, StoreError> {
        Ok(Arc::new(RedbView::of(&self.database, &self.failure)?))
    }

    /// The first read of a view that failed, if one did.
    pub fn read_failure(&self) -> Arc<ReadFailure> {
        Arc::clone(&self.failure)
    }

    /// The number of entries.
    pub fn entries(&self) -> Result<usize, StoreError> {
        let view = RedbView::of(&self.database, &self.failure)?;
        let entries = view.table.len().map_err(failed(READ))?;
        Ok(usize::try_from(entries).unwrap_or(usize::MAX))
    }

    /// The mark of the journal in front of the tree, if there ever was one.
    pub fn mark(&self) -> Result<Option<Mark>, StoreError> {
        let transaction = self.database.begin_read().map_err(failed(READ))?;
        let shared = match transaction.open_table(SHARED) {
            Ok(table) => table.get(()).map_err(failed(READ))?.map(|identity| identity.value()),
            Err(TableError::TableDoesNotExist(_)) => None,
            Err(err) => return Err(failed(READ)(err)),
        };
        match transaction.open_table(MARK) {
            Ok(table) => Ok(table.get(()).map_err(failed(READ))?.map(|mark| {
                let (identity, number, generation, is_open) = mark.value();
                Mark { identity, number, generation, is_open, is_shared: shared == Some(identity) }
            })),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(err) => Err(failed(READ)(err)),
        }
    }

    /// Stores the mark of a journal of which the tree has everything up to there.
    pub fn set_mark(&self, mark: &Mark) -> Result<(), StoreError> {
        self.take_over(mark, &mut std::iter::empty())
    }

    /// Takes over the journal's writes up to a mark, which come in key order, in one durable transaction.
    pub fn take_over(&self, mark: &Mark, writes: Stretch<'_, '_>) -> Result<(), StoreError> {
        let Mark { identity, number, generation, is_open, is_shared } = *mark;
        let transaction = self.begin()?;
        {
            let mut table = transaction.open_table(TABLE).map_err(failed(WRITE))?;
            let (mut writes, mut runs) = (writes.peekable(), Runs::default());
            while let Some((key, value)) = writes.next() {
                set(&mut table, key, value)?;
                if runs.may_begin_after(key) {
                    runs.learn(append(&mut table, key, &mut writes)?);
                }
            }
            let mut table = transaction.open_table(MARK).map_err(failed(WRITE))?;
            table.insert((), (identity, number, generation, is_open)).map_err(failed(WRITE))?;
            if is_shared {
                let mut table = transaction.open_table(SHARED).map_err(failed(WRITE))?;
                table.insert((), identity).map_err(failed(WRITE))?;
            }
        }
        transaction.commit().map_err(failed(WRITE))
    }

    /// Runs a change of any size in one durable transaction: all of it is there afterwards, or nothing. Memory does not
    /// grow with it, since redb writes what its cache does not hold.
    pub fn change<T, E: From<StoreError>>(
        &self,
        change: impl FnOnce(&mut dyn WriteTxn) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = self.begin()?;
        let changed = {
            let mut table = WholeTable::new(transaction.open_table(TABLE).map_err(failed(WRITE))?);
            let changed = change(&mut table)?;
            table.finish()?;
            changed
        };
        transaction.commit().map_err(failed(WRITE))?;
        Ok(changed)
    }

    fn begin(&self) -> Result<WriteTransaction, StoreError> {
        let mut transaction = self.database.begin_write().map_err(failed(WRITE))?;
        transaction.set_durability(Durability::Immediate).map_err(failed(WRITE))?;
        transaction.set_two_phase_commit(true);
        transaction.set_quick_repair(true);
        Ok(transaction)
    }
}

impl Store for RedbStore {
    fn view(&self) -> Result<View, StoreError> {
        Ok(Box::new(RedbView::of(&self.database, &self.failure)?))
    }

    fn commit(&self, writes: &Writes) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        {
            let mut table = transaction.open_table(TABLE).map_err(failed(WRITE))?;
            for (key, value) in writes {
                set(&mut table, key, value.as_deref())?;
            }
        }
        transaction.commit().map_err(failed(WRITE))
    }

    fn bytes(&self) -> u64 {
        self.space.bytes().unwrap_or(0)
    }

    fn free_bytes(&self) -> u64 {
        // If the free space is unknown, the flush is tried.
        self.space.free_bytes().unwrap_or(u64::MAX)
    }
}

fn set(table: &mut Table<'_, Bytes, Bytes>, key: &[u8], value: Option<&[u8]>) -> Result<(), StoreError> {
    match value {
        Some(value) => table.insert(key, value).map_err(failed(WRITE))?,
        None => table.remove(key).map_err(failed(WRITE))?,
    };
    Ok(())
}

/// Puts what comes after this key, as long as the table has nothing in between: whole leaves at a time, and full ones.
/// Returns how many writes that were.
fn append<'a>(
    table: &mut Table<'_, Bytes, Bytes>,
    after: &[u8],
    writes: &mut Peekable<impl Iterator<Item = Write<'a>>>,
) -> Result<usize, StoreError> {
    let mut cursor = table.upper_bound_mut(Bound::Included(after)).map_err(failed(WRITE))?;
    let mut count = 0;
    while let Some((key, Some(value))) = writes.peek() {
        match cursor.insert_before(*key, *value) {
            Ok(()) => drop(writes.next()),
            Err(CursorError::UnorderedKey) => break,
            Err(CursorError::Storage(err)) => return Err(failed(WRITE)(err)),
            Err(err) => return Err(StoreError::Corrupt(format!("{WRITE}: {err}"))),
        }
        count += 1;
    }
    cursor.close().map_err(failed(WRITE))?;
    Ok(count)
}

/// The search for runs: keys of a flush that no key of the table lies between. A look costs as much as a write, so
/// within a family of keys fewer and fewer are taken where none finds a run.
#[derive(Default)]
struct Runs {
    tag: Option<u8>,
    /// Keys until the next look.
    left: usize,
    /// Keys between looks.
    pause: usize,
}

impl Runs {
    fn may_begin_after(&mut self, key: &[u8]) -> bool {
        if self.tag != key.first().copied() {
            *self = Self { tag: key.first().copied(), ..Self::default() };
        }
        let is_time = self.left == 0;
        self.left = self.left.saturating_sub(1);
        is_time
    }

    fn learn(&mut self, appended: usize) {
        self.pause = if appended > 0 { 0 } else { PAUSE_MAX.min(2 * self.pause + 1) };
        self.left = self.pause;
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.bytes()
    }

    fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, bytes)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write(offset, bytes)
    }
}

impl RedbView {
    fn of(database: &impl ReadableDatabase, failure: &Arc<ReadFailure>) -> Result<Self, StoreError> {
        let transaction = database.begin_read().map_err(failed(READ))?;
        let table = transaction.open_table(TABLE).map_err(failed(READ))?;
        Ok(Self { table, _transaction: transaction, failure: Arc::clone(failure) })
    }
}

impl ReadTxn for RedbView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        get(&self.table, key).inspect_err(|err| self.failure.note(err))
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError> {
        range(&self.table, from, to, limit).inspect_err(|err| self.failure.note(err))
    }
}

fn get(table: &impl ReadableTable<Bytes, Bytes>, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(table.get(key).map_err(failed(READ))?.map(|value| value.value().to_vec()))
}

fn range(
    table: &impl ReadableTable<Bytes, Bytes>,
    from: &[u8],
    to: &[u8],
    limit: usize,
) -> Result<Entries, StoreError> {
    let mut entries = Entries::new();
    if from >= to {
        return Ok(entries);
    }
    for entry in table.range(from..to).map_err(failed(READ))?.take(limit) {
        let (key, value) = entry.map_err(failed(READ))?;
        entries.push((key.value().to_vec(), value.value().to_vec()));
    }
    Ok(entries)
}

/// Runs an opening and catches panics: until checksums are verified, redb may panic over damaged pages.
fn unless_damaged<T>(open: impl FnOnce() -> Result<T, OpenFault>) -> Result<T, OpenFault> {
    let opened = catch_unwind(AssertUnwindSafe(open));
    opened.unwrap_or_else(|_| Err(StoreError::Corrupt("it is damaged".to_owned()).into()))
}

/// An error of redb while doing this, by its kind.
fn failed<E: Into<redb::Error>>(doing: &'static str) -> impl FnOnce(E) -> StoreError {
    move |err| match err.into() {
        err @ (redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::Unsupported) => io_error(doing)(err),
        redb::Error::DatabaseClosed => StoreError::Closed("the database"),
        err => StoreError::Corrupt(format!("{doing}: {err}")),
    }
}
