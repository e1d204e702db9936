//! Events: create, update, publish, cancel. The effect on registrations is in [`super::seating`].

mod pools;
mod view;

use enroll_protocol::event::{Cancel, Create, Event, Field, Get, List, Publish, Unpublish, Update, UpdateState};
use enroll_protocol::fold::fold;
use enroll_protocol::limits::EVENT_MINUTES_MAX;
use enroll_protocol::{Code, EventKind, Named, NaturalName, Page, Pk, Reference, Refusal, Time};

use super::extra::Wanted;
use super::page::{Bounds, page};
use super::seating::{Attribution, Seats};
use super::{Call, ReadOp, WriteOp, person};
use crate::context::Purpose;
use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::change::ChangeEvent;
use crate::model::event::{self as stored, Head, Left};
use crate::model::key::{self, Family};
use crate::model::record::{self, Kind, Marker};
use crate::state::ReadTxn;
pub(super) use pools::require_pool;
pub(super) use view::{end, is_over, is_past, to_reply};

impl WriteOp for Create {
    fn check(&self) -> Result<(), Refusal> {
        check_duration(self.duration_minutes)?;
        for (at, pool) in self.pools.iter().enumerate() {
            pools::check_roles(&pool.roles)?;
            if self.pools[..at].iter().any(|other| fold(other.name.as_str()) == fold(pool.name.as_str())) {
                let why = format!("pools: two are called \"{}\"; give each a name of its own", pool.name);
                return Err(Refusal::new(Code::INVALID_ARGUMENT, why));
            }
        }
        Ok(())
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Event, Fault> {
        let owner = match (&self.owner, &call.actor) {
            (Some(named), _) => super::role::require_person(txn.as_read(), named)?,
            (None, Some(actor)) => actor.pk,
            (None, None) => {
                let why = "owner: name one, or ask on behalf of a person";
                return Err(Fault::Refused(Refusal::new(Code::INVALID_ARGUMENT, why)));
            }
        };
        permit_owner(txn.as_read(), call, owner)?;
        permit_creating(txn.as_read(), call, &self.kind)?;
        let (now, mut random) = (call.ctx.now, call.ctx.random(Purpose::Rule));
        let pk = call.ctx.new_pk(&mut random);
        let pools: Vec<stored::Pool> = (1..)
            .zip(&self.pools)
            .map(|(slot, pool)| stored::Pool {
                pk: call.ctx.new_pk(&mut random),
                slot,
                name: pool.name.clone(),
                capacity: pool.capacity,
                held: 0,
                opens: pool.opens,
                roles: pool.roles.iter().cloned().collect(),
            })
            .collect();
        let event = stored::Event {
            title: self.title.clone(),
            kind: self.kind.clone(),
            owner,
            start: self.start,
            duration_minutes: self.duration_minutes,
            max_participants: self.max_participants,
            leisure: self.leisure.unwrap_or(false),
            published: self.published.unwrap_or(false),
            canceled: false,
            approval: self.approval.unwrap_or_default(),
            waiting_list: self.waiting_list.unwrap_or(true),
            merge_time: self.merge_time,
            registration_closes: self.registration_closes,
            unregistration_closes: self.unregistration_closes,
            extra: self.extra.clone(),
            held: 0,
            next_slot: pools.last().map_or(1, |pool| pool.slot + 1),
            pools,
            created: now,
            updated: now,
        };
        let head = Head {
            taken: 0,
            waiting: 0,
            pools: Default::default(),
            next_order: 1,
            at: call.ctx.passed(),
            left: Left::default(),
            due: None,
        };
        record::put(txn, key::event(pk), &event);
        record::put(txn, key::event_start(event.start, pk), &Marker);
        record::put(txn, key::event_head(pk), &head);
        call.emit(txn, vec![pk], Some(Kind::Event));
        let event = Seats::open(txn, Attribution::of(call), pk, event)?.save();
        to_reply(txn.as_read(), call, pk, event)
    }
}

impl ReadOp for Get {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Event, Fault> {
        let (pk, event) = require_visible(txn, call, &self.event)?;
        to_reply(txn, call, pk, event)
    }
}

impl ReadOp for List {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Page<Event>, Fault> {
        let owner = self.owner.as_ref().map(|named| person::require(txn, named)).transpose()?.map(|(pk, _)| pk);
        let filter = (&self.kind, owner, self.time_state, &self.prefix);
        let bounds = Bounds::of(call, &filter, self.after.as_ref(), self.limit)?;
        let range = match &self.prefix {
            Some(prefix) => key::pks_with(Family::Events, prefix),
            None => Family::EventStarts.bounds(),
        };
        page(txn, range, &bounds, |key, _| {
            let Some(pk) = key::pk_at_end(key) else { return Ok(None) };
            let Some(event) = record::get::<stored::Event>(txn, &key::event(pk))? else { return Ok(None) };
            let is_wanted = self.kind.as_ref().is_none_or(|kind| *kind == event.kind)
                && owner.is_none_or(|owner| owner == event.owner)
                && self.time_state.is_none_or(|state| state == view::time_state(&event, call.ctx.now))
                && is_visible(txn, call, &event)?;
            is_wanted.then(|| to_reply(txn, call, pk, event)).transpose()
        })
    }
}

impl WriteOp for Update {
    fn check(&self) -> Result<(), Refusal> {
        if let Some(minutes) = self.duration_minutes {
            check_duration(minutes)?;
        }
        Wanted::of(&self.extra, &self.patch).expect_one_at_most()?;
        let given = [
            (Field::MaxParticipants, self.max_participants.is_some(), "max_participants"),
            (Field::MergeTime, self.merge_time.is_some(), "merge_time"),
            (Field::RegistrationCloses, self.registration_closes.is_some(), "registration_closes"),
            (Field::UnregistrationCloses, self.unregistration_closes.is_some(), "unregistration_closes"),
            (Field::Extra, self.extra.is_some() || self.patch.is_some(), "extra"),
        ];
        match given.iter().find(|(field, is_given, _)| *is_given && self.clear.contains(field)) {
            Some((.., name)) => {
                let why = format!("clear: {name} is given a value and cleared at once; do one of the two");
                Err(Refusal::new(Code::INVALID_ARGUMENT, why))
            }
            None => Ok(()),
        }
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Event, Fault> {
        let (pk, event) = require(txn.as_read(), &self.event)?;
        let owner = self.owner.as_ref().map(|named| super::role::require_person(txn.as_read(), named)).transpose()?;
        permit_editing(txn.as_read(), call, &event)?;
        if let Some(kind) = self.kind.as_ref().filter(|kind| **kind != event.kind) {
            permit_editing(txn.as_read(), call, &stored::Event { kind: kind.clone(), ..event.clone() })?;
            permit_creating(txn.as_read(), call, kind)?;
        }
        if let Some(owner) = owner.filter(|owner| *owner != event.owner) {
            permit_owner(txn.as_read(), call, owner)?;
        }
        change(txn, call, pk, event, |seats| {
            let has_registrations = seats.head.taken + seats.head.waiting > 0;
            if has_registrations && self.leisure == Some(true) && !seats.event.leisure {
                return Err(has_registrations_refusal("leave it to everybody to come").into());
            }
            match self.published {
                Some(true) if !seats.event.published => publish(seats)?,
                Some(false) if seats.event.published => unpublish(seats)?,
                _ => {}
            }
            apply(self, &mut seats.event, owner)
        })
    }
}

/// Sets what an update names.
fn apply(update: &Update, event: &mut stored::Event, owner: Option<Pk>) -> Result<(), Fault> {
    let extra = Wanted::of(&update.extra, &update.patch).over(&event.extra)?;
    for field in &update.clear {
        match field {
            Field::MaxParticipants => event.max_participants = None,
            Field::MergeTime => event.merge_time = None,
            Field::RegistrationCloses => event.registration_closes = None,
            Field::UnregistrationCloses => event.unregistration_closes = None,
            Field::Extra => event.extra = Default::default(),
        }
    }
    fn set<T: Clone>(field: &mut T, value: &Option<T>) {
        if let Some(value) = value {
            *field = value.clone();
        }
    }
    set(&mut event.title, &update.title);
    set(&mut event.kind, &update.kind);
    set(&mut event.owner, &owner);
    set(&mut event.start, &update.start);
    set(&mut event.duration_minutes, &update.duration_minutes);
    set(&mut event.leisure, &update.leisure);
    set(&mut event.approval, &update.approval);
    set(&mut event.waiting_list, &update.waiting_list);
    set(&mut event.extra, &extra);
    event.max_participants = update.max_participants.or(event.max_participants);
    event.merge_time = update.merge_time.or(event.merge_time);
    event.registration_closes = update.registration_closes.or(event.registration_closes);
    event.unregistration_closes = update.unregistration_closes.or(event.unregistration_closes);
    Ok(())
}

impl WriteOp for Publish {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Event, Fault> {
        edit(txn, call, &self.event, |seats| match seats.event.published {
            true => Err(wrong_state(&seats.event, "it is published already").into()),
            false => publish(seats),
        })
    }
}

impl WriteOp for Unpublish {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Event, Fault> {
        edit(txn, call, &self.event, |seats| match seats.event.published {
            true => unpublish(seats),
            false => Err(wrong_state(&seats.event, "it is not published").into()),
        })
    }
}

impl WriteOp for Cancel {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Event, Fault> {
        edit(txn, call, &self.event, |seats| match view::update_state(&seats.event, &seats.head) {
            UpdateState::Registrations => {
                seats.event.canceled = true;
                Ok(())
            }
            UpdateState::Canceled => Err(wrong_state(&seats.event, "it is canceled already").into()),
            UpdateState::Draft => Err(wrong_state(&seats.event, "it is not published; leave it a draft").into()),
            UpdateState::Published => {
                Err(wrong_state(&seats.event, "nobody has registered for it; take it back with unpublish").into())
            }
        })
    }
}

fn publish(seats: &mut Seats<'_>) -> Result<(), Fault> {
    if seats.event.canceled {
        return Err(wrong_state(&seats.event, "it is canceled").into());
    }
    seats.event.published = true;
    Ok(())
}

fn unpublish(seats: &mut Seats<'_>) -> Result<(), Fault> {
    if seats.event.canceled {
        return Err(wrong_state(&seats.event, "it is canceled").into());
    }
    if seats.head.taken + seats.head.waiting > 0 {
        return Err(has_registrations_refusal("take it back").into());
    }
    seats.event.published = false;
    Ok(())
}

/// Changes an event for its owner, or for an actor who may edit it.
fn edit(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    named: &Reference,
    how: impl FnOnce(&mut Seats<'_>) -> Result<(), Fault>,
) -> Result<Event, Fault> {
    let (pk, event) = require(txn.as_read(), named)?;
    permit_editing(txn.as_read(), call, &event)?;
    change(txn, call, pk, event, how)
}

/// Changes an event, and settles its registrations after it.
fn change(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    pk: Pk,
    event: stored::Event,
    how: impl FnOnce(&mut Seats<'_>) -> Result<(), Fault>,
) -> Result<Event, Fault> {
    let (now, before) = (call.ctx.now, event.clone());
    let mut seats = Seats::open(txn, Attribution::of(call), pk, event)?;
    seats.settle_all()?;
    how(&mut seats)?;
    seats.event.updated = now;
    if seats.event.start != before.start {
        seats.txn.delete(key::event_start(before.start, pk));
        record::put(seats.txn, key::event_start(seats.event.start, pk), &Marker);
    }
    if is_past(&before, now) && !is_past(&seats.event, now) {
        // While an event is over, changes of roles and deletions are not applied to its registrations.
        let slots: Vec<_> = seats.places().pools.iter().map(|pool| (pool.slot, 0)).collect();
        seats.head.left.readmit.extend(slots);
    }
    seats.take_times_back(&before);
    seats.note_held();
    record::put(seats.txn, key::event(pk), &seats.event);
    seats.emit_cause(ChangeEvent::Change(call.change(vec![pk]), None));
    seats.head.left.fill = true;
    seats.settle(super::seating::STEP_MAX)?;
    let event = seats.save();
    to_reply(txn.as_read(), call, pk, event)
}

/// The event of this pk.
pub(super) fn require(txn: &dyn ReadTxn, named: &Reference) -> Result<(Pk, stored::Event), Fault> {
    find(txn, named)?.ok_or_else(|| unknown(named))
}

/// The event of this pk, which is unknown to an actor who may not see it.
pub(super) fn require_visible(
    txn: &dyn ReadTxn,
    call: &Call<'_>,
    named: &Reference,
) -> Result<(Pk, stored::Event), Fault> {
    let (pk, event) = require(txn, named)?;
    if is_visible(txn, call, &event)? { Ok((pk, event)) } else { Err(unknown(named)) }
}

fn find(txn: &dyn ReadTxn, named: &Reference) -> Result<Option<(Pk, stored::Event)>, Fault> {
    let Named::Pk(pk) = named.read(NaturalName::None)? else { return Ok(None) };
    Ok(record::get::<stored::Event>(txn, &key::event(pk))?.map(|event| (pk, event)))
}

fn unknown(named: &Reference) -> Fault {
    Fault::Refused(Refusal::new(Code::NOT_FOUND, format!("no event has the pk \"{named}\"")))
}

/// True if the actor may see an event: a draft is for its owner and editors only. A peer without an actor sees all.
pub(super) fn is_visible(txn: &dyn ReadTxn, call: &Call<'_>, event: &stored::Event) -> Result<bool, Fault> {
    if event.published || call.actor.is_none() || call.is_actor(event.owner) {
        return Ok(true);
    }
    call.actor_has(txn, &format!("/events/edit/{}/", event.kind))
}

fn check_duration(minutes: u32) -> Result<(), Refusal> {
    if (1..=EVENT_MINUTES_MAX).contains(&minutes) {
        return Ok(());
    }
    let why = format!("duration_minutes must be 1 to {EVENT_MINUTES_MAX}, a year; it is {minutes}");
    Err(Refusal::new(Code::INVALID_ARGUMENT, why))
}

/// Making an event of a restricted kind takes a permission, also for its owner.
fn permit_creating(txn: &dyn ReadTxn, call: &Call<'_>, kind: &EventKind) -> Result<(), Fault> {
    match call.ctx.settings.restricted_event_types.contains(kind) {
        true => call.permit_path(txn, &format!("/events/create/{kind}/")),
        false => Ok(()),
    }
}

fn permit_owner(txn: &dyn ReadTxn, call: &Call<'_>, owner: Pk) -> Result<(), Fault> {
    if call.is_actor(owner) { Ok(()) } else { call.permit_path(txn, "/events/create/") }
}

fn permit_editing(txn: &dyn ReadTxn, call: &Call<'_>, event: &stored::Event) -> Result<(), Fault> {
    if call.is_actor(event.owner) {
        return Ok(());
    }
    call.permit_path(txn, &format!("/events/edit/{}/", event.kind))
}

fn wrong_state(event: &stored::Event, why: &str) -> Refusal {
    Refusal::new(Code::INVALID_TRANSITION, format!("the event \"{}\": {why}", event.title))
}

fn has_registrations_refusal(what: &str) -> Refusal {
    let why =
        format!("somebody has registered for this event, so you can not {what}; cancel it, or change it otherwise");
    Refusal::new(Code::EVENT_HAS_REGISTRATIONS, why)
}

/// The time from which people may no longer register.
pub(super) fn closes(event: &stored::Event) -> Time {
    event.registration_closes.unwrap_or(event.start)
}
