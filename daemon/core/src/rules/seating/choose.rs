//! The decision on places: a place in a pool, the waiting list, or a refusal; and the verdict on each pool.
//!
//! Pools that admit the person and are open are possible. After the merge the first possible pool is chosen, as long as
//! the event has a place. Before the merge full pools are dropped, and of the others the most exclusive is chosen, of
//! equals the largest, of equals the oldest.

use std::cmp::Reverse;

use enroll_protocol::Time;

use crate::fault::Fault;
use crate::model::event::{Count, Event, Head, IMPLICIT, Slot};

/// The places of an event at a moment.
#[derive(Debug, Clone)]
pub(in crate::rules) struct Places {
    /// Its pools, oldest first.
    pub(in crate::rules) pools: Vec<PoolNow>,
    /// True after the merge: the places of all pools are one.
    pub(in crate::rules) is_merged: bool,
    /// True if the event can seat nobody else, whatever the pools hold.
    pub(in crate::rules) is_full: bool,
}

/// A pool at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) struct PoolNow {
    /// The pool's slot.
    pub(in crate::rules) slot: Slot,
    /// Capacity in places; none for any number.
    pub(in crate::rules) capacity: Option<u32>,
    /// Places taken, and people who wait.
    pub(in crate::rules) count: Count,
    /// True once it has opened.
    pub(in crate::rules) is_open: bool,
    /// Opening time, also of a pool that has opened; none for one that was never closed.
    pub(in crate::rules) opens: Option<Time>,
}

/// The outcome of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) enum Outcome {
    /// A place in this pool.
    Seat(Slot),
    /// No place is free: the waiting list, for every pool that is possible.
    Wait,
    /// No pool admits the person.
    NotAdmitted,
    /// Pools admit the person, and none is open; the time at which the first of them opens.
    NotOpen(Time),
}

/// The verdict on a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) enum Verdict {
    /// The person has no role for it.
    NotAdmitted,
    /// It is not open yet.
    NotOpen,
    /// All its places are taken.
    Full,
    /// The event has no place left.
    EventFull,
    /// It is the only one with a free place for the person.
    Only,
    /// It is the first possible one, and after the merge it does not matter which.
    First,
    /// Another one comes first, and after the merge it does not matter which.
    AfterFirst,
    /// Fewer people hold its roles than those of any other.
    MostExclusive,
    /// As exclusive as another one and larger than it.
    Largest,
    /// As exclusive and as large as another one, and older.
    Oldest,
    /// More people hold its roles than those of the chosen one.
    LessExclusive,
    /// As exclusive as the chosen one and smaller.
    Smaller,
    /// As exclusive and as large as the chosen one and younger.
    Younger,
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::rules) struct Choice {
    /// The outcome.
    pub(in crate::rules) outcome: Outcome,
    /// The verdict on each pool, oldest first.
    pub(in crate::rules) verdicts: Vec<(Slot, Verdict)>,
}

impl Places {
    /// The places of an event, counted by its head.
    pub(in crate::rules) fn of(event: &Event, head: &Head) -> Self {
        let count = |slot| head.pools.get(&slot).copied().unwrap_or_default();
        let mut pools: Vec<PoolNow> = (event.pools.iter())
            .map(|pool| PoolNow {
                slot: pool.slot,
                capacity: Some(pool.capacity).filter(|capacity| *capacity > 0),
                count: count(pool.slot),
                is_open: pool.opens.is_none_or(|opens| opens <= head.at),
                opens: pool.opens,
            })
            .collect();
        if pools.is_empty() {
            let (slot, capacity) = (IMPLICIT, event.max_participants);
            pools.push(PoolNow { slot, capacity, count: count(slot), is_open: true, opens: None });
        }
        let is_merged = event.merge_time.is_some_and(|merge| merge <= head.at);
        let taken = u64::from(head.taken);
        // Without a capacity a pool holds any number, and so does the event.
        let open = pools.iter().filter(|pool| pool.is_open).map(|pool| pool.capacity.map(u64::from));
        let merged_full = is_merged && open.sum::<Option<u64>>().is_some_and(|capacity| taken >= capacity);
        let is_full = merged_full || event.max_participants.is_some_and(|max| taken >= u64::from(max));
        Self { pools, is_merged, is_full }
    }

