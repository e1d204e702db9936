//! The running daemon's shared state, from which each request's context takes its snapshots.

pub mod abuse;
mod applied;
pub mod clock;
pub mod connection_limit;
pub mod guesses;
pub mod health;
pub mod internal_error;
pub mod last_backup;
pub mod membership;
pub mod revocation_list;
pub mod role;
mod snapshot;
pub mod warnings;
pub mod written;

use std::fs::File;
use std::sync::{Arc, Mutex};

use enroll_core::context::{Context, Identity, Peer};
use enroll_core::fault::Fault;
use enroll_core::needs::{Made, Needed};
use enroll_core::rules::fullest_pools::PoolWatch;
use enroll_core::rules::{self, make};
use enroll_core::settings::Settings;
use enroll_core::state::ReadTxn;
use enroll_protocol::{Envelope, Refusal, Time};
use tokio::sync::watch;

use crate::metrics::{JournalFigures, Metrics};
use crate::storage::private_dir::Directory;
use abuse::AbuseLog;
use connection_limit::ConnectionLimit;
use guesses::Guesses;
use health::Watched;
use last_backup::LastBackup;
use membership::Membership;
use revocation_list::SignedLists;
use role::Role;
use warnings::Warnings;
use written::Written;

/// State that all threads share.
pub struct Daemon {
    /// The role in a cluster.
    pub role: Role,
    /// The settings for rules. A reload replaces them.
    pub settings: Swap<Settings>,
    /// The keys.
    pub identity: Swap<Identity>,
    /// The latest signed list of revoked certificates.
    pub lists: SignedLists,
    /// The time of the last scheduled backup.
    pub last_backup: LastBackup,
    /// The cluster that it is a member of.
    pub membership: Membership,
    /// The rate limit of wrong codes.
    pub guesses: Guesses,
    /// The durable bytes that each uid's calls caused.
    pub written: Written,
    /// The time of the start, by the clock as it is set now.
    pub started: Swap<Time>,
    /// The last trusted time, while the clock is in doubt and not accepted.
    pub doubted_since: Swap<Option<Time>>,
    /// Counters and gauges.
    pub metrics: Metrics,
    /// The standing warnings, for status and metrics.
    pub warnings: Warnings,
    /// Refusals for abuse, summed in the log.
    pub abuse: AbuseLog,
    /// The looks by which the daemon judges its own health.
    pub watched: Watched,
    /// The open connections.
    pub connections: Arc<ConnectionLimit>,
    /// The look for the fullest pools that goes on from snapshot to snapshot.
    pub fullest_pools: Mutex<PoolWatch>,
}

impl Daemon {
    /// A daemon that was started at this time and has no files of its own.
    pub fn new(settings: Settings, identity: Identity, started: Time) -> Self {
        let (warnings, abuse) = (Warnings::default(), AbuseLog::default());
        Self {
            role: Role::default(),
            settings: Swap::new(settings),
            identity: Swap::new(identity),
            lists: SignedLists::default(),
            last_backup: LastBackup::default(),
            membership: Membership::default(),
            guesses: Guesses::default(),
            written: Written::default(),
            started: Swap::new(started),
            doubted_since: Swap::new(None),
            metrics: Metrics::new(started).with_warnings(warnings.counts()).with_abuse(abuse.counts()),
            warnings,
            abuse,
            watched: Watched::default(),
            connections: Arc::default(),
            fullest_pools: Mutex::default(),
        }
    }

    /// The same with the figures of its journal.
    pub(crate) fn with_journal(self, figures: &JournalFigures) -> Self {
        Self { metrics: self.metrics.with_journal(figures), ..self }
    }

    /// The same with a state directory, which keeps the signature of the list and the time of the last backup, and
    /// whose disk is watched.
    pub(crate) fn kept_in(self, state_dir: &Arc<Directory>) -> Self {
        Self {
            lists: SignedLists::kept_in(Arc::clone(state_dir)),
            last_backup: LastBackup::kept_in(Arc::clone(state_dir)),
            watched: Watched::of(File::open(state_dir.path_of("")).ok()),
            ..self
        }
    }

    /// The context of a request that begins now. Refuses an actor whose session JWT is not valid (`jwt_invalid`).
    pub fn context(&self, now: Time, seed: [u8; 32], peer: Peer, envelope: Envelope) -> Result<Context, Refusal> {
        let (settings, identity) = (self.settings.now(), self.identity.now());
        let proof = rules::prove(&envelope, &identity, &settings, now)?;
        let doubted_since = *self.doubted_since.now();
        Ok(Context { now, seed, peer, envelope, proof, settings, identity, doubted_since, guesses: None, made: None })
    }
}

impl Daemon {
    /// Makes the thing that a rule needs, from a current snapshot.
    pub fn make(&self, needed: &Needed, txn: &dyn ReadTxn, ctx: &Context) -> Result<Made, Fault> {
        match needed {
            Needed::Certificate(callsign, wanted) => make::certificate(ctx, callsign, wanted),
            Needed::SigningKey(algorithm) => make::signing_key(ctx, *algorithm),
            Needed::ImportCheck => make::import_check(txn),
            Needed::List => Ok(Made::List(self.lists.of(txn, &ctx.identity.authority)?)),
            Needed::Process => Ok(Made::Process(Arc::new(self.process(txn, ctx.now)?))),
            Needed::Snapshot => Ok(Made::Snapshot(Arc::new(self.snapshot(txn, ctx)?))),
            Needed::Cluster => Ok(Made::Cluster(Arc::new(self.membership.status()))),
            Needed::Traces(person) => make::traces(txn, ctx, *person),
            Needed::HandOver(to) => Ok(Made::HandOver(self.membership.hand_over(to))),
            Needed::Metrics => {
                let text = self.metrics.text(&self.standing(txn, ctx)?);
                let text = text.map_err(|err| Fault::Broken(format!("the metrics can not be written: {err}")))?;
                Ok(Made::Metrics(text.into()))
            }
        }
    }
}

/// A swappable `Arc<T>`: readers keep the version they loaded.
#[derive(Debug)]
pub struct Swap<T>(watch::Sender<Arc<T>>);

impl<T> Swap<T> {
    /// The first version.
    pub fn new(value: T) -> Self {
        Self(watch::Sender::new(Arc::new(value)))
    }

    /// The current version.
    pub fn now(&self) -> Arc<T> {
        Arc::clone(&self.0.borrow())
    }

    /// Replaces the version; loaded ones stay as they are.
    pub fn replace(&self, value: T) {
        self.0.send_replace(Arc::new(value));
    }

    /// A receiver that wakes at each replacement.
    pub fn subscribe(&self) -> watch::Receiver<Arc<T>> {
        self.0.subscribe()
    }
}

impl<T: Clone> Swap<T> {
    /// Replaces the version with one made from the current one.
    pub fn update(&self, change: impl FnOnce(&mut T)) {
        let mut value = (*self.now()).clone();
        change(&mut value);
        self.replace(value);
    }
}
