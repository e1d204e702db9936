//! The past of an event: who held a place and who waited, in the order of the waiting list, after each change of the feed.
//!
//! It follows from the changes alone, from the event's making on. What they do not tell is never guessed: a position that
//! was given by hand before changes told positions makes the waiting list unknown from there on, and a past that does not
//! end with what there is now is no past of the event.

use std::collections::BTreeMap;

use enroll_protocol::Pk;
use enroll_protocol::changes::Change;

/// A past up to the change that was replayed last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    event: Pk,
    /// The pool of each place, or the event itself where it has no pools.
    seats: BTreeMap<Pk, Pk>,
    /// The waiting list.
    waiting: Vec<Pk>,
    /// The first change that the event was told of; `None` before it was made.
    made: Option<u64>,
    /// A person who was put into the waiting list, whose position the next change must tell.
    unplaced: Option<(Pk, u64)>,
    /// The change from which on the order of the waiting list is not known.
    unknown_from: Option<u64>,
}

/// Why a past can not be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// The event's making is not among the changes.
    Begins,
    /// This change put somebody into the waiting list, and no change tells where.
    Position(u64),
}

impl Past {
    /// The past of an event of which nothing was told yet.
    pub fn of(event: Pk) -> Self {
        let (seats, waiting) = (BTreeMap::new(), Vec::new());
        Self { event, seats, waiting, made: None, unplaced: None, unknown_from: None }
    }

    /// Takes the next change of the feed. Returns true if it is of this event.
    pub fn next(&mut self, change: &Change) -> bool {
        let is_ours = change.subjects.first() == Some(&self.event) && change.refused.is_none();
        let verb = match (change.area.as_str(), change.verb.as_str()) {
            ("event", "create") if is_ours => {
                self.made = Some(change.seq);
                return true;
            }
            ("registration", verb) if is_ours => verb,
            ("event", _) => return is_ours,
            _ => return false,
        };
        let Some(person) = change.subjects.get(1).copied() else { return true };
        let third = change.subjects.get(2).copied();
        if verb == "positioned" {
            self.position(person, third);
            return true;
        }
        self.expect_position();
        match (verb, third) {
            // In an event without pools the consequences name none.
            ("seated" | "moved", pool) => self.seat(person, pool.unwrap_or(self.event)),
            ("create" | "place" | "approve", Some(pool)) => self.seat(person, pool),
            ("create", None) => self.wait(person, self.waiting.len()),
            ("place", None) => {
                self.wait(person, self.waiting.len());
                self.unplaced = Some((person, change.seq));
            }
            ("cancel" | "reject" | "left", _) => self.leave(person),
            // An approval of somebody who waits, or who had the place already.
            _ => {}
        }
        true
    }

    /// Refuses a past that the changes so far do not tell.
    pub fn known(&self) -> Result<(), Unknown> {
        let unplaced = self.unplaced.map(|(_, seq)| seq);
        match (self.made, self.unknown_from.or(unplaced)) {
            (None, _) => Err(Unknown::Begins),
            // An empty waiting list has only one order.
            (Some(_), Some(seq)) if self.waiting.len() > 1 => Err(Unknown::Position(seq)),
            (Some(_), _) => Ok(()),
        }
    }

    /// Those who hold a place, each with its pool, or with the event itself where it has no pools.
    pub fn seats(&self) -> &BTreeMap<Pk, Pk> {
        &self.seats
    }

    /// The waiting list, in its order.
    pub fn waiting(&self) -> &[Pk] {
        &self.waiting
    }

    /// The number of places taken in this pool.
    pub fn taken_in(&self, pool: Pk) -> usize {
        self.seats.values().filter(|seat| **seat == pool).count()
    }

    fn seat(&mut self, person: Pk, pool: Pk) {
        self.leave(person);
        self.seats.insert(person, pool);
    }

    fn wait(&mut self, person: Pk, at: usize) {
        self.leave(person);
        self.waiting.insert(at.min(self.waiting.len()), person);
    }

    fn leave(&mut self, person: Pk) {
        self.seats.remove(&person);
        self.waiting.retain(|other| *other != person);
    }

