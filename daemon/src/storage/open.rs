//! Opening a state directory's database and journal, in the order that keeps them safe.
//!
//! The lock comes first: its holder is the only daemon of this directory. A new database is made under a temporary
//! name, filled, checked and then renamed, because a crash while redb makes a file leaves one that never opens. An
//! existing one is synced and its cached pages are dropped before it is read: after a failed sync the page cache shows
//! pages that never reached the disk, and building on those destroys the database (9 of 16 in a trial; with this, none
//! of 16).

use crate::storage::io_error;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{Flock, FlockArg, OFlag, PosixFadviseAdvice, posix_fadvise};

use super::copy_on_write::CopyOnWrite;
use super::direct_io::DirectFile;
use super::disk::{Disk, Space as _};
use super::journal::{JournalFault, JournalOptions, JournalStore, MakeSlot, OtherShared, Slots};
use super::redb::{self, OpenFault, RedbOptions, RedbStore};
use crate::file_error::FileError;
use crate::metrics::JournalFigures;
use crate::storage::private_dir::Directory;
use enroll_core::state::{ReadTxn, StoreError};

/// The database's name in the state directory.
pub const DATABASE: &str = "enrolld.redb";

const DATABASE_NEW: &str = "enrolld.redb.new";

/// The name of a copy that is not whole.
const COPY_NEW: &str = "enrolld.redb.copy";

/// The names of the journal's files begin with this; their number follows.
const JOURNAL: &str = "enrolld.journal.";
const LOCK: &str = "lock";

/// An error of a state directory that can not be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the lock.
    #[error("{0} is in use by another enrolld; stop that one, or choose another directory with --state-dir")]
    InUse(PathBuf),
    /// A write to the disk failed.
    #[error("{path}: {source}; see to the disk, then start again")]
    Disk {
        /// Which file.
        path: PathBuf,
        /// The error of the store.
        source: StoreError,
    },
    /// The shared journal has no longer what this host lacks.
    #[error(
        "{path}: {source}; it was away for too long, or is new; it joins with a backup of another member, taken there by \
         enrollctl server backup, and made a database here by enrolld restore --join"
    )]
    Late {
        /// Which file.
        path: PathBuf,
        /// The error of the store.
        source: StoreError,
    },
    /// The database is a member's, and the configuration says that this registry is of this host alone.
    #[error(
        "{0} is the database of a member of a cluster; set store = \"etcd\", or leave the cluster for good with enrolld \
         cluster leave"
    )]
    OfMember(PathBuf),
    /// The database does not fit the shared journal.
    #[error("{path}: {source}; {way_out}", way_out = way_out(.source))]
    OtherShared {
        /// Which file.
        path: PathBuf,
        /// In which way.
        source: OtherShared,
    },
    /// There is a journal without the database that it belongs to.
    #[error("{0} belongs to a database that is not here; move the journal's files to where their database is")]
    OtherJournal(PathBuf),
    /// There is no database.
    #[error("there is no database in {0}; name another directory with --state-dir")]
    NoDatabase(PathBuf),
    /// A file can not be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database can not be read.
    #[error("{path}: {source}; restore a backup, or move the file away to begin anew")]
    Database {
        /// Which file.
        path: PathBuf,
        /// The error of the store.
        source: StoreError,
    },
}

impl OpenError {
    /// The lock's file may have been replaced; then the database's own lock shows that another daemon runs.
    fn of(fault: OpenFault, path: PathBuf) -> Self {
        match fault {
            OpenFault::InUse => Self::InUse(path),
            OpenFault::DiskFull(source) => Self::Disk { path, source },
            OpenFault::Unreadable(source) => Self::Database { path, source },
        }
    }

    /// The error of a journal in front of the database at this path.
    pub(crate) fn of_journal(fault: JournalFault, path: PathBuf) -> Self {
        match fault {
            JournalFault::Store(source @ StoreError::Trimmed(_)) => Self::Late { path, source },
            JournalFault::Store(source @ StoreError::Corrupt(_)) => Self::Database { path, source },
            JournalFault::Store(source) => Self::Disk { path, source },
            JournalFault::Foreign(number) => Self::OtherJournal(path.with_file_name(format!("{JOURNAL}{number}"))),
            JournalFault::OfMember => Self::OfMember(path),
            JournalFault::OtherShared(source) => Self::OtherShared { path, source },
            fault @ JournalFault::Damaged(_) => Self::Database { path, source: StoreError::Corrupt(fault.to_string()) },
        }
    }
}

