//! `enrolld rotate-key`: rotates the secret key, and makes a database whose sealed records are sealed under the new
//! one.
//!
//! The new key is durable before anything depends on it. The new database is made beside the old one, checked, and
//! renamed over it; then the new key is renamed. An interruption leaves the old database with the old key, or the new
//! database with both keys: running the command again finishes the rotation.

use std::ops::ControlFlow;
use std::process::ExitCode;

use clap::Args;
use rand::SeedableRng as _;
use rand::rngs::ChaCha20Rng;

use super::inspect::inspect;
use super::{OfflineError, Whose};
use crate::daemon::clock::{draw_salt, draw_seed};
use crate::run::paths::Key;
use crate::run::print;
use crate::run::state::open_options;
use crate::storage::journal::Mark;
use crate::storage::key_file;
use crate::storage::open::{OpenError, StateDir};
use crate::storage::redb::RedbStore;
use enroll_core::identity::secrets::SecretKey;
use enroll_core::identity::{CountingSeal, Secrets};
use enroll_core::model::key;
use enroll_core::rules::bootstrap::{self, RegistryError};
use enroll_core::rules::rekey::Rekey;
use enroll_core::state::{ReadTxn, SCAN_CHUNK, Store as _, StoreError, Writes, walk};

/// Bytes of keys and values that are committed at a time.
const COMMIT_BYTES: usize = 8 << 20;

/// Arguments of `enrolld rotate-key`.
#[derive(Debug, Args)]
pub struct RotateKey {
    #[command(flatten)]
    whose: Whose,
}

/// An error of making the new database.
enum Failed {
    Store(StoreError),
    Registry(RegistryError),
}

impl RotateKey {
    pub(super) fn run(self) -> Result<ExitCode, OfflineError> {
        let (config, paths) = self.whose.find()?;
        let locked = StateDir::lock_database(&paths.state_dir)?;
        let path = locked.database_path();
        let Key::File(file) = &paths.key else {
            return Err(OfflineError::Passed(paths.key.path().to_owned()));
        };
        let missing = || OfflineError::NoKey { key: file.clone(), database: path.clone() };
        let before = key_file::find(file)?.ok_or_else(missing)?;
        if let Some(earlier) = key_file::find_earlier(file, &before)? {
            return Err(OfflineError::EarlierKey(earlier));
        }
        let next = key_file::find_next(file)?;
        let options = open_options(&config).verifying();
        let store = locked.open_copy(&options)?;
        let is_done = is_rotated(&store, &before, next.as_ref()).map_err(OfflineError::registry(&path))?;
        let after = next.map_or_else(|| key_file::make_next(file, draw_seed()), Ok)?;
        let made = if is_done {
            Ok(())
        } else {
            let fill = |new: &RedbStore| fill(new, &store, &before, &after);
            let judge = |new: &RedbStore, entries| judge(new, entries, &after);
            locked.make_database(&options, fill, judge).map_err(OpenError::from)?
        };
        drop(store);
        made.map_err(|failed| match failed {
            Failed::Store(err) => OfflineError::Kept(path.display().to_string(), err),
            Failed::Registry(err) => OfflineError::registry(&path)(err),
        })?;
        let old = key_file::publish_next(file, &before)?;
        print(&format!(
            "{} is a new key, and {} is sealed under it\n  the key before  {}: backups from before need it; move it to where \
             they are\n",
            file.display(),
            path.display(),
            old.display(),
        ));
        Ok(ExitCode::SUCCESS)
    }
}

/// True if the database is sealed under the next key already. Refuses a database that is sealed under neither key.
fn is_rotated(store: &RedbStore, before: &SecretKey, next: Option<&SecretKey>) -> Result<bool, RegistryError> {
    let view = store.view()?;
    let is_under = |key: &SecretKey| match bootstrap::verify(&*view, Some(&Secrets::derive(key)?)) {
        Ok(true) => Ok(true),
        Ok(false) => Err(RegistryError::None),
        Err(RegistryError::OtherKey) => Ok(false),
        Err(err) => Err(err),
    };
    match next.map(is_under).transpose()? {
        Some(true) => Ok(true),
        _ if is_under(before)? => Ok(false),
        _ => Err(RegistryError::OtherKey),
    }
}

/// Writes every entry, sealed anew, a few at a time. Returns the number of entries.
fn fill(new: &RedbStore, old: &RedbStore, before: &SecretKey, after: &SecretKey) -> Result<u64, Failed> {
    let (from_key, to_key) = (Secrets::derive(before)?, Secrets::derive(after)?);
    let (random, answers) = (ChaCha20Rng::from_seed(draw_seed()), CountingSeal::new(&to_key, draw_salt())?);
    let mut rekey = Rekey { before: &from_key, after: &to_key, answers, random };
    let view = old.view()?;
    let (mut writes, mut bytes, mut entries) = (Writes::new(), 0, 0);
    if view.get(&key::hashing_key())?.is_none() {
        writes.insert(key::hashing_key(), Some(rekey.hashing_key(before)?));
        entries += 1;
    }
    let (from, to) = key::everything();
    walk(&*view as &dyn ReadTxn, (&from, &to), SCAN_CHUNK, |key, value| {
        let value = rekey.entry(key, value)?;
        bytes += key.len() + value.len();
        writes.insert(key.to_owned(), Some(value));
        entries += 1;
        if bytes >= COMMIT_BYTES {
            new.commit(&std::mem::take(&mut writes))?;
            bytes = 0;
        }
        Ok::<_, Failed>(ControlFlow::Continue(()))
    })?;
    new.commit(&writes)?;
    if let Some(mark) = old.mark()? {
        // The journal's content is in the new database, which continues the same journal.
        new.set_mark(&Mark { is_open: mark.is_shared, ..mark })?;
    }
    Ok(entries)
}

/// Refuses a database that is not whole or violates an invariant under the new key.
fn judge(new: &RedbStore, entries: u64, after: &SecretKey) -> Result<(), Failed> {
    let secrets = Secrets::derive(after)?;
    let view = new.view()?;
    let found = inspect(&*view, Some(&secrets))?;
    bootstrap::hashes(&*view, secrets)?;
    match found.violations.first() {
        None if found.entries == entries => Ok(()),
        None => Err(StoreError::Corrupt(format!("{} entries where {entries} were written", found.entries)).into()),
        Some(first) => Err(StoreError::Corrupt(format!("it is not sound: {}", super::inspect::line(first))).into()),
    }
}

impl From<StoreError> for Failed {
    fn from(err: StoreError) -> Self {
        Self::Store(err)
    }
}

impl From<RegistryError> for Failed {
    fn from(err: RegistryError) -> Self {
        Self::Registry(err)
    }
}

impl From<enroll_core::identity::IdentityError> for Failed {
    fn from(err: enroll_core::identity::IdentityError) -> Self {
        Self::Registry(err.into())
    }
}
