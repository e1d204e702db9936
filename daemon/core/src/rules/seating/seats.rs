//! The unit of work on one event: its record, its head, its registrations and their indexes, changed together.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use enroll_protocol::changes::PeerId;
use enroll_protocol::limits::EVENT_MINUTES_MAX;
use enroll_protocol::registration::ApprovalState;
use enroll_protocol::{Origin, Pk, RoleName, Time};

use super::choose::{Choice, Places, choose};
use super::waiting_position;
use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::change::{Change, ChangeEvent, DAEMON, LEFT, POSITIONED};
use crate::model::event::{Cause, Event, Head, IMPLICIT, Registered, Registration, Slot, Stand};
use crate::model::key::{self, Family};
use crate::model::record::{self, PersonRoles};
use crate::rules::event::is_over;
use crate::rules::{Call, person, role};
use crate::state::{ReadTxn, SCAN_CHUNK, StoreError, Writes, walk};

/// Registrations that a write changes beside its own; the rest follows in further steps.
pub(in crate::rules) const STEP_MAX: usize = 100;

/// The attribution of a change event: time, actor, peer and origin.
#[derive(Debug, Clone)]
pub(in crate::rules) struct Attribution {
    /// The time.
    now: Time,
    /// Openings and merges up to this time take effect.
    passed: Time,
    actor: Option<Pk>,
    peer: PeerId,
    origin: Option<Origin>,
}

impl Attribution {
    /// The attribution of a call.
    pub(in crate::rules) fn of(call: &Call<'_>) -> Self {
        let Change { at, actor, peer, origin, .. } = call.change(Vec::new());
        Self { now: at, passed: call.ctx.passed(), actor, peer, origin }
    }

    /// The attribution of the daemon, for openings, merges and the steps after them.
    fn daemon(now: Time) -> Self {
        Self { now, passed: now, actor: None, peer: DAEMON, origin: None }
    }
}

/// An event that is being changed. Its head is written by [`Seats::save`] only.
pub(in crate::rules) struct Seats<'a> {
    /// The state.
    pub(in crate::rules) txn: &'a mut dyn Txn,
    /// The event's pk.
    pub(in crate::rules) pk: Pk,
    /// Its record.
    pub(in crate::rules) event: Event,
    /// The head of its registrations.
    pub(in crate::rules) head: Head,
    attribution: Attribution,
    /// The attribution of derived events. It is the daemon's while steps of an earlier change are still to be done.
    derived: Attribution,
    /// The change that derived events follow from, if it was made in an earlier write.
    cause: Option<u64>,
    exclusivity: BTreeMap<Slot, u64>,
}

impl<'a> Seats<'a> {
    /// Reads an event's head, to change it.
    pub(in crate::rules) fn open(
        txn: &'a mut dyn Txn,
        attribution: Attribution,
        pk: Pk,
        event: Event,
    ) -> Result<Self, Fault> {
        let head = head(txn.as_read(), pk)?;
        let (derived, cause) = match head.left.is_nothing() {
            true => (attribution.clone(), None),
            false => {
                (Attribution::daemon(attribution.now), record::get::<Cause>(txn.as_read(), &key::event_cause(pk))?)
            }
        };
        let cause = cause.map(|cause| cause.seq);
        Ok(Self { txn, pk, event, head, attribution, derived, cause, exclusivity: BTreeMap::new() })
    }

    /// The time of this change.
    pub(in crate::rules) fn now(&self) -> Time {
        self.attribution.now
    }

    /// Openings and merges up to this time take effect.
    pub(super) fn passed(&self) -> Time {
        self.attribution.passed
    }

