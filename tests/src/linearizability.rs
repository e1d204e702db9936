//! A linearizability checker: it looks for one order of all clients' calls on a key, in which each operation takes
//! effect at once, at some moment between its call and its answer, and answers what the model answers.
//!
//! An operation without an answer may take effect at any moment after its call, or never. The search is Wing and Gong's
//! with memoization: it visits each set of done operations and state of the key once.

use std::collections::HashSet;
use std::fmt::{self, Display, Formatter};

/// A search notes what is done as the bits of one number.
pub const OPERATIONS_MAX: usize = 64;

/// The state of a key. A token is unused until somebody uses it; a login code is absent until it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Not made yet.
    Absent,
    /// Made, and free to be used.
    Unused,
    /// Used, by the use of this number.
    Used(u64),
    /// Two tokens under one key, and the use of each.
    Pair([Option<u64>; 2]),
}

/// The operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Make the key. There is one making of a key; asked for again, it answers as it did.
    Make,
    /// Use the key. Asked for again under its number, it is the same use.
    Use(u64),
    /// Look at the key.
    Get,
    /// Use both tokens of a pair, or none.
    UseBoth(u64),
    /// Use one token of a pair.
    UseOf(usize, u64),
    /// Look at one token of a pair.
    GetOf(usize),
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// It was used before, by another use.
    Reuse,
    /// There is no such key.
    NotFound,
    /// The state that a read saw.
    Is(State),
}

/// One call of one client, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The client.
    pub client: usize,
    /// The moment before the request was sent.
    pub called: u64,
    /// The operation.
    pub call: Call,
    /// The moment after the answer, and the answer; `None` if it never came.
    pub answered: Option<(u64, Answer)>,
}

/// All that was recorded about one key. Moments are counted, and each stands for one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The state before the first call.
    pub begins: State,
    /// The calls, in any order.
    pub operations: Vec<Operation>,
}

impl State {
    /// The next state of the key, and the answer.
    fn after(self, call: Call) -> (Self, Answer) {
        match (call, self) {
            (Call::Make, Self::Absent) => (Self::Unused, Answer::Done),
            (Call::Make, made) => (made, Answer::Done),
            (Call::Use(_), Self::Absent) => (self, Answer::NotFound),
            (Call::Use(by), Self::Unused) => (Self::Used(by), Answer::Done),
            (Call::Use(by), Self::Used(first)) => (self, used_before(by == first)),
            (Call::Get, _) => (self, Answer::Is(self)),
            (Call::UseBoth(by), Self::Pair([None, None])) => (Self::Pair([Some(by); 2]), Answer::Done),
            (Call::UseBoth(by), Self::Pair(uses)) => (self, used_before(uses == [Some(by); 2])),
            (Call::UseOf(at, by), Self::Pair(mut uses)) => match uses[at].replace(by) {
                None => (Self::Pair(uses), Answer::Done),
                Some(first) => (self, used_before(first == by)),
            },
            (Call::GetOf(at), Self::Pair(uses)) => (self, Answer::Is(uses[at].map_or(Self::Unused, Self::Used))),
            (call, _) => panic!("{call:?} of {self:?}"),
        }
    }
}

/// The answer to a use of what is used.
fn used_before(by_the_same: bool) -> Answer {
    if by_the_same { Answer::Done } else { Answer::Reuse }
}

impl Operation {
    /// True if both calls were open at one moment.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.called < other.ends() && other.called < self.ends()
    }

    /// The answer, if it came.
    pub fn answer(&self) -> Option<Answer> {
        self.answered.map(|(_, answer)| answer)
    }

    /// True if the model may give this answer.
    fn accepts(&self, answer: Answer) -> bool {
        self.answer().is_none_or(|answered| answered == answer)
    }

    /// From this moment on it can no longer take effect.
    fn ends(&self) -> u64 {
        self.answered.map_or(u64::MAX, |(moment, _)| moment)
    }
}

