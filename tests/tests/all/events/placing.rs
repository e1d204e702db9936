//! Model tests: placements by hand.

use enroll_protocol::Code;
use enroll_protocol::registration;
use rand::RngExt as _;

use super::expect::expect_same;
use super::history::{History, name};
use enroll_tests::event_model::Target;

impl History {
    pub(super) fn place(&mut self, at: usize, person: usize) {
        let pools: Vec<String> = self.events[at].1.pools.iter().map(|pool| pool.name.clone()).collect();
        let target = match self.random.random_range(0..4) {
            0 if !pools.is_empty() => Target::In(pools[self.random.random_range(0..pools.len())].clone()),
            0 | 1 => Target::Anywhere,
            _ => Target::At(self.random.random_range(1..6)),
        };
        let (pool, position) = match &target {
            Target::Anywhere => (None, None),
            Target::In(pool) => (Some(pool.parse().expect("a name")), None),
            Target::At(position) => (None, Some(u32::try_from(*position).expect("few"))),
        };
        let answer = self.call(registration::Place {
            event: self.events[at].0.clone(),
            person: name(person),
            pool,
            position,
            reason: "by hand".parse().expect("a reason"),
        });
        let expected = match self.people[person].is_deleted {
            true => Err(Code::DELETED),
            false => self.events[at].1.place(&self.people, person, &target, self.now),
        };
        expect_same(&answer, expected);
        if let Ok(answer) = answer {
            assert_eq!(answer.placed.as_ref().map(|placed| placed.reason.as_str()), Some("by hand"));
            self.expect_registration(at, person, &answer);
        }
    }
}
