//! The cluster of a build without etcd: every daemon is alone, and a configuration that wants a shared journal is refused.

use std::convert::Infallible;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use enroll_core::identity::Secrets;
use enroll_core::state::{ReadTxn, Writes};
use enroll_protocol::cluster::ClusterStatus;
use tokio::sync::watch;

use super::StartError;
use super::systemd::Stage;
use crate::config::{Config, ConfigError, StoreKind};
use crate::metrics::JournalFigures;
use crate::storage::journal::{JournalOptions, JournalStore};
use crate::storage::redb::RedbStore;

/// A journal that members share: there is none.
pub(super) struct Shared(Infallible);

/// A member of a cluster: there is none.
pub(super) struct Member(Infallible);

/// The journal on etcd: there is none.
pub(crate) struct EtcdJournal(Infallible);

/// Why a member can not follow or lead: there is none.
pub(super) struct Fault(Infallible);

impl Member {
    /// Its name.
    pub(super) fn name(&self) -> &str {
        match self.0 {}
    }

    /// The listener for writes that other members forward.
    pub(super) fn take_listener(&self) -> Option<TcpListener> {
        match self.0 {}
    }

    /// The addresses at which members take such writes.
    pub(super) fn addresses(&self) -> impl Fn(&str) -> Option<String> + Send + Sync + use<> {
        match self.0 {}
        #[expect(unreachable_code, reason = "the type of what is never there")]
        |_: &str| None
    }

    /// The longest wait for the answer of a leader.
    pub(super) fn patience(&self) -> Duration {
        match self.0 {}
    }

    /// Follows the journal until this member leads.
    pub(super) fn follow(&self, _: &JournalStore, _: impl FnMut(&Writes), _: impl FnMut(&str)) -> Result<bool, Fault> {
        match self.0 {}
    }

    /// Turns true when another daemon may lead.
    pub(super) fn is_lost(&self) -> Option<watch::Receiver<bool>> {
        match self.0 {}
    }

    /// The status of the cluster, as this member sees it.
    pub(super) fn look(self: &Arc<Self>) -> impl Fn() -> ClusterStatus + Send + Sync + use<> {
        match self.0 {}
        #[expect(unreachable_code, reason = "the type of what is never there")]
        ClusterStatus::default
    }

    /// Names the member that is to lead next.
    pub(super) fn name_next(&self, _: &str) {
        match self.0 {}
    }

    /// Lets the next one lead at once.
    pub(super) fn resign(&self) {
        match self.0 {}
    }
}

impl Fault {
    /// The error of a start on this database.
    pub(super) fn at(self, _: PathBuf) -> StartError {
        match self.0 {}
    }
}

/// No journal. Refuses a configuration that wants one.
pub(super) fn journal(config: &Config, _: &Path) -> Result<Option<Shared>, StartError> {
    match config.store {
        StoreKind::Local => Ok(None),
        StoreKind::Etcd => etcd_journal(config).map(|journal| match journal.0 {}),
    }
}

/// Refuses a configuration that wants a journal on etcd.
pub(crate) fn etcd_journal(_: &Config) -> Result<EtcdJournal, StartError> {
    let why = "store = \"etcd\": this enrolld was built without etcd; build it with the feature etcd, which is on by \
               default";
    Err(ConfigError(why.to_owned()).into())
}

/// Joins a shared journal, of which there is none.
pub(super) fn join(
    _: RedbStore,
    shared: Shared,
    _: Secrets,
    _: JournalOptions,
    _: JournalFigures,
    _: &Stage,
    _: impl Fn(&dyn ReadTxn) -> bool,
) -> Result<(JournalStore, Member, Option<String>), Fault> {
    match shared.0 {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_journal_is_refused_and_one_of_this_host_is_not() {
        let config = |store| Config { store, ..Config::default() };
        assert!(matches!(journal(&config(StoreKind::Local), Path::new("")), Ok(None)));
        let refused = journal(&config(StoreKind::Etcd), Path::new("")).err().expect("a refusal");
        assert!(refused.to_string().contains("was built without etcd"), "{refused}");
        assert_eq!(refused.exit_code(), 2);
    }
}
