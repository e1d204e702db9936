//! Order numbers of registrations: they order the waiting list, and leave room for people placed by hand in between.
//!
//! Numbers are given [`GAP`] apart. Where a gap is used up, the run of registrations behind it moves up by one, in the
//! order that it has. Such a run is as long as people were placed there by hand, but for registrations that were made
//! before there were gaps: then it goes to the end of them.

use enroll_protocol::Pk;

use super::seats::Seats;
use super::waiting_position;
use crate::fault::Fault;
use crate::model::event::{Registered, Registration};
use crate::model::{key, record};
use crate::state::StoreError;

/// The distance of the numbers of people who register one after the other.
const GAP: u64 = 1 << waiting_position::BITS;

/// Registrations that are read at once to find the end of a run.
const RUN_STEP: usize = 64;

impl Seats<'_> {
    /// An order number behind all others.
    pub(in crate::rules) fn last_order(&mut self) -> u64 {
        let order = self.head.next_order;
        self.head.next_order += GAP;
        order
    }

    /// An order number just before that of the person at this position of the waiting list, from 1; one behind all
    /// others past its end. Other registrations may get new order numbers.
    pub(in crate::rules) fn order_at(&mut self, position: u32) -> Result<u64, Fault> {
        let Some(next) = waiting_position::order_at(self.txn.as_read(), self.pk, position)? else {
            return Ok(self.last_order());
        };
        let from = next.saturating_sub(GAP);
        let before =
            self.txn.as_read().range(&key::registered(self.pk, from), &key::registered(self.pk, next), usize::MAX)?;
        let before = before.last().and_then(|(key, _)| key::seq_at_end(key)).unwrap_or(from);
        if next - before < 2 {
            self.move_up(next)?;
            return Ok(next);
        }
        Ok(before + (next - before) / 2)
    }

    /// Moves the registrations from this order number on up by one, as far as they stand without a gap.
    fn move_up(&mut self, from: u64) -> Result<(), Fault> {
        let mut run: Vec<(u64, Pk)> = Vec::new();
        let (_, end) = key::prefixed(key::registereds(self.pk));
        let mut next = from;
        'run: loop {
            let entries = self.txn.as_read().range(&key::registered(self.pk, next), &end, RUN_STEP)?;
            if entries.is_empty() {
                break;
            }
            for (key, value) in entries {
                if key::seq_at_end(&key) != Some(next) {
                    break 'run;
                }
                run.push((next, record::decode::<Registered>(&value)?.person));
                next += 1;
            }
        }
        self.head.next_order = self.head.next_order.max(next + 1);
        for (order, person) in run.into_iter().rev() {
            let before = self.require_registration(person)?;
            if before.order != order {
                return Err(StoreError::Corrupt(format!("the order number of {person} leads to another one")).into());
            }
            let after = Registration { order: order + 1, ..before.clone() };
            self.replace(person, Some(&before), &after)?;
        }
        Ok(())
    }
}
