//! Health of the registry, from bounded reads of indexes: who waits for a decision, how many places are free, and which
//! certificate ends next.

use std::ops::ControlFlow;

use enroll_protocol::enrollment::State;
use enroll_protocol::server::Waiting;
use enroll_protocol::{Pk, Time};

use crate::model::certificate::Certificates;
use crate::model::event::{Event, Head};
use crate::model::key::{self, Family};
use crate::model::record;
use crate::state::{ReadTxn, SCAN_CHUNK, StoreError, walk};

/// Waiting enrollments that are counted.
pub const WAITING_MAX: usize = 1_000;

/// Events to come whose places are counted.
pub const EVENTS_MAX: usize = 256;

/// Places of the events to come, the next [`EVENTS_MAX`] of them: published ones that people register for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Places {
    /// Free places, without those of events and pools that take any number.
    pub free: u64,
    /// People who wait for a place.
    pub waiting: u64,
}

/// The enrollments that wait for a decision, up to [`WAITING_MAX`].
pub fn waiting(txn: &dyn ReadTxn) -> Result<Waiting, StoreError> {
    let (from, to) = key::prefixed(key::state_enrollments(State::Pending));
    let entries = txn.range(&from, &to, WAITING_MAX + 1)?;
    let first = entries.first().and_then(|(key, _)| key::pk_at_end(key));
    let oldest = match first {
        Some(pk) => record::get::<record::Enrollment>(txn, &key::enrollment(pk))?.map(|first| first.created),
        None => None,
    };
    let count = entries.len().min(WAITING_MAX);
    Ok(Waiting { enrollments: count as u64, more: entries.len() > WAITING_MAX, oldest })
}

/// The places of the events to come.
pub fn places(txn: &dyn ReadTxn, now: Time) -> Result<Places, StoreError> {
    let from = key::event_start(now, Pk::from_bytes([0; 16]));
    let entries = txn.range(&from, &Family::EventStarts.bounds().1, EVENTS_MAX)?;
    let mut places = Places::default();
    for pk in entries.iter().filter_map(|(key, _)| key::pk_at_end(key)) {
        let Some(event) = record::get::<Event>(txn, &key::event(pk))? else { continue };
        if !event.published || event.canceled || event.leisure {
            continue;
        }
        let Some(head) = record::get::<Head>(txn, &key::event_head(pk))? else { continue };
        places.free += free(&event, &head);
        places.waiting += u64::from(head.waiting);
    }
    Ok(places)
}

/// The end of the certificate that ends next, with its holder: of each holder the last one that is valid. Reads the
/// holders of all certificates.
pub fn certificate_ends(txn: &dyn ReadTxn, now: Time) -> Result<Option<(Time, Pk)>, StoreError> {
    let (from, to) = Family::Holders.bounds();
    let mut next: Option<(Time, Pk)> = None;
    walk(txn, (&from, &to), SCAN_CHUNK, |key, value| {
        let held = record::decode::<Certificates>(value)?.held;
        let last = held.iter().filter(|held| held.is_valid(now)).map(|held| held.ends).max();
        next = next.into_iter().chain(last.zip(key::pk_at_end(key))).min();
        Ok::<_, StoreError>(ControlFlow::Continue(()))
    })?;
    Ok(next)
}

/// The free places of an event: those of its pools, and no more than the event itself has left.
fn free(event: &Event, head: &Head) -> u64 {
    let taken = |slot| head.pools.get(&slot).map_or(0, |count| count.taken);
    let left = event.max_participants.map(|most| most.saturating_sub(head.taken));
    if event.pools.is_empty() {
        return u64::from(left.unwrap_or(0));
    }
    let bounded = event.pools.iter().filter(|pool| pool.capacity > 0);
    let in_pools: u64 = bounded.map(|pool| u64::from(pool.capacity.saturating_sub(taken(pool.slot)))).sum();
    left.map_or(in_pools, |left| in_pools.min(u64::from(left)))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use enroll_protocol::event::Approval;
    use enroll_protocol::{EventPoolName, Json};

    use super::*;
    use crate::model::event::{Count, IMPLICIT, Left, Pool, Slot};

    fn pool(slot: Slot, capacity: u32) -> Pool {
        let name = EventPoolName::new("all").expect("a name");
        Pool { pk: Pk::from_bytes([1; 16]), slot, name, capacity, held: 0, opens: None, roles: BTreeSet::new() }
    }

    #[test]
    fn the_free_places_of_an_event_are_bounded_by_its_pools_and_by_itself() {
        for (max_participants, capacities, taken, expected) in [
            (None, &[][..], &[][..], 0),
            (Some(10), &[], &[4], 6),
            (Some(3), &[], &[4], 0),
            (None, &[5, 7], &[4, 0], 8),
            (Some(9), &[5, 7], &[4, 0], 5),
            (None, &[0, 7], &[4, 1], 6),
        ] {
            let pools: Vec<Pool> = capacities.iter().zip(1..).map(|(capacity, slot)| pool(slot, *capacity)).collect();
            let first = if pools.is_empty() { IMPLICIT } else { 1 };
            let counts: BTreeMap<Slot, Count> =
                taken.iter().zip(first..).map(|(taken, slot)| (slot, Count { taken: *taken, waiting: 0 })).collect();
            let event = Event {
                title: "Camp".parse().expect("a title"),
                kind: "camp".parse().expect("a kind"),
                owner: Pk::from_bytes([2; 16]),
                start: Time::EPOCH,
                duration_minutes: 60,
                max_participants,
                leisure: false,
                published: true,
                canceled: false,
                approval: Approval::default(),
                waiting_list: true,
                merge_time: None,
                registration_closes: None,
                unregistration_closes: None,
                extra: Json::new("{}").expect("an object"),
                held: 0,
                pools,
                next_slot: 3,
                created: Time::EPOCH,
                updated: Time::EPOCH,
            };
            let head = Head {
                taken: taken.iter().sum(),
                waiting: 0,
                pools: counts,
                next_order: 0,
                at: Time::EPOCH,
                left: Left::default(),
                due: None,
            };
            assert_eq!(free(&event, &head), expected, "{max_participants:?} {capacities:?} {taken:?}");
        }
    }
}