    /// True if a person may take a place in this pool.
    pub(in crate::rules) fn is_free(&self, pool: &PoolNow) -> bool {
        pool.is_open && !self.is_full && (self.is_merged || !pool.is_full())
    }
}

impl PoolNow {
    /// True if all its own places are taken.
    pub(in crate::rules) fn is_full(&self) -> bool {
        self.capacity.is_some_and(|capacity| self.count.taken >= capacity)
    }

    /// True if one person who moves makes room: a pool may hold more people than places, and then one is not enough.
    pub(in crate::rules) fn has_place_after_one(&self) -> bool {
        self.capacity == Some(self.count.taken)
    }
}

/// Decides for a person whom these pools admit. `exclusivity` counts the people who hold a pool's roles; it is called
/// only if the decision depends on it.
pub(in crate::rules) fn choose(
    places: &Places,
    admitted: &[Slot],
    exclusivity: &mut dyn FnMut(Slot) -> Result<u64, Fault>,
) -> Result<Choice, Fault> {
    let mut verdicts = Vec::with_capacity(places.pools.len());
    let mut free: Vec<&PoolNow> = Vec::new();
    for pool in &places.pools {
        let against = match pool {
            _ if !admitted.contains(&pool.slot) => Verdict::NotAdmitted,
            _ if !pool.is_open => Verdict::NotOpen,
            _ if places.is_full => Verdict::EventFull,
            _ if !places.is_free(pool) => Verdict::Full,
            _ => {
                free.push(pool);
                Verdict::Only
            }
        };
        verdicts.push((pool.slot, against));
    }
    let mut judge = |slot: Slot, verdict| {
        verdicts.iter_mut().filter(|(other, _)| *other == slot).for_each(|(_, judged)| *judged = verdict);
    };
    let chosen = match free.as_slice() {
        [] => None,
        [only] => Some(only.slot),
        [first, others @ ..] if places.is_merged => {
            judge(first.slot, Verdict::First);
            others.iter().for_each(|pool| judge(pool.slot, Verdict::AfterFirst));
            Some(first.slot)
        }
        several => Some(best(several, exclusivity, &mut judge)?),
    };
    let outcome = match chosen {
        Some(slot) => Outcome::Seat(slot),
        None if verdicts.iter().any(|(_, verdict)| matches!(verdict, Verdict::Full | Verdict::EventFull)) => {
            Outcome::Wait
        }
        None => {
            let opens = places.pools.iter().filter(|pool| admitted.contains(&pool.slot)).filter_map(|pool| pool.opens);
            opens.min().map_or(Outcome::NotAdmitted, Outcome::NotOpen)
        }
    };
    Ok(Choice { outcome, verdicts })
}

/// The most exclusive pool, of equals the largest, of equals the oldest.
fn best(
    pools: &[&PoolNow],
    exclusivity: &mut dyn FnMut(Slot) -> Result<u64, Fault>,
    judge: &mut dyn FnMut(Slot, Verdict),
) -> Result<Slot, Fault> {
    let mut ranked = Vec::with_capacity(pools.len());
    for pool in pools {
        let size = pool.capacity.map_or(u64::MAX, u64::from);
        ranked.push((exclusivity(pool.slot)?, Reverse(size), pool.slot));
    }
    ranked.sort_unstable();
    let (holders, size, slot) = ranked[0];
    for (other_holders, other_size, other) in &ranked[1..] {
        let verdict = if *other_holders > holders {
            Verdict::LessExclusive
        } else if *other_size > size {
            Verdict::Smaller
        } else {
            Verdict::Younger
        };
        judge(*other, verdict);
    }
    let (next_holders, next_size, _) = ranked[1];
    let verdict = if next_holders > holders {
        Verdict::MostExclusive
    } else if next_size > size {
        Verdict::Largest
    } else {
        Verdict::Oldest
    };
    judge(slot, verdict);
    Ok(slot)
}
