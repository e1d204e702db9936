//! The snapshot: the daemon's figures, and the ends of the registry that somebody watches, from bounded reads of
//! indexes.

use enroll_protocol::enrollment::State;
use enroll_protocol::server::{DaemonSnapshot, EventPlaces, EventPoolPlaces, NextEvents, Snapshot, WaitingEnrollment};
use enroll_protocol::{Pk, Time};

use super::health::EVENTS_MAX;
use super::{Call, ReadOp, health, seating};
use crate::context::Grant;
use crate::fault::Fault;
use crate::model::event::Event;
use crate::model::key::{self, Family};
use crate::model::record;
use crate::needs::{Made, Needed};
use crate::state::{ReadTxn, StoreError, successor};

/// Enrollments and events that are shown.
const SHOWN: usize = 10;

impl ReadOp for Snapshot {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<DaemonSnapshot, Fault> {
        call.permit(txn, false)?;
        let Some(Made::Snapshot(figures)) = &call.ctx.made else { return Err(Fault::Needs(Needed::Snapshot)) };
        let mut snapshot = DaemonSnapshot::clone(figures);
        snapshot.waiting = health::waiting(txn)?;
        if sees(txn, call, "/enrollments/")? {
            snapshot.oldest_enrollments = Some(oldest_enrollments(txn)?);
        }
        if !sees(txn, call, "/pools/")? {
            snapshot.fullest_pools = None;
        }
        // Events are for everybody who may read.
        if call.ctx.peer.grant >= Grant::Read {
            snapshot.next_events = Some(next_events(txn, call.ctx.now)?);
        }
        Ok(snapshot)
    }
}

/// True if the peer may read, and the actor, where there is one, has the permission to list such records.
fn sees(txn: &dyn ReadTxn, call: &Call<'_>, permission: &str) -> Result<bool, Fault> {
    Ok(call.ctx.peer.grant >= Grant::Read && (call.actor.is_none() || call.actor_has(txn, permission)?))
}

fn oldest_enrollments(txn: &dyn ReadTxn) -> Result<Vec<WaitingEnrollment>, StoreError> {
    let (from, to) = key::prefixed(key::state_enrollments(State::Pending));
    let entries = txn.range(&from, &to, SHOWN)?;
    let mut oldest = Vec::with_capacity(entries.len());
    for pk in entries.iter().filter_map(|(key, _)| key::pk_at_end(key)) {
        let found = record::get::<record::Enrollment>(txn, &key::enrollment(pk))?;
        oldest.extend(found.map(|record::Enrollment { callsign, pool, created, .. }| WaitingEnrollment {
            pk,
            callsign,
            pool,
            created,
        }));
    }
    Ok(oldest)
}

/// The next events that people register for, among the next [`EVENTS_MAX`] of any kind.
fn next_events(txn: &dyn ReadTxn, now: Time) -> Result<NextEvents, Fault> {
    let mut next = NextEvents::default();
    let (mut from, to) = (key::event_start(now, Pk::from_bytes([0; 16])), Family::EventStarts.bounds().1);
    for _ in 0..EVENTS_MAX / SHOWN {
        let entries = txn.range(&from, &to, SHOWN)?;
        for pk in entries.iter().filter_map(|(key, _)| key::pk_at_end(key)) {
            let Some(event) = record::get::<Event>(txn, &key::event(pk))? else { continue };
            if !event.published || event.canceled || event.leisure {
                continue;
            }
            if next.events.len() == SHOWN {
                next.more = true;
                return Ok(next);
            }
            next.events.push(places(txn, pk, event)?);
        }
        match entries.into_iter().nth(SHOWN - 1) {
            Some((last, _)) => from = successor(last),
            None => return Ok(next),
        }
    }
    next.more = true;
    Ok(next)
}

fn places(txn: &dyn ReadTxn, pk: Pk, event: Event) -> Result<EventPlaces, Fault> {
    let head = seating::head(txn, pk)?;
    let pools = event.pools.into_iter().map(|pool| {
        let count = head.pools.get(&pool.slot).copied().unwrap_or_default();
        EventPoolPlaces {
            name: pool.name,
            capacity: pool.capacity,
            places_taken: count.taken,
            // Before it opens nobody waits for it yet, though it admits them.
            waiting_count: if pool.opens.is_none_or(|opens| opens <= head.at) { count.waiting } else { 0 },
        }
    });
    Ok(EventPlaces {
        pk,
        title: event.title,
        start: event.start,
        max_participants: event.max_participants,
        places_taken: head.taken,
        waiting_count: head.waiting,
        pools: pools.collect(),
    })
}
