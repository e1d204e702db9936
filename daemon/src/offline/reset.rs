//! `enrolld reset`: removes the registry of a stopped daemon, its secret key and its socket, before an image is made of
//! the machine.
//!
//! The key goes first: whatever interrupts this, what is left refuses to start and is no registry that two machines
//! share. Running it again finishes it.

use std::io::BufRead as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{OfflineError, Whose};
use crate::config::Config;
use crate::run::paths::{Key, Paths};
use crate::run::print;
use crate::run::state::open_options;
use crate::storage::key_file;
use crate::storage::open::StateDir;
use enroll_core::model::record::Kind;
use enroll_core::rules::bootstrap::RegistryError;
use enroll_core::rules::changes;
use enroll_core::state::Store as _;

/// The files of a registry begin with this. The lock stays: a daemon may hold a file of its name.
const OURS: &str = "enrolld.";

/// Arguments of `enrolld reset`.
#[derive(Debug, Args)]
pub struct Reset {
    /// Remove without asking
    #[arg(long)]
    yes: bool,
    /// Remove a registry that has records too; nothing but a backup brings them back
    #[arg(long)]
    with_records: bool,
    #[command(flatten)]
    whose: Whose,
}

impl Reset {
    pub(super) fn run(self) -> Result<ExitCode, OfflineError> {
        let (config, paths) = self.whose.find()?;
        let Key::File(key) = &paths.key else {
            return Err(OfflineError::Passed(paths.key.path().to_owned()));
        };
        let locked = paths.state_dir.is_dir().then(|| StateDir::lock_for_owner(&paths.state_dir)).transpose()?;
        if let Some(locked) = locked.as_ref().filter(|locked| locked.has_database() && !self.with_records) {
            expect_no_records(locked, &config)?;
        }
        let keys = key_file::all(key)?;
        let of_registry = files(&paths.state_dir)?;
        let socket = Some(&paths.socket).filter(|path| is_socket(path));
        let all: Vec<_> = keys.iter().chain(of_registry.iter().filter(|file| !keys.contains(file))).collect();
        let listed: String = all.into_iter().chain(socket).map(|file| format!("  {}\n", file.display())).collect();
        if listed.is_empty() {
            print(&format!("there is no registry in {}, and no key\n", paths.state_dir.display()));
            return Ok(ExitCode::SUCCESS);
        }
        print(&format!("to be removed for good:\n{listed}"));
        if !self.yes && !is_confirmed() {
            return Err(OfflineError::NotConfirmed);
        }
        if !keys.is_empty() {
            key_file::remove_all(key)?;
        }
        remove(locked.as_ref(), &of_registry, &paths)?;
        print("removed; the next start makes another key and an empty registry\n");
        let backups = &config.backup.directory;
        if backups.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            print(&format!("the backups in {} stay: an image must not have them either\n", backups.display()));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Refuses a registry that has records.
fn expect_no_records(locked: &StateDir, config: &Config) -> Result<(), OfflineError> {
    let path = locked.database_path();
    let store = locked.open_copy(&open_options(config))?;
    let head = store.view().and_then(|view| changes::head(&*view));
    let head = head.map_err(|err| OfflineError::registry(&path)(RegistryError::from(err)))?;
    let count = |(kind, name): &(Kind, &str)| {
        let count = head.records.get(kind).copied().filter(|count| *count > 0)?;
        Some(format!("{name} {count}"))
    };
    let counts: Vec<String> = Kind::ALL.iter().filter_map(count).collect();
    if counts.is_empty() { Ok(()) } else { Err(OfflineError::HasRecords(path, counts.join(", "))) }
}

/// The files of the registry in a state directory, by name.
fn files(state_dir: &Path) -> Result<Vec<PathBuf>, OfflineError> {
    if !state_dir.is_dir() {
        return Ok(Vec::new());
    }
    let failed = |err| OfflineError::Read(state_dir.display().to_string(), err);
    let mut files = Vec::new();
    for entry in state_dir.read_dir().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_ours = entry.file_name().to_string_lossy().starts_with(OURS);
        files.extend((is_ours && !entry.path().is_dir() && !is_socket(&entry.path())).then(|| entry.path()));
    }
    files.sort();
    Ok(files)
}

fn is_socket(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// True if the answer on standard input is yes.
fn is_confirmed() -> bool {
    print("type yes to remove them: ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).is_ok() && answer.trim() == "yes"
}

fn remove(locked: Option<&StateDir>, of_registry: &[PathBuf], paths: &Paths) -> Result<(), OfflineError> {
    if let Some(locked) = locked {
        let directory = locked.directory();
        for name in of_registry.iter().filter_map(|file| file.file_name()?.to_str()) {
            directory.remove(name)?;
        }
        directory.sync()?;
    }
    if is_socket(&paths.socket) {
        let failed = |err| OfflineError::Read(paths.socket.display().to_string(), err);
        std::fs::remove_file(&paths.socket).map_err(failed)?;
    }
    Ok(())
}
