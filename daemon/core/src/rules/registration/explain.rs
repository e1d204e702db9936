//! Explanation of a decision on registering: outcome, reasons and the verdict on each pool, as `create` would decide
//! now.

use enroll_protocol::EventPoolName;
use enroll_protocol::registration::{Explain, Explanation, PoolExplanation};

use super::eligibility::{Eligibility, determine};
use super::enter;
use crate::draft::Draft;
use crate::fault::Fault;
use crate::model::event::{Pool, Registration, Stand};
use crate::rules::seating::choose::{Outcome, Places, PoolNow, Verdict};
use crate::rules::seating::{Attribution, STEP_MAX, Seats, exclusivity, position};
use crate::rules::{Call, ReadOp, event, role};
use crate::state::ReadTxn;

impl ReadOp for Explain {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Explanation, Fault> {
        let (event_pk, event) = event::require_visible(txn, call, &self.event)?;
        let person = role::require_person(txn, &self.person)?;
        call.permit(txn, call.is_actor(person) || call.is_actor(event.owner))?;
        // Due steps come first, as in `create`. The overlay is dropped at the end.
        let mut overlay = Draft::new(txn);
        let mut seats = Seats::open(&mut overlay, Attribution::of(call), event_pk, event)?;
        seats.settle_all()?;
        let before = seats.registration(person)?;
        let eligibility = determine(&mut seats, person, before.as_ref())?;
        let places = seats.places();
        // Somebody may move to make room for the person, so the outcome shows only after registering and settling.
        let after = match &eligibility.outcome {
            Ok(outcome) => {
                enter(&mut seats, call, person, before.as_ref(), *outcome)?;
                seats.settle(STEP_MAX)?;
                Some(seats.require_registration(person)?)
            }
            Err(_) => before,
        };
        explain(&seats, &places, &eligibility, after.as_ref())
    }
}

fn explain(
    seats: &Seats<'_>,
    places: &Places,
    eligibility: &Eligibility,
    after: Option<&Registration>,
) -> Result<Explanation, Fault> {
    let chosen = match after.map(|after| after.stand) {
        Some(Stand::Seated(slot)) if eligibility.outcome.is_ok() => Some(slot),
        _ => None,
    };
    let mut pools = Vec::with_capacity(seats.event.pools.len());
    for pool in &seats.event.pools {
        let verdict = eligibility.choice.verdicts.iter().find(|(slot, _)| *slot == pool.slot);
        let now = places.pools.iter().find(|now| now.slot == pool.slot);
        let (Some((_, verdict)), Some(now)) = (verdict, now) else { continue };
        pools.push(PoolExplanation {
            pk: pool.pk,
            name: pool.name.clone(),
            admits: *verdict != Verdict::NotAdmitted,
            open: now.is_open,
            opens: pool.opens,
            capacity: pool.capacity,
            places_taken: now.count.taken,
            exclusivity: exclusivity(seats.txn.as_read(), &seats.event, pool.slot)?,
            chosen: chosen == Some(pool.slot),
            because: reason(pool, now, *verdict, chosen == Some(pool.slot)),
        });
    }
    let pool = chosen.and_then(|slot| seats.event.pools.iter().find(|pool| pool.slot == slot));
    let waiting = after.filter(|after| after.stand == Stand::Waiting);
    let waiting_position = waiting.map(|waiting| position(seats.txn.as_read(), seats.pk, waiting.order)).transpose()?;
    let mut because = sentences(places, eligibility, pool.map(|pool| &pool.name), waiting_position);
    because.extend(after.and_then(by_hand));
    let outcome = match &eligibility.outcome {
        Ok(_) if chosen.is_some() => "seat".to_owned(),
        Ok(_) => "wait".to_owned(),
        Err(refusal) => refusal.code.to_string(),
    };
    Ok(Explanation { outcome, pool: pool.map(|pool| pool.pk), waiting_position, pools, because })
}

