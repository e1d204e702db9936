//! The retention of the shared journal: what enough hosts have in their databases is trimmed, oldest first.
//!
//! A claim tells up to which record the database of a member has everything, durably. A record is kept until every claim is
//! past it. Where the journal is longer than it may be, a member that is away is not waited for: a record goes once
//! as many databases have it as the configuration wants copies. What fewer have is kept, however long the journal grows.
//!
//! ```text
//! k/MEMBER   claim: a number in decimal digits
//! low        the oldest record that is kept, and the bytes of all before it
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use enroll_etcd::messages::RangeRequest;
use enroll_etcd::{Error, Txn};

use super::etcd_journal::{EtcdJournal, encode, parts, revision, values};
use crate::storage::shared_journal::Term;

/// Between two trims, each of which etcd compacts.
const PAUSE: Duration = Duration::from_secs(1);

/// Records of one trim at most, where it can be divided.
const RECORDS_MAX: u64 = 10_000;

/// Points at which the journal can be cut, at most.
const POINTS_MAX: usize = 4096;

/// The retention policy of the journal: its length, and the copies that must be there first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Databases that must have a record before it is trimmed.
    pub copies: usize,
    /// Bytes past which a member that is away is not waited for.
    pub bytes_max: u64,
}

impl Retention {
    /// The oldest record to keep of a journal of so many bytes that ends with this one, by these claims; `None` where
    /// nothing may be trimmed. The last record is always kept: it shows a late member that it is late.
    pub fn keep_from(&self, claims: &[u64], head: u64, bytes: u64) -> Option<u64> {
        let mut claims = claims.to_vec();
        claims.sort_unstable_by(|one, other| other.cmp(one));
        let enough = *claims.get(self.copies.max(1) - 1)?;
        let claim = if bytes > self.bytes_max { enough } else { *claims.last()? };
        Some(claim.saturating_add(1).min(head))
    }
}

/// A place at which the journal can be cut: a record, and the bytes of all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Point {
    number: u64,
    bytes: u64,
}

/// The leader's trimming.
pub(super) struct Trimming {
    journal: Arc<EtcdJournal>,
    term: Term,
    retention: Retention,
    /// The journal's end at each look, oldest first.
    points: VecDeque<Point>,
}

impl Trimming {
    pub(super) fn new(journal: Arc<EtcdJournal>, term: Term, retention: Retention) -> Self {
        Self { journal, term, retention, points: VecDeque::new() }
    }

    /// Trims until another daemon leads.
    pub(super) async fn run(mut self) {
        let mut ticks = tokio::time::interval(PAUSE);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.trim().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(err) => tracing::debug!(%err, "the shared journal was not trimmed; it is tried again"),
            }
        }
    }

    /// Trims what may go. `false` if another daemon leads.
    async fn trim(&mut self) -> Result<bool, Error> {
        let journal = Arc::clone(&self.journal);
        let found = journal.client.txn(Txn::new().get(journal.key("head")).get(journal.key("low"))).await?;
        let (mut head, mut low) = (None, Point { number: 1, bytes: 0 });
        for kv in values(&found) {
            match parts(&kv.value) {
                Some([number, _, _, bytes]) => head = Some(Point { number, bytes }),
                None => low = Point::decode(&kv.value).unwrap_or(low),
            }
        }
        let Some(head) = head else { return Ok(true) };
        // What is behind the head now begins with the next record.
        let point = Point { number: head.number + 1, bytes: head.bytes };
        if self.points.back() != Some(&point) {
            self.points.push_back(point);
            self.thin_out();
        }
        let claims = journal.client.range(RangeRequest {
            key: journal.key("k/").into_bytes(),
            range_end: journal.key("k0").into_bytes(),
            ..RangeRequest::default()
        });
        let claims: Vec<u64> = claims.await?.kvs.iter().filter_map(|kv| claim(&kv.value)).collect();
        let bytes = head.bytes.saturating_sub(low.bytes);
        let Some(keep) = self.retention.keep_from(&claims, head.number, bytes) else { return Ok(true) };
        let Some(cut) = self.cut(low, keep) else { return Ok(true) };
        let txn = Txn::new()
            .if_created_at(journal.key("leader"), revision(self.term))
            .delete_range(journal.record_key(low.number), journal.record_key(cut.number))
            .put(journal.key("low"), encode([cut.number, cut.bytes]), 0);
        let done = journal.client.txn(txn).await?;
        if !done.succeeded {
            return Ok(false);
        }
        self.points.retain(|point| point.number > cut.number);
        let now = done.header.map_or(0, |header| header.revision);
        tracing::debug!(low = cut.number, head = head.number, "the shared journal is trimmed");
        journal.client.compact(now).await?;
        Ok(true)
    }

    /// The point to cut at: the last one that keeps this record, and not too far from the beginning.
    fn cut(&self, low: Point, keep: u64) -> Option<Point> {
        let mut may = self.points.iter().filter(|point| point.number > low.number && point.number <= keep);
        let first = may.next()?;
        let last = may.take_while(|point| point.number - low.number <= RECORDS_MAX).last();
        Some(*last.unwrap_or(first))
    }

    /// Forgets every other point where there are too many: the journal is cut more coarsely then.
    fn thin_out(&mut self) {
        if self.points.len() > POINTS_MAX {
            let mut at = 0_usize;
            self.points.retain(|_| {
                at += 1;
                at.is_multiple_of(2)
            });
        }
    }
}

impl Point {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 16] = bytes.try_into().ok()?;
        let part = |at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_be_bytes);
        Some(Self { number: part(0), bytes: part(8) })
    }
}

/// The oldest record that is kept, and the bytes of all before it.
pub(super) fn low(value: &[u8]) -> Option<(u64, u64)> {
    Point::decode(value).map(|point| (point.number, point.bytes))
}

/// The number of a claim.
pub(super) fn claim(value: &[u8]) -> Option<u64> {
    str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fewer_databases_have_than_there_must_be_copies_is_kept() {
        let retention = Retention { copies: 2, bytes_max: 100 };
        let keep = |claims: &[u64], bytes| retention.keep_from(claims, 50, bytes);
        assert_eq!(keep(&[], 1000), None);
        assert_eq!(keep(&[40], 1000), None, "one copy");
        assert_eq!(keep(&[40, 30, 10], 100), Some(11), "every claim");
        assert_eq!(keep(&[10, 30, 40], 101), Some(31), "the second best");
        assert_eq!(keep(&[50, 50, 50], 0), Some(50), "the last one is kept");
        let alone = Retention { copies: 1, bytes_max: 100 };
        assert_eq!(alone.keep_from(&[40, 3], 50, 101), Some(41));
    }
}