impl History {
    /// True if a linearization exists.
    pub fn is_linearizable(&self) -> bool {
        assert!(self.operations.len() <= OPERATIONS_MAX, "a history of {} operations", self.operations.len());
        let operations = || self.operations.iter().enumerate().map(|(at, operation)| (1_u64 << at, operation));
        let answered: u64 = operations().filter(|(_, it)| it.answered.is_some()).map(|(bit, _)| bit).sum();
        let (mut been, mut open) = (HashSet::new(), vec![(0, self.begins)]);
        while let Some((done, state)) = open.pop() {
            if answered & !done == 0 {
                return true;
            }
            if !been.insert((done, state)) {
                continue;
            }
            let to_do = || operations().filter(|(bit, _)| done & bit == 0);
            // A call that began after another one's answer comes after it.
            let Some(first_end) = to_do().map(|(_, operation)| operation.ends()).min() else { continue };
            let next: Vec<_> = to_do()
                .filter(|(_, operation)| operation.called < first_end)
                .map(|(bit, operation)| (bit, operation, state.after(operation.call)))
                .filter(|(_, operation, (_, answer))| operation.accepts(*answer))
                .collect();
            // An answer that fits and changes nothing may as well come now: it holds nobody up. What changes nothing
            // and was not answered may as well never come.
            match next.iter().find(|(_, operation, (after, _))| operation.answered.is_some() && *after == state) {
                Some((bit, ..)) => open.push((done | bit, state)),
                None => {
                    let changes = next.iter().filter(|(_, _, (after, _))| *after != state);
                    open.extend(changes.map(|(bit, _, (after, _))| (done | bit, *after)));
                }
            }
        }
        false
    }
}

/// Every event in its order, one a line.
impl Display for History {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut events = Vec::new();
        for Operation { client, called, call, answered } in &self.operations {
            let fate = if answered.is_none() { ", which is never answered" } else { "" };
            events.push((*called, format!("client {client} calls {call:?}{fate}")));
            events.extend(answered.map(|(moment, answer)| (moment, format!("client {client} is answered {answer:?}"))));
        }
        events.sort();
        writeln!(f, "{:>8}  {:?}", "begins", self.begins)?;
        events.iter().try_for_each(|(moment, event)| writeln!(f, "{moment:>8}  {event}"))
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::Answer::{Done, Is, NotFound, Reuse};
    use super::Call::{Get, GetOf, Make, Use, UseBoth, UseOf};
    use super::State::{Absent, Pair, Unused, Used};
    use super::*;

    fn operation(called: u64, call: Call, answered: Option<(u64, Answer)>) -> Operation {
        Operation { client: 0, called, call, answered }
    }

    fn got(called: u64, ends: u64, call: Call, answer: Answer) -> Operation {
        operation(called, call, Some((ends, answer)))
    }

    fn lost(called: u64, call: Call) -> Operation {
        operation(called, call, None)
    }

    fn expect(table: Vec<(&str, State, Vec<Operation>, bool)>) {
        for (what, begins, operations, expected) in table {
            let history = History { begins, operations };
            assert_eq!(history.is_linearizable(), expected, "{what}:\n{history}");
            assert_eq!(by_trying_every_order(&history), expected, "{what}, by trying every order:\n{history}");
        }
    }

    #[test]
    fn what_was_answered_one_after_the_other_must_fit_in_that_order() {
        expect(vec![
            ("nothing", Unused, vec![], true),
            ("a use", Unused, vec![got(1, 2, Use(1), Done)], true),
            ("a use of nothing", Absent, vec![got(1, 2, Use(1), Done)], false),
            ("a use of nothing, refused", Absent, vec![got(1, 2, Use(1), NotFound)], true),
            ("nobody used it before", Unused, vec![got(1, 2, Use(1), Reuse)], false),
            ("a second use", Unused, vec![got(1, 2, Use(1), Done), got(3, 4, Use(2), Reuse)], true),
            ("a double use", Unused, vec![got(1, 2, Use(1), Done), got(3, 4, Use(2), Done)], false),
            ("one use, asked for again", Unused, vec![got(1, 2, Use(1), Done), got(3, 4, Use(1), Done)], true),
            ("one use, answered otherwise", Unused, vec![got(1, 2, Use(1), Done), got(3, 4, Use(1), Reuse)], false),
            ("a look behind a use", Unused, vec![got(1, 2, Use(1), Done), got(3, 4, Get, Is(Used(1)))], true),
            ("a stale look", Unused, vec![got(1, 2, Use(1), Done), got(3, 4, Get, Is(Unused))], false),
            ("another one's use", Unused, vec![got(1, 2, Use(1), Done), got(3, 4, Get, Is(Used(2)))], false),
            (
                "a look that goes back",
                Unused,
                vec![got(1, 9, Use(1), Done), got(2, 3, Get, Is(Used(1))), got(4, 5, Get, Is(Unused))],
                false,
            ),
            ("a code is made", Absent, vec![got(1, 2, Get, Is(Absent)), got(3, 4, Make, Done)], true),
            ("a code is lost", Absent, vec![got(1, 2, Make, Done), got(3, 4, Use(1), NotFound)], false),
            ("a use forgotten", Unused, vec![got(1, 2, Use(1), Done), got(3, 4, Use(2), Done)], false),
        ]);
    }