    /// Lets a merge and openings take effect again that did so under a clock that was ahead, if one of these times was
    /// set anew.
    pub(in crate::rules) fn take_times_back(&mut self, before: &Event) {
        let moments = |event: &Event| -> Vec<(Slot, Option<Time>)> {
            let opens = event.pools.iter().map(|pool| (pool.slot, pool.opens));
            opens.chain([(IMPLICIT, event.merge_time)]).collect()
        };
        let (known, now) = (moments(before), self.now());
        let is_new = |moment: &(Slot, Option<Time>)| moment.1.is_some_and(|at| at > now) && !known.contains(moment);
        if self.head.at > now && moments(&self.event).iter().any(is_new) {
            self.head.at = now;
        }
    }

    /// Emits a change that derived events from here on follow from.
    pub(in crate::rules) fn emit_cause(&mut self, event: ChangeEvent) {
        self.follow();
        self.txn.emit(event);
    }

    /// Derived events from here on follow from the last change before these seats were opened.
    pub(in crate::rules) fn follow(&mut self) {
        (self.derived, self.cause) = (self.attribution.clone(), None);
    }

    /// The subjects of a change of a registration: the event, the person, and where it took or gave up a place its pool.
    /// In an event without pools the event stands for it. So the feed alone tells how many places were taken when.
    pub(in crate::rules) fn subjects(&self, person: Pk, place: Stand) -> Vec<Pk> {
        let pool = match place {
            Stand::Seated(slot) => {
                let pool = self.event.pools.iter().find(|pool| pool.slot == slot);
                Some(pool.map_or(self.pk, |pool| pool.pk))
            }
            Stand::Waiting | Stand::Out => None,
        };
        [self.pk, person].into_iter().chain(pool).collect()
    }

    /// Emits an opening or a merge; derived events from here on follow from it. It bears the time at which it is done,
    /// which may be later than it was due.
    pub(super) fn emit_moment(&mut self, what: u16, subjects: Vec<Pk>) {
        (self.derived, self.cause) = (Attribution::daemon(self.attribution.now), None);
        self.txn.emit(ChangeEvent::Change(Self::change(&self.derived, what, subjects, None), None));
    }

    /// Emits a derived event for a person.
    pub(super) fn emit_derived(&mut self, what: u16, person: Pk, slot: Slot) {
        let pool = self.event.pools.iter().find(|pool| pool.slot == slot).map(|pool| pool.pk);
        let subjects = [self.pk, person].into_iter().chain(pool).collect();
        self.txn.emit(ChangeEvent::Consequence(Self::change(&self.derived, what, subjects, self.cause)));
    }

    /// Emits that a person left the place or the waiting list in which they were.
    pub(in crate::rules) fn emit_left(&mut self, person: Pk, before: Stand) {
        let subjects = self.subjects(person, before);
        self.txn.emit(ChangeEvent::Consequence(Self::change(&self.derived, LEFT, subjects, self.cause)));
    }

    /// Emits who stands behind a person that was put into the waiting list: the feed has no other trace of the position.
    pub(in crate::rules) fn emit_positioned(&mut self, person: Pk, order: u64) -> Result<(), Fault> {
        let (from, to) = (key::waiting(self.pk, order + 1), key::prefixed(key::waitings(self.pk)).1);
        let behind = self.txn.as_read().range(&from, &to, 1)?;
        let behind = behind.first().map(|(_, value)| record::decode::<Registered>(value)).transpose()?;
        let subjects = [self.pk, person].into_iter().chain(behind.map(|behind| behind.person)).collect();
        self.txn.emit(ChangeEvent::Consequence(Self::change(&self.derived, POSITIONED, subjects, self.cause)));
        Ok(())
    }

    fn change(attribution: &Attribution, what: u16, subjects: Vec<Pk>, cause: Option<u64>) -> Change {
        let Attribution { now, actor, peer, origin, .. } = attribution.clone();
        Change { at: now, what, subjects, actor, peer, origin, cause, refused: None }
    }

    /// The event's places as they are now.
    pub(in crate::rules) fn places(&self) -> Places {
        Places::of(&self.event, &self.head)
    }

