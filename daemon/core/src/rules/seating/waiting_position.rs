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
const BITS: u32 = 6;

/// Ranges of the last level have 2^30 order numbers; there may be any number of them.
const LEVELS: u8 = 5;

/// Counts a person in or out.
pub(super) fn count(txn: &mut dyn Txn, event: Pk, order: u64, is_in: bool) -> Result<(), Fault> {
    for level in 1..=LEVELS {
        let key = key::waiting_count(event, level, order >> (BITS * u32::from(level)));
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
