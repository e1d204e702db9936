//! Offline commands on the files of a stopped daemon: restore, compact, check, make or rotate the key, reset. Those that
//! use the database take the lock of the state directory, so none of them runs beside a daemon. `backup` asks a running
//! daemon through its socket.

mod backup;
mod check;
#[cfg(feature = "etcd")]
mod cluster;
mod compact;
mod inspect;
mod join;
mod make_key;
mod reset;
mod restore;
mod rotate_key;

pub use restore::restore_into;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use enroll_protocol::backup::BackupError;

use crate::config::Config;
use crate::file_error::FileError;
use crate::process;
use crate::run::paths::Paths;
use crate::run::{Start, StartError, fail, warn_of_unknown_variables};
use crate::storage::key_file::KeyError;
use crate::storage::open::OpenError;
use enroll_core::identity::IdentityError;
use enroll_core::rules::bootstrap::RegistryError;
use enroll_core::state::StoreError;

/// An offline command.
#[derive(Debug, Subcommand)]
pub enum Offline {
    /// Make a database of a backup
    ///
    /// Needs the secret key that the backup's registry had, in its place: a backup holds none. Everything is checked
    /// before the database gets its name: the backup's checksum, every page, the key, and all rules of `server check`.
    /// A database that is there already is left alone, and whatever fails or is interrupted leaves none.
    ///
    /// With --join it becomes the database of a member of the cluster that the backup was taken from, while that goes on:
    /// the daemon then follows from where the backup ends. It replaces what this member had of the same journal.
    #[command(after_help = "Examples:\n  enrolld restore registry.backup --state-dir /var/lib/enrolld\n  \
                            gunzip -c registry.backup.gz | enrolld restore - --check\n  \
                            ssh a enrollctl server backup - | sudo enrolld restore --join -")]
    Restore(restore::Restore),
    /// Give the space back that the database no longer needs
    ///
    /// The daemon must be stopped. An interruption leaves the database as it was; the next start may take longer. While
    /// it works the file may grow, so there should be as much free space as the file is large.
    #[command(after_help = "Example:\n  enrolld compact --state-dir /var/lib/enrolld")]
    Compact(compact::Compact),
    /// Check the database of a stopped daemon, and change nothing
    ///
    /// Checks every page's checksum, the secret key if it is there, and all rules of `server check`. What is wrong is
    /// listed, a line each. It works on a disk that can only be read. A database that was not closed in good order is
    /// repaired in memory only; the next start does that for good.
    #[command(after_help = "Example:\n  enrolld check --state-dir /var/lib/enrolld")]
    Check(check::Check),
    /// Make a new secret key, and seal everything in the database of a stopped daemon under it
    ///
    /// A new database is made beside the old one, which takes as much free space, and takes its place when it is sound.
    /// Whatever interrupts this, doing it again finishes it. The key before is kept beside the new one as KEY.old:
    /// backups from before need it, and as long as it is there no other key is made. Tokens and codes stay spent; what
    /// was hashed so far stays hashed as it was.
    #[command(after_help = "Examples:\n  enrolld rotate-key --state-dir ~/registry\n  \
                            sudo enrolld rotate-key --key-file /etc/enrolld/enrolld.key")]
    RotateKey(rotate_key::RotateKey),
    /// Make the secret key before the first start, for systemd to pass
    ///
    /// It is needed only where systemd passes the key as a credential: elsewhere the first start makes it. A key that is
    /// there is never replaced, and none is made where the state directory has a database, which needs the key that it
    /// was made with.
    #[command(after_help = "Example:\n  sudo enrolld make-key /etc/enrolld/enrolld.key")]
    MakeKey(make_key::MakeKey),
    /// Take a backup of the running daemon as `[backup]` of the configuration says, and rehearse it
    ///
    /// The backup comes through the socket, is restored on trial beside the others, and gets its name when all of that
    /// was right. Then the oldest ones beyond backup.keep are removed; a backup that failed removes none. The time of the
    /// last one is in `enrollctl server status`.
    #[command(after_help = "Examples:\n  sudo enrolld backup\n  \
                            enrolld backup --if-due --config /etc/enrolld/enrolld.toml")]
    Backup(backup::Backup),
    /// Begin a cluster with the database of a stopped daemon, or leave one with it
    #[cfg(feature = "etcd")]
    #[command(subcommand)]
    Cluster(cluster::Cluster),
    /// Remove the registry, its secret key and the socket, so that an image of this machine has none of them
    ///
    /// The daemon must be stopped. What is to be removed is listed, and asked about. A registry that has records is left
    /// alone unless --with-records says otherwise. The configuration stays. The next start makes another key and an empty
    /// registry.
    #[command(after_help = "Examples:\n  sudo enrolld reset\n  enrolld reset --state-dir ~/registry --yes")]
    Reset(reset::Reset),
}