    #[test]
    fn both_tokens_of_a_pair_are_used_at_once_or_none() {
        let free = Pair([None, None]);
        expect(vec![
            ("a use of both", free, vec![got(1, 2, UseBoth(1), Done), got(3, 4, GetOf(1), Is(Used(1)))], true),
            ("half a use", free, vec![got(1, 2, UseBoth(1), Done), got(3, 4, GetOf(1), Is(Unused))], false),
            ("one is used", free, vec![got(1, 2, UseOf(0, 1), Done), got(3, 4, UseBoth(2), Reuse)], true),
            ("the other one is free", free, vec![got(1, 2, UseOf(0, 1), Done), got(3, 4, UseOf(1, 2), Done)], true),
            ("one is used twice", free, vec![got(1, 2, UseOf(0, 1), Done), got(3, 4, UseBoth(2), Done)], false),
            ("both, asked for again", free, vec![got(1, 2, UseBoth(1), Done), got(3, 4, UseBoth(1), Done)], true),
            (
                "a refused one leaves nothing",
                free,
                vec![got(1, 2, UseOf(0, 1), Done), got(3, 4, UseBoth(2), Reuse), got(5, 6, GetOf(1), Is(Used(2)))],
                false,
            ),
            (
                "a lost one is seen by half",
                free,
                vec![lost(1, UseBoth(1)), got(2, 3, GetOf(0), Is(Used(1))), got(4, 5, GetOf(1), Is(Unused))],
                false,
            ),
            (
                "a lost one is seen whole",
                free,
                vec![lost(1, UseBoth(1)), got(2, 3, GetOf(0), Is(Used(1))), got(4, 5, GetOf(1), Is(Used(1)))],
                true,
            ),
        ]);
    }

    #[test]
    fn what_overlaps_may_have_come_in_any_order() {
        expect(vec![
            ("the later one won", Unused, vec![got(1, 4, Use(1), Reuse), got(2, 3, Use(2), Done)], true),
            ("both won", Unused, vec![got(1, 4, Use(1), Done), got(2, 3, Use(2), Done)], false),
            ("nobody won", Unused, vec![got(1, 4, Use(1), Reuse), got(2, 3, Use(2), Reuse)], false),
            ("looked before", Unused, vec![got(1, 4, Use(1), Done), got(2, 3, Get, Is(Unused))], true),
            ("looked behind", Unused, vec![got(1, 4, Use(1), Done), got(2, 3, Get, Is(Used(1)))], true),
            (
                "refused before the winner was called",
                Unused,
                vec![got(1, 2, Use(1), Reuse), got(3, 4, Use(2), Done)],
                false,
            ),
            (
                "two looks, the second one longer open",
                Unused,
                vec![got(1, 8, Use(1), Done), got(2, 4, Get, Is(Used(1))), got(3, 6, Get, Is(Unused))],
                true,
            ),
        ]);
    }