    /// Decides for a person whom these pools admit.
    pub(in crate::rules) fn choose(&mut self, admitted: &[Slot]) -> Result<Choice, Fault> {
        let places = self.places();
        let (txn, event, known) = (self.txn.as_read(), &self.event, &mut self.exclusivity);
        choose(&places, admitted, &mut |slot| match known.get(&slot) {
            Some(holders) => Ok(*holders),
            None => {
                let holders = exclusivity(txn, event, slot)?;
                known.insert(slot, holders);
                Ok(holders)
            }
        })
    }

    /// The pools that admit a person now, by their roles.
    pub(in crate::rules) fn admitted(&self, person: Pk) -> Result<Vec<Slot>, Fault> {
        admitted(self.txn.as_read(), &self.event, person)
    }

    /// The pools that admit a registered person now.
    pub(in crate::rules) fn admitted_as(&self, person: Pk, of: &Registration) -> Result<Vec<Slot>, Fault> {
        admitted_as(self.txn.as_read(), &self.event, person, of)
    }

    /// A person's registration.
    pub(in crate::rules) fn registration(&self, person: Pk) -> Result<Option<Registration>, Fault> {
        Ok(record::get(self.txn.as_read(), &key::registration(self.pk, person))?)
    }

    /// A person's registration, which an index names: an error if it is missing.
    pub(in crate::rules) fn require_registration(&self, person: Pk) -> Result<Registration, Fault> {
        let found = self.registration(person)?;
        Ok(found
            .ok_or_else(|| StoreError::Corrupt(format!("the registration of {person} for {} is missing", self.pk)))?)
    }

    /// Replaces a registration, with its index entries and counts.
    pub(in crate::rules) fn replace(
        &mut self,
        person: Pk,
        before: Option<&Registration>,
        after: &Registration,
    ) -> Result<(), Fault> {
        if let Some(before) = before {
            self.count(before, false)?;
            index_keys(self.txn.as_read(), self.pk, person, before)?.into_iter().for_each(|key| self.txn.delete(key));
        }
        self.count(after, true)?;
        let registered = Registered { person };
        for key in index_keys(self.txn.as_read(), self.pk, person, after)? {
            record::put(self.txn, key, &registered);
        }
        record::put(self.txn, key::registration(self.pk, person), after);
        Ok(())
    }

    /// The registration after its person leaves.
    pub(in crate::rules) fn left(&self, before: &Registration) -> Registration {
        let now = self.now();
        Registration { stand: Stand::Out, canceled_at: Some(now), placed: None, updated: now, ..before.clone() }
    }

    /// Counts a registration in or out.
    fn count(&mut self, of: &Registration, is_in: bool) -> Result<(), Fault> {
        let step = |count: &mut u32| *count = if is_in { *count + 1 } else { count.saturating_sub(1) };
        match of.stand {
            Stand::Out => {}
            Stand::Seated(slot) => {
                step(&mut self.head.taken);
                step(&mut self.head.pools.entry(slot).or_default().taken);
            }
            Stand::Waiting => {
                step(&mut self.head.waiting);
                of.admitted.iter().for_each(|slot| step(&mut self.head.pools.entry(*slot).or_default().waiting));
                waiting_position::count(self.txn, self.pk, of.order, is_in)?;
            }
        }
        self.head.pools.retain(|_, count| count.taken > 0 || count.waiting > 0);
        Ok(())
    }

    /// Records the places held after a change: nobody is unseated, so there may be more than the capacity.
    pub(in crate::rules) fn note_held(&mut self) {
        for pool in &mut self.event.pools {
            pool.held = self.head.pools.get(&pool.slot).map_or(0, |count| count.taken);
        }
        self.event.held = self.head.taken;
    }

    /// Writes the head, and the event's entry in the index of openings and merges. Steps that are left are due at once.
    pub(in crate::rules) fn save(self) -> Event {
        self.save_due_from(Time::EPOCH)
    }

