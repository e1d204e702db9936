//! The membership of a cluster: each daemon holds a key of its name, under a lease of its own, and tells there what the
//! others must know of it. A second daemon of the same name is refused.
//!
//! ```text
//! m/MEMBER   a record in JSON, renewed every second; gone when the daemon is
//! k/MEMBER   up to which record the member's database has everything; stays
//! next       the member that is to lead next, for two seconds
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use enroll_etcd::messages::{KeyValue, RangeRequest};
use enroll_etcd::{Error, Txn};
use enroll_protocol::cluster::ClusterStatus;

use super::etcd_journal::{EtcdJournal, values};
use super::roster::{Member, Roster, Standing};
use super::trim;
use crate::daemon::clock::Clock;
use crate::storage::journal::Progress;

/// Between two renewals.
const PAUSE: Duration = Duration::from_secs(1);

/// Beyond the life of a lease: etcd elects a leader of its own meanwhile.
pub(super) const GRACE: Duration = Duration::from_secs(3);

/// Between two attempts at a name that is held.
pub(super) const RETRY: Duration = Duration::from_millis(100);

/// A member that has its name. Dropping it ends the renewal; the name is free when its lease has run out.
pub struct Membership {
    journal: Arc<EtcdJournal>,
    roster: Arc<Mutex<Roster>>,
    lease: Arc<Mutex<i64>>,
    renewal: tokio::task::JoinHandle<()>,
}

impl Membership {
    /// Takes the name of this journal's member, and renews it from now on. A name that a daemon had which ended without
    /// giving it back is waited for; one that another daemon holds is refused, with what that one tells.
    pub fn enter(
        journal: &Arc<EtcdJournal>,
        me: Member,
        progress: Arc<Progress>,
    ) -> Result<Result<Self, Member>, Error> {
        let begun = Instant::now();
        let mut renewal = Renewal {
            journal: Arc::clone(journal),
            me,
            progress,
            roster: Arc::default(),
            lease: Arc::default(),
            claimed: None,
            revision: 0,
        };
        while let Some(holder) = journal.runtime.block_on(renewal.enter())? {
            if begun.elapsed() > journal.lease + GRACE {
                return Ok(Err(holder));
            }
            std::thread::sleep(RETRY);
        }
        journal.runtime.block_on(renewal.look())?;
        let (roster, lease) = (Arc::clone(&renewal.roster), Arc::clone(&renewal.lease));
        let renewal = journal.runtime.spawn(renewal.run());
        Ok(Ok(Self { journal: Arc::clone(journal), roster, lease, renewal }))
    }

    /// The cluster as this member sees it, as of its last look.
    pub fn look(&self) -> impl Fn() -> ClusterStatus + Send + Sync + use<> {
        let (roster, journal) = (Arc::clone(&self.roster), Arc::clone(&self.journal));
        move || {
            let roster = roster.lock().unwrap_or_else(PoisonError::into_inner);
            roster.status(&journal.member, journal.etcd_size())
        }
    }

    /// The addresses of the members, as of its last look.
    pub fn addresses(&self) -> impl Fn(&str) -> Option<String> + Send + Sync + use<> {
        let roster = Arc::clone(&self.roster);
        move |member| roster.lock().unwrap_or_else(PoisonError::into_inner).address(member)
    }

    /// The eligibility of this member: if it may stand for election.
    pub fn standing(&self, skew_max: Duration) -> Standing {
        self.roster().standing(&self.journal.member, skew_max)
    }

    /// True if the leader named another member as the next one, and that is here.
    pub fn is_anothers_turn(&self) -> Result<bool, Error> {
        let next = self.journal.runtime.block_on(self.journal.client.range(self.journal.one("next")))?;
        let Some(next) = next.kvs.first() else { return Ok(false) };
        let name = String::from_utf8_lossy(&next.value);
        Ok(name != self.journal.member && self.roster().is_here(&name))
    }

    /// Gives the name back, so that another daemon has it at once.
    pub fn leave(&self) {
        self.renewal.abort();
        let lease = *self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(err) = self.journal.runtime.block_on(self.journal.client.revoke_lease(lease)) {
            tracing::debug!(%err, "the member's name is not given back; its lease runs out");
        }
    }

    fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that renews a member's record.
struct Renewal {
    journal: Arc<EtcdJournal>,
    me: Member,
    progress: Arc<Progress>,
    roster: Arc<Mutex<Roster>>,
    lease: Arc<Mutex<i64>>,
    claimed: Option<u64>,
    /// The revision at which the record was made.
    revision: i64,
}

impl Renewal {
    async fn run(mut self) {
        let mut ticks = tokio::time::interval(PAUSE);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(err) = self.renew().await {
                tracing::debug!(%err, "the member's record was not renewed; it is tried again");
            }
        }
    }

