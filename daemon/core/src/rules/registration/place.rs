//! Placement by hand: a place or a position of the waiting list that the owner of an event gives somebody, whatever the
//! deadline, the roles and the capacities say.

use enroll_protocol::registration::{ApprovalState, Place, Registration};
use enroll_protocol::{Code, Pk, Refusal};

use super::{eligibility, finish};
use crate::context::Purpose;
use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::change::ChangeEvent;
use crate::model::event::{self as stored, Placement, Slot, Stand};
use crate::model::record::Kind;
use crate::rules::seating::choose::Outcome;
use crate::rules::seating::{Attribution, Seats, position};
use crate::rules::{Call, WriteOp, event, role};

/// Where a person is placed.
#[derive(Clone, Copy)]
enum Target {
    /// A place in this pool.
    Seat(Slot),
    /// This position of the waiting list as it stands, before the person leaves it.
    Waiting(u32),
}

impl WriteOp for Place {
    fn check(&self) -> Result<(), Refusal> {
        match self.position {
            Some(0) => Err(Refusal::new(Code::INVALID_ARGUMENT, "position: positions count from 1; this is 0")),
            Some(_) if self.pool.is_some() => {
                let why = "pool and position: a person gets a place or waits; name one of them";
                Err(Refusal::new(Code::INVALID_ARGUMENT, why))
            }
            _ => Ok(()),
        }
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Registration, Fault> {
        let (event_pk, event) = event::require(txn.as_read(), &self.event)?;
        let person = role::require_person(txn.as_read(), &self.person)?;
        let pool = self.pool.as_ref().map(|pool| event::require_pool(&event, pool)).transpose()?;
        let pool = pool.map(|at| event.pools[at].slot);
        let may_edit = call.actor_has(txn.as_read(), &format!("/events/edit/{}/", event.kind))?;
        call.permit(txn.as_read(), call.is_actor(event.owner) || may_edit)?;
        let mut seats = Seats::open(txn, Attribution::of(call), event_pk, event)?;
        seats.settle_all()?;
        eligibility::require_takes_place(&seats)?;
        let before = seats.registration(person)?;
        if before.as_ref().is_some_and(|before| before.approval == ApprovalState::Rejected) {
            let why = "the registration was rejected; a decider has to approve it first";
            return Err(Fault::Refused(Refusal::new(Code::PERMISSION_DENIED, why)));
        }
        let target = target(&mut seats, person, before.as_ref(), (pool, self.position))?;
        place(&mut seats, call, person, self, target)?;
        let made = before.is_none().then_some(Kind::Registration);
        let subjects = seats.subjects(person, seats.require_registration(person)?.stand);
        seats.emit_cause(ChangeEvent::Change(call.change(subjects), made));
        let placed = seats.require_registration(person)?;
        if placed.stand == Stand::Waiting {
            seats.emit_positioned(person, placed.order)?;
        }
        seats.head.left.fill = true;
        finish(seats, person)
    }
}

/// Where the person comes; a refusal if they are there already.
fn target(
    seats: &mut Seats<'_>,
    person: Pk,
    before: Option<&stored::Registration>,
    (pool, position_asked): (Option<Slot>, Option<u32>),
) -> Result<Target, Fault> {
    let stand = before.map_or(Stand::Out, |before| before.stand);
    let conflict = |why: &str| Err(Fault::Refused(Refusal::new(Code::CONFLICT, why)));
    if let Some(asked) = position_asked {
        let Some(waiting) = before.filter(|_| stand == Stand::Waiting) else { return Ok(Target::Waiting(asked)) };
        let now = position(seats.txn.as_read(), seats.pk, waiting.order)?;
        return match asked.min(seats.head.waiting) {
            asked if asked == now => conflict("the person has that position in the waiting list already"),
            asked if asked < now => Ok(Target::Waiting(asked)),
            // The person stands before it, and leaves that position.
            asked => Ok(Target::Waiting(asked + 1)),
        };
    }
    match (stand, pool) {
        (Stand::Seated(_), None) => conflict("the person has a place already; name a pool to move them there"),
        (Stand::Seated(slot), Some(pool)) if slot == pool => conflict("the person has a place in that pool already"),
        (_, Some(pool)) => Ok(Target::Seat(pool)),
        (_, None) => anywhere(seats, person).map(Target::Seat),
    }
}

/// The pool for a place anywhere: a free one for the person's roles, else a free one, else the oldest open one for their
/// roles, else the oldest one.
fn anywhere(seats: &mut Seats<'_>, person: Pk) -> Result<Slot, Fault> {
    let own = seats.admitted(person)?;
    let places = seats.places();
    let all: Vec<Slot> = places.pools.iter().map(|pool| pool.slot).collect();
    for admitted in [&own, &all] {
        if let Outcome::Seat(slot) = seats.choose(admitted)?.outcome {
            return Ok(slot);
        }
    }
    let is_open = |slot: &&Slot| places.pools.iter().any(|pool| pool.slot == **slot && pool.is_open);
    let best = own.iter().find(is_open).or(own.first()).or(all.iter().find(is_open)).or(all.first());
    Ok(best.copied().unwrap_or(stored::IMPLICIT))
}

fn place(seats: &mut Seats<'_>, call: &Call<'_>, person: Pk, asked: &Place, target: Target) -> Result<(), Fault> {
    let now = call.ctx.now;
    let by = call.decider();
    let own = seats.admitted(person)?;
    let is_fixed = matches!(target, Target::Seat(_));
    let placement =
        Placement { by, on: now, reason: asked.reason.clone(), is_fixed, has_each_role: !is_fixed && own.is_empty() };
    let (stand, new_order) = match target {
        Target::Seat(slot) => (Stand::Seated(slot), None),
        Target::Waiting(position) => (Stand::Waiting, Some(seats.order_at(position)?)),
    };
    // The person's own order number may just have changed.
    let before = seats.registration(person)?;
    let live = before.as_ref().filter(|before| before.stand != Stand::Out);
    let order = match (new_order, live) {
        (Some(order), _) => order,
        (None, Some(live)) => live.order,
        (None, None) => seats.last_order(),
    };
    let (pk, created) = match &before {
        Some(before) => (before.pk, before.created),
        None => (call.ctx.new_pk(&mut call.ctx.random(Purpose::Rule)), now),
    };
    let needs_approval = seats.event.approval == enroll_protocol::event::Approval::Supervisor;
    let mut after = stored::Registration {
        pk,
        order,
        stand,
        admitted: Vec::new(),
        registered_at: live.map_or(now, |live| live.registered_at),
        canceled_at: None,
        approval: if needs_approval { ApprovalState::Approved } else { ApprovalState::NotRequired },
        decided_by: needs_approval.then_some(by),
        decided_on: needs_approval.then_some(now),
        reason: needs_approval.then(|| asked.reason.clone()),
        placed: Some(placement),
        created,
        updated: now,
    };
    after.admitted = seats.admitted_as(person, &after)?;
    seats.replace(person, before.as_ref(), &after)
}
