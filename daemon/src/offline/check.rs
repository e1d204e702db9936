//! `enrolld check`: checks the database of a stopped daemon, read-only.

use std::process::ExitCode;

use clap::Args;

use super::inspect::{inspect, line, migrate, of_key, of_schema};
use super::{OfflineError, Whose};
use crate::run::print;
use crate::run::state::open_options;
use crate::storage::open::StateDir;
use enroll_core::identity::Secrets;
use enroll_core::state::Store as _;

/// The exit code if an invariant is violated.
const NOT_SOUND: u8 = 5;

/// Arguments of `enrolld check`.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    whose: Whose,
}

impl Check {
    pub(super) fn run(self) -> Result<ExitCode, OfflineError> {
        let (config, paths) = self.whose.find()?;
        let locked = StateDir::lock_to_read(&paths.state_dir)?;
        let path = locked.database_path();
        let secrets = paths.key.find()?.map(|key| Secrets::derive(&key)).transpose()?;
        let is_closed = locked.peek(|_| ())?.is_some();
        let store = locked.open_copy(&open_options(&config).verifying())?;
        let before = migrate(&store).map_err(OfflineError::registry(&path))?;
        let found = store.view().map_err(Into::into).and_then(|view| inspect(&*view, secrets.as_ref()));
        let found = found.map_err(OfflineError::registry(&path))?;
        if !found.violations.is_empty() {
            found.violations.iter().for_each(|violation| print(&format!("{}\n", line(violation))));
            return Ok(ExitCode::from(NOT_SOUND));
        }
        print(&format!(
            "{}: sound\n  holds       {} entries, latest change {}\n  schema      {}\n  secret key  {}\n  closed      {}\n",
            path.display(),
            found.entries,
            found.changes_head,
            of_schema(before),
            of_key(&paths.key, secrets.as_ref()),
            if is_closed { "in good order" } else { "not in good order; the next start repairs it" },
        ));
        Ok(ExitCode::SUCCESS)
    }
}