/// The way out for a database that does not fit the shared journal.
fn way_out(other: &OtherShared) -> &'static str {
    match other {
        OtherShared::Local => {
            "enrolld cluster begin begins a cluster with it; to join a cluster that is there, move it away, and make one of \
             a member's backup by enrolld restore --join"
        }
        OtherShared::Missing(_) => {
            "see that etcd.endpoints and etcd.prefix are right; if etcd has lost everything, begin a new journal with \
             enrolld cluster begin, on the host with the highest record, and the others join it"
        }
        OtherShared::Replaced => {
            "if the cluster began anew, move this file away, and join with a backup of another member by enrolld restore \
             --join"
        }
        OtherShared::Older { .. } => {
            "stop all members, begin a new journal with enrolld cluster begin --replace, on the host with the highest record, \
             and the others join it"
        }
    }
}

/// Options for opening the files of a state directory.
#[derive(Debug, Clone, Copy)]
pub struct OpenOptions {
    /// Bytes of the database's cache.
    pub cache_bytes: usize,
    /// The size in bytes up to which a database is verified, with all checksums, when it is opened.
    pub verify_bytes_max: u64,
    /// The journal in front of it.
    pub journal: JournalOptions,
}

impl OpenOptions {
    /// The options with verification of every page, whatever the size.
    pub fn verifying(self) -> Self {
        Self { verify_bytes_max: u64::MAX, ..self }
    }

    /// The options of redb for a database of this size.
    pub fn redb(&self, bytes: u64) -> RedbOptions {
        RedbOptions { cache_bytes: self.cache_bytes, verify: bytes <= self.verify_bytes_max }
    }
}

/// A state directory, locked as long as this lives. The lock's file is never removed: two daemons could then each lock
/// a file of that name.
#[derive(Debug)]
pub struct StateDir {
    directory: Arc<Directory>,
    access: OFlag,
    _lock: Option<Flock<File>>,
}

impl StateDir {
    /// Takes the lock. Refuses if another process holds it.
    pub fn lock(path: &Path) -> Result<Self, OpenError> {
        Self::lock_in(path, Directory::open(path)?)
    }

    /// Takes the lock for an offline command; root acts for the directory's owner.
    pub fn lock_for_owner(path: &Path) -> Result<Self, OpenError> {
        Self::lock_in(path, Directory::open_for_owner(path, ".")?)
    }

    /// Takes the lock of a directory with a database; makes nothing in any other.
    pub fn lock_database(path: &Path) -> Result<Self, OpenError> {
        let directory = Directory::open_for_owner(path, ".")?;
        if !directory.has(DATABASE) {
            return Err(OpenError::NoDatabase(path.to_owned()));
        }
        Self::lock_in(path, directory)
    }

    /// Takes a shared lock to read a database, which may lie on a disk that can not be written to. If there is no lock
    /// file, no daemon runs on the directory.
    pub fn lock_to_read(path: &Path) -> Result<Self, OpenError> {
        let directory = Directory::open_for_owner(path, ".")?;
        if !directory.has(DATABASE) {
            return Err(OpenError::NoDatabase(path.to_owned()));
        }
        let lock = if directory.has(LOCK) {
            let file = directory.open_private(LOCK, OFlag::O_RDONLY)?;
            Some(take(path, file, FlockArg::LockSharedNonblock)?)
        } else {
            None
        };
        Ok(Self { directory: Arc::new(directory), access: OFlag::O_RDONLY, _lock: lock })
    }

    fn lock_in(path: &Path, directory: Directory) -> Result<Self, OpenError> {
        let file = directory.open_private(LOCK, OFlag::O_RDWR | OFlag::O_CREAT)?;
        let lock = Some(take(path, file, FlockArg::LockExclusiveNonblock)?);
        Ok(Self { directory: Arc::new(directory), access: OFlag::O_RDWR, _lock: lock })
    }

