//! Invariants of events and their registrations.

use std::collections::BTreeMap;

use enroll_protocol::registration::ApprovalState;
use enroll_protocol::{Pk, Time};

use super::{Check, hex};
use crate::fault::Fault;
use crate::model::event::{Count, Event, Head, Registered, Registration, Stand, Waiting};
use crate::model::key::{self, Family};
use crate::model::record::{self, Kind, Marker};
use crate::rules::changes;
use crate::rules::event::is_over;
use crate::rules::seating::choose::{Places, PoolNow};
use crate::rules::seating::{admitted_as, index_keys, position, stretches};
use crate::state::StoreError;

/// The counts of an event's registrations.
#[derive(Default)]
struct Tally {
    taken: u32,
    waiting: u32,
    pools: BTreeMap<u32, Count>,
    /// The places that were given by hand, by pool: they may lie beyond a capacity.
    by_hand: BTreeMap<u32, u32>,
    last_order: u64,
    /// The order number of the registration that waits longest.
    first_waiting: Option<u64>,
}

impl Check<'_> {
    pub(super) fn events(&mut self) -> Result<(), StoreError> {
        let now = changes::head(self.txn)?.at;
        let mut tallies = self.tallies(now)?;
        self.each::<Event>(Family::Events, |check, key, event| {
            *check.counts.entry(Kind::Event).or_default() += 1;
            let Some(pk) = key::pk_at_end(key) else { return Ok(()) };
            let tally = tallies.remove(&pk).unwrap_or_default();
            if check.txn.get(&key::event_start(event.start, pk))?.is_none() {
                check.violated("I17", pk, "does not stand among the events that begin when it does");
            }
            match record::get::<Head>(check.txn, &key::event_head(pk))? {
                Some(head) => check.event(pk, &event, &head, &tally, now),
                None => {
                    check.violated("I13", pk, "has no head");
                    Ok(())
                }
            }
        })?;
        for pk in tallies.into_keys() {
            self.violated("I12", pk, "has registrations, and there is no such event");
        }
        self.each::<Marker>(Family::EventStarts, |check, key, _| {
            let pk = key::pk_at_end(key).unwrap_or(Pk::from_bytes([0; 16]));
            let event = record::get::<Event>(check.txn, &key::event(pk))?;
            if event.is_none_or(|event| key::event_start(event.start, pk) != key) {
                check.violated("I17", pk, "stands among events that begin when it does not");
            }
            Ok(())
        })?;
        self.each::<Marker>(Family::EventDues, |check, key, _| {
            let pk = key::pk_at_end(key).unwrap_or(Pk::from_bytes([0; 16]));
            let head = record::get::<Head>(check.txn, &key::event_head(pk))?;
            if head.is_none_or(|head| head.due != key::event_due_at(key)) {
                check.violated("I17", pk, "is due when nothing happens with it");
            }
            Ok(())
        })
    }

    /// Counts every event's registrations, and checks each of them on the way.
    fn tallies(&mut self, now: Time) -> Result<BTreeMap<Pk, Tally>, StoreError> {
        let mut tallies: BTreeMap<Pk, Tally> = BTreeMap::new();
        let mut event: Option<(Pk, Event, Head)> = None;
        self.each::<Registration>(Family::Registrations, |check, key, registration| {
            *check.counts.entry(Kind::Registration).or_default() += 1;
            let (Some(pk), Some(person)) = (key::pk_at_front(key), key::pk_at_end(key)) else { return Ok(()) };
            if event.as_ref().is_none_or(|(other, ..)| *other != pk) {
                let found = record::get::<Event>(check.txn, &key::event(pk))?;
                let head = record::get::<Head>(check.txn, &key::event_head(pk))?;
                event = found.zip(head).map(|(found, head)| (pk, found, head));
            }
            let tally = tallies.entry(pk).or_default();
            tally.last_order = tally.last_order.max(registration.order);
            match registration.stand {
                Stand::Out => {}
                Stand::Seated(slot) => {
                    tally.taken += 1;
                    tally.pools.entry(slot).or_default().taken += 1;
                    if registration.is_fixed() {
                        *tally.by_hand.entry(slot).or_default() += 1;
                    }
                }
                Stand::Waiting => {
                    tally.waiting += 1;
                    let first = tally.first_waiting.into_iter().chain([registration.order]).min();
                    tally.first_waiting = first;
                    for slot in &registration.admitted {
                        tally.pools.entry(*slot).or_default().waiting += 1;
                    }
                }
            }
            check.registration(pk, person, &registration)?;
            if let Some((_, event, head)) = &event {
                check.admission(pk, person, &registration, (event, head), now)?;
            }
            Ok(())
        })?;
        Ok(tallies)
    }

    fn registration(&mut self, event: Pk, person: Pk, registration: &Registration) -> Result<(), StoreError> {
        for key in plain(index_keys(self.txn, event, person, registration))? {
            let found = record::get::<Registered>(self.txn, &key)?;
            if found != Some(Registered { person }) {
                self.violated("I12", registration.pk, format!("the index {} does not lead here", hex(&key)));
            }
        }
        if registration.stand == Stand::Waiting {
            for key in stretches(event, registration.order) {
                if self.txn.get(&key)?.is_none() {
                    let message = format!("a stretch of the waiting list with {} is not counted", registration.pk);
                    self.violated("I13", event, message);
                }
            }
        }
        if registration.is_fixed() && !matches!(registration.stand, Stand::Seated(_)) {
            self.violated("I12", registration.pk, "has a place by hand, and holds none");
        }
        let is_out = registration.canceled_at.is_some() || registration.approval == ApprovalState::Rejected;
        if is_out != (registration.stand == Stand::Out) && registration.canceled_at.is_none() {
            self.violated("I12", registration.pk, "its place and what became of it do not fit");
        }
        Ok(())
    }

    fn admission(
        &mut self,
        pk: Pk,
        person: Pk,
        registration: &Registration,
        (event, head): (&Event, &Head),
        now: Time,
    ) -> Result<(), StoreError> {
        if registration.stand == Stand::Out || may_lag(event, now) || !head.left.readmit.is_empty() {
            return Ok(());
        }
        if plain(admitted_as(self.txn, event, person, registration))? != registration.admitted {
            self.violated("I16", registration.pk, format!("the pools of {pk} that admit the person are others"));
        }
        Ok(())
    }

    fn event(&mut self, pk: Pk, event: &Event, head: &Head, tally: &Tally, now: Time) -> Result<(), StoreError> {
        if (tally.taken, tally.waiting, &tally.pools) != (head.taken, head.waiting, &head.pools) {
            let counted = format!("{} seated and {} waiting", head.taken, head.waiting);
            self.violated("I13", pk, format!("counts {counted}, and has {} and {}", tally.taken, tally.waiting));
        }
        if tally.last_order >= head.next_order {
            self.violated("I13", pk, "gives an order number that somebody has");
        }
        if let Some(first) = tally.first_waiting
            && plain(position(self.txn, pk, first))? != 1
        {
            self.violated("I13", pk, "the registration that waits longest is not the first of the waiting list");
        }
        if let Some(due) = head.due
            && self.txn.get(&key::event_due(due, pk))?.is_none()
        {
            self.violated("I17", pk, "is not due when something happens with it");
        }
        self.bounds(pk, event, head, &tally.by_hand);
        if head.left.is_nothing() && !may_lag(event, now) {
            self.free_places(pk, &Places::of(event, head))?;
        }
        Ok(())
    }

    /// No more people hold a place than there are places, unless a merge or a change left them, or they were placed by
    /// hand.
    fn bounds(&mut self, pk: Pk, event: &Event, head: &Head, by_hand: &BTreeMap<u32, u32>) {
        let places = Places::of(event, head);
        for pool in &places.pools {
            let held = event.pools.iter().find(|other| other.slot == pool.slot).map_or(event.held, |pool| pool.held);
            let most = pool.capacity.map(|capacity| capacity.max(held));
            let taken = pool.count.taken.saturating_sub(by_hand.get(&pool.slot).copied().unwrap_or(0));
            if !places.is_merged && most.is_some_and(|most| taken > most) {
                let message = format!("{} hold a place in its pool {}, which has fewer", pool.count.taken, pool.slot);
                self.violated("I14", pk, message);
            }
        }
        let taken = head.taken.saturating_sub(by_hand.values().sum());
        if event.max_participants.is_some_and(|max| taken > max.max(event.held)) {
            self.violated("I14", pk, format!("{} hold a place, and it has fewer", head.taken));
        }
    }

    fn free_places(&mut self, pk: Pk, places: &Places) -> Result<(), StoreError> {
        let (free, full): (Vec<PoolNow>, Vec<PoolNow>) = places.pools.iter().partition(|pool| places.is_free(pool));
        for pool in &free {
            if pool.count.waiting > 0 {
                self.violated("I15", pk, format!("its pool {} has a free place that somebody waits for", pool.slot));
            }
        }
        let gives_place = |pool: &&PoolNow| pool.is_open && pool.has_place_after_one() && pool.count.waiting > 0;
        for pool in full.iter().filter(|pool| gives_place(pool) && !places.is_full) {
            for other in &free {
                let (from, to) = key::prefixed(key::seateds(pk, pool.slot, other.slot));
                if !self.txn.range(&from, &to, 1)?.is_empty() {
                    let message = format!("somebody could move from its pool {} to {}", pool.slot, other.slot);
                    self.violated("I15", pk, message);
                }
            }
        }
        Ok(())
    }

    /// Every index that leads to a registration leads to one that it belongs to.
    pub(super) fn registrations(&mut self) -> Result<(), StoreError> {
        for family in [
            Family::Orders,
            Family::PersonRegistrations,
            Family::Waitings,
            Family::WaitingsFor,
            Family::Seateds,
            Family::Pendings,
        ] {
            self.each::<Registered>(family, |check, key, Registered { person }| {
                let event = match family {
                    Family::PersonRegistrations | Family::Pendings => key::pk_at_end(key),
                    _ => key::pk_at_front(key),
                };
                let Some(event) = event else { return Ok(()) };
                let found = record::get::<Registration>(check.txn, &key::registration(event, person))?;
                let leads_here = match &found {
                    Some(found) => plain(index_keys(check.txn, event, person, found))?.iter().any(|own| own == key),
                    None => false,
                };
                if !leads_here {
                    check.violated("I12", event, format!("the index {} leads to nothing of its kind", hex(key)));
                }
                Ok(())
            })?;
        }
        // In the order of their keys: level by level and stretch by stretch of each event.
        self.each::<Waiting>(Family::WaitingCounts, |check, key, waiting| {
            let Some((event, from, to)) = key::waiting_stretch(key) else { return Ok(()) };
            let end = match to {
                Some(to) => key::waiting(event, to),
                None => key::prefixed(key::waitings(event)).1,
            };
            let counted = check.txn.range(&key::waiting(event, from), &end, usize::MAX)?.len();
            if counted != waiting.count as usize {
                let message = format!("a stretch of its waiting list counts {}, and has {counted}", waiting.count);
                check.violated("I13", event, message);
            }
            Ok(())
        })
    }

    pub(super) fn representatives(&mut self) -> Result<(), StoreError> {
        for family in [Family::Representatives, Family::Representeds] {
            self.each::<Marker>(family, |check, key, _| {
                let (Some(first), Some(second)) = (key::pk_at_front(key), key::pk_at_end(key)) else {
                    return Ok(());
                };
                let mirror = match family {
                    Family::Representatives => key::represented(second, first),
                    _ => key::representative(second, first),
                };
                if check.txn.get(&mirror)?.is_none() {
                    check.violated("I18", first, "stands for somebody who does not say so");
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// An error in these reads is the store's.
fn plain<T>(result: Result<T, Fault>) -> Result<T, StoreError> {
    result.map_err(|fault| match fault {
        Fault::Store(err) => err,
        other => StoreError::Corrupt(other.to_string()),
    })
}

/// True for an event whose admissions and places need not be as roles have them: it is over, or it was created at a time to
/// come, at which it goes on if it is not over by then.
fn may_lag(event: &Event, now: Time) -> bool {
    is_over(event, now) || event.created > now
}
