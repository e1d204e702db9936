//! The member of a cluster: it follows the shared journal until it is elected, and then leads. A standby serves reads
//! meanwhile.
//!
//! One daemon leads at a time. A deposed one ends, and follows when it is started again: no state is talked back.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use enroll_etcd::{Config as EtcdConfig, Error};
use tokio::sync::watch;

use super::StartError;
use super::paths;
use super::systemd::Stage;
use crate::cluster::about;
pub(crate) use crate::cluster::etcd_journal::EtcdJournal;
use crate::cluster::etcd_journal::Leadership;
use crate::cluster::members::Membership;
use crate::cluster::roster::{self, Standing};
use crate::cluster::trim::Retention;
use crate::config::{Config, ConfigError, StoreKind};
use crate::metrics::JournalFigures;
use crate::storage::journal::{JournalFault, JournalOptions, JournalStore, OtherShared};
use crate::storage::open::OpenError;
use crate::storage::redb::RedbStore;
use enroll_core::identity::Secrets;
use enroll_core::state::{ReadTxn, Store as _, StoreError, Writes};
use enroll_protocol::cluster::ClusterStatus;

/// Between two attempts at an etcd that does not answer.
const RETRY: Duration = Duration::from_millis(200);

/// The longest wait for news of the leader.
const WAIT: Duration = Duration::from_secs(1);

/// Leases after which a leader that does not answer is one no longer.
const LEASES: u32 = 3;

/// Between two looks at whether it is this member's turn.
const TURN: Duration = Duration::from_millis(100);

/// The journal that the members share, and this one.
pub(super) struct Shared {
    journal: EtcdJournal,
    about: roster::Member,
    listener: Option<TcpListener>,
    retention: Retention,
    skew_max: Duration,
}

/// This host's member of the cluster.
pub(super) struct Member {
    journal: Arc<EtcdJournal>,
    membership: Membership,
    /// For writes that other members forward, until they are accepted.
    listener: Mutex<Option<TcpListener>>,
    retention: Retention,
    skew_max: Duration,
    /// Its tenure, once it leads.
    leadership: Mutex<Option<Leadership>>,
    /// The latest word about its clock.
    standing: Mutex<Standing>,
    is_stopping: AtomicBool,
}

impl Member {
    /// Its name.
    pub(super) fn name(&self) -> &str {
        self.journal.member()
    }

    /// The listener for writes that other members forward, once.
    pub(super) fn take_listener(&self) -> Option<TcpListener> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The addresses at which members take such writes.
    pub(super) fn addresses(&self) -> impl Fn(&str) -> Option<String> + Send + Sync + use<> {
        self.membership.addresses()
    }

    /// The longest wait for the answer of a leader: it is certain of an outcome, or deposed, before.
    pub(super) fn patience(&self) -> Duration {
        self.journal.lease() * LEASES + WAIT
    }

    /// Follows the journal until this member is elected, or another one leads and there is a whole registry here: its name.
    fn enter(
        &self,
        store: &JournalStore,
        stage: &Stage,
        is_whole: impl Fn(&dyn ReadTxn) -> bool,
    ) -> Result<Option<String>, Fault> {
        loop {
            store.catch_up(|_| ())?;
            match patiently(|| self.journal.leader())? {
                Some(leader) if is_whole(&*store.view()?) => return Ok(Some(leader)),
                Some(leader) => {
                    stage.begin(format!("follows {leader}"));
                    patiently(|| self.journal.wait(store.number(), WAIT))?;
                }
                None => {
                    if let Some(leadership) = self.stand()? {
                        self.lead(store, leadership, |_| ())?;
                        return Ok(None);
                    }
                    if matches!(&*self.standing(), Standing::Astray(_)) {
                        stage.begin("does not lead: its clock is off those of the others".to_owned());
                    }
                }
            }
        }
    }

