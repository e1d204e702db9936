//! Model tests: the owner's calls on an event's pools, fields and states.

use enroll_protocol::Code;
use enroll_protocol::event::{self, Approval, Field};
use rand::RngExt as _;

use super::history::{History, new_pool, time};

impl History {
    pub(super) fn update_pool(&mut self, at: usize) {
        let count = self.events[at].1.pools.len();
        if count == 0 {
            return;
        }
        let which = self.random.random_range(0..count);
        let named = self.events[at].1.pools[which].name.parse().expect("a name");
        let capacity = self.perhaps(2, Self::some_capacity);
        let opens = self.perhaps(4, Self::some_time);
        let roles = self.perhaps(3, |history| history.some_roles(1));
        let roles_given = roles.as_ref().map(|roles| roles.iter().map(|role| role.parse().expect("a role")).collect());
        let answer = self.call(event::UpdatePool {
            event: self.events[at].0.clone(),
            pool: named,
            name: None,
            capacity,
            roles: roles_given,
            opens: opens.map(time),
        });
        let event = &mut self.events[at].1;
        let before = event.clone();
        let pool = &mut event.pools[which];
        pool.capacity = capacity.unwrap_or(pool.capacity);
        pool.opens = opens.or(pool.opens);
        pool.roles = roles.unwrap_or_else(|| pool.roles.clone());
        event.take_times_back(&before, self.now);
        event.fill(&self.people, self.now);
        self.expect_event(at, answer, Ok(()));
    }

    pub(super) fn add_pool(&mut self, at: usize) {
        let pool = self.some_pool();
        let event::NewPool { name, capacity, roles, opens } = new_pool(&pool);
        let answer = self.call(event::AddPool { event: self.events[at].0.clone(), name, capacity, roles, opens });
        let expected = self.events[at].1.add_pool(&self.people, pool, self.now);
        self.expect_event(at, answer, expected);
    }

    pub(super) fn remove_pool(&mut self, at: usize) {
        let count = self.events[at].1.pools.len();
        if count == 0 {
            return;
        }
        let which = self.random.random_range(0..count);
        let named = self.events[at].1.pools[which].name.clone();
        let pool = named.parse().expect("a name");
        let answer = self.call(event::RemovePool { event: self.events[at].0.clone(), pool });
        let expected = self.events[at].1.remove_pool(&self.people, &named, self.now);
        self.expect_event(at, answer, expected);
    }

    pub(super) fn update_event(&mut self, at: usize) {
        let mut update = event::Update::new(self.events[at].0.clone());
        let mut after = self.events[at].1.clone();
        match self.random.random_range(0..8) {
            0 | 1 => {
                after.most = self.perhaps(2, |history| history.some_capacity() + 1);
                update.max_participants = after.most;
                update.clear = if after.most.is_none() { vec![Field::MaxParticipants] } else { Vec::new() };
            }
            2 | 3 => {
                after.merges = self.perhaps(2, Self::some_time);
                update.merge_time = after.merges.map(time);
                update.clear = if after.merges.is_none() { vec![Field::MergeTime] } else { Vec::new() };
            }
            4 => {
                after.has_waiting_list = self.chance(2);
                update.waiting_list = Some(after.has_waiting_list);
                after.needs_approval = self.chance(2);
                update.approval = Some(if after.needs_approval { Approval::Supervisor } else { Approval::None });
            }
            5 => {
                after.is_leisure = self.chance(2);
                update.leisure = Some(after.is_leisure);
            }
            6 => {
                after.start = self.some_time();
                update.start = Some(time(after.start));
                after.minutes = self.random.random_range(1..20);
                update.duration_minutes = Some(after.minutes);
            }
            _ => {
                after.closes = self.perhaps(2, Self::some_time);
                update.registration_closes = after.closes.map(time);
                update.clear = if after.closes.is_none() { vec![Field::RegistrationCloses] } else { Vec::new() };
            }
        }
        let answer = self.call(update);
        let before = &mut self.events[at].1;
        let expected = match after.is_leisure && !before.is_leisure && before.has_live() {
            true => Err(Code::EVENT_HAS_REGISTRATIONS),
            false => {
                let was_over = before.is_over(self.now);
                after.take_times_back(before, self.now);
                *before = after;
                match was_over {
                    true => before.go_on(&self.people, self.now, self.now),
                    false => drop(before.fill(&self.people, self.now)),
                }
                Ok(())
            }
        };
        self.expect_event(at, answer, expected);
    }

    pub(super) fn change_state(&mut self, at: usize) {
        let event = self.events[at].0.clone();
        let choice = self.random.random_range(0..5);
        let answer = match choice {
            0 => self.call(event::Cancel { event }),
            1 => self.call(event::Unpublish { event }),
            _ => self.call(event::Publish { event }),
        };
        let event = &mut self.events[at].1;
        let expected = match choice {
            0 => event.call_off(),
            1 => event.unpublish(),
            _ => event.publish(),
        };
        self.expect_event(at, answer, expected);
    }
}
