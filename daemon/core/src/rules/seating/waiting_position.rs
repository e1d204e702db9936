//! Positions in a waiting list, from a tree of counts: no position is found by counting the list.
//!
//! Ranges of order numbers are counted on five levels, each with ranges 64 times as long as the one below. A position
//! is the sum of the counts of the ranges before it: at most 63 a level, however many people wait.

use enroll_protocol::Pk;

use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::event::Waiting;
use crate::model::{key, record};
use crate::state::ReadTxn;

/// A range holds 2^BITS ranges of the level below.
pub(super) const BITS: u32 = 6;

/// Ranges of the last level have 2^30 order numbers; there may be any number of them.
const LEVELS: u8 = 5;

/// The keys of the counts of all ranges that have this order number.
pub(in crate::rules) fn stretches(event: Pk, order: u64) -> impl Iterator<Item = Vec<u8>> {
    (1..=LEVELS).map(move |level| key::waiting_count(event, level, order >> (BITS * u32::from(level))))
}

/// Counts a person in or out.
pub(super) fn count(txn: &mut dyn Txn, event: Pk, order: u64, is_in: bool) -> Result<(), Fault> {
    for key in stretches(event, order) {
        let mut waiting = record::get::<Waiting>(txn.as_read(), &key)?.unwrap_or_default();
        waiting.count = if is_in { waiting.count + 1 } else { waiting.count.saturating_sub(1) };
        match waiting.count {
            0 => txn.delete(key),
            _ => record::put(txn, key, &waiting),
        }
    }
    Ok(())
}

/// The position in the waiting list of the person with this order number, from 1.
pub(in crate::rules) fn position(txn: &dyn ReadTxn, event: Pk, order: u64) -> Result<u32, Fault> {
    let mut before = 0;
    // On each level: the ranges before the one of the order, within the range of the level above.
    for level in 1..=LEVELS {
        let stretch = order >> (BITS * u32::from(level));
        let first = if level == LEVELS { 0 } else { stretch >> BITS << BITS };
        let from = key::waiting_count(event, level, first);
        for (_, value) in txn.range(&from, &key::waiting_count(event, level, stretch), usize::MAX)? {
            before += record::decode::<Waiting>(&value)?.count;
        }
    }
    let first = key::waiting(event, order >> BITS << BITS);
    let last = txn.range(&first, &key::waiting(event, order), 1 << BITS)?.len();
    Ok(before + u32::try_from(last).unwrap_or(u32::MAX) + 1)
}

/// The order number of the person at this position of the waiting list, from 1; none past its end.
pub(super) fn order_at(txn: &dyn ReadTxn, event: Pk, position: u32) -> Result<Option<u64>, Fault> {
    let mut before = 0;
    // On each level the ranges within the range that was found on the level above.
    let mut within = (key::waiting_count(event, LEVELS, 0), key::waiting_count(event, LEVELS + 1, 0));
    for level in (1..=LEVELS).rev() {
        let mut found = None;
        for (key, value) in txn.range(&within.0, &within.1, usize::MAX)? {
            let count = record::decode::<Waiting>(&value)?.count;
            if before + count >= position {
                found = key::seq_at_end(&key);
                break;
            }
            before += count;
        }
        let Some(stretch) = found else { return Ok(None) };
        let (first, end) = (stretch << BITS, (stretch + 1) << BITS);
        within = match level {
            1 => (key::waiting(event, first), key::waiting(event, end)),
            _ => (key::waiting_count(event, level - 1, first), key::waiting_count(event, level - 1, end)),
        };
    }
    let rest = (position - before) as usize;
    let found = txn.range(&within.0, &within.1, rest)?;
    Ok(found.get(rest.saturating_sub(1)).and_then(|(key, _)| key::seq_at_end(key)))
}