    /// Follows the journal until this member is elected and its store leads, or until the daemon stops: then false.
    /// `applied` gets the writes of each record after it is visible, `told` the name of each member that leads.
    pub(super) fn follow(
        &self,
        store: &JournalStore,
        mut applied: impl FnMut(&Writes),
        mut told: impl FnMut(&str),
    ) -> Result<bool, Fault> {
        let mut is_away = false;
        while !self.is_stopping.load(Ordering::SeqCst) {
            self.look_at_clock();
            let followed =
                store.catch_up(&mut applied).map_err(Fault::from).and_then(|()| Ok(self.journal.leader()?));
            match followed {
                Err(err) if err.is_passing() && !store.has_failed() => {
                    if !std::mem::replace(&mut is_away, true) {
                        tracing::warn!("etcd does not answer; reads wait for it");
                    }
                    std::thread::sleep(RETRY);
                    continue;
                }
                Err(err) => return Err(err),
                Ok(Some(leader)) => {
                    told(&leader);
                    patiently(|| self.journal.wait(store.number(), WAIT))?;
                }
                Ok(None) => {
                    if let Some(leadership) = self.stand()? {
                        self.lead(store, leadership, applied)?;
                        return Ok(true);
                    }
                }
            }
            is_away = false;
        }
        Ok(false)
    }

    /// The standing of this member by its clock. A change for the worse is logged.
    fn look_at_clock(&self) -> Standing {
        let standing = self.membership.standing(self.skew_max);
        let before = std::mem::replace(&mut *self.standing(), standing.clone());
        if let Standing::Astray(why) = &standing
            && before != standing
        {
            tracing::error!("this member does not lead: its clock is {why}; set it right");
        }
        standing
    }

    /// Stands for election, where this member may. Waits a little where it may not yet.
    fn stand(&self) -> Result<Option<Leadership>, Fault> {
        let standing = self.look_at_clock();
        if standing != Standing::Fit || patiently(|| self.membership.is_anothers_turn())? {
            std::thread::sleep(TURN);
            return Ok(None);
        }
        Ok(patiently(|| self.journal.campaign())?.ok())
    }

    fn lead(
        &self,
        store: &JournalStore,
        mut leadership: Leadership,
        applied: impl FnMut(&Writes),
    ) -> Result<(), Fault> {
        let term = leadership.term;
        // An etcd that lost everything, or went back to an older copy, elects whom it is asked to.
        let led = self.expect_own(store).and_then(|()| Ok(store.lead(term, applied)?));
        if let Err(fault) = led {
            self.journal.resign(leadership);
            return Err(fault);
        }
        self.journal.trim(&mut leadership, self.retention);
        *self.leadership() = Some(leadership);
        tracing::info!(term = term.0, "leads");
        Ok(())
    }

    /// Refuses a journal that is not the one which this store follows, or does not contain what is here.
    fn expect_own(&self, store: &JournalStore) -> Result<(), Fault> {
        let other = match (patiently(|| self.journal.found_identity())?, store.position()) {
            (Some(found), Some(position)) if found == position.identity => return Ok(store.expect_followed()?),
            (Some(_), _) => OtherShared::Replaced,
            (None, position) => OtherShared::Missing(position.map_or(0, |position| position.number)),
        };
        Err(JournalFault::OtherShared(other).into())
    }

    /// Turns true when another daemon may lead; `None` for a member that does not lead.
    pub(super) fn is_lost(&self) -> Option<watch::Receiver<bool>> {
        self.leadership().as_ref().map(Leadership::is_lost)
    }

    /// The status of the cluster, as this member sees it.
    pub(super) fn look(self: &Arc<Self>) -> impl Fn() -> ClusterStatus + Send + Sync + use<> {
        let (look, member) = (self.membership.look(), Arc::clone(self));
        move || {
            let seen = look();
            match &*member.leadership() {
                // The last look may be older than this tenure.
                Some(leadership) if !*leadership.is_lost().borrow() && seen.term <= leadership.term.0 => {
                    ClusterStatus { leader: Some(member.name().to_owned()), term: leadership.term.0, ..seen }
                }
                _ => seen,
            }
        }
    }

    /// Names the member that is to lead next.
    pub(super) fn name_next(&self, member: &str) {
        if let Err(err) = self.journal.name_next(member) {
            tracing::warn!(%err, "the next leader is not named; any member leads");
        }
    }

    /// Follows no longer, and lets the next one lead at once where this one does.
    pub(super) fn resign(&self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        if let Some(leadership) = self.leadership().take() {
            self.journal.resign(leadership);
        }
        self.membership.leave();
    }

