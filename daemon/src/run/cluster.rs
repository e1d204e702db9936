//! The member of a cluster: it follows the shared journal until it is elected, and then leads.
//!
//! One daemon leads at a time. A deposed one ends, and follows when it is started again: no state is talked back.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use enroll_etcd::{Config as EtcdConfig, Error};
use tokio::sync::watch;

use super::StartError;
use super::paths;
use super::systemd::Stage;
use crate::cluster::etcd_journal::{EtcdJournal, Leadership};
use crate::config::{Config, StoreKind};
use crate::metrics::JournalFigures;
use crate::storage::journal::{JournalFault, JournalOptions, JournalStore};
use crate::storage::open::OpenError;
use crate::storage::redb::RedbStore;
use enroll_core::identity::Secrets;
use enroll_core::state::StoreError;

/// The longest wait for news of the leader.
const WAIT: Duration = Duration::from_secs(5);

/// Between two attempts at an etcd that does not answer.
const RETRY: Duration = Duration::from_millis(200);

/// The journal that the members share.
pub(super) type Shared = EtcdJournal;

/// A member that leads.
pub(super) struct Leading {
    journal: Arc<EtcdJournal>,
    leadership: Leadership,
}

impl Leading {
    /// Turns true when another daemon may lead.
    pub(super) fn is_lost(&self) -> watch::Receiver<bool> {
        self.leadership.is_lost()
    }

    /// Lets the next one lead at once.
    pub(super) fn resign(self) {
        self.journal.resign(self.leadership);
    }
}

/// The journal on etcd, if the configuration wants one.
pub(super) fn journal(config: &Config) -> Result<Option<Shared>, StartError> {
    if config.store == StoreKind::Local {
        return Ok(None);
    }
    let etcd = &config.etcd;
    let path = |path: &PathBuf| (!path.as_os_str().is_empty()).then(|| path.clone());
    let user = match etcd.user.as_str() {
        "" => None,
        user => Some((user.to_owned(), paths::etcd_password()?)),
    };
    let config_of_etcd = EtcdConfig {
        endpoints: etcd.endpoints.clone(),
        ca: path(&etcd.ca),
        identity: path(&etcd.cert).zip(path(&etcd.key)),
        user,
        timeout: Duration::from_millis(etcd.timeout_ms),
    };
    let (member, lease) = (member(config), Duration::from_secs(config.cluster.lease_seconds));
    let journal = EtcdJournal::new(&config_of_etcd, &etcd.prefix, &member, lease).map_err(StartError::Etcd)?;
    Ok(Some(journal))
}

/// Follows the journal with this tree until this member is elected. Returns the store, which leads then.
pub(super) fn lead(
    tree: RedbStore,
    journal: Shared,
    secrets: Secrets,
    options: JournalOptions,
    figures: JournalFigures,
    stage: &Stage,
) -> Result<(JournalStore, Leading), Fault> {
    let journal = Arc::new(journal);
    stage.begin("waiting for etcd".to_owned());
    let identity = patiently(|| journal.identity(options.identity))?;
    let options = JournalOptions { identity, ..options };
    let store = JournalStore::open_shared(tree, journal.clone(), secrets.into(), options, figures)?;
    loop {
        store.catch_up(|_| ())?;
        match patiently(|| journal.campaign())? {
            Ok(leadership) => {
                store.lead(leadership.term, |_| ())?;
                tracing::info!(term = leadership.term.0, "leads");
                return Ok((store, Leading { journal, leadership }));
            }
            Err(leader) => {
                stage.begin(format!("follows {leader}"));
                patiently(|| journal.wait(store.number(), WAIT))?;
            }
        }
    }
}

/// Why a member can not follow or lead.
pub(super) enum Fault {
    /// The journal and this host's database do not fit together, or the disk failed.
    Journal(JournalFault),
    /// etcd refuses.
    Etcd(Error),
}

impl Fault {
    /// The error of a start on this database.
    pub(super) fn at(self, database: PathBuf) -> StartError {
        match self {
            Self::Etcd(err) => StartError::Etcd(err),
            Self::Journal(fault) => OpenError::of_journal(fault, database).into(),
        }
    }
}

impl From<JournalFault> for Fault {
    fn from(fault: JournalFault) -> Self {
        Self::Journal(fault)
    }
}

impl From<StoreError> for Fault {
    fn from(err: StoreError) -> Self {
        Self::Journal(err.into())
    }
}

/// Repeats a call for as long as etcd does not answer; a standby has nothing else to do.
fn patiently<T>(mut call: impl FnMut() -> Result<T, Error>) -> Result<T, Fault> {
    let mut is_told = false;
    loop {
        match call() {
            Err(err) if err.is_transient() => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!(%err, "waiting for etcd");
                }
                std::thread::sleep(RETRY);
            }
            done => return done.map_err(Fault::Etcd),
        }
    }
}

/// The member's name: that of the configuration, or of the host.
fn member(config: &Config) -> String {
    let host = || nix::unistd::gethostname().ok().map(|name| name.to_string_lossy().into_owned());
    Some(config.cluster.member.clone()).filter(|name| !name.is_empty()).or_else(host).unwrap_or_default()
}
