//! `enrolld compact`: writes the database of a stopped daemon anew, and removes the journal in front of it, whose content the
//! database has. The next start makes another one.
//!
//! The records are copied into a new file, which then takes the place of the old one. A file that is only compacted in place
//! keeps bytes of what was removed, in free pages and at the ends of others.

use std::process::ExitCode;

use clap::Args;

use super::{OfflineError, Whose};
use crate::metrics::JournalFigures;
use crate::run::print;
use crate::run::state::open_options;
use crate::storage::open::{OpenError, StateDir};
use crate::storage::redb::RedbStore;
use enroll_core::rules::bootstrap::{self, RegistryError};
use enroll_core::state::{Store as _, StoreError, successor};

/// Entries of a transaction of the copy.
const COPIED_AT_A_TIME: usize = 10_000;

/// The length of a key behind all others: no record has one as long.
const END_BYTES: usize = 64;

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
        let failed = |source| OpenError::Database { path: path.clone(), source };
        let tree = match tree.mark().map_err(failed)? {
            // The journal of a member is not in its directory.
            Some(mark) if mark.is_shared => tree,
            _ => locked.open_journal(tree, &options, JournalFigures::default())?.into_tree().map_err(failed)?,
        };
        let made = locked.make_database(&options, |new| copy(&tree, new), judge).map_err(OpenError::from)?;
        made.map_err(|source| OpenError::Disk { path: path.clone(), source })?;
        tree.close().map_err(failed)?;
        // The new file has room for more than what is in it.
        let mut tree = locked.open_tree(&options)?;
        tree.compact().and_then(|()| tree.close()).map_err(failed)?;
        // The database has all of it now, and its files still hold what was since erased.
        locked.remove_journal()?;
        let after = locked.database_bytes()?;
        print(&format!("{}: {before} bytes before, {after} now\n", path.display()));
        Ok(ExitCode::SUCCESS)
    }
}

/// Copies all entries, in the order of their keys, and the mark of the journal. Returns the number of entries.
fn copy(from: &RedbStore, to: &RedbStore) -> Result<usize, StoreError> {
    let mark = from.mark()?.ok_or_else(|| StoreError::Corrupt("it has no mark of its journal".to_owned()))?;
    let view = from.view()?;
    let mut next = Vec::new();
    loop {
        let entries = view.range(&next, &[u8::MAX; END_BYTES], COPIED_AT_A_TIME)?;
        to.take_over(&mark, &mut entries.iter().map(|(key, value)| (key.as_slice(), Some(value.as_slice()))))?;
        match entries.into_iter().nth(COPIED_AT_A_TIME - 1) {
            Some((last, _)) => next = successor(last),
            None => return from.entries(),
        }
    }
}

/// Refuses a copy that has not as many entries, or is no registry that can be opened.
fn judge(made: &RedbStore, entries: usize) -> Result<(), StoreError> {
    let found = made.entries()?;
    if found != entries {
        return Err(StoreError::Corrupt(format!("{found} entries were copied of {entries}")));
    }
    match bootstrap::verify(&*made.view()?, None) {
        Ok(_) => Ok(()),
        Err(err) => Err(StoreError::Corrupt(err.to_string())),
    }
}
