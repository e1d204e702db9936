//! `enrolld check`: checks the database of a stopped daemon, read-only.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use enroll_protocol::changes::KeptHead;

use super::inspect::{inspect, line, migrate, of_key, of_schema};
use super::{OfflineError, Whose};
use crate::run::print;
use crate::run::state::open_options;
use crate::storage::open::StateDir;
use enroll_core::identity::Secrets;
use enroll_core::rules::bootstrap::RegistryError;
use enroll_core::rules::check::of_kept_head;
use enroll_core::state::Store as _;

/// The exit code if an invariant is violated.
const NOT_SOUND: u8 = 5;

/// Arguments of `enrolld check`.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    whose: Whose,
    /// A file of heads that `enrollctl changes head --json` printed; the last line is compared
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
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
        let view = store.view().map_err(RegistryError::from).map_err(OfflineError::registry(&path))?;
        let mut found = inspect(&*view, secrets.as_ref()).map_err(OfflineError::registry(&path))?;
        if let Some(file) = &self.head {
            let unusable = |why: String| OfflineError::Head(file.clone(), why);
            let text = std::fs::read_to_string(file).map_err(|err| unusable(err.to_string()))?;
            let kept = KeptHead::last_of(&text).map_err(|err| unusable(err.0))?;
            found.violations.extend(of_kept_head(&*view, &kept).map_err(|fault| unusable(fault.refusal().message))?);
        }
        if !found.violations.is_empty() {
            found.violations.iter().for_each(|violation| print(&format!("{}\n", line(violation))));
            return Ok(ExitCode::from(NOT_SOUND));
        }
        let position = store.mark().map_err(RegistryError::from).map_err(OfflineError::registry(&path))?;
        let record = position.and_then(|mark| mark.position()).map_or_else(String::new, |position| {
            format!("  record      {} of the cluster's journal\n", position.number)
        });
        print(&format!(
            "{}: sound\n  holds       {} entries, latest change {}\n{record}  schema      {}\n  secret key  {}\n  closed      {}\n",
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
