//! Offline commands on the database of a stopped daemon: restore, compact, check, rotate the key. Each takes the lock
//! of the state directory, so none runs beside a daemon.

mod check;
mod compact;
mod inspect;
mod restore;
mod rotate_key;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use enroll_protocol::backup::BackupError;

use crate::config::Config;
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
    #[command(after_help = "Examples:\n  enrolld restore registry.backup --state-dir /var/lib/enrolld\n  \
                            gunzip -c registry.backup.gz | enrolld restore - --check")]
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
}

/// The registry that a command works on.
#[derive(Debug, Args)]
struct Whose {
    /// The configuration; without it the one that the daemon would read
    #[arg(long, value_name = "FILE", env = "ENROLLD_CONFIG")]
    config: Option<PathBuf>,
    /// Where the database, its key and its lock are kept
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The secret key, where it is not where the daemon would look; what systemd passes as a credential is there
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
        };
        done.unwrap_or_else(|err| fail(&err, err.exit_code()))
    }
}

impl Whose {
    fn find(self) -> Result<(Config, Paths), OfflineError> {
        let start = Start { config: self.config, state_dir: self.state_dir, socket: None };
        let (mut config, _) = start.read_config()?;
        warn_of_unknown_variables().map_err(StartError::from)?;
        if let Some(file) = self.key_file {
            if !file.exists() {
                return Err(OfflineError::NoSuchKey(file));
            }
            config.key_file = file;
        }
        let paths = Paths::of(&start, &config, None).map_err(StartError::from)?;
        Ok((config, paths))
    }
}

impl OfflineError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Start(err) => err.exit_code(),
            Self::Occupied(_) | Self::Read(..) | Self::Store(..) | Self::Kept(..) => 1,
            Self::Passed(_) | Self::EarlierKey(_) => 1,
            Self::NoKey { .. } | Self::NoSuchKey(_) => 4,
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
