//! Changes of an event in the model: what its owner does, and what time does to it.

use std::collections::BTreeSet;

use enroll_protocol::Code;

use super::{Event, Person, Pool, Stand};

impl Event {
    /// Publishes the event.
    pub fn publish(&mut self) -> Result<(), Code> {
        if self.is_published || self.is_canceled {
            return Err(Code::INVALID_TRANSITION);
        }
        self.is_published = true;
        Ok(())
    }

    /// Takes it back.
    pub fn unpublish(&mut self) -> Result<(), Code> {
        if !self.is_published || self.is_canceled {
            return Err(Code::INVALID_TRANSITION);
        }
        if self.has_live() {
            return Err(Code::EVENT_HAS_REGISTRATIONS);
        }
        self.is_published = false;
        Ok(())
    }

    /// Cancels the event.
    pub fn call_off(&mut self) -> Result<(), Code> {
        if self.is_canceled || !self.is_published || !self.has_live() {
            return Err(Code::INVALID_TRANSITION);
        }
        self.is_canceled = true;
        Ok(())
    }

    /// Removes a pool.
    pub fn remove_pool(&mut self, people: &[Person], name: &str, now: u64) -> Result<(), Code> {
        let at = self.pools.iter().position(|pool| pool.name == name).ok_or(Code::NOT_FOUND)?;
        if self.taken_in(&self.pools[at]) > 0 || (self.pools.len() == 1 && self.has_live()) {
            return Err(Code::POOL_HAS_REGISTRATIONS);
        }
        self.pools.remove(at);
        self.fill(people, now);
        Ok(())
    }

    /// Adds a pool.
    pub fn add_pool(&mut self, people: &[Person], pool: Pool, now: u64) -> Result<(), Code> {
        if self.pools.is_empty() && self.has_live() {
            return Err(Code::POOL_HAS_REGISTRATIONS);
        }
        let before = self.clone();
        self.pools.push(pool);
        self.take_times_back(&before, now);
        self.fill(people, now);
        Ok(())
    }

    /// Openings and the merge between two times, one after the other.
    pub fn pass(&mut self, people: &[Person], from: u64, to: u64) {
        let opens = self.pools.iter().filter_map(|pool| pool.opens);
        let moments: BTreeSet<u64> = opens.chain(self.merges).filter(|at| from < *at && *at <= to).collect();
        for at in moments {
            self.fill(people, at);
        }
    }

    /// The clock goes back. What has taken effect stays; what was over and is not any more goes on.
    pub fn go_back(&mut self, people: &[Person], from: u64, to: u64) {
        self.passed = self.passed.max(from);
        if self.is_over(from) && !self.is_over(to) {
            self.go_on(people, to, to);
        }
    }

    /// It was over, and is not any more: who was deleted meanwhile leaves, and free places are filled, with the pools that
    /// are open at one time, at another one.
    pub fn go_on(&mut self, people: &[Person], at: u64, now: u64) {
        if self.is_over(now) {
            return;
        }
        for registration in self.registrations.iter_mut().filter(|of| people[of.person].is_deleted) {
            if registration.stand != Stand::Out {
                registration.is_canceled = true;
                registration.leave();
            }
        }
        self.fill_as_of(people, at, now);
    }

    /// A time to come was set anew: all of them hold as they are written.
    pub fn take_times_back(&mut self, before: &Self, now: u64) {
        let moments = |event: &Self| -> Vec<(Option<String>, Option<u64>)> {
            let opens = event.pools.iter().map(|pool| (Some(pool.name.clone()), pool.opens));
            opens.chain([(None, event.merges)]).collect()
        };
        let known = moments(before);
        if moments(self).iter().any(|moment| moment.1.is_some_and(|at| at > now) && !known.contains(moment)) {
            self.passed = self.passed.min(now);
        }
    }

    /// A person who is deleted leaves, unless the event is over.
    pub fn leave(&mut self, people: &[Person], person: usize, now: u64) {
        if !self.is_over(now) && self.of(person).is_some_and(|registration| registration.stand != Stand::Out) {
            let registration = self.of_mut(person);
            registration.is_canceled = true;
            registration.leave();
            self.fill(people, now);
        }
    }
}