/// The verdict on a pool, in a sentence.
fn reason(pool: &Pool, now: &PoolNow, verdict: Verdict, is_chosen: bool) -> String {
    let roles = || pool.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
    match verdict {
        Verdict::NotAdmitted => format!("the person has none of its roles ({})", roles()),
        Verdict::NotOpen => match pool.opens {
            Some(opens) => format!("it opens at {opens}"),
            None => "it is not open".to_owned(),
        },
        Verdict::Full if is_chosen => "its places are taken, and somebody there can move to another pool".to_owned(),
        Verdict::Full if now.capacity == Some(1) => "its one place is taken".to_owned(),
        Verdict::Full => format!("all of its {} places are taken", now.capacity.unwrap_or(0)),
        Verdict::EventFull => "the event has no place left, whatever this pool has".to_owned(),
        Verdict::Only => "it is the only one with a free place for the person".to_owned(),
        Verdict::First => "it is the first one possible; after the merge it does not matter which".to_owned(),
        Verdict::AfterFirst => "another one comes first; after the merge it does not matter which".to_owned(),
        Verdict::MostExclusive => "fewer people have its roles than those of any other with a free place".to_owned(),
        Verdict::Largest => "of those that are as exclusive it has the most places".to_owned(),
        Verdict::Oldest => "of those that are as exclusive and as large it is the oldest".to_owned(),
        Verdict::LessExclusive => "more people have its roles than those of the chosen one".to_owned(),
        Verdict::Smaller => "it is as exclusive as the chosen one and has fewer places".to_owned(),
        Verdict::Younger => "it is as exclusive and as large as the chosen one, and younger".to_owned(),
    }
}

/// The reasons of the decision, in sentences.
fn sentences(
    places: &Places,
    eligibility: &Eligibility,
    pool: Option<&EventPoolName>,
    position: Option<u32>,
) -> Vec<String> {
    let mut because = Vec::new();
    if places.is_merged {
        because.push("the pools have been merged: their places are one".to_owned());
    }
    match (&eligibility.outcome, pool) {
        (Ok(Outcome::Seat(_)), Some(pool)) => because.push(format!("there is a free place in the pool \"{pool}\"")),
        (Ok(Outcome::Seat(_)), None) => because.push("there is a free place".to_owned()),
        (Ok(_), Some(pool)) => {
            because.push(format!("somebody moves to another pool, which leaves a place in the pool \"{pool}\""));
        }
        (Ok(_), None) => because.push("every place that the person could have is taken".to_owned()),
        (Err(refusal), _) => because.push(refusal.message.clone()),
    }
    if let Some(position) = position {
        because.push(format!("number {position} in the waiting list"));
        if eligibility.outcome.is_ok() {
            because.push(match to_leave(places, eligibility) {
                1 => "the next place that comes free there is theirs".to_owned(),
                count => format!("at most {count} people would have to leave before a place comes"),
            });
        }
    }
    because
}

/// The sentence on a placement by hand.
fn by_hand(registration: &Registration) -> Option<String> {
    let placed = registration.placed.as_ref()?;
    let reason = &placed.reason;
    Some(match registration.stand {
        Stand::Out => return None,
        Stand::Seated(_) if placed.is_fixed => {
            format!("the place was given by hand, and nobody moves it to another pool: {reason}")
        }
        _ => format!("the position in the waiting list was given by hand: {reason}"),
    })
}

/// The most people who would have to leave: all who wait for the least wanted of the possible pools, and one more.
fn to_leave(places: &Places, eligibility: &Eligibility) -> u32 {
    let possible =
        eligibility.choice.verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Full | Verdict::EventFull));
    let waiting = |slot| places.pools.iter().find(|pool| pool.slot == slot).map(|pool| pool.count.waiting);
    possible.filter_map(|(slot, _)| waiting(*slot)).min().unwrap_or(0) + 1
}