    fn leadership(&self) -> MutexGuard<'_, Option<Leadership>> {
        self.leadership.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The journal on etcd, if the configuration wants one.
pub(super) fn journal(config: &Config, state_dir: &Path) -> Result<Option<Shared>, StartError> {
    if config.store == StoreKind::Local {
        return Ok(None);
    }
    let cluster = &config.cluster;
    let listener = listen(&cluster.listen)?;
    let address = listener.as_ref().map(|(_, bound)| about::address(&cluster.address, *bound));
    Ok(Some(Shared {
        journal: etcd_journal(config)?,
        about: roster::Member { address, ..about::about(config, state_dir) },
        listener: listener.map(|(listener, _)| listener),
        retention: Retention {
            copies: usize::try_from(cluster.copies).unwrap_or(usize::MAX),
            bytes_max: cluster.log_mib << 20,
        },
        skew_max: Duration::from_secs(cluster.skew_seconds_max),
    }))
}

/// The journal on the etcd of this configuration.
pub(crate) fn etcd_journal(config: &Config) -> Result<EtcdJournal, StartError> {
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
    Ok(journal.with_quota(etcd.quota_mib << 20))
}

/// Listens for writes that other members forward, where the configuration says where.
fn listen(address: &str) -> Result<Option<(TcpListener, SocketAddr)>, StartError> {
    if address.is_empty() {
        return Ok(None);
    }
    let bound = || -> std::io::Result<_> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    bound().map(Some).map_err(|err| StartError::Io(format!("cluster.listen {address}"), err))
}

/// Follows the journal with this tree until this member is elected, or another one leads and there is a whole registry
/// here. Returns the store and the member, and the name of the other one that leads.
pub(super) fn join(
    tree: RedbStore,
    shared: Shared,
    secrets: Secrets,
    options: JournalOptions,
    figures: JournalFigures,
    stage: &Stage,
    is_whole: impl Fn(&dyn ReadTxn) -> bool,
) -> Result<(JournalStore, Member, Option<String>), Fault> {
    let Shared { journal, about, listener, retention, skew_max } = shared;
    let journal = Arc::new(journal);
    stage.begin("waiting for etcd".to_owned());
    // A database that has followed a journal founds no other one: what it had there may not be in it yet.
    let identity = match tree.entries()? > 0 || tree.mark()?.is_some() {
        false => patiently(|| journal.identity(options.identity))?,
        true => patiently(|| journal.found_identity())?.ok_or_else(|| missing(&tree))?,
    };
    let options = JournalOptions { identity, ..options };
    let store = JournalStore::open_shared(tree, journal.clone(), secrets.into(), options, figures)?;
    let entered = patiently(|| Membership::enter(&journal, about.clone(), store.progress()))?;
    let membership = entered.map_err(|holder| Fault::NameTaken(journal.member().to_owned(), holder.host))?;
    let (leadership, standing, is_stopping) = (Mutex::default(), Mutex::new(Standing::Fit), AtomicBool::new(false));
    let listener = Mutex::new(listener);
    let member = Member { journal, membership, listener, retention, skew_max, leadership, standing, is_stopping };
    let leader = store.beside_flush(|| member.enter(&store, stage, is_whole))?;
    Ok((store, member, leader))
}

/// The fault of a database for which there is no journal.
fn missing(tree: &RedbStore) -> Fault {
    let position = tree.mark().map(|mark| mark.and_then(|mark| mark.position()));
    match position {
        Ok(Some(position)) => JournalFault::OtherShared(OtherShared::Missing(position.number)).into(),
        Ok(None) => JournalFault::OtherShared(OtherShared::Local).into(),
        Err(err) => err.into(),
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

impl Fault {
    /// True if the same may work later: etcd did not answer.
    fn is_passing(&self) -> bool {
        match self {
            Self::Etcd(err) => err.is_transient(),
            Self::Journal(JournalFault::Store(err)) => matches!(err, StoreError::Io { .. }),
            Self::Journal(_) | Self::NameTaken(..) => false,
        }
    }
}

impl From<Error> for Fault {
    fn from(err: Error) -> Self {
        Self::Etcd(err)
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