    #[test]
    fn what_was_not_answered_may_have_happened_or_not_and_late() {
        expect(vec![
            ("it never happened", Unused, vec![lost(1, Use(1)), got(2, 3, Use(2), Done)], true),
            ("it explains a refusal", Unused, vec![lost(1, Use(1)), got(2, 3, Use(2), Reuse)], true),
            ("it had not been called yet", Unused, vec![got(1, 2, Use(2), Reuse), lost(3, Use(1))], false),
            ("it came late", Unused, vec![lost(1, Use(1)), got(2, 3, Get, Is(Unused)), got(4, 5, Use(2), Reuse)], true),
            (
                "it came and went",
                Unused,
                vec![lost(1, Use(1)), got(2, 3, Get, Is(Used(1))), got(4, 5, Use(2), Done)],
                false,
            ),
            ("asked for again, it is done", Unused, vec![lost(1, Use(1)), got(2, 3, Use(1), Done)], true),
            (
                "asked for again, it came too late",
                Unused,
                vec![lost(1, Use(1)), got(2, 3, Use(2), Done), got(4, 5, Use(1), Reuse)],
                true,
            ),
            (
                "asked for again, two won",
                Unused,
                vec![lost(1, Use(1)), got(2, 3, Use(2), Done), got(4, 5, Use(1), Done)],
                false,
            ),
            ("it was made", Absent, vec![lost(1, Make), got(2, 3, Use(1), Done)], true),
            ("it was made twice", Absent, vec![lost(1, Make), got(2, 3, Make, Done), got(4, 5, Use(1), Done)], true),
            ("it was not made", Absent, vec![lost(1, Make), got(2, 3, Use(1), NotFound)], true),
            (
                "it was made and then was not",
                Absent,
                vec![lost(1, Make), got(2, 3, Get, Is(Unused)), got(4, 5, Get, Is(Absent))],
                false,
            ),
        ]);
    }

    #[test]
    fn a_history_is_told_in_the_order_of_its_events() {
        let history = History { begins: Unused, operations: vec![lost(3, Use(2)), got(1, 4, Get, Is(Used(1)))] };
        let expected = "  begins  Unused\n       1  client 0 calls Get\n       3  client 0 calls Use(2), which is never \
                        answered\n       4  client 0 is answered Is(Used(1))\n";
        assert_eq!(history.to_string(), expected);
    }

    /// Random small histories, of which about a third fits.
    #[test]
    fn the_search_agrees_with_trying_every_order() {
        let mut random = SmallRng::seed_from_u64(20_260_131);
        let mut counts = [0, 0];
        for _ in 0..20_000 {
            let history = random_history(&mut random);
            let expected = by_trying_every_order(&history);
            assert_eq!(history.is_linearizable(), expected, "{history}");
            counts[usize::from(expected)] += 1;
        }
        assert!(counts.iter().all(|count| *count > 2_000), "{counts:?}");
    }

    #[test]
    fn the_longest_history_is_searched() {
        let lost = (0..40).map(|number| lost(number, Use(number)));
        let refused = (40..OPERATIONS_MAX as u64).map(|number| got(number, 200 + number, Use(number), Reuse));
        let mut history = History { begins: Unused, operations: lost.chain(refused).collect() };
        assert!(history.is_linearizable());
        history.operations[63] = got(300, 301, Get, Is(Used(63)));
        assert!(!history.is_linearizable());
    }

    fn random_history(random: &mut SmallRng) -> History {
        let begins = [Absent, Unused][random.random_range(0..2)];
        let count = random.random_range(1..=5);
        let operations = (0..count).map(|_| {
            let by = random.random_range(1..=3);
            let (call, answers) = match random.random_range(0..7) {
                0 => (Make, vec![Done]),
                1..5 => (Use(by), vec![Done, Done, Reuse, NotFound]),
                _ => (Get, vec![Is(Absent), Is(Unused), Is(Used(by))]),
            };
            let called = random.random_range(0..8);
            let answer = answers[random.random_range(0..answers.len())];
            let ends = called + random.random_range(1..6);
            operation(called * 2, call, random.random_bool(0.8).then_some((ends * 2 + 1, answer)))
        });
        History { begins, operations: operations.collect() }
    }

    /// As simple as it can be said: any operation that nobody else has to come before may be the next one.
    fn by_trying_every_order(history: &History) -> bool {
        fn fits(state: State, to_do: &[Operation]) -> bool {
            let is_next = |operation: &Operation| to_do.iter().all(|other| operation.called < other.ends());
            to_do.iter().all(|operation| operation.answered.is_none())
                || to_do.iter().enumerate().filter(|(_, operation)| is_next(operation)).any(|(at, operation)| {
                    let rest = [&to_do[..at], &to_do[at + 1..]].concat();
                    let (next, answer) = state.after(operation.call);
                    operation.accepts(answer) && fits(next, &rest)
                })
        }
        fits(history.begins, &history.operations)
    }
}
