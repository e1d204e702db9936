//! `enrolld compact`: compacts the database of a stopped daemon, and removes the journal in front of it, whose content the
//! database has. The next start makes another one.

use std::process::ExitCode;

use clap::Args;

use super::{OfflineError, Whose};
use crate::metrics::JournalFigures;
use crate::run::print;
use crate::run::state::open_options;
use crate::storage::open::{OpenError, StateDir};
use enroll_core::rules::bootstrap::{self, RegistryError};
use enroll_core::state::Store as _;

/// Arguments of `enrolld compact`.
#[derive(Debug, Args)]
pub struct Compact {
    #[command(flatten)]
    whose: Whose,
}

impl Compact {
    pub(super) fn run(self) -> Result<ExitCode, OfflineError> {
        let (config, paths) = self.whose.find()?;
        let locked = StateDir::lock_database(&paths.state_dir)?;
        let path = locked.database_path();
        // A damaged database must not be written to, so it is verified even if the configuration skips that at starts.
        locked.peek(|_| ())?;
        let before = locked.database_bytes()?;
        let options = open_options(&config).verifying();
        let tree = locked.open_tree(&options)?;
        let view = tree.view().map_err(RegistryError::from);
        view.and_then(|view| bootstrap::verify(&*view, None)).map_err(OfflineError::registry(&path))?;
        let store = locked.open_journal(tree, &options, JournalFigures::default())?;
        let failed = |source| OpenError::Database { path: path.clone(), source };
        let compacted = store.into_tree().and_then(|mut tree| {
            tree.compact()?;
            tree.close()
        });
        compacted.map_err(failed)?;
        // The database has all of it now, and its files still hold what was since erased.
        locked.remove_journal()?;
        let after = locked.database_bytes()?;
        print(&format!("{}: {before} bytes before, {after} now\n", path.display()));
        Ok(ExitCode::SUCCESS)
    }
}
