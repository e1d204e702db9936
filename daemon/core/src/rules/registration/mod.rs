//! Registrations: create, cancel, read. Places are given in [`super::seating`].

mod approval;
mod eligibility;
mod explain;
mod place;
mod role_change;

use enroll_protocol::registration::{ApprovalState, Cancel, Create, Get, List, Placed, Registration};
use enroll_protocol::{Code, Page, Pk, Refusal};

use super::page::{Bounds, page};
use super::seating::{Attribution, Seats, choose::Outcome, position};
use super::{Call, ReadOp, WriteOp, event, person, role};
use crate::context::Purpose;
use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::change::ChangeEvent;
use crate::model::event::{self as stored, Event, Head, Registered, Stand};
use crate::model::key::{self, Family};
use crate::model::record::{self, Kind};
use crate::state::ReadTxn;
pub(super) use role_change::{leave_all, pending_of, readmit_all, settle_events_of};

impl WriteOp for Create {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Registration, Fault> {
        let (event_pk, event) = event::require(txn.as_read(), &self.event)?;
        let person = role::require_person(txn.as_read(), &self.person)?;
        call.permit(txn.as_read(), call.is_actor(person))?;
        let mut seats = Seats::open(txn, Attribution::of(call), event_pk, event)?;
        seats.settle_all()?;
        let before = seats.registration(person)?;
        let outcome = eligibility::determine(&mut seats, person, before.as_ref())?.outcome?;
        enter(&mut seats, call, person, before.as_ref(), outcome)?;
        let made = before.is_none().then_some(Kind::Registration);
        let subjects = seats.subjects(person, seats.require_registration(person)?.stand);
        seats.emit_cause(ChangeEvent::Change(call.change(subjects), made));
        finish(seats, person)
    }
}

impl WriteOp for Cancel {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Registration, Fault> {
        let (event_pk, event) = event::require(txn.as_read(), &self.event)?;
        let person = role::require_person(txn.as_read(), &self.person)?;
        let before = require(txn.as_read(), event_pk, person, &self.person)?;
        call.permit(txn.as_read(), call.is_actor(person))?;
        let mut seats = Seats::open(txn, Attribution::of(call), event_pk, event)?;
        seats.settle_all()?;
        let now = call.ctx.now;
        if before.canceled_at.is_some() {
            let why = format!("\"{}\" has canceled already; there is nothing to cancel", self.person);
            return Err(Fault::Refused(Refusal::new(Code::INVALID_TRANSITION, why)));
        }
        // Settling may have seated the person a moment ago.
        let before = seats.registration(person)?.unwrap_or(before);
        let closes = seats.event.unregistration_closes.unwrap_or(seats.event.start);
        // Who waits keeps nobody from a place, and may leave until the end at least.
        let closes = if before.stand == Stand::Waiting { closes.max(event::end(&seats.event)) } else { closes };
        if closes <= now {
            let why = format!("registrations for this event could be canceled until {closes}");
            return Err(Fault::Refused(Refusal::new(Code::REGISTRATION_CLOSED, why)));
        }
        let after = seats.left(&before);
        seats.replace(person, Some(&before), &after)?;
        let subjects = seats.subjects(person, before.stand);
        seats.emit_cause(ChangeEvent::Change(call.change(subjects), None));
        seats.head.left.fill = true;
        finish(seats, person)
    }
}

impl ReadOp for Get {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Registration, Fault> {
        let (event_pk, event) = event::require_visible(txn, call, &self.event)?;
        let (person, _) = person::require(txn, &self.person)?;
        let registration = require(txn, event_pk, person, &self.person)?;
        call.permit(txn, call.is_actor(person) || call.is_actor(event.owner))?;
        View::of(txn, event_pk)?.to_reply(txn, person, registration)
    }
}

impl ReadOp for List {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Page<Registration>, Fault> {
        let event = self.event.as_ref().map(|named| event::require_visible(txn, call, named)).transpose()?;
        let person = self.person.as_ref().map(|named| person::require(txn, named)).transpose()?.map(|(pk, _)| pk);
        let is_own = person.is_some_and(|person| call.is_actor(person))
            || event.as_ref().is_some_and(|(_, event)| call.is_actor(event.owner));
        call.permit(txn, is_own)?;
        let event = event.map(|(pk, _)| pk);
        let bounds = Bounds::of(call, &(event, person, self.waiting, self.approval), self.after.as_ref(), self.limit)?;
        let range = match (person, event, self.waiting) {
            (Some(person), ..) => key::prefixed(key::person_registrations(person)),
            (None, Some(event), Some(true)) => key::prefixed(key::waitings(event)),
            (None, Some(event), _) => key::prefixed(key::registereds(event)),
            (None, None, _) => Family::Orders.bounds(),
        };
        let mut view: Option<View> = None;
        page(txn, range, &bounds, |key, value| {
            let person = record::decode::<Registered>(value)?.person;
            let of = if self.person.is_some() { key::pk_at_end(key) } else { key::pk_at_front(key) };
            let Some(of) = of.filter(|of| event.is_none_or(|event| event == *of)) else { return Ok(None) };
            let Some(found) = record::get::<stored::Registration>(txn, &key::registration(of, person))? else {
                return Ok(None);
            };
            let is_wanted = self.waiting.is_none_or(|waiting| waiting == (found.stand == Stand::Waiting))
                && self.approval.is_none_or(|approval| approval == found.approval);
            if !is_wanted {
                return Ok(None);
            }
            let view = match &mut view {
                Some(view) if view.pk == of => view,
                other => other.insert(View::of(txn, of)?),
            };
            // Registrations of a draft are for its editors, and a person's own ones for that person.
            if !call.is_actor(person) && !event::is_visible(txn, call, &view.event)? {
                return Ok(None);
            }
            view.to_reply(txn, person, found).map(Some)
        })
    }
}

