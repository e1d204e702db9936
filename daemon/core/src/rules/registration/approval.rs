//! Approval of registrations: approve and reject.

use enroll_protocol::registration::{ApprovalState, Approve, Registration, Reject};
use enroll_protocol::{Code, Pk, Reason, Reference, Refusal};

use super::{eligibility, finish, require};
use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::change::ChangeEvent;
use crate::model::event::{self as stored, Stand};
use crate::rules::seating::choose::Outcome;
use crate::rules::seating::{Attribution, Seats};
use crate::rules::{Call, WriteOp, event, role, supervisor};

impl WriteOp for Approve {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Registration, Fault> {
        decide(
            txn,
            call,
            Asked { event: &self.event, person: &self.person, reason: &self.reason },
            |seats, person, before| {
                let stand = match before.stand {
                    // The person has canceled: approving only takes the rejection back.
                    _ if before.canceled_at.is_some() && before.approval == ApprovalState::Rejected => Stand::Out,
                    _ if before.canceled_at.is_some() => return Err(was_canceled()),
                    Stand::Out => {
                        let admitted = seats.admitted(person)?;
                        let outcome = match seats.choose(&admitted)?.outcome {
                            Outcome::Wait => Err(no_places()),
                            outcome => eligibility::decided(seats, outcome),
                        };
                        match outcome? {
                            Outcome::Seat(slot) => Stand::Seated(slot),
                            _ => return Err(no_places().into()),
                        }
                    }
                    stand => stand,
                };
                let admitted = if stand == before.stand { before.admitted.clone() } else { seats.admitted(person)? };
                Ok(stored::Registration { stand, admitted, approval: ApprovalState::Approved, ..before.clone() })
            },
        )
    }
}

impl WriteOp for Reject {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Registration, Fault> {
        decide(txn, call, Asked { event: &self.event, person: &self.person, reason: &self.reason }, |_, _, before| {
            match before.canceled_at {
                Some(_) => Err(was_canceled()),
                None => {
                    let approval = ApprovalState::Rejected;
                    Ok(stored::Registration { stand: Stand::Out, approval, placed: None, ..before.clone() })
                }
            }
        })
    }
}

/// The registration to decide on, and the reason to record.
struct Asked<'a> {
    event: &'a Reference,
    person: &'a Reference,
    reason: &'a Option<Reason>,
}

/// Decides on a registration. `how` makes the record after the decision from the one before.
fn decide(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    asked: Asked<'_>,
    how: impl FnOnce(&mut Seats<'_>, Pk, &stored::Registration) -> Result<stored::Registration, Fault>,
) -> Result<Registration, Fault> {
    let (event_pk, event) = event::require(txn.as_read(), asked.event)?;
    let person = role::require_person(txn.as_read(), asked.person)?;
    require(txn.as_read(), event_pk, person, asked.person)?;
    supervisor::permit_deciding(txn.as_read(), call, person)?;
    let mut seats = Seats::open(txn, Attribution::of(call), event_pk, event)?;
    seats.settle_all()?;
    let before = seats.require_registration(person)?;
    if before.approval == ApprovalState::NotRequired {
        let why = "this registration needs no approval; there is nothing to decide";
        return Err(Fault::Refused(Refusal::new(Code::INVALID_TRANSITION, why)));
    }
    let now = call.ctx.now;
    let after = stored::Registration {
        decided_by: Some(call.decider()),
        decided_on: Some(now),
        reason: asked.reason.clone(),
        updated: now,
        ..how(&mut seats, person, &before)?
    };
    seats.replace(person, Some(&before), &after)?;
    let place = match (before.stand, after.stand) {
        (Stand::Seated(_), Stand::Seated(_)) => Stand::Out,
        (left, Stand::Out) => left,
        (_, taken) => taken,
    };
    let subjects = seats.subjects(person, place);
    seats.emit_cause(ChangeEvent::Change(call.change(subjects), None));
    seats.head.left.fill |= after.stand == Stand::Out && before.stand != Stand::Out;
    finish(seats, person)
}

fn no_places() -> Refusal {
    Refusal::new(Code::NO_FREE_SLOTS, "the rejection can not be taken back: no place is free; raise a capacity first")
}

fn was_canceled() -> Fault {
    Fault::Refused(Refusal::new(Code::INVALID_TRANSITION, "the registration was canceled; there is nothing to decide"))
}