    async fn renew(&mut self) -> Result<(), Error> {
        let lease = self.lease();
        let is_kept = match self.journal.client.keep_alive(lease).await {
            Ok(_) => self.put(lease).await?,
            Err(Error::NoLease) => false,
            Err(err) => return Err(err),
        };
        if !is_kept && let Some(holder) = self.enter().await? {
            let (name, host) = (&self.journal.member, &holder.host);
            tracing::error!("a daemon on {host} is the member {name} by now, as this one is; give one another name");
        }
        self.look().await
    }

    /// Takes the name under a new lease. Returns the record of the daemon that holds it, if there is one.
    async fn enter(&mut self) -> Result<Option<Member>, Error> {
        let key = self.journal.member_key();
        let found = self.journal.client.range(self.journal.one_of(&key)).await?;
        let held = found.kvs.first().map(|kv| (kv.create_revision, member(kv)));
        let (lease, _) = self.journal.client.grant_lease(self.journal.lease).await?;
        let txn = match &held {
            None => Txn::new().if_missing(&*key),
            // What this state directory's daemon left behind.
            Some((revision, Some(holder))) if holder.instance == self.me.instance => {
                Txn::new().if_created_at(&*key, *revision)
            }
            Some((_, holder)) => {
                self.journal.client.revoke_lease(lease).await?;
                return Ok(Some(holder.clone().unwrap_or_else(|| self.me.clone())));
            }
        };
        let (record, number) = self.record();
        let txn = txn.put(&*key, record, lease).put(self.journal.claim_key(), number.to_string(), 0);
        let done = self.journal.client.txn(txn.get(&*key).else_get(&*key)).await?;
        let now = values(&done).next();
        if !done.succeeded {
            self.journal.client.revoke_lease(lease).await?;
            return Ok(Some(now.and_then(member).unwrap_or_else(|| self.me.clone())));
        }
        self.revision = now.map_or(0, |kv| kv.create_revision);
        self.claimed = Some(number);
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = lease;
        Ok(None)
    }

    /// Puts the record and, where it has changed, the claim. `false` if the name is lost.
    async fn put(&mut self, lease: i64) -> Result<bool, Error> {
        let key = self.journal.member_key();
        let (record, number) = self.record();
        let txn = Txn::new().if_created_at(&*key, self.revision).put(&*key, record, lease);
        let txn = match self.claimed == Some(number) {
            true => txn,
            false => txn.put(self.journal.claim_key(), number.to_string(), 0),
        };
        let done = self.journal.client.txn(txn).await?;
        if done.succeeded {
            self.claimed = Some(number);
        }
        Ok(done.succeeded)
    }

    /// Looks at the records and claims of all.
    async fn look(&self) -> Result<(), Error> {
        let all = |name: &str, end: &str| {
            self.journal.client.range(RangeRequest {
                key: self.journal.key(name).into_bytes(),
                range_end: self.journal.key(end).into_bytes(),
                ..RangeRequest::default()
            })
        };
        let status = self.journal.client.status().await?;
        self.journal.note_size(status.db_size, status.db_size_in_use);
        let txn = ["leader", "head", "low"].into_iter().fold(Txn::new(), |txn, name| txn.get(self.journal.key(name)));
        let journal = self.journal.client.txn(txn).await?;
        let (members, claims) = (all("m/", "m0").await?, all("k/", "k0").await?);
        let name = |kv: &KeyValue, of: &str| {
            let name = kv.key.strip_prefix(self.journal.key(of).as_bytes())?;
            String::from_utf8(name.to_vec()).ok()
        };
        let members = members.kvs.iter().filter_map(|kv| Some((name(kv, "m/")?, member(kv)?))).collect();
        let claims = claims.kvs.iter().filter_map(|kv| Some((name(kv, "k/")?, trim::claim(&kv.value)?))).collect();
        let mut roster = self.roster.lock().unwrap_or_else(PoisonError::into_inner);
        roster.take(members, &claims, clock());
        roster.take_journal(&values(&journal).collect::<Vec<_>>(), &self.journal);
        Ok(())
    }

    /// The record as of now, and the claim.
    fn record(&self) -> (Vec<u8>, u64) {
        let now = Member { clock: clock(), applied: self.progress.applied(), ..self.me.clone() };
        (serde_json::to_vec(&now).unwrap_or_default(), self.progress.flushed())
    }

    fn lease(&self) -> i64 {
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn member(kv: &KeyValue) -> Option<Member> {
    serde_json::from_slice(&kv.value).ok()
}

fn clock() -> i64 {
    Clock::default().now().micros()
}