    /// The directory with the files.
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory)
    }

    /// The path of the database.
    pub fn database_path(&self) -> PathBuf {
        self.directory.path_of(DATABASE)
    }

    /// Bytes of the database's file.
    pub fn database_bytes(&self) -> Result<u64, OpenError> {
        let file = self.directory.open_private(DATABASE, OFlag::O_RDONLY)?;
        let metadata = file.metadata().map_err(|source| FileError::Io { path: self.database_path(), source })?;
        Ok(metadata.len())
    }

    /// True if there is a database.
    pub fn has_database(&self) -> bool {
        self.directory.has(DATABASE)
    }

    /// Passes a view of the database to `look`, before anything is written to it. `None` if there is no database, or if
    /// it has to be repaired first.
    pub fn peek<T>(&self, look: impl FnOnce(&dyn ReadTxn) -> T) -> Result<Option<T>, OpenError> {
        if !self.has_database() {
            return Ok(None);
        }
        // A file of its own: redb's locks belong to an open file, and the real opening must not share them.
        let file = self.database_file()?;
        redb::peek(file, look).map_err(|fault| OpenError::of(fault, self.database_path()))
    }

    /// Opens the database with the journal in front of it, and makes both if there is none.
    pub fn open_database(&self, options: &OpenOptions, figures: JournalFigures) -> Result<JournalStore, OpenError> {
        self.open_journal(self.open_tree(options)?, options, figures)
    }

    /// Opens the database without its journal, which may have later writes. Makes one if there is none.
    pub fn open_tree(&self, options: &OpenOptions) -> Result<RedbStore, OpenError> {
        if !self.has_database() {
            if let Some(journal) = self.journal_file()? {
                return Err(OpenError::OtherJournal(journal));
            }
            let path = self.directory.path_of(DATABASE_NEW);
            let made: Result<(), StoreError> = self.make_database(options, |_| Ok(()), |_, ()| Ok(()))?;
            made.map_err(|source| OpenError::Disk { path, source })?;
        }
        let (path, file) = (self.database_path(), self.database_file()?);
        let redb = options.redb(self.database_bytes()?);
        if redb.verify {
            // Verification reads all pages in the order of the tree. Reading ahead in the order of the file is faster.
            let _ = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_WILLNEED);
        }
        RedbStore::open(file, redb).map_err(|fault| OpenError::of(fault, path))
    }

    /// Opens the journal in front of a database, and makes it if there is none.
    pub fn open_journal(
        &self,
        tree: RedbStore,
        options: &OpenOptions,
        figures: JournalFigures,
    ) -> Result<JournalStore, OpenError> {
        let disks = self.journal_files()?.into_iter().enumerate().map(|(number, file)| {
            let disk: Arc<dyn Disk> = Arc::new(direct(&self.directory, number, file));
            disk
        });
        let disks = disks.collect();
        let slots = Slots { disks, make: self.make_journal_file() };
        let opened = JournalStore::open(tree, slots, options.journal, figures);
        opened.map_err(|fault| OpenError::of_journal(fault, self.database_path()))
    }

    /// Moves into the database what only its journal has, and closes it, as a stop in good order does.
    pub fn close_tree(&self, tree: RedbStore, options: &OpenOptions) -> Result<(), OpenError> {
        let path = self.database_path();
        let disks = self.journal_files()?.into_iter().map(|file| Arc::new(file) as Arc<dyn Disk>).collect();
        let replayed = JournalStore::replay(&tree, disks, options.journal);
        replayed.map_err(|fault| OpenError::of_journal(fault, path.clone()))?;
        tree.close().map_err(|err| OpenError::of_journal(err.into(), path))
    }

    /// Copies the closed database, and replaces a copy of this name. A failure or an interruption leaves none under it.
    pub fn copy_database(&self, name: &str) -> Result<PathBuf, OpenError> {
        let from = self.database_file()?;
        let to = self.directory.create_private(COPY_NEW)?;
        let copied = io::copy(&mut &from, &mut &to).and_then(|_| to.sync_all());
        if let Err(source) = copied {
            self.directory.remove(COPY_NEW)?;
            return Err(FileError::Io { path: self.directory.path_of(name), source }.into());
        }
        self.directory.publish(COPY_NEW, name)?;
        Ok(self.directory.path_of(name))
    }

    /// Free bytes on the disk of the database.
    pub fn free_bytes(&self) -> Result<u64, OpenError> {
        let file = self.directory.open_private(DATABASE, OFlag::O_RDONLY)?;
        Ok(file.free_bytes().map_err(|source| FileError::Io { path: self.database_path(), source })?)
    }

    /// Opens the database copy-on-write, with the journal's content. Nothing is written to either.
    pub fn open_copy(&self, options: &OpenOptions) -> Result<RedbStore, OpenError> {
        let path = self.database_path();
        let redb = options.redb(self.database_bytes()?);
        let tree = RedbStore::open_copy(self.database_file()?, redb);
        let tree = tree.map_err(|fault| OpenError::of(fault, path.clone()))?;
        let failed = |source| OpenError::File(FileError::Io { path: path.clone(), source });
        let copies = self.journal_files()?.into_iter().map(|file| {
            let copy = CopyOnWrite::over(file).map_err(failed)?;
            Ok(Arc::new(copy) as Arc<dyn Disk>)
        });
        let disks = copies.collect::<Result<_, OpenError>>()?;
        JournalStore::replay(&tree, disks, options.journal).map_err(|fault| OpenError::of_journal(fault, path))?;
        Ok(tree)
    }

    /// Opens a file of a journal, if there is one.
    pub fn journal_file(&self) -> Result<Option<PathBuf>, OpenError> {
        let name = format!("{JOURNAL}0");
        Ok(self.directory.has(&name).then(|| self.directory.path_of(&name)))
    }

    /// Opens the journal's files, after dropping cached pages that are not on the disk.
    fn journal_files(&self) -> Result<Vec<File>, OpenError> {
        let names = (0..).map(|number: usize| format!("{JOURNAL}{number}"));
        names.take_while(|name| self.directory.has(name)).map(|name| self.settled(&name)).collect()
    }

    /// Removes the files of a journal whose content the database has, the last one first, so that an interruption leaves
    /// no gap.
    pub fn remove_journal(&self) -> Result<(), FileError> {
        let names = (0..).map(|number: usize| format!("{JOURNAL}{number}"));
        let names: Vec<_> = names.take_while(|name| self.directory.has(name)).collect();
        names.iter().rev().try_for_each(|name| self.directory.remove(name))?;
        self.directory.sync()
    }

    fn make_journal_file(&self) -> MakeSlot {
        let directory = Arc::clone(&self.directory);
        Box::new(move |number| {
            let failed = io_error::<FileError>("a segment of the journal can not be made");
            let file = directory.make_private(&format!("{JOURNAL}{number}")).map_err(failed)?;
            Ok(Arc::new(direct(&directory, number, file)))
        })
    }

    /// Makes a database: `fill` fills it, and `judge` accepts it before it gets its name. A failure leaves none.
    pub fn make_database<F, T, E: From<StoreError>>(
        &self,
        options: &OpenOptions,
        fill: impl FnOnce(&RedbStore) -> Result<F, E>,
        judge: impl FnOnce(&RedbStore, F) -> Result<T, E>,
    ) -> Result<Result<T, E>, FileError> {
        let file = self.directory.create_private(DATABASE_NEW)?;
        let made = make_in(&file, options, fill, judge);
        match &made {
            Ok(_) => self.directory.publish(DATABASE_NEW, DATABASE)?,
            Err(_) => self.directory.remove(DATABASE_NEW)?,
        }
        Ok(made)
    }

    fn database_file(&self) -> Result<File, OpenError> {
        self.settled(DATABASE)
    }

    /// Opens a file, after dropping cached pages that are not on the disk.
    fn settled(&self, name: &str) -> Result<File, OpenError> {
        let file = self.directory.open_private(name, self.access)?;
        let settled = match settle(&file) {
            // A read-only file system has nothing to sync.
            Err(err) if self.access == OFlag::O_RDONLY && is_read_only(&err) => Ok(()),
            settled => settled,
        };
        settled.map_err(|source| FileError::Io { path: self.directory.path_of(name), source })?;
        Ok(file)
    }
}

