//! The replay of the feed for one event: from each change follows who has a place, who waits, and how many there are.
//!
//! The counts of now are known, so the replay needs differences only: where the feed no longer reaches back to the
//! event's beginning, what is left over is what was there before.

use std::collections::BTreeMap;

use enroll_client::protocol::changes::Change;
use enroll_client::protocol::{Pk, Time};

/// The stand of one person at the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    Out,
    Waiting,
    /// In this pool; `None` where it is not known.
    Seated(Option<Pk>),
}

/// Places taken and people who wait, at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Places taken.
    pub(super) taken: i64,
    /// People who wait.
    pub(super) waiting: i64,
    /// Places taken, by pool.
    pub(super) pools: BTreeMap<Pk, i64>,
}

/// The counts from a time on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// The time.
    pub(super) at: Time,
    /// The counts.
    pub(super) counts: Counts,
}

/// A replay of the changes of one event.
#[derive(Debug)]
pub(super) struct Replay {
    event: Pk,
    /// Deletions of people from then on leave the registrations as they are.
    over: Time,
    stands: BTreeMap<Pk, Stand>,
    counts: Counts,
    steps: Vec<Step>,
    /// The event was made in what was replayed.
    pub(super) is_whole: bool,
    /// The first change that was replayed.
    pub(super) first: Option<Time>,
    /// Times at which the event or its pools were changed, and so perhaps the capacity.
    pub(super) edits: Vec<Time>,
}

impl Replay {
    /// An empty one, for an event that is over at this time.
    pub(super) fn of(event: Pk, over: Time) -> Self {
        let (stands, counts, steps, edits) = (BTreeMap::new(), Counts::default(), Vec::new(), Vec::new());
        Self { event, over, stands, counts, steps, is_whole: false, first: None, edits }
    }

    /// Replays the next change. Returns true if it is of this event.
    pub(super) fn next(&mut self, change: &Change) -> bool {
        self.first.get_or_insert(change.at);
        let first = change.subjects.first().copied();
        if change.refused.is_some() {
            return false;
        }
        match (change.area.as_str(), change.verb.as_str()) {
            ("registration", verb) if first == Some(self.event) => {
                let Some(person) = change.subjects.get(1).copied() else { return false };
                self.register(change.at, verb, person, change.subjects.get(2).copied());
                true
            }
            ("event", "create") if first == Some(self.event) => {
                self.is_whole = true;
                true
            }
            ("event", "add_pool" | "update_pool" | "remove_pool" | "update") if first == Some(self.event) => {
                self.edits.push(change.at);
                true
            }
            ("person", "delete" | "revoke") if change.at < self.over => {
                let Some(person) = first.filter(|person| self.stands.contains_key(person)) else { return false };
                self.set(change.at, person, Stand::Out);
                true
            }
            _ => false,
        }
    }

    fn register(&mut self, at: Time, verb: &str, person: Pk, pool: Option<Pk>) {
        let seated = pool.map(|pool| Stand::Seated(Some(pool)));
        // In an event without pools its consequences name none.
        let derived = Stand::Seated(Some(pool.unwrap_or(self.event)));
        let (before, after) = match verb {
            "create" => (Stand::Out, seated.unwrap_or(Stand::Waiting)),
            "place" => (Stand::Out, seated.unwrap_or(Stand::Waiting)),
            "seated" => (Stand::Waiting, derived),
            "moved" => (Stand::Seated(None), derived),
            "cancel" | "reject" | "left" => (seated.unwrap_or(Stand::Waiting), Stand::Out),
            "approve" => match seated {
                Some(seated) => (Stand::Out, seated),
                None => return,
            },
            _ => return,
        };
        // Whoever is not known was not registered, or was before the feed begins.
        let unknown = if self.is_whole { Stand::Out } else { before };
        self.stands.entry(person).or_insert(unknown);
        self.set(at, person, after);
    }

    fn set(&mut self, at: Time, person: Pk, after: Stand) {
        let before = self.stands.insert(person, after).unwrap_or(Stand::Out);
        if before == after {
            return;
        }
        self.counts.add(before, -1);
        self.counts.add(after, 1);
        self.steps.push(Step { at, counts: self.counts.clone() });
    }

    /// The counts before the first step, and every step, so that the last one has these counts.
    pub(super) fn anchored(&self, now: &Counts) -> (Counts, Vec<Step>) {
        let mut before = now.clone();
        before.subtract(&self.counts);
        let steps = self.steps.iter().map(|step| {
            let mut counts = before.clone();
            counts.merge(&step.counts);
            Step { at: step.at, counts }
        });
        let steps = steps.collect();
        (before, steps)
    }
}

