//! Placements by hand in the model.

use enroll_protocol::Code;
use enroll_protocol::registration::ApprovalState;

use super::{Decision, Event, Person, Pool, Registration, Stand, admits};

/// The place that somebody is given.
#[derive(Debug, Clone)]
pub enum Target {
    /// A free one, or one too many.
    Anywhere,
    /// In this pool.
    In(String),
    /// A position of the waiting list, from 1.
    At(usize),
}

impl Event {
    /// Puts a person into a place by hand, or to a position of the waiting list.
    pub fn place(&mut self, people: &[Person], person: usize, target: &Target, now: u64) -> Result<(), Code> {
        if let Target::In(named) = target
            && !self.pools.iter().any(|pool| pool.name == *named)
        {
            return Err(Code::NOT_FOUND);
        }
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
