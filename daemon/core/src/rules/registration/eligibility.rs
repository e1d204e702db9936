//! Eligibility to register: the state of the event, then of the registration, then the decision on places. `create`
//! does what this decides, and `explain` shows it.

use enroll_protocol::registration::ApprovalState;
use enroll_protocol::{Code, Pk, Refusal};

use crate::fault::Fault;
use crate::model::event::{Registration, Stand};
use crate::rules::event::{closes, is_past};
use crate::rules::seating::Seats;
use crate::rules::seating::choose::{Choice, Outcome};

/// The outcome of registering, and the reasons.
pub(super) struct Eligibility {
    /// A place or the waiting list, or the refusal.
    pub(super) outcome: Result<Outcome, Refusal>,
    /// The decision on each pool, also where the event or the registration is the reason for a refusal.
    pub(super) choice: Choice,
}

/// Determines the outcome for a person. `before` is their registration, if there is one already.
pub(super) fn determine(
    seats: &mut Seats<'_>,
    person: Pk,
    before: Option<&Registration>,
) -> Result<Eligibility, Fault> {
    let admitted = seats.admitted(person)?;
    let choice = seats.choose(&admitted)?;
    let outcome = match require_open(seats).and_then(|()| require_not_registered(before)) {
        Ok(()) => decided(seats, choice.outcome),
        Err(refusal) => Err(refusal),
    };
    Ok(Eligibility { outcome, choice })
}

/// Refuses if nobody can register for the event now.
fn require_open(seats: &Seats<'_>) -> Result<(), Refusal> {
    require_takes_place(seats)?;
    match closes(&seats.event) {
        closes if closes <= seats.now() => {
            let why = format!("registration for \"{}\" closed at {closes}", seats.event.title);
            Err(Refusal::new(Code::REGISTRATION_CLOSED, why))
        }
        _ => Ok(()),
    }
}

/// Refuses an event that nobody registers for, whatever its deadline: leisure, draft, canceled or over.
pub(super) fn require_takes_place(seats: &Seats<'_>) -> Result<(), Refusal> {
    let event = &seats.event;
    let title = &event.title;
    let refuse = |code, why: String| Err(Refusal::new(code, why));
    match () {
        _ if event.leisure => {
            refuse(Code::REGISTRATION_NOT_REQUIRED, format!("everybody may come to \"{title}\" without registering"))
        }
        _ if !event.published => {
            refuse(Code::EVENT_NOT_PUBLISHED, "this event is not published yet; its owner can publish it".to_owned())
        }
        _ if event.canceled => {
            refuse(Code::EVENT_CANCELED, format!("\"{title}\" is canceled, and nobody can register for it"))
        }
        _ if is_past(event, seats.now()) => {
            refuse(Code::EVENT_PAST, format!("\"{title}\" is over, and nobody can register for it"))
        }
        _ => Ok(()),
    }
}

fn require_not_registered(before: Option<&Registration>) -> Result<(), Refusal> {
    let Some(before) = before else { return Ok(()) };
    match before.stand {
        _ if before.canceled_at.is_some() && before.approval == ApprovalState::Rejected => {
            let why = "the registration was rejected, and canceled since; a decider has to approve it first";
            Err(Refusal::new(Code::PERMISSION_DENIED, why))
        }
        _ if before.canceled_at.is_some() => Ok(()),
        Stand::Waiting => Err(Refusal::new(Code::ALREADY_REGISTERED, "the person is in the waiting list already")),
        Stand::Seated(_) => Err(Refusal::new(Code::ALREADY_REGISTERED, "the person has a place already")),
        Stand::Out => Err(Refusal::new(
            Code::ALREADY_REGISTERED,
            "the registration was rejected; approve it to take the rejection back",
        )),
    }
}

/// The outcome of a decision on places, or the refusal that `create` answers.
pub(super) fn decided(seats: &Seats<'_>, outcome: Outcome) -> Result<Outcome, Refusal> {
    match outcome {
        Outcome::Seat(_) => Ok(outcome),
        Outcome::Wait if seats.event.waiting_list => Ok(outcome),
        Outcome::Wait => {
            let why =
                "all places that the person could have are taken, and the event has no waiting list; raise a capacity";
            Err(Refusal::new(Code::NO_FREE_SLOTS, why))
        }
        Outcome::NotAdmitted => {
            let why = "no pool of the event is for a role that the person has; give them one, or add a pool";
            Err(Refusal::new(Code::NO_PERMISSION, why))
        }
        Outcome::NotOpen(opens) => {
            let why = format!("the first pool that admits the person opens at {opens}");
            let details = serde_json::json!({"opens": opens.to_string()});
            Err(Refusal::new(Code::REGISTRATION_NOT_OPEN, why).with(details))
        }
    }
}
