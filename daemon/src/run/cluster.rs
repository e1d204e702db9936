//! The member of a cluster: it follows the shared journal until it is elected, and then leads.
//!
//! One daemon leads at a time. A deposed one ends, and follows when it is started again: no state is talked back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use enroll_etcd::{Config as EtcdConfig, Error};
use tokio::sync::watch;

use super::StartError;
use super::paths;
use super::systemd::Stage;
use crate::cluster::about::about;
use crate::cluster::etcd_journal::{EtcdJournal, Leadership};
use crate::cluster::members::Membership;
use crate::cluster::roster::{Member, Standing};
use crate::cluster::trim::Retention;
use crate::config::{Config, ConfigError, StoreKind};
use crate::metrics::JournalFigures;
use crate::storage::journal::{JournalFault, JournalOptions, JournalStore};
use crate::storage::open::OpenError;
use crate::storage::redb::RedbStore;
use enroll_core::identity::Secrets;
use enroll_core::state::StoreError;
use enroll_protocol::cluster::ClusterStatus;

/// Between two attempts at an etcd that does not answer.
const RETRY: Duration = Duration::from_millis(200);

/// The age of what only the journal has, at which a standby moves it into its database.
const FLUSH: Duration = Duration::from_secs(2);

/// Between two looks at whether it is this member's turn.
const TURN: Duration = Duration::from_millis(100);

/// The journal that the members share, and this one.
pub(super) struct Shared {
    journal: EtcdJournal,
    about: Member,
    retention: Retention,
    skew_max: Duration,
}

/// A member that leads.
pub(super) struct Leading {
    journal: Arc<EtcdJournal>,
    leadership: Leadership,
    membership: Membership,
}

impl Leading {
    /// Turns true when another daemon may lead.
    pub(super) fn is_lost(&self) -> watch::Receiver<bool> {
        self.leadership.is_lost()
    }

    /// What this member sees of the cluster.
    pub(super) fn look(&self) -> impl Fn() -> ClusterStatus + Send + Sync + use<> {
        let (look, is_lost) = (self.membership.look(), self.leadership.is_lost());
        let (own, term) = (self.journal.member().to_owned(), self.leadership.term.0);
        move || {
            let seen = look();
            // The last look may be older than this tenure.
            match *is_lost.borrow() || seen.term > term {
                true => seen,
                false => ClusterStatus { leader: Some(own.clone()), term, ..seen },
            }
        }
    }

    /// Names the member that is to lead next.
    pub(super) fn name_next(&self, member: &str) {
        if let Err(err) = self.journal.name_next(member) {
            tracing::warn!(%err, "the next leader is not named; any member leads");
        }
    }

    /// Lets the next one lead at once.
    pub(super) fn resign(self) {
        self.journal.resign(self.leadership);
        self.membership.leave();
    }
}

/// The journal on etcd, if the configuration wants one.
pub(super) fn journal(config: &Config, state_dir: &Path) -> Result<Option<Shared>, StartError> {
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
    let cluster = &config.cluster;
    Ok(Some(Shared {
        journal: journal.with_quota(etcd.quota_mib << 20),
        about: about(config, state_dir),
        retention: Retention {
            copies: usize::try_from(cluster.copies).unwrap_or(usize::MAX),
            bytes_max: cluster.log_mib << 20,
        },
        skew_max: Duration::from_secs(cluster.skew_seconds_max),
    }))
}

/// Follows the journal with this tree until this member is elected. Returns the store, which leads then.
pub(super) fn lead(
    tree: RedbStore,
    shared: Shared,
    secrets: Secrets,
    options: JournalOptions,
    figures: JournalFigures,
    stage: &Stage,
) -> Result<(JournalStore, Leading), Fault> {
    let Shared { journal, about, retention, skew_max } = shared;
    let journal = Arc::new(journal);
    stage.begin("waiting for etcd".to_owned());
    let identity = patiently(|| journal.identity(options.identity))?;
    let options = JournalOptions { identity, ..options };
    let store = JournalStore::open_shared(tree, journal.clone(), secrets.into(), options, figures)?;
    let entered = patiently(|| Membership::enter(&journal, about.clone(), store.progress()))?;
    let membership = entered.map_err(|holder| Fault::NameTaken(journal.member().to_owned(), holder.host))?;
    let (mut flushed, mut told) = (Instant::now(), Standing::Fit);
    loop {
        store.catch_up(|_| ())?;
        if flushed.elapsed() >= FLUSH {
            store.flush()?;
            flushed = Instant::now();
        }
        let standing = membership.standing(skew_max);
        if let Standing::Astray(why) = &standing
            && told != standing
        {
            tracing::error!("this member does not lead: its clock is {why}; set it right");
            stage.begin("does not lead: its clock is off those of the others".to_owned());
        }
        told = standing;
        if told != Standing::Fit || patiently(|| membership.is_anothers_turn())? {
            std::thread::sleep(TURN);
            continue;
        }
        match patiently(|| journal.campaign())? {
            Ok(mut leadership) => {
                store.lead(leadership.term, |_| ())?;
                journal.trim(&mut leadership, retention);
                tracing::info!(term = leadership.term.0, "leads");
                return Ok((store, Leading { journal, leadership, membership }));
            }
            Err(leader) => {
                stage.begin(format!("follows {leader}"));
                patiently(|| journal.wait(store.number(), FLUSH))?;
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
    /// Another daemon has this member's name, on this host.
    NameTaken(String, String),
}

impl Fault {
    /// The error of a start on this database.
    pub(super) fn at(self, database: PathBuf) -> StartError {
        match self {
            Self::Etcd(err) => StartError::Etcd(err),
            Self::NameTaken(name, host) => StartError::Config(ConfigError(format!(
                "cluster.member: a daemon on {host} is the member \"{name}\" already; give this one a name of its own, or \
                 stop that one"
            ))),
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
