//! A model of events, as simple and as slow as possible: people in vectors, every decision a full scan, everything
//! that is due done at once. Times are seconds.

mod changes;
mod placing;

use std::collections::BTreeSet;

use enroll_protocol::Code;
use enroll_protocol::registration::ApprovalState;

pub use placing::Target;

/// A person.
#[derive(Debug, Clone, Default)]
pub struct Person {
    /// The roles.
    pub roles: BTreeSet<&'static str>,
    /// They were deleted.
    pub is_deleted: bool,
}

/// A pool of an event.
#[derive(Debug, Clone)]
pub struct Pool {
    /// The name.
    pub name: String,
    /// 0 for any number.
    pub capacity: u32,
    /// The time at which it opens.
    pub opens: Option<u64>,
    /// The roles.
    pub roles: BTreeSet<&'static str>,
}

/// The standing of a registration. A place is in a pool of this name, or in none if the event has no pools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stand {
    /// Canceled or rejected.
    Out,
    /// In the waiting list.
    Waiting,
    /// In a place.
    Seated(Option<String>),
}

/// A registration.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The person, by number.
    pub person: usize,
    /// Its position in the order of registration.
    pub order: u64,
    /// The standing.
    pub stand: Stand,
    /// It was canceled.
    pub is_canceled: bool,
    /// The approval.
    pub approval: ApprovalState,
    /// It holds a place by hand.
    pub is_fixed: bool,
    /// It was put into the waiting list by hand, and no pool was for its person.
    pub has_each_role: bool,
}

impl Registration {
    fn leave(&mut self) {
        (self.stand, self.is_fixed, self.has_each_role) = (Stand::Out, false, false);
    }
}

/// An event.
#[derive(Debug, Clone)]
pub struct Event {
    /// The start.
    pub start: u64,
    /// The length.
    pub minutes: u32,
    /// The most people who may take part.
    pub most: Option<u32>,
    /// Nobody needs to register.
    pub is_leisure: bool,
    /// People may register.
    pub is_published: bool,
    /// It was canceled.
    pub is_canceled: bool,
    /// Registrations begin pending.
    pub needs_approval: bool,
    /// People may wait for a place.
    pub has_waiting_list: bool,
    /// The time at which the places of all pools become one.
    pub merges: Option<u64>,
    /// The end of registering.
    pub closes: Option<u64>,
    /// The end of canceling.
    pub cancel_closes: Option<u64>,
    /// The pools, in order of creation.
    pub pools: Vec<Pool>,
    /// The registrations.
    pub registrations: Vec<Registration>,
    /// The next position in the order of registration.
    pub next_order: u64,
    /// Openings and the merge up to here have taken effect, whatever the clock says since.
    pub passed: u64,
}

/// The outcome of registering, after all refusals that the event itself gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// A place, in this pool if there are any.
    Seat(Option<String>),
    /// The waiting list.
    Wait,
    /// No pool admits the person.
    NoPermission,
    /// No pool that admits the person is open.
    NotOpen,
}

impl Event {
    /// Those who hold a place, in order of registration.
    fn seated(&self) -> Vec<&Registration> {
        let mut seated: Vec<_> =
            self.registrations.iter().filter(|other| matches!(other.stand, Stand::Seated(_))).collect();
        seated.sort_by_key(|registration| registration.order);
        seated
    }

    /// The waiting list.
    pub fn waiting(&self) -> Vec<&Registration> {
        let mut waiting: Vec<_> = self.registrations.iter().filter(|other| other.stand == Stand::Waiting).collect();
        waiting.sort_by_key(|registration| registration.order);
        waiting
    }

    /// How many hold a place.
    pub fn taken(&self) -> u32 {
        u32::try_from(self.seated().len()).expect("few")
    }

    /// How many hold a place in a pool.
    pub fn taken_in(&self, pool: &Pool) -> u32 {
        let here = Stand::Seated(Some(pool.name.clone()));
        u32::try_from(self.seated().iter().filter(|other| other.stand == here).count()).expect("few")
    }

    /// True if somebody is seated or waits.
    pub fn has_live(&self) -> bool {
        self.registrations.iter().any(|registration| registration.stand != Stand::Out)
    }

    /// The end.
    pub fn end(&self) -> u64 {
        self.start + u64::from(self.minutes) * 60
    }

    /// True once it has ended.
    pub fn is_past(&self, now: u64) -> bool {
        now >= self.end()
    }

    /// Nobody is seated at an event that is called off or over.
    pub fn is_over(&self, now: u64) -> bool {
        self.is_canceled || self.is_past(now)
    }

    /// True once the places of its pools are one.
    pub fn is_merged(&self, now: u64) -> bool {
        self.merges.is_some_and(|at| at <= now.max(self.passed))
    }