/// The configuration and the state directory that a command works with.
#[derive(Debug, Args)]
struct Place {
    /// The configuration; without it the one that the daemon would read
    #[arg(long, value_name = "FILE", env = "ENROLLD_CONFIG")]
    config: Option<PathBuf>,
    /// Where the database, its key and its lock are kept
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

/// The registry that a command works on.
#[derive(Debug, Args)]
struct Whose {
    #[command(flatten)]
    place: Place,
    /// The secret key, where it is not where the daemon or its unit for systemd would look
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

/// An error of an offline command.
#[derive(Debug, thiserror::Error)]
enum OfflineError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{0} is there already; move it away first, or choose another directory with --state-dir")]
    Occupied(PathBuf),
    #[error("{0}: {1}")]
    Read(String, std::io::Error),
    #[error("{0}: {1}")]
    Backup(String, BackupError),
    #[error("{name}: what it holds is not sound: {first}{more}; use another backup", more = and_more(*.count))]
    Unsound { name: String, first: String, count: usize },
    #[error("{0}: {1}; nothing was restored")]
    Store(String, StoreError),
    #[error("{0}: {1}; the key and the database are what they were")]
    Kept(String, StoreError),
    #[error("{0} is a credential, which only systemd replaces; name the file that it comes from with --key-file")]
    Passed(PathBuf),
    #[error(
        "{key} is missing, and {database} was made with it; name the key's file with --key-file, or put the key back \
         from its backup"
    )]
    NoKey { key: PathBuf, database: PathBuf },
    #[error(
        "{0}: there is no such file, or it can not be seen from here; --key-file names the one that holds the secret key"
    )]
    NoSuchKey(PathBuf),
    #[error(
        "{0} is the key before the last rotation, which is complete, and every backup from before that needs it; move it to \
         where those backups are kept, then do this again for another key: nothing was changed"
    )]
    EarlierKey(PathBuf),
    #[error("{0} is there already and is left alone: a secret key is never replaced")]
    HasKey(PathBuf),
    #[error(
        "{database} is there, and needs the key that it was made with: put that back as {key} from its copy; another one \
         would open nothing"
    )]
    HasRegistry { key: PathBuf, database: PathBuf },
    #[error(
        "{0} holds records: {1}; to remove them for good, take a backup if they may be needed, then say --with-records"
    )]
    HasRecords(PathBuf, String),
    #[error("nothing was removed; the answer must be yes, or say --yes")]
    NotConfirmed,
    #[error("no backups are configured; set directory in [backup] of the configuration")]
    NoBackups,
    #[error("{0}: another backup is being taken there; it will do")]
    BackupRuns(PathBuf),
    #[error("{0}: {1}")]
    Head(PathBuf, String),
    #[error("no backup was taken: {0}; the ones before stay")]
    NotTaken(String),
    #[error(
        "store = \"local\" in the configuration: set store = \"etcd\" first, with [etcd] and [cluster] as docs/cluster.md says"
    )]
    NotShared,
    #[cfg(feature = "etcd")]
    #[error("{0}")]
    NotJoined(String),
    #[cfg(feature = "etcd")]
    #[error("{0}; nothing was changed")]
    NotBegun(String),
}

impl Offline {
    /// Runs the command and returns the exit code.
    pub fn run(self) -> ExitCode {
        process::keep_memory_private();
        process::outlive_file_size_limit();
        let done = match self {
            Self::Restore(restore) => restore.run(),
            Self::Compact(compact) => compact.run(),
            Self::Check(check) => check.run(),
            Self::RotateKey(rotate) => rotate.run(),
            Self::MakeKey(make) => make.run(),
            Self::Backup(backup) => backup.run(),
            #[cfg(feature = "etcd")]
            Self::Cluster(cluster) => cluster.run(),
            Self::Reset(reset) => reset.run(),
        };
        done.unwrap_or_else(|err| fail(&err, err.exit_code()))
    }
}

impl Place {
    fn find(self, key_file: Option<PathBuf>) -> Result<(Config, Paths), OfflineError> {
        let start = Start { config: self.config, state_dir: self.state_dir, ..Start::default() };
        let (mut config, _) = start.read_config()?;
        warn_of_unknown_variables().map_err(StartError::from)?;
        if let Some(file) = key_file {
            config.key_file = file;
        }
        let paths = Paths::of(&start, &config, None).map_err(StartError::from)?;
        Ok((config, paths))
    }
}

impl Whose {
    fn find(self) -> Result<(Config, Paths), OfflineError> {
        if let Some(file) = self.key_file.as_ref().filter(|file| !file.exists()) {
            return Err(OfflineError::NoSuchKey(file.clone()));
        }
        let is_named = self.key_file.is_some();
        let (config, paths) = self.place.find(self.key_file)?;
        let is_named = is_named || !config.key_file.as_os_str().is_empty();
        Ok((config, if is_named { paths } else { paths.with_key_of_service() }))
    }
}

impl OfflineError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Start(err) => err.exit_code(),
            Self::Occupied(_) | Self::Read(..) | Self::Store(..) | Self::Kept(..) => 1,
            Self::Passed(_) | Self::EarlierKey(_) | Self::HasKey(_) | Self::HasRecords(..) | Self::NotConfirmed => 1,
            Self::BackupRuns(_) | Self::NotTaken(_) => 1,
            Self::NoBackups | Self::Head(..) | Self::NotShared => 2,
            #[cfg(feature = "etcd")]
            Self::NotBegun(_) => 1,
            #[cfg(feature = "etcd")]
            Self::NotJoined(_) => 5,
            Self::NoKey { .. } | Self::NoSuchKey(_) | Self::HasRegistry { .. } => 4,
            Self::Backup(..) | Self::Unsound { .. } => 5,
        }
    }

    fn registry(path: impl Into<PathBuf>) -> impl FnOnce(RegistryError) -> Self {
        let path = path.into();
        move |source| StartError::Registry { path, source }.into()
    }
}

impl From<OpenError> for OfflineError {
    fn from(err: OpenError) -> Self {
        Self::Start(err.into())
    }
}

impl From<FileError> for OfflineError {
    fn from(err: FileError) -> Self {
        Self::Start(OpenError::from(err).into())
    }
}

impl From<KeyError> for OfflineError {
    fn from(err: KeyError) -> Self {
        Self::Start(err.into())
    }
}

impl From<IdentityError> for OfflineError {
    fn from(err: IdentityError) -> Self {
        Self::Start(err.into())
    }
}

fn and_more(count: usize) -> String {
    if count > 1 { format!(", and {} more", count - 1) } else { String::new() }
}
