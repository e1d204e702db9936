//! The fullest pools, found by a look at every pool that goes on a stretch at a time, so that a snapshot costs the same
//! however many pools there are.
//!
//! A pool that was found is read anew for each snapshot, so its uses are always those of now. One that became full
//! since the last look passed it is found by the next. No index holds the pools by their uses: it would cost every
//! enrollment another write.

use std::cmp::Reverse;

use enroll_protocol::pool::Usable;
use enroll_protocol::server::{FullestPools, PoolUses};
use enroll_protocol::{Pk, Time};

use super::pool;
use crate::context::Context;
use crate::fault::Fault;
use crate::model::key::{self, Family};
use crate::model::record::{self, Pool};
use crate::state::{ReadTxn, StoreError, successor};

/// Pools that are looked at with a snapshot.
const STRETCH: usize = 1_024;

/// Pools that a look keeps. More than are shown, because some of them are raised, deleted or expire before the next.
const KEPT: usize = 32;

/// Pools that are shown.
const SHOWN: usize = 10;

/// A look at every pool that goes on, and what the last one found.
#[derive(Debug, Default)]
pub struct PoolWatch {
    /// The key where the look goes on; none before it begins.
    from: Option<Vec<u8>>,
    began: Time,
    seen: u64,
    /// The fullest pools so far, the fullest first: the share of their uses that is taken, in millionths. Of equally
    /// full ones the youngest is first.
    found: Vec<(u64, Pk)>,
    /// The look before: when it began, and the pools that it found.
    before: Option<(Time, Vec<Pk>)>,
}

impl PoolWatch {
    /// Goes on with the look, by one stretch.
    pub fn look(&mut self, txn: &dyn ReadTxn, now: Time) -> Result<(), StoreError> {
        let (first, end) = Family::Pools.bounds();
        let from = self.from.take().unwrap_or_else(|| {
            (self.began, self.seen) = (now, 0);
            self.found.clear();
            first
        });
        let entries = txn.range(&from, &end, STRETCH)?;
        self.seen += entries.len() as u64;
        for (key, value) in &entries {
            let Some(pk) = key::pk_at_end(key) else { continue };
            if let Some(taken) = share(&record::decode::<Pool>(value)?, now) {
                self.found.push((taken, pk));
            }
        }
        self.found.sort_unstable_by_key(|found| Reverse(*found));
        self.found.truncate(KEPT);
        match entries.into_iter().nth(STRETCH - 1) {
            Some((last, _)) => self.from = Some(successor(last)),
            None => {
                self.before = Some((self.began, self.found.drain(..).map(|(_, pk)| pk).collect()));
                self.seen = 0;
            }
        }
        Ok(())
    }

    /// The fullest pools that this look and the one before found, as they are now.
    pub fn shown(&self, txn: &dyn ReadTxn, ctx: &Context) -> Result<FullestPools, Fault> {
        let before = self.before.iter().flat_map(|(_, pks)| pks);
        let mut pks: Vec<Pk> = self.found.iter().map(|(_, pk)| pk).chain(before).copied().collect();
        pks.sort_unstable();
        pks.dedup();
        let mut fullest = Vec::new();
        for pk in pks {
            let Some(pool) = record::get::<Pool>(txn, &key::pool(pk))? else { continue };
            let Some((taken, max_uses)) = share(&pool, ctx.now).zip(pool.max_uses) else { continue };
            let Some(owner) = pool::owner_of(txn, &pool)? else { continue };
            if matches!(pool::usable(ctx, &pool, Some(&owner)), Usable::Yes | Usable::Exhausted) {
                let Pool { uses, expires, .. } = pool;
                fullest.push(((taken, pk), PoolUses { pk, owner: owner.callsign, uses, max_uses, expires }));
            }
        }
        fullest.sort_by_key(|(rank, _)| Reverse(*rank));
        let pools = fullest.into_iter().take(SHOWN).map(|(_, pool)| pool).collect();
        let complete_since = self.before.as_ref().map(|(began, _)| *began);
        Ok(FullestPools { pools, complete_since, looked_at: self.seen })
    }
}

/// The share of a pool's uses that is taken, in millionths; none for one that takes any number, and for one by which
/// nobody could enroll if it were not full.
fn share(pool: &Pool, now: Time) -> Option<u64> {
    let max_uses = pool.max_uses?;
    let is_over = !pool.active || pool.deleted.is_some() || pool.expires.is_some_and(|expires| expires <= now);
    let taken = (u64::from(pool.uses) * 1_000_000).checked_div(u64::from(max_uses)).unwrap_or(1_000_000);
    (!is_over).then_some(taken)
}
