//! The state in memory that follows from records: read back after writes that changed them, by the writer of an active
//! daemon and by the follower of a standby.

use enroll_core::model::key::{self, Family};
use enroll_core::model::record::{self, ChangesHead};
use enroll_core::rules::authority;
use enroll_core::rules::bootstrap::{self, RegistryError};
use enroll_core::state::{Store, Writes};
use tokio::sync::watch;

use super::Daemon;

impl Daemon {
    /// Takes note of a record that this standby has applied, and tells of the latest change.
    pub fn follow(&self, store: &dyn Store, writes: &Writes, changes: &watch::Sender<u64>) {
        if let Err(err) = self.applied(store, writes) {
            tracing::error!(%err, "the keys of an import can not be read back; restart this daemon");
        }
        self.metrics.database_bytes.set(store.bytes());
        if let Some(Some(head)) = writes.get(&key::changes_head())
            && let Ok(head) = record::decode::<ChangesHead>(head)
        {
            changes.send_if_modified(|latest| std::mem::replace(latest, head.seq) != head.seq);
        }
    }

    /// Reads back what these writes changed, which are visible by now: after a rotation the new key signs, and after an
    /// import everything that is read at a start may be another thing. Fails where that can not be read.
    pub fn applied(&self, store: &dyn Store, writes: &Writes) -> Result<(), RegistryError> {
        let (from, to) = Family::SigningKeys.bounds();
        if writes.range(from..to).next().is_some()
            && let Err(err) = self.read_keys(store)
        {
            tracing::error!(%err, "a new signing key can not be read back; the older ones sign until a restart");
        }
        let has_imported = matches!(writes.get(&key::importing()), Some(None));
        if has_imported || writes.contains_key(&key::authority()) {
            self.read_imported(store)?;
        }
        Ok(())
    }

    /// Reads the keys that sign.
    pub fn read_keys(&self, store: &dyn Store) -> Result<(), RegistryError> {
        let keys = bootstrap::key_ring(&*store.view()?, &self.identity.now().secrets)?;
        self.identity.update(|identity| identity.keys = keys.into());
        Ok(())
    }

    /// Reads secrets, authority and guesses.
    fn read_imported(&self, store: &dyn Store) -> Result<(), RegistryError> {
        let view = store.view()?;
        self.guesses.lock().load(&*view)?;
        let secrets = bootstrap::hashes(&*view, (*self.identity.now().secrets).clone())?;
        match authority::open(&*view, &secrets) {
            Ok(Some(own)) => self.identity.update(|identity| identity.authority = own.into()),
            // It was brought along, and was before.
            Ok(None) | Err(RegistryError::NoAuthority) => {}
            Err(err) => return Err(err),
        }
        self.lists.forget();
        self.identity.update(|identity| identity.secrets = secrets.into());
        Ok(())
    }
}
