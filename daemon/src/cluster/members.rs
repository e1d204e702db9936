//! The membership of a cluster: each daemon holds a key of its name, under a lease of its own, and tells there what the
//! others must know of it. A second daemon of the same name is refused.
//!
//! ```text
//! m/MEMBER   a record in JSON, renewed every second; gone when the daemon is
//! k/MEMBER   up to which record the member's database has everything; stays
//! next       the member that is to lead next, for two seconds
//! ```
//!
//! Clocks are compared without trust in any: a record that was not there at one look and is at the next was made between
//! the two, so the difference lies between those of its clock to the looks'.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use enroll_etcd::messages::{KeyValue, RangeRequest};
use enroll_etcd::{Error, Txn};
use enroll_protocol::cluster::{self, ClusterStatus};
use serde::{Deserialize, Serialize};

use super::etcd_journal::{EtcdJournal, parts, values};
use super::trim;
use crate::daemon::clock::Clock;
use crate::storage::journal::Progress;

/// Between two renewals.
const PAUSE: Duration = Duration::from_secs(1);

/// Beyond the life of a lease: etcd elects a leader of its own meanwhile.
const GRACE: Duration = Duration::from_secs(3);

/// Between two attempts at a name that is held.
const RETRY: Duration = Duration::from_millis(100);

/// Looks after which a member that is there has been compared, unless it does not renew its record.
const LOOKS: u32 = 3;

/// Looks whose heads are remembered, for an hour.
const HEADS_MAX: usize = 3600;

const MICROS: i64 = 1_000_000;

/// What a member tells of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The version of its daemon.
    pub version: String,
    /// The name of its host.
    pub host: String,
    /// A digest of each setting that rules read.
    pub settings: BTreeMap<String, String>,
    /// Its state directory, told from every other one: that of a daemon which was started again is the same.
    pub instance: String,
    /// Its clock, in microseconds since 1970.
    pub clock: i64,
    /// The number of the latest record that its readers see.
    pub applied: u64,
}

/// A member as another one sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What it told last.
    pub member: Member,
    /// Up to which record its database has everything.
    pub flushed: u64,
    /// False for one that is away.
    pub is_here: bool,
    /// By how many microseconds its clock is ahead of this one's: at least, and at most.
    pub ahead: Option<(i64, i64)>,
}

/// All members that were seen since the start, by name.
#[derive(Debug, Default)]
pub struct Roster {
    seen: BTreeMap<String, Seen>,
    /// The clock at the last look.
    looked: Option<i64>,
    looks: u32,
    leader: Option<(String, u64)>,
    /// The oldest record, and the bytes of all before it.
    low: (u64, u64),
    /// Bytes of all records up to the head.
    bytes: u64,
    /// The heads at the looks, newest last.
    heads: VecDeque<(Instant, u64)>,
}

/// Whether this member may stand for election.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Fit,
    /// The clocks of others are not compared yet.
    Unknown,
    /// Its clock is off those of most others: which, for people.
    Astray(String),
}

impl Roster {
    /// Takes the records and claims of a look that ended by this clock.
    fn take(&mut self, members: BTreeMap<String, Member>, claims: &BTreeMap<String, u64>, now: i64) {
        let before = self.looked.replace(now);
        self.looks = self.looks.saturating_add(1);
        self.seen.values_mut().for_each(|seen| seen.is_here = false);
        for (name, member) in members {
            let old = self.seen.remove(&name);
            let ahead = match (&old, before) {
                (Some(old), Some(before)) if old.member.clock != member.clock => {
                    Some((member.clock - now, member.clock - before))
                }
                (old, _) => old.as_ref().and_then(|old| old.ahead),
            };
            self.seen.insert(name, Seen { member, flushed: 0, is_here: true, ahead });
        }
        for (name, seen) in &mut self.seen {
            seen.flushed = claims.get(name).copied().unwrap_or(0);
        }
    }

