//! Role changes and deletions, applied to a person's registrations.
//!
//! A role change alters the pools that a person waits for and may move to, and never unseats them. Events that are over
//! stay as they were. A person has few registrations for events to come, so one write updates all of them; with many
//! they would have to be updated in steps, like an event's.

use enroll_protocol::Pk;
use enroll_protocol::registration::ApprovalState;

use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::event::{Event, Registration, Stand};
use crate::model::{key, record};
use crate::rules::Call;
use crate::rules::event::is_over;
use crate::rules::seating::{Attribution, STEP_MAX, Seats};
use crate::state::{ReadTxn, StoreError};

/// Lets openings and merges take effect that are due at a person's events, before the person is changed: a change is told
/// behind what was due before it, and what follows from it is told as its consequence.
pub(in crate::rules) fn settle_events_of(txn: &mut dyn Txn, call: &Call<'_>, person: Pk) -> Result<(), Fault> {
    at_each(txn, call, person, |_| Ok(()))
}

/// Updates a person's registrations to their roles. The change of the roles was emitted just before.
pub(in crate::rules) fn readmit_all(txn: &mut dyn Txn, call: &Call<'_>, person: Pk) -> Result<(), Fault> {
    change_all(txn, call, person, |seats, before| {
        let admitted = seats.admitted_as(person, before)?;
        Ok(Registration { admitted, ..before.clone() })
    })
}

/// Frees the places of a deleted person and takes them off the waiting lists.
pub(in crate::rules) fn leave_all(txn: &mut dyn Txn, call: &Call<'_>, person: Pk) -> Result<(), Fault> {
    change_all(txn, call, person, |seats, before| Ok(seats.left(before)))
}

/// The events for which a person's registration waits for a decision.
pub(in crate::rules) fn pending_of(txn: &dyn ReadTxn, person: Pk) -> Result<Vec<Pk>, Fault> {
    let (from, to) = key::prefixed(key::person_registrations(person));
    let mut pending = Vec::new();
    for (key, _) in txn.range(&from, &to, usize::MAX)? {
        let Some(event) = key::pk_at_end(&key) else { continue };
        let found = record::get::<Registration>(txn, &key::registration(event, person))?;
        if found.is_some_and(|found| found.stand != Stand::Out && found.approval == ApprovalState::Pending) {
            pending.push(event);
        }
    }
    Ok(pending)
}

fn change_all(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    person: Pk,
    how: impl Fn(&Seats<'_>, &Registration) -> Result<Registration, Fault>,
) -> Result<(), Fault> {
    at_each(txn, call, person, |seats| {
        let before = seats.require_registration(person)?;
        let after = how(seats, &before)?;
        if after != before {
            seats.replace(person, Some(&before), &after)?;
            seats.head.left.fill = true;
            seats.follow();
            if after.stand == Stand::Out {
                seats.emit_left(person, before.stand);
            }
            seats.settle(STEP_MAX)?;
        }
        Ok(())
    })
}

/// Does something at each event to come for which a person is registered, behind what is due there.
fn at_each(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    person: Pk,
    act: impl Fn(&mut Seats<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let (from, to) = key::prefixed(key::person_registrations(person));
    for (key, _) in txn.as_read().range(&from, &to, usize::MAX)? {
        let Some(pk) = key::pk_at_end(&key) else { continue };
        let missing = || StoreError::Corrupt(format!("the event {pk} is missing"));
        let event = record::get::<Event>(txn.as_read(), &key::event(pk))?.ok_or_else(missing)?;
        let live = record::get::<Registration>(txn.as_read(), &key::registration(pk, person))?
            .filter(|registration| registration.stand != Stand::Out);
        if live.is_none() || is_over(&event, call.ctx.now) {
            continue;
        }
        let mut seats = Seats::open(txn, Attribution::of(call), pk, event)?;
        seats.settle_all()?;
        act(&mut seats)?;
        seats.save();
    }
    Ok(())
}
