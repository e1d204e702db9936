//! Model tests: placements by hand.

use enroll_protocol::Code;
use enroll_protocol::registration::{self, ApprovalState};
use rand::RngExt as _;

use super::expect::expect_same;
use super::history::{History, name};
use enroll_tests::event_model::{Decision, Event, Person, Pool, Registration, Stand, admits};

/// The place that somebody is given.
#[derive(Debug, Clone)]
enum Target {
    Anywhere,
    In(String),
    /// A position of the waiting list, from 1.
    At(usize),
}

impl Event {
    fn place(&mut self, people: &[Person], person: usize, target: &Target, now: u64) -> Result<(), Code> {
        self.expect_takes_place(now)?;
        let before = self.of(person).cloned();
        if before.as_ref().is_some_and(|before| before.approval == ApprovalState::Rejected) {
            return Err(Code::PERMISSION_DENIED);
        }
        let live = before.filter(|before| before.stand != Stand::Out);
        let stands_at = self.waiting().iter().position(|other| other.person == person).map(|at| at + 1);
        let others: Vec<u64> =
            self.waiting().iter().filter(|other| other.person != person).map(|other| other.order).collect();
        let stand = match target {
            Target::Anywhere => Stand::Seated(self.anywhere(people, person, now)),
            Target::In(pool) => Stand::Seated(Some(pool.clone())),
            Target::At(_) => Stand::Waiting,
        };
        let is_there = match (&live, target) {
            (_, Target::At(position)) => stands_at == Some((*position).min(others.len() + 1)),
            (Some(live), Target::Anywhere) => live.stand != Stand::Waiting,
            (Some(live), Target::In(_)) => live.stand == stand,
            (None, _) => false,
        };
        if is_there {
            return Err(Code::CONFLICT);
        }
        self.registrations.retain(|other| other.person != person);
        let order = match (target, live) {
            (Target::At(position), _) => {
                let order = others.get(position - 1).copied().unwrap_or(self.next_order);
                let later = self.registrations.iter_mut().filter(|other| other.order >= order);
                later.for_each(|other| other.order += 1);
                order
            }
            (_, Some(live)) => live.order,
            _ => self.next_order,
        };
        self.next_order += 1;
        self.registrations.push(Registration {
            person,
            order,
            is_canceled: false,
            approval: if self.needs_approval { ApprovalState::Approved } else { ApprovalState::NotRequired },
            is_fixed: stand != Stand::Waiting,
            has_each_role: stand == Stand::Waiting && !self.pools.iter().any(|pool| admits(pool, &people[person])),
            stand,
        });
        self.fill(people, now);
        Ok(())
    }

    /// A free place for the person's roles, else any free one, else one too many: for their roles, else in any pool.
    fn anywhere(&self, people: &[Person], person: usize, now: u64) -> Option<String> {
        if self.pools.is_empty() {
            return None;
        }
        let all: Vec<&Pool> = self.pools.iter().collect();
        let own: Vec<&Pool> = all.iter().copied().filter(|pool| admits(pool, &people[person])).collect();
        for pools in [&own, &all] {
            let open = pools.iter().copied().filter(|pool| self.is_open(pool, now)).collect();
            if let Decision::Seat(pool) = self.choose(people, open, now) {
                return pool;
            }
        }
        let pools = if own.is_empty() { all } else { own };
        pools.iter().find(|pool| self.is_open(pool, now)).or(pools.first()).map(|pool| pool.name.clone())
    }
}

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
