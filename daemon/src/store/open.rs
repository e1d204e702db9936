//! Opening the files of a state directory, in the order that keeps them safe.
//!
//! The lock comes first: whoever holds it is the one daemon of this directory. A new database is made under a
//! temporary name and renamed, because a crash while redb makes a file leaves one that never opens. An existing one is
//! synced and its cached pages are dropped before it is read: after a failed sync the page cache shows pages that
//! never reached the disk, and building on those destroys the database (5 of 8 in a trial; with this, none of 16).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg, PosixFadviseAdvice, posix_fadvise};
use nix::libc::{O_CLOEXEC, O_NOFOLLOW};
use nix::unistd::geteuid;

use super::StoreError;
use super::redb::{RedbOptions, RedbStore};

const DATABASE: &str = "enrolld.redb";
const DATABASE_NEW: &str = "enrolld.redb.new";
const LOCK: &str = "lock";

/// Why a state directory can not be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the lock.
    #[error("{0} is in use by another enrolld; stop that one, or choose another directory with --state-dir")]
    InUse(PathBuf),
    /// A file is not what it should be.
    #[error("{path}: {problem}")]
    Unsafe {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// The operating system said no.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The database can not be read.
    #[error("{path}: {source}; restore a backup, or move the file away to begin anew")]
    Database {
        /// Which file.
        path: PathBuf,
        /// What redb said.
        source: StoreError,
    },
}

/// The lock on a state directory, held as long as this lives. The file is never removed: two daemons could then each
/// lock a file of that name.
#[derive(Debug)]
pub struct StateLock {
    _lock: Flock<File>,
}

impl StateLock {
    /// Takes the lock, or says who could not.
    pub fn take(state_dir: &Path) -> Result<Self, OpenError> {
        let path = state_dir.join(LOCK);
        let file = private(OpenOptions::new().read(true).write(true).create(true), &path)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self { _lock: lock }),
            Err(_) => Err(OpenError::InUse(state_dir.to_owned())),
        }
    }
}

/// Whether this directory holds a database.
pub fn database_exists(state_dir: &Path) -> bool {
    state_dir.join(DATABASE).symlink_metadata().is_ok()
}

/// Where the database of this directory is.
pub fn database_path(state_dir: &Path) -> PathBuf {
    state_dir.join(DATABASE)
}

/// Opens the database of a locked directory, making it if there is none.
pub fn open_database(_lock: &StateLock, state_dir: &Path, options: RedbOptions) -> Result<RedbStore, OpenError> {
    let path = database_path(state_dir);
    if !database_exists(state_dir) {
        create_database(state_dir, options)?;
    }
    let file = private(OpenOptions::new().read(true).write(true), &path)?;
    let failed = |source| OpenError::Io { path: path.clone(), source };
    file.sync_data().map_err(failed)?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).map_err(|errno| failed(errno.into()))?;
    RedbStore::open(file, options).map_err(|source| OpenError::Database { path: path.clone(), source })
}

fn create_database(state_dir: &Path, options: RedbOptions) -> Result<(), OpenError> {
    let new = state_dir.join(DATABASE_NEW);
    let failed = |source| OpenError::Io { path: new.clone(), source };
    match std::fs::remove_file(&new) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(failed(err)),
        _ => {}
    }
    let file = private(OpenOptions::new().read(true).write(true).create_new(true), &new)?;
    let synced = file.try_clone().map_err(failed)?;
    RedbStore::open(file, options)
        .and_then(RedbStore::close)
        .map_err(|source| OpenError::Database { path: new.clone(), source })?;
    synced.sync_all().map_err(failed)?;
    std::fs::rename(&new, database_path(state_dir)).map_err(failed)?;
    sync_directory(state_dir)
}

/// Makes the names in a directory durable.
pub fn sync_directory(directory: &Path) -> Result<(), OpenError> {
    File::open(directory)
        .and_then(|file| file.sync_all())
        .map_err(|source| OpenError::Io { path: directory.to_owned(), source })
}

/// Opens a file that must be ours alone: a regular file with one name, owned by this user, closed to others.
pub fn private(options: &mut OpenOptions, path: &Path) -> Result<File, OpenError> {
    let failed = |source| OpenError::Io { path: path.to_owned(), source };
    let not_safe = |problem: String| OpenError::Unsafe { path: path.to_owned(), problem };
    let file = options.mode(0o600).custom_flags(O_NOFOLLOW | O_CLOEXEC).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() || metadata.nlink() != 1 {
        return Err(not_safe("must be a regular file with one name; move it away".to_owned()));
    }
    if metadata.uid() != geteuid().as_raw() {
        return Err(not_safe(format!(
            "belongs to uid {}, and enrolld runs as uid {}; change its owner or run enrolld as that user",
            metadata.uid(),
            geteuid()
        )));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(not_safe(format!(
            "is open to others (mode {:o}); run: chmod 600 {}",
            metadata.mode() & 0o7777,
            path.display()
        )));
    }
    Ok(file)
}
