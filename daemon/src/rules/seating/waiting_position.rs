//! Positions in a waiting list, without counting it.
//!
//! Beside the list itself, stretches of the order are counted, on five levels of stretches that are 64 times as long
//! each. A position is the sum of the stretches before it: at most 63 counts a level, however many wait.

use enroll_protocol::Pk;

use crate::fault::Fault;
use crate::model::event::Waiting;
use crate::model::{key, record};
use crate::store::{ReadTxn, Txn};

/// A stretch holds so many of the level below, as a power of two.
const BITS: u32 = 6;

/// A thousand million orders long are those of the last level; of these there may be any number.
const LEVELS: u8 = 5;

/// Counts somebody in or out.
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

/// Where somebody with this order number is in the waiting list, from 1.
pub(in crate::rules) fn position(txn: &dyn ReadTxn, event: Pk, order: u64) -> Result<u32, Fault> {
    let mut before = 0;
    // Of each level, the stretches before the one that the order is in and within the one above that.
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