/// Registers a person in a place or in the waiting list. From there somebody who can move may make room for them.
fn enter(
    seats: &mut Seats<'_>,
    call: &Call<'_>,
    person: Pk,
    before: Option<&stored::Registration>,
    outcome: Outcome,
) -> Result<(), Fault> {
    let now = call.ctx.now;
    let stand = match outcome {
        Outcome::Seat(slot) => Stand::Seated(slot),
        _ => Stand::Waiting,
    };
    let approval = match seats.event.approval {
        enroll_protocol::event::Approval::None => ApprovalState::NotRequired,
        enroll_protocol::event::Approval::Supervisor => ApprovalState::Pending,
    };
    let (pk, created) = match before {
        Some(before) => (before.pk, before.created),
        None => (call.ctx.new_pk(&mut call.ctx.random(Purpose::Rule)), now),
    };
    let after = stored::Registration {
        pk,
        order: seats.last_order(),
        stand,
        admitted: seats.admitted(person)?,
        registered_at: now,
        canceled_at: None,
        approval,
        decided_by: None,
        decided_on: None,
        reason: None,
        placed: None,
        created,
        updated: now,
    };
    seats.head.left.fill |= stand == Stand::Waiting;
    seats.replace(person, before, &after)
}

/// Settles the event after a change. Returns the person's registration as it is then.
fn finish(mut seats: Seats<'_>, person: Pk) -> Result<Registration, Fault> {
    seats.settle(super::seating::STEP_MAX)?;
    let registration = seats.require_registration(person)?;
    let view = View { pk: seats.pk, event: seats.event.clone(), head: seats.head.clone() };
    let reply = view.to_reply(seats.txn.as_read(), person, registration)?;
    seats.save();
    Ok(reply)
}

/// A person's registration for an event.
fn require(
    txn: &dyn ReadTxn,
    event: Pk,
    person: Pk,
    named: &enroll_protocol::Reference,
) -> Result<stored::Registration, Fault> {
    let found = record::get(txn, &key::registration(event, person))?;
    Ok(found.ok_or_else(|| Refusal::new(Code::NOT_FOUND, format!("\"{named}\" has not registered for this event")))?)
}

/// The event and head that a registration's reply is made with.
pub(super) struct View {
    pk: Pk,
    event: Event,
    head: Head,
}

impl View {
    /// The view of this event.
    pub(super) fn of(txn: &dyn ReadTxn, pk: Pk) -> Result<Self, Fault> {
        let event = record::get::<Event>(txn, &key::event(pk))?;
        let missing = || crate::state::StoreError::Corrupt(format!("the event {pk} is missing"));
        Ok(Self { pk, event: event.ok_or_else(missing)?, head: super::seating::head(txn, pk)? })
    }

    /// A registration as a reply.
    pub(super) fn to_reply(
        &self,
        txn: &dyn ReadTxn,
        person: Pk,
        of: stored::Registration,
    ) -> Result<Registration, Fault> {
        let pools = &self.event.pools;
        let pk_of = |slot| pools.iter().find(|pool| pool.slot == slot).map(|pool| pool.pk);
        let is_open = |pool: &&stored::Pool| pool.opens.is_none_or(|opens| opens <= self.head.at);
        let (pool, waiting) = match of.stand {
            Stand::Out => (None, false),
            Stand::Waiting => (None, true),
            Stand::Seated(slot) => (pk_of(slot), false),
        };
        let waits_for = pools.iter().filter(is_open).filter(|pool| waiting && of.admitted.contains(&pool.slot));
        Ok(Registration {
            pk: of.pk,
            event: self.pk,
            person,
            pool,
            waiting,
            waiting_pools: waits_for.map(|pool| pool.pk).collect(),
            waiting_position: waiting.then(|| position(txn, self.pk, of.order)).transpose()?,
            registered_at: of.registered_at,
            canceled: of.canceled_at.is_some(),
            canceled_at: of.canceled_at,
            approval: of.approval,
            decided_by: of.decided_by,
            decided_on: of.decided_on,
            reason: of.reason,
            placed: of.placed.map(|placed| Placed { by: placed.by, on: placed.on, reason: placed.reason }),
            created: of.created,
            updated: of.updated,
            deleted: None,
        })
    }
}
