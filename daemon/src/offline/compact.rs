//! `enrolld compact`: makes the database of a stopped daemon as small as it can be.

use std::process::ExitCode;

use clap::Args;

use super::{OfflineError, Whose};
use crate::metrics::JournalFigures;
use crate::run::print;
use crate::run::state::open_options;
use crate::storage::open::{OpenError, StateDir};

/// See the module.
#[derive(Debug, Args)]
pub struct Compact {
    #[command(flatten)]
    whose: Whose,
}

impl Compact {
    pub(super) fn run(self) -> Result<ExitCode, OfflineError> {
        let (config, places) = self.whose.find()?;
        let locked = StateDir::lock_database(&places.state_dir)?;
        let path = locked.database_path();
        // What can not be read is not to be written to, so even where starts are to be fast it is checked first.
        locked.peek(|_| ())?;
        let before = locked.database_bytes()?;
        let store = locked.open_database(&open_options(&config).verifying(), JournalFigures::default())?;
        let failed = |source| OpenError::Database { path: path.clone(), source };
        let compacted = store.into_tree().and_then(|mut tree| {
            tree.compact()?;
            tree.close()
        });
        compacted.map_err(failed)?;
        let after = locked.database_bytes()?;
        print(&format!("{}: {before} bytes before, {after} now\n", path.display()));
        Ok(ExitCode::SUCCESS)
    }
}
