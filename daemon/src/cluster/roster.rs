//! The roster: the members of a cluster as one of them sees them, with their clocks compared.
//!
//! Clocks are compared without trust in any: a record that was not there at one look and is at the next was made between
//! the two, so the difference lies between those of its clock to the looks'.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use enroll_etcd::messages::KeyValue;
use enroll_protocol::cluster::{self, ClusterStatus};
use serde::{Deserialize, Serialize};

use super::etcd_journal::{EtcdJournal, parts};
use super::trim;

/// Looks after which a member that is there has been compared, unless it does not renew its record.
const LOOKS: u32 = 3;

/// Looks whose heads are remembered, for an hour.
const HEADS_MAX: usize = 3600;

const MICROS: i64 = 1_000_000;

/// The record of a member, which it writes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The version of its daemon.
    pub version: String,
    /// The name of its host.
    pub host: String,
    /// The host and port at which it takes writes that others forward, if it does.
    #[serde(default)]
    pub address: Option<String>,
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
    /// Its latest record.
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

/// The eligibility of this member: if it may stand for election.
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
    pub(super) fn take(&mut self, members: BTreeMap<String, Member>, claims: &BTreeMap<String, u64>, now: i64) {
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
    pub(super) fn take_journal(&mut self, found: &[&KeyValue], journal: &EtcdJournal) {
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
    pub(super) fn status(&self, own: &str, etcd: cluster::EtcdSize) -> ClusterStatus {
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

    /// The address of a member that is here, if it told one.
    pub(super) fn address(&self, name: &str) -> Option<String> {
        self.seen.get(name).filter(|seen| seen.is_here).and_then(|seen| seen.member.address.clone())
    }

    /// True if a member of this name is here.
    pub(super) fn is_here(&self, name: &str) -> bool {
        self.seen.get(name).is_some_and(|seen| seen.is_here)
    }

    /// The eligibility of this member, with clocks that may be so far apart: not while its clock is off those of more than
    /// half of the others, and another one is here that could lead.
    pub(super) fn standing(&self, own: &str, skew_max: Duration) -> Standing {
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = MICROS;

    fn told(clocks: &[(&str, i64)]) -> BTreeMap<String, Member> {
        let member = |clock| Member {
            version: String::new(),
            host: String::new(),
            address: None,
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