    /// The same; steps that are left are not due before this time.
    fn save_due_from(mut self, earliest: Time) -> Event {
        let due = match self.head.left.is_nothing() {
            true => self.next_moment().map(|moment| moment.at),
            // The head's time may lie ahead if the clock has gone back.
            false => Some(self.head.at.min(self.now()).max(earliest)),
        };
        if self.head.due != due {
            if let Some(before) = self.head.due {
                self.txn.delete(key::event_due(before, self.pk));
            }
            if let Some(due) = due {
                record::put(self.txn, key::event_due(due, self.pk), &record::Marker);
            }
            self.head.due = due;
        }
        if !self.head.left.is_nothing() && self.cause.is_none() && !self.txn.is_deferred(self.pk) {
            self.txn.emit(ChangeEvent::Remember(key::event_cause(self.pk)));
        }
        record::put(self.txn, key::event_head(self.pk), &self.head);
        self.event
    }
}

/// The time of the next opening or merge of any event.
pub fn next_due(txn: &dyn ReadTxn) -> Result<Option<Time>, StoreError> {
    let (from, to) = Family::EventDues.bounds();
    Ok(txn.range(&from, &to, 1)?.first().and_then(|(key, _)| key::event_due_at(key)))
}

/// The earliest such time in these writes.
pub fn first_due(writes: &Writes) -> Option<Time> {
    let (from, to) = Family::EventDues.bounds();
    let first = writes.range(from..to).find(|(_, value)| value.is_some());
    first.and_then(|(key, _)| key::event_due_at(key))
}

/// Settles one step of the event that is due first, up to `passed`. Returns false if none is due.
pub fn settle_next(txn: &mut dyn Txn, now: Time, passed: Time) -> Result<bool, Fault> {
    let (from, to) = key::event_dues_until(passed);
    let Some((key, _)) = txn.as_read().range(&from, &to, 1)?.into_iter().next() else { return Ok(false) };
    let pk = key::pk_at_end(&key).ok_or_else(|| StoreError::Corrupt("an event that is due has no pk".to_owned()))?;
    let Some(event) = record::get::<Event>(txn.as_read(), &key::event(pk))? else {
        txn.delete(key);
        return Ok(true);
    };
    let mut seats = Seats::open(txn, Attribution { passed, ..Attribution::daemon(now) }, pk, event)?;
    seats.settle(STEP_MAX)?;
    seats.save();
    Ok(true)
}

/// Fills an event that several writes of this call have changed.
pub(in crate::rules) fn settle_after(txn: &mut dyn Txn, call: &Call<'_>, pk: Pk) -> Result<(), Fault> {
    let Some(event) = record::get::<Event>(txn.as_read(), &key::event(pk))? else { return Ok(()) };
    let mut seats = Seats::open(txn, Attribution::of(call), pk, event)?;
    seats.follow();
    seats.settle(STEP_MAX)?;
    seats.save();
    Ok(())
}

/// Resumes events after the clock went back from `before` to `now`. An event that was over then and is not any more
/// gets its admissions anew, which were not kept up for it; one with steps left continues. An event created at a time to
/// come does so then, or with its next change: if it is over by then, the clock is wrong now, and it stays as it was.
pub fn go_on_since(txn: &mut dyn Txn, now: Time, before: Time) -> Result<(), Fault> {
    let (first, last) = (Pk::from_bytes([0; 16]), Pk::from_bytes([u8::MAX; 16]));
    let longest = u64::from(EVENT_MINUTES_MAX) * 60;
    let starts = (key::event_start(now.minus_seconds(longest), first), key::event_start(before, last));
    let dues = (key::event_due(now, first), key::event_due(before, last));
    let mut pks = Vec::new();
    walk(txn.as_read(), (&starts.0, &starts.1), SCAN_CHUNK, |key, _| {
        pks.extend(key::pk_at_end(key).map(|pk| (pk, true)));
        Ok::<_, StoreError>(ControlFlow::Continue(()))
    })?;
    walk(txn.as_read(), (&dues.0, &dues.1), SCAN_CHUNK, |key, _| {
        pks.extend(key::pk_at_end(key).map(|pk| (pk, false)));
        Ok::<_, StoreError>(ControlFlow::Continue(()))
    })?;
    for (pk, may_be_over) in pks {
        let Some(event) = record::get::<Event>(txn.as_read(), &key::event(pk))? else { continue };
        let was_over = may_be_over && is_over(&event, before) && !is_over(&event, now);
        let created = event.created;
        let mut seats = Seats::open(txn, Attribution::daemon(now), pk, event)?;
        if was_over && seats.head.taken + seats.head.waiting > 0 {
            let slots: Vec<_> = seats.places().pools.iter().map(|pool| (pool.slot, 0)).collect();
            seats.head.left.readmit.extend(slots);
            seats.head.left.fill = true;
        }
        if !seats.head.left.is_nothing() {
            seats.save_due_from(created);
        }
    }
    Ok(())
}

