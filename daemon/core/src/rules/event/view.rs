//! The reply of an event: its record, its head, and the states and actions derived from both.

use enroll_protocol::event::{Action, Event, EventPool, TimeState, UpdateState};
use enroll_protocol::{Pk, Time};

use crate::fault::Fault;
use crate::model::event::{self as stored, Count, Head};
use crate::rules::{Call, seating};
use crate::state::ReadTxn;

/// The event as a reply to this call.
pub(in crate::rules) fn to_reply(
    txn: &dyn ReadTxn,
    call: &Call<'_>,
    pk: Pk,
    event: stored::Event,
) -> Result<Event, Fault> {
    let head = seating::head(txn, pk)?;
    let (time_state, update_state) = (time_state(&event, call.ctx.now), update_state(&event, &head));
    let pools = event.pools.into_iter().map(|pool| {
        let Count { taken, waiting } = head.pools.get(&pool.slot).copied().unwrap_or_default();
        EventPool {
            pk: pool.pk,
            name: pool.name,
            capacity: pool.capacity,
            opens: pool.opens,
            roles: pool.roles.into_iter().collect(),
            places_taken: taken,
            // Before it opens nobody waits for it yet, though it admits them.
            waiting_count: if pool.opens.is_none_or(|opens| opens <= head.at) { waiting } else { 0 },
        }
    });
    Ok(Event {
        pk,
        pools: pools.collect(),
        title: event.title,
        kind: event.kind,
        owner: event.owner,
        start: event.start,
        duration_minutes: event.duration_minutes,
        max_participants: event.max_participants,
        leisure: event.leisure,
        published: event.published,
        canceled: event.canceled,
        approval: event.approval,
        waiting_list: event.waiting_list,
        merge_time: event.merge_time,
        registration_closes: event.registration_closes,
        unregistration_closes: event.unregistration_closes,
        extra: call.shown_extra(event.extra),
        time_state,
        update_state,
        actions: actions(update_state),
        places_taken: head.taken,
        waiting_count: head.waiting,
        created: event.created,
        updated: event.updated,
        deleted: None,
    })
}

/// The end of an event.
pub(in crate::rules) fn end(event: &stored::Event) -> Time {
    event.start.plus_seconds(u64::from(event.duration_minutes) * 60)
}

/// An event before its start, between start and end, or after its end.
pub(super) fn time_state(event: &stored::Event, now: Time) -> TimeState {
    if now < event.start {
        TimeState::Upcoming
    } else if now < end(event) {
        TimeState::Current
    } else {
        TimeState::Past
    }
}

/// True after the end of an event.
pub(in crate::rules) fn is_past(event: &stored::Event, now: Time) -> bool {
    time_state(event, now) == TimeState::Past
}

/// True for an event that seats nobody any more: it is canceled or past.
pub(in crate::rules) fn is_over(event: &stored::Event, now: Time) -> bool {
    event.canceled || is_past(event, now)
}

/// The state that decides which actions are possible.
pub(super) fn update_state(event: &stored::Event, head: &Head) -> UpdateState {
    if event.canceled {
        UpdateState::Canceled
    } else if !event.published {
        UpdateState::Draft
    } else if head.taken + head.waiting == 0 {
        UpdateState::Published
    } else {
        UpdateState::Registrations
    }
}

fn actions(state: UpdateState) -> Vec<Action> {
    match state {
        UpdateState::Draft => vec![Action::Save, Action::Publish],
        UpdateState::Published => vec![Action::Save, Action::Unpublish],
        UpdateState::Registrations => vec![Action::Save, Action::Cancel],
        UpdateState::Canceled => vec![Action::Save],
    }
}