    /// Puts the person in front of another one, or at the end.
    fn position(&mut self, person: Pk, behind: Option<Pk>) {
        self.leave(person);
        let at = match behind {
            None => self.waiting.len(),
            Some(behind) => match self.waiting.iter().position(|other| *other == behind) {
                Some(at) => at,
                // Nobody is behind them who is not in the list.
                None => return self.expect_position(),
            },
        };
        self.wait(person, at);
        self.unplaced = None;
    }

    fn expect_position(&mut self) {
        if let Some((_, seq)) = self.unplaced.take() {
            self.unknown_from.get_or_insert(seq);
        }
    }
}

#[cfg(test)]
mod tests {
    use enroll_protocol::changes::PeerId;

    use super::*;

    const EVENT: u8 = 1;

    fn pk(byte: u8) -> Pk {
        Pk::from_bytes([byte; 16])
    }

    /// The past of the event 1; 8 and 9 are its pools, other numbers are people.
    fn past(changes: &[(&str, &[u8])]) -> Past {
        let mut past = Past::of(pk(EVENT));
        for (seq, (name, subjects)) in (1..).zip(changes) {
            let (area, verb) = name.split_once('.').expect("area.verb");
            past.next(&Change {
                seq,
                at: "2026-01-31T18:00:00.000000Z".parse().expect("a time"),
                area: area.to_owned(),
                verb: verb.to_owned(),
                subjects: subjects.iter().map(|byte| pk(*byte)).collect(),
                actor: None,
                peer: PeerId { uid: 0, pid: 0, member: None },
                origin: None,
                cause: None,
                refused: None,
            });
        }
        past
    }

    fn waiting(past: &Past) -> Vec<Pk> {
        assert_eq!(past.known(), Ok(()));
        past.waiting().to_vec()
    }

    const FULL: [(&str, &[u8]); 4] = [
        ("event.create", &[EVENT]),
        ("registration.create", &[EVENT, 2, 8]),
        ("registration.create", &[EVENT, 3]),
        ("registration.create", &[EVENT, 4]),
    ];

    #[test]
    fn places_and_the_waiting_list_follow_from_the_changes() {
        let more: &[(&str, &[u8])] = &[
            ("registration.create", &[7, 5]),
            ("registration.cancel", &[EVENT, 2, 8]),
            ("registration.seated", &[EVENT, 3, 8]),
            ("registration.create", &[EVENT, 2]),
            ("registration.moved", &[EVENT, 3, 9]),
            ("person.delete", &[4]),
            ("registration.left", &[EVENT, 4]),
        ];
        let past = past(&[&FULL, more].concat());
        assert_eq!(waiting(&past), [pk(2)]);
        assert_eq!((past.seats().clone(), past.taken_in(pk(9))), ([(pk(3), pk(9))].into(), 1));
    }

    #[test]
    fn a_position_by_hand_is_where_the_changes_say() {
        for (behind, expected) in
            [(&[EVENT, 5, 3][..], [5, 3, 4]), (&[EVENT, 5, 4], [3, 5, 4]), (&[EVENT, 5], [3, 4, 5])]
        {
            let more: &[(&str, &[u8])] = &[("registration.place", &[EVENT, 5]), ("registration.positioned", behind)];
            assert_eq!(waiting(&past(&[&FULL, more].concat())), expected.map(pk));
        }
    }

    #[test]
    fn what_the_changes_do_not_tell_is_not_known() {
        assert_eq!(past(&FULL[1..]).known(), Err(Unknown::Begins));
        let placed: &[(&str, &[u8])] = &[("registration.place", &[EVENT, 5])];
        assert_eq!(past(&[&FULL, placed].concat()).known(), Err(Unknown::Position(5)));
        let later: &[(&str, &[u8])] = &[("registration.place", &[EVENT, 5]), ("registration.cancel", &[EVENT, 2, 8])];
        assert_eq!(past(&[&FULL, later].concat()).known(), Err(Unknown::Position(5)));
        let alone = past(&[("event.create", &[EVENT]), ("registration.place", &[EVENT, 5])]);
        assert_eq!(waiting(&alone), [pk(5)]);
    }
}