    /// The registration of a person.
    pub fn of(&self, person: usize) -> Option<&Registration> {
        self.registrations.iter().find(|registration| registration.person == person)
    }

    /// The registration of a person who has one.
    pub fn of_mut(&mut self, person: usize) -> &mut Registration {
        self.registrations.iter_mut().find(|registration| registration.person == person).expect("registered")
    }

    /// True if a pool is open.
    pub fn is_open(&self, pool: &Pool, now: u64) -> bool {
        pool.opens.is_none_or(|opens| opens <= now.max(self.passed))
    }

    fn has_room_in(&self, pool: &Pool) -> bool {
        pool.capacity == 0 || self.taken_in(pool) < pool.capacity
    }

    /// True if the maximum, and after the merge the sum of the open pools, leaves a place.
    fn has_room(&self, now: u64) -> bool {
        let open: Vec<_> = self.pools.iter().filter(|pool| self.is_open(pool, now)).collect();
        let is_bounded = self.is_merged(now) && !self.pools.is_empty() && open.iter().all(|pool| pool.capacity > 0);
        let total: u64 = open.iter().map(|pool| u64::from(pool.capacity)).sum();
        self.most.is_none_or(|most| self.taken() < most) && !(is_bounded && u64::from(self.taken()) >= total)
    }

    /// The pools that admit the person and are open.
    pub fn possible(&self, people: &[Person], person: usize, now: u64) -> Vec<&Pool> {
        let has_each_role = self.of(person).is_some_and(|of| of.has_each_role);
        let admits = |pool: &Pool| has_each_role || admits(pool, &people[person]);
        self.pools.iter().filter(|pool| admits(pool) && self.is_open(pool, now)).collect()
    }

    /// The decision.
    pub fn decide(&self, people: &[Person], person: usize, now: u64) -> Decision {
        if self.pools.is_empty() {
            return if self.has_room(now) { Decision::Seat(None) } else { Decision::Wait };
        }
        let has_each_role = self.of(person).is_some_and(|of| of.has_each_role);
        if !has_each_role && !self.pools.iter().any(|pool| admits(pool, &people[person])) {
            return Decision::NoPermission;
        }
        match self.possible(people, person, now) {
            possible if possible.is_empty() => Decision::NotOpen,
            possible => self.choose(people, possible, now),
        }
    }

    /// The place among possible pools.
    pub fn choose(&self, people: &[Person], mut possible: Vec<&Pool>, now: u64) -> Decision {
        if !self.has_room(now) {
            return Decision::Wait;
        }
        if !self.is_merged(now) {
            possible.retain(|pool| self.has_room_in(pool));
            let members = |pool: &Pool| -> usize {
                let holders = |role| people.iter().filter(|person| person.roles.contains(role)).count();
                pool.roles.iter().map(|role| holders(*role)).sum()
            };
            let size = |pool: &Pool| if pool.capacity == 0 { u32::MAX } else { pool.capacity };
            // Stable: of equals the oldest stays the first.
            possible.sort_by_key(|pool| (members(pool), u32::MAX - size(pool)));
        }
        possible.first().map_or(Decision::Wait, |pool| Decision::Seat(Some(pool.name.clone())))
    }

    /// Fills places until nothing changes; how many steps that took.
    pub fn fill(&mut self, people: &[Person], now: u64) -> usize {
        self.fill_as_of(people, now, now)
    }

    /// The same with the pools that are open at one time, at another one.
    pub fn fill_as_of(&mut self, people: &[Person], at: u64, now: u64) -> usize {
        let mut steps = 0;
        while !self.is_over(now) && (self.seat_one(people, at) || self.rebalance_one(people, at)) {
            steps += 1;
        }
        steps
    }

    fn seat_one(&mut self, people: &[Person], now: u64) -> bool {
        let waiting: Vec<usize> = self.waiting().iter().map(|other| other.person).collect();
        for person in waiting {
            if let Decision::Seat(pool) = self.decide(people, person, now) {
                self.of_mut(person).stand = Stand::Seated(pool);
                return true;
            }
        }
        false
    }

    fn rebalance_one(&mut self, people: &[Person], now: u64) -> bool {
        if self.is_merged(now) || !self.has_room(now) {
            return false;
        }
        for waiting in self.waiting() {
            for pool in self.possible(people, waiting.person, now) {
                // In a pool with more people than places, one who moves makes room for nobody.
                if pool.capacity == 0 || self.taken_in(pool) != pool.capacity {
                    continue;
                }
                for seated in self.seated() {
                    if seated.is_fixed || seated.stand != Stand::Seated(Some(pool.name.clone())) {
                        continue;
                    }
                    let others = self.possible(people, seated.person, now);
                    if let Some(other) = others.iter().find(|other| self.has_room_in(other)) {
                        let (from, to) = (Some(pool.name.clone()), Some(other.name.clone()));
                        let (mover, waiting) = (seated.person, waiting.person);
                        self.of_mut(mover).stand = Stand::Seated(to);
                        self.of_mut(waiting).stand = Stand::Seated(from);
                        return true;
                    }
                }
            }
        }
        false
    }