/// Makes a database in a new file: fills and closes it, reads it again from the disk with all checksums, and judges it.
pub fn make_in<F, T, E: From<StoreError>>(
    file: &File,
    options: &OpenOptions,
    fill: impl FnOnce(&RedbStore) -> Result<F, E>,
    judge: impl FnOnce(&RedbStore, F) -> Result<T, E>,
) -> Result<T, E> {
    let failed = io_error::<io::Error>("the new database can not be made");
    let open = |options| -> Result<RedbStore, StoreError> {
        Ok(RedbStore::open(file.try_clone().map_err(&failed)?, options)?)
    };
    let store = open(options.redb(0))?;
    let filled = fill(&store)?;
    store.close()?;
    settle(file).map_err(&failed)?;
    let store = open(options.verifying().redb(0))?;
    let judged = judge(&store, filled)?;
    store.close()?;
    file.sync_all().map_err(failed)?;
    Ok(judged)
}

/// Opens a file of a journal for writing.
fn direct(directory: &Directory, number: usize, file: File) -> DirectFile {
    let again = directory.open_private(&format!("{JOURNAL}{number}"), OFlag::O_RDWR | OFlag::O_DIRECT);
    // File systems without direct I/O are written to through the page cache.
    DirectFile::new(file, again.ok())
}

fn take(path: &Path, file: File, how: FlockArg) -> Result<Flock<File>, OpenError> {
    Flock::lock(file, how).map_err(|_| OpenError::InUse(path.to_owned()))
}

/// True for an error by which a file system reports that it has nothing to sync.
fn is_read_only(err: &io::Error) -> bool {
    matches!(err.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::InvalidInput)
}

fn settle(file: &File) -> io::Result<()> {
    file.sync_data()?;
    Ok(posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?)
}