    /// Takes the leader, the head and the oldest record of a look.
    fn take_journal(&mut self, found: &[&KeyValue], journal: &EtcdJournal) {
        let value = |name: &str| found.iter().find(|kv| kv.key == journal.key(name).as_bytes());
        let term = |kv: &KeyValue| u64::try_from(kv.create_revision).unwrap_or(0);
        self.leader = value("leader").map(|kv| (String::from_utf8_lossy(&kv.value).into_owned(), term(kv)));
        self.low = value("low").and_then(|kv| trim::low(&kv.value)).unwrap_or((1, 0));
        let [number, _, _, bytes] = value("head").and_then(|kv| parts(&kv.value)).unwrap_or_default();
        self.bytes = bytes;
        if self.heads.len() == HEADS_MAX {
            self.heads.pop_front();
        }
        self.heads.push_back((Instant::now(), number));
    }

    /// For how long there has been a record behind this one, as far back as the looks go.
    fn lag(&self, applied: u64) -> Duration {
        let behind = self.heads.iter().find(|(_, head)| *head > applied);
        behind.map_or(Duration::ZERO, |(since, _)| since.elapsed())
    }

    /// The cluster, as this member sees it.
    fn status(&self, own: &str, etcd: cluster::EtcdSize) -> ClusterStatus {
        let head = self.heads.back().map_or(0, |(_, head)| *head);
        let common = self.seen.get(own).map(|seen| seen.member.settings.clone()).unwrap_or_default();
        let member = |(name, seen): (&String, &Seen)| {
            let Seen { member, flushed, is_here, ahead } = seen;
            let differs = |(key, digest): &(&String, &String)| member.settings.get(*key) != Some(digest);
            cluster::Member {
                name: name.clone(),
                host: member.host.clone(),
                version: member.version.clone(),
                is_here: *is_here,
                record: member.applied,
                lag_records: head.saturating_sub(member.applied),
                lag_seconds: self.lag(member.applied).as_secs(),
                on_disk: *flushed,
                clock_ahead_millis: ahead.map(|ahead| least(ahead) / 1000),
                differing_settings: common.iter().filter(differs).map(|(key, _)| key.clone()).collect(),
            }
        };
        ClusterStatus {
            member: Some(own.to_owned()),
            leader: self.leader.as_ref().map(|(leader, _)| leader.clone()),
            term: self.leader.as_ref().map_or(0, |(_, term)| *term),
            latest_record: head,
            oldest_record: self.low.0,
            journal_bytes: self.bytes.saturating_sub(self.low.1),
            etcd,
            members: self.seen.iter().map(member).collect(),
        }
    }

    /// Whether this member may stand, with clocks that may be so far apart: not while its clock is off those of more than
    /// half of the others, and another one is here that could lead.
    fn standing(&self, own: &str, skew_max: Duration) -> Standing {
        let max = i64::try_from(skew_max.as_micros()).unwrap_or(i64::MAX);
        let others = || self.seen.iter().filter(|(name, _)| *name != own);
        if !others().any(|(_, other)| other.is_here) {
            return Standing::Fit;
        }
        if self.looks < LOOKS {
            return Standing::Unknown;
        }
        let compared: Vec<_> =
            others().filter_map(|(name, other)| other.ahead.map(|(least, most)| (name, least, most))).collect();
        let off: Vec<_> = compared.iter().filter(|(_, least, most)| *least > max || *most < -max).collect();
        if off.len() * 2 <= compared.len() {
            return Standing::Fit;
        }
        let tell = |(name, least, most): &&(&String, i64, i64)| match *least > max {
            true => format!("at least {} s behind that of {name}", least / MICROS),
            false => format!("at least {} s ahead of that of {name}", -most / MICROS),
        };
        Standing::Astray(off.iter().map(tell).collect::<Vec<_>>().join(", "))
    }
}