impl Counts {
    fn add(&mut self, stand: Stand, by: i64) {
        match stand {
            Stand::Out => {}
            Stand::Waiting => self.waiting += by,
            Stand::Seated(pool) => {
                self.taken += by;
                if let Some(pool) = pool {
                    *self.pools.entry(pool).or_default() += by;
                }
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        self.taken += other.taken;
        self.waiting += other.waiting;
        other.pools.iter().for_each(|(pool, count)| *self.pools.entry(*pool).or_default() += count);
    }

    fn subtract(&mut self, other: &Self) {
        self.taken -= other.taken;
        self.waiting -= other.waiting;
        other.pools.iter().for_each(|(pool, count)| *self.pools.entry(*pool).or_default() -= count);
    }

    /// True if nobody is there.
    pub(super) fn is_nothing(&self) -> bool {
        self.taken == 0 && self.waiting == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hooks::tests::change;

    /// The event has the pk 1, its pools 8 and 9, other pks are people.
    const EVENT: u8 = 1;

    fn pk(byte: u8) -> Pk {
        Pk::from_bytes([byte; 16])
    }

    fn replay(changes: &[(&str, &[u8])]) -> Replay {
        let mut replay = Replay::of(pk(EVENT), "2999-01-01T00:00:00Z".parse().expect("a time"));
        for (at, (name, subjects)) in changes.iter().enumerate() {
            replay.next(&change(at as u64, name, subjects));
        }
        replay
    }

    fn counts(taken: i64, waiting: i64, pools: &[(u8, i64)]) -> Counts {
        Counts { taken, waiting, pools: pools.iter().map(|(pool, count)| (pk(*pool), *count)).collect() }
    }

    fn of_steps(steps: &[Step]) -> Vec<(i64, i64)> {
        steps.iter().map(|step| (step.counts.taken, step.counts.waiting)).collect()
    }

    #[test]
    fn places_and_waiting_list_follow_from_the_changes() {
        let replay = replay(&[
            ("event.create", &[EVENT]),
            ("registration.create", &[EVENT, 2, 8]),
            ("registration.create", &[EVENT, 3]),
            ("registration.create", &[7, 4, 8]),
            ("registration.cancel", &[EVENT, 2, 8]),
            ("registration.seated", &[EVENT, 3, 8]),
            ("registration.create", &[EVENT, 2]),
            ("registration.moved", &[EVENT, 3, 9]),
            ("registration.seated", &[EVENT, 2, 8]),
            ("registration.approve", &[EVENT, 2]),
            ("registration.reject", &[EVENT, 3, 9]),
            ("registration.approve", &[EVENT, 3, 9]),
            ("registration.place", &[EVENT, 3, 8]),
            ("person.delete", &[3]),
            ("person.delete", &[6]),
            ("registration.place", &[EVENT, 2]),
        ]);
        assert!(replay.is_whole);
        let (before, steps) = replay.anchored(&counts(0, 1, &[]));
        assert!(before.is_nothing(), "{before:?}");
        let expected = [(1, 0), (1, 1), (0, 1), (1, 0), (1, 1), (1, 1), (2, 0), (1, 0), (2, 0), (2, 0), (1, 0), (0, 1)];
        assert_eq!(of_steps(&steps), expected);
        assert_eq!(steps[8].counts.pools, counts(0, 0, &[(8, 1), (9, 1)]).pools);
        assert_eq!(steps[9].counts.pools, counts(0, 0, &[(8, 2), (9, 0)]).pools);
    }

    #[test]
    fn a_feed_that_begins_later_has_what_was_there_before() {
        let replay = replay(&[
            ("registration.seated", &[EVENT, 2, 8]),
            ("registration.cancel", &[EVENT, 3, 8]),
            ("registration.cancel", &[EVENT, 4]),
            ("registration.create", &[EVENT, 5, 9]),
        ]);
        assert!(!replay.is_whole);
        let (before, steps) = replay.anchored(&counts(5, 3, &[(8, 4), (9, 1)]));
        assert_eq!(before, counts(4, 5, &[(8, 4), (9, 0)]));
        assert_eq!(of_steps(&steps), [(5, 4), (4, 4), (4, 3), (5, 3)]);
    }
}