    /// The refusal that everybody gets now, if there is one.
    fn expect_open(&self, now: u64) -> Result<(), Code> {
        self.expect_takes_place(now)?;
        if self.closes.unwrap_or(self.start) <= now { Err(Code::REGISTRATION_CLOSED) } else { Ok(()) }
    }

    /// The refusal of an event that nobody can come to, if it is one.
    pub fn expect_takes_place(&self, now: u64) -> Result<(), Code> {
        match () {
            () if self.is_leisure => Err(Code::REGISTRATION_NOT_REQUIRED),
            () if !self.is_published => Err(Code::EVENT_NOT_PUBLISHED),
            () if self.is_canceled => Err(Code::EVENT_CANCELED),
            () if self.is_past(now) => Err(Code::EVENT_PAST),
            () => Ok(()),
        }
    }

    /// Registers a person.
    pub fn register(&mut self, people: &[Person], person: usize, now: u64) -> Result<(), Code> {
        self.expect_open(now)?;
        match self.of(person) {
            Some(before) if !before.is_canceled => return Err(Code::ALREADY_REGISTERED),
            Some(before) if before.approval == ApprovalState::Rejected => return Err(Code::PERMISSION_DENIED),
            _ => {}
        }
        let order = self.next_order;
        let approval = if self.needs_approval { ApprovalState::Pending } else { ApprovalState::NotRequired };
        let stand = match self.decide(people, person, now) {
            Decision::Seat(pool) => Stand::Seated(pool),
            Decision::Wait if self.has_waiting_list => Stand::Waiting,
            Decision::Wait => return Err(Code::NO_FREE_SLOTS),
            Decision::NoPermission => return Err(Code::NO_PERMISSION),
            Decision::NotOpen => return Err(Code::REGISTRATION_NOT_OPEN),
        };
        self.next_order += 1;
        self.registrations.retain(|other| other.person != person);
        let (is_canceled, is_fixed, has_each_role) = (false, false, false);
        self.registrations.push(Registration { person, order, stand, is_canceled, approval, is_fixed, has_each_role });
        self.fill(people, now);
        Ok(())
    }

    /// Cancels a registration.
    pub fn cancel(&mut self, people: &[Person], person: usize, now: u64) -> Result<(), Code> {
        if self.of(person).ok_or(Code::NOT_FOUND)?.is_canceled {
            return Err(Code::INVALID_TRANSITION);
        }
        let may_leave = self.of(person).is_some_and(|of| of.stand == Stand::Waiting) && !self.is_past(now);
        if !may_leave && self.cancel_closes.unwrap_or(self.start) <= now {
            return Err(Code::REGISTRATION_CLOSED);
        }
        let registration = self.of_mut(person);
        registration.is_canceled = true;
        registration.leave();
        self.fill(people, now);
        Ok(())
    }

    /// Rejects a registration.
    pub fn reject(&mut self, people: &[Person], person: usize, now: u64) -> Result<(), Code> {
        let before = self.of(person).ok_or(Code::NOT_FOUND)?;
        if before.approval == ApprovalState::NotRequired || before.is_canceled {
            return Err(Code::INVALID_TRANSITION);
        }
        let registration = self.of_mut(person);
        registration.approval = ApprovalState::Rejected;
        registration.leave();
        self.fill(people, now);
        Ok(())
    }

    /// Approves a registration.
    pub fn approve(&mut self, people: &[Person], person: usize, now: u64) -> Result<(), Code> {
        let before = self.of(person).ok_or(Code::NOT_FOUND)?;
        let stand = match before.approval {
            ApprovalState::NotRequired => return Err(Code::INVALID_TRANSITION),
            ApprovalState::Rejected if before.is_canceled => Stand::Out,
            _ if before.is_canceled => return Err(Code::INVALID_TRANSITION),
            ApprovalState::Rejected => match self.decide(people, person, now) {
                Decision::Seat(pool) => Stand::Seated(pool),
                Decision::Wait => return Err(Code::NO_FREE_SLOTS),
                Decision::NoPermission => return Err(Code::NO_PERMISSION),
                Decision::NotOpen => return Err(Code::REGISTRATION_NOT_OPEN),
            },
            _ => before.stand.clone(),
        };
        let registration = self.of_mut(person);
        (registration.approval, registration.stand) = (ApprovalState::Approved, stand);
        Ok(())
    }
}

/// True if a pool is for this person.
pub fn admits(pool: &Pool, person: &Person) -> bool {
    !pool.roles.is_disjoint(&person.roles)
}