/// The difference of two clocks that is certain: 0 where they may be the same.
fn least((least, most): (i64, i64)) -> i64 {
    if least > 0 { least } else { most.min(0) }
}

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
        loop {
            let Some(holder) = journal.runtime.block_on(renewal.enter())? else { break };
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

    /// Whether this member may stand for election.
    pub fn standing(&self, skew_max: Duration) -> Standing {
        self.roster().standing(&self.journal.member, skew_max)
    }

    /// Whether the leader wanted another member to be next, which is here.
    pub fn is_anothers_turn(&self) -> Result<bool, Error> {
        let next = self.journal.runtime.block_on(self.journal.client.range(self.journal.one("next")))?;
        let Some(next) = next.kvs.first() else { return Ok(false) };
        let name = String::from_utf8_lossy(&next.value);
        Ok(name != self.journal.member && self.roster().seen.get(&*name).is_some_and(|seen| seen.is_here))
    }

    /// Gives the name back, so that another daemon has it at once.
    pub fn leave(self) {
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = MICROS;

    fn told(clocks: &[(&str, i64)]) -> BTreeMap<String, Member> {
        let member = |clock| Member {
            version: String::new(),
            host: String::new(),
            settings: BTreeMap::new(),
            instance: String::new(),
            clock,
            applied: 0,
        };
        clocks.iter().map(|(name, clock)| ((*name).to_owned(), member(*clock))).collect()
    }

    /// A roster of `me` that looked three times, a second apart, at members whose clocks are so many seconds ahead.
    fn looked(ahead: &[(&str, i64)]) -> Roster {
        let mut roster = Roster::default();
        for second in 100..103 {
            let clocks: Vec<_> = ahead.iter().map(|(name, by)| (*name, (second + by) * SECOND - SECOND / 2)).collect();
            roster.take(told(&clocks), &BTreeMap::new(), second * SECOND);
        }
        roster
    }

    #[test]
    fn a_clock_that_is_off_those_of_most_others_does_not_lead() {
        let max = Duration::from_secs(2);
        let standing = |ahead: &[(&str, i64)]| looked(ahead).standing("me", max);
        assert_eq!(standing(&[("me", 0)]), Standing::Fit, "alone");
        assert_eq!(standing(&[("me", 0), ("b", 1), ("c", -2)]), Standing::Fit, "within the bound");
        assert_eq!(standing(&[("me", 0), ("b", 3600), ("c", 0)]), Standing::Fit, "one of two is off");
        let astray = standing(&[("me", 0), ("b", 3600), ("c", 3600)]);
        assert!(matches!(&astray, Standing::Astray(why) if why.contains("behind that of b")), "{astray:?}");
        let astray = standing(&[("me", 0), ("b", -3600)]);
        assert!(matches!(&astray, Standing::Astray(why) if why.contains("ahead of that of b")), "{astray:?}");
    }

    #[test]
    fn a_member_that_is_away_counts_while_another_is_here_and_then_no_longer() {
        let max = Duration::from_secs(2);
        let mut roster = looked(&[("me", 0), ("b", 0), ("c", 3600)]);
        roster.take(told(&[("me", 0), ("c", 4000 * SECOND)]), &BTreeMap::new(), 103 * SECOND);
        assert!(!roster.seen["b"].is_here);
        assert_eq!(roster.standing("me", max), Standing::Fit, "b agreed");
        let mut roster = looked(&[("me", 0), ("b", 3600)]);
        roster.take(told(&[("me", 103 * SECOND)]), &BTreeMap::new(), 103 * SECOND);
        assert_eq!(roster.standing("me", max), Standing::Fit, "nobody else could lead");
    }

    #[test]
    fn clocks_that_were_not_compared_are_waited_for() {
        let mut roster = Roster::default();
        roster.take(told(&[("me", 0), ("b", 0)]), &BTreeMap::new(), SECOND);
        assert_eq!(roster.standing("me", Duration::from_secs(2)), Standing::Unknown);
    }
}