/// The head of an event's registrations.
pub(in crate::rules) fn head(txn: &dyn ReadTxn, event: Pk) -> Result<Head, Fault> {
    let head = record::get(txn, &key::event_head(event))?;
    Ok(head.ok_or_else(|| StoreError::Corrupt(format!("the head of the event {event} is missing")))?)
}

/// The pools of an event that admit a person, whether they are open or not.
pub(in crate::rules) fn admitted(txn: &dyn ReadTxn, event: &Event, person: Pk) -> Result<Vec<Slot>, Fault> {
    if event.pools.is_empty() {
        return Ok(vec![IMPLICIT]);
    }
    let held = record::get::<PersonRoles>(txn, &key::person_roles(person))?.unwrap_or_default().roles;
    let admits = |roles: &std::collections::BTreeSet<RoleName>| !roles.is_disjoint(&held);
    Ok(event.pools.iter().filter(|pool| admits(&pool.roles)).map(|pool| pool.slot).collect())
}

/// The pools that admit a registered person, who may wait as if they had each role.
pub(in crate::rules) fn admitted_as(
    txn: &dyn ReadTxn,
    event: &Event,
    person: Pk,
    of: &Registration,
) -> Result<Vec<Slot>, Fault> {
    match of.has_each_role() && !event.pools.is_empty() {
        true => Ok(event.pools.iter().map(|pool| pool.slot).collect()),
        false => admitted(txn, event, person),
    }
}

/// People who hold a pool's roles, counted role by role.
pub(in crate::rules) fn exclusivity(txn: &dyn ReadTxn, event: &Event, slot: Slot) -> Result<u64, Fault> {
    let Some(pool) = event.pools.iter().find(|pool| pool.slot == slot) else { return Ok(0) };
    pool.roles.iter().map(|role| Ok(role::record_of(txn, role)?.members)).sum()
}

/// The index keys of a registration.
pub(in crate::rules) fn index_keys(
    txn: &dyn ReadTxn,
    event: Pk,
    person: Pk,
    of: &Registration,
) -> Result<Vec<Vec<u8>>, Fault> {
    let mut keys = vec![key::registered(event, of.order), key::person_registration(person, of.registered_at, event)];
    match of.stand {
        Stand::Out => return Ok(keys),
        Stand::Waiting => {
            keys.push(key::waiting(event, of.order));
            keys.extend(of.admitted.iter().map(|slot| key::waiting_for(event, *slot, of.order)));
        }
        // Nobody finds a mover here who was placed by hand.
        Stand::Seated(_) if of.is_fixed() => {}
        Stand::Seated(slot) => {
            let others = of.admitted.iter().filter(|other| **other != slot);
            keys.extend(others.map(|other| key::seated(event, slot, *other, of.order)));
        }
    }
    if of.approval == ApprovalState::Pending
        && let Some(found) = record::get::<record::Person>(txn, &key::person(person))?
        && let Some(supervisor) = person::supervisor_of(txn, &found)?
    {
        keys.push(key::pending(supervisor, person, event));
    }
    Ok(keys)
}
