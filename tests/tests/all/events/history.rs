//! Seeded histories of events, on the memory store, on redb or on the journal in front of it, compared with the model
//! after every call.
//!
//! `ENROLL_HISTORIES=N` runs N of them, `ENROLL_SEED=S` only the one of that seed; a failure prints the seed and every
//! call before it.

use std::collections::BTreeSet;
use std::io::Write as _;

use enroll_core::rules::seating;
use enroll_protocol::event::{self, Approval};
use enroll_protocol::registration::{self, Registration};
use enroll_protocol::{Code, Envelope, Operation, Pk, Reference, Refusal, Time, person, role};
use enroll_tests::registry::{BEGIN_MICROS, Registry};
use enroll_tests::seed::of_histories;
use rand::rngs::ChaCha20Rng;
use rand::{RngExt as _, SeedableRng as _};

use super::expect::{code_of, expect_same};
use super::past::Kept;
use enroll_tests::event_model::{Event, Person, Pool};

const HISTORIES: u64 = 240;
const CALLS: usize = 60;
const THREADS: u64 = 2;

/// One history in so many has a database, another one a journal in front of it, one in so many more people than one
/// write seats, and of one in so many the past is compared.
const EVERY_IN_REDB: u64 = 25;
const EVERY_CROWD: u64 = 100;
const EVERY_KEPT: u64 = 3;

const ROLES: [&str; 3] = ["member", "guest", "staff"];

#[test]
fn events_go_as_the_model_says() {
    let seeds = of_histories(HISTORIES);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let seeds = seeds.clone().filter(move |seed| seed % THREADS == thread);
            scope.spawn(move || seeds.for_each(play));
        }
    });
}

fn play(seed: u64) {
    let directory = tempfile::tempdir().expect("a directory");
    let (registry, journal) = match seed % EVERY_IN_REDB {
        1 => (Registry::in_redb(directory.path()), None),
        2 | 3 => {
            let (registry, journal) = Registry::in_journal();
            (registry, Some(journal))
        }
        _ => (Registry::in_memory(), None),
    };
    let mut history = History::begin(seed, registry);
    for _ in 0..CALLS {
        if let Some(journal) = journal.as_ref().filter(|_| history.chance(5)) {
            journal.flush().and_then(|()| journal.make_filter(|| ())).expect("flushed");
        }
        history.call_something();
        if history.keeps {
            history.keep();
        }
    }
    history.expect_past();
}

pub(super) struct History {
    seed: u64,
    pub(super) random: ChaCha20Rng,
    pub(super) registry: Registry,
    pub(super) people: Vec<Person>,
    pub(super) pks: Vec<Pk>,
    pub(super) events: Vec<(Reference, Event)>,
    /// Seconds since the beginning.
    pub(super) now: u64,
    pools_made: usize,
    /// What is shown is kept: in one history of so many, because it takes as long as the calls.
    keeps: bool,
    /// Every event as it was shown after each call.
    pub(super) shown: Vec<Kept>,
    /// More people than one write seats.
    pub(super) is_crowd: bool,
    /// The calls, to be printed at a failure.
    log: Vec<String>,
}

impl Drop for History {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "failed with ENROLL_SEED={}:\n{}", self.seed, self.log.join("\n"));
        }
    }
}

impl History {
    fn begin(seed: u64, registry: Registry) -> Self {
        let is_crowd = seed % EVERY_CROWD == 2;
        let mut history = Self {
            seed,
            random: ChaCha20Rng::seed_from_u64(seed),
            registry,
            people: Vec::new(),
            pks: Vec::new(),
            events: Vec::new(),
            now: 0,
            pools_made: 0,
            keeps: seed.is_multiple_of(EVERY_KEPT),
            shown: Vec::new(),
            is_crowd,
            log: Vec::new(),
        };
        for at in 0..if is_crowd { 260 } else { 11 } {
            let roles = history.some_roles(0);
            let given = roles.iter().map(|role| role.parse().expect("a role")).collect();
            let create = person::Create { roles: given, ..person::Create::new(callsign(at).parse().expect("a name")) };
            history.pks.push(history.registry.call(create).expect("a person").pk);
            history.people.push(Person { roles, is_deleted: false });
        }
        for _ in 0..if is_crowd { 1 } else { 2 } {
            history.create_event();
        }
        if is_crowd {
            for person in 0..history.people.len() {
                history.register(0, person);
            }
        }
        history
    }

    pub(super) fn chance(&mut self, one_in: u32) -> bool {
        self.random.random_ratio(1, one_in)
    }

    pub(super) fn some_roles(&mut self, least: usize) -> BTreeSet<&'static str> {
        let mut roles: BTreeSet<_> = ROLES.into_iter().filter(|_| self.random.random_bool(0.5)).collect();
        if roles.len() < least {
            roles.insert(ROLES[self.random.random_range(0..ROLES.len())]);
        }
        roles
    }

    /// A time around now, often past.
    pub(super) fn some_time(&mut self) -> u64 {
        (self.now + self.random.random_range(0..600)).saturating_sub(150)
    }

    pub(super) fn perhaps<T>(&mut self, one_in: u32, what: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.chance(one_in).then(|| what(self))
    }

    pub(super) fn some_capacity(&mut self) -> u32 {
        if self.is_crowd { self.random.random_range(0..150) } else { self.random.random_range(0..4) }
    }

    pub(super) fn some_pool(&mut self) -> Pool {
        self.pools_made += 1;
        Pool {
            name: format!("pool {}", self.pools_made),
            capacity: self.some_capacity(),
            opens: self.perhaps(3, Self::some_time),
            roles: self.some_roles(1),
        }
    }

    fn create_event(&mut self) {
        let pools: Vec<Pool> = (0..self.random.random_range(0..4)).map(|_| self.some_pool()).collect();
        let event = Event {
            start: self.now + if self.is_crowd { 2000 } else { self.random.random_range(100..2000) },
            minutes: self.random.random_range(1..20),
            most: self.perhaps(3, |history| history.some_capacity() + 1),
            is_leisure: self.chance(20),
            is_published: !self.chance(8),
            is_canceled: false,
            needs_approval: self.chance(2),
            has_waiting_list: !self.chance(6),
            merges: self.perhaps(3, Self::some_time),
            closes: self.perhaps(8, Self::some_time),
            cancel_closes: self.perhaps(8, Self::some_time),
            pools,
            registrations: Vec::new(),
            next_order: 1,
            passed: self.now,
        };
        let title = "Camp".parse().expect("a title");
        let mut create = event::Create::new(title, "camp".parse().expect("a kind"), time(event.start), event.minutes);
        create.owner = Some("P0".parse().expect("a name"));
        create.max_participants = event.most;
        create.leisure = Some(event.is_leisure);
        create.published = Some(event.is_published);
        create.approval = Some(if event.needs_approval { Approval::Supervisor } else { Approval::None });
        create.waiting_list = Some(event.has_waiting_list);
        create.merge_time = event.merges.map(time);
        create.registration_closes = event.closes.map(time);
        create.unregistration_closes = event.cancel_closes.map(time);
        create.pools = event.pools.iter().map(new_pool).collect();
        self.log.push(format!("create {event:?}"));
        let created = self.registry.call(create).expect("an event");
        self.events.push((created.pk.to_string().parse().expect("a pk"), event));
    }

    fn call_something(&mut self) {
        let at = self.random.random_range(0..self.events.len());
        let person = self.random.random_range(0..self.people.len());
        match self.random.random_range(0..44) {
            0..12 => self.register(at, person),
            12..17 => self.cancel(at, person),
            17..20 => self.decide(at, person, false),
            20..23 => self.decide(at, person, true),
            23..26 => self.update_pool(at),
            26 => self.add_pool(at),
            27 => self.remove_pool(at),
            28..30 => self.update_event(at),
            30 => self.change_state(at),
            31..33 => self.change_role(person),
            33 if self.chance(3) => self.delete(person),
            40..44 => self.place(at, person),
            34 => self.registry.restart(),
            35 if self.chance(3) => self.set_clock_back(),
            _ => {
                let seconds = self.random.random_range(1..200);
                let is_step = self.chance(10);
                self.pass(seconds, is_step);
            }
        }
        let is_awake = self.chance(3);
        if is_awake {
            self.wake();
            self.compare();
        }
        assert_eq!(self.registry.violations(), Vec::<String>::new());
    }

    /// The writer wakes until nothing is due.
    pub(super) fn wake(&mut self) {
        self.log.push("wake".to_owned());
        let is_due = |registry: &Registry| {
            let due = seating::next_due(&*registry.store().view().expect("a view")).expect("a time");
            due.is_some_and(|due| due <= registry.now)
        };
        while is_due(&self.registry) {
            self.registry.wake();
        }
    }

    /// Sets the clock back, by so much that it is a step. What was to happen before has happened.
    fn set_clock_back(&mut self) {
        self.wake();
        let seconds = self.random.random_range(6..600).min(self.now);
        self.log.push(format!("the clock goes back by {seconds}"));
        self.registry.set_clock_by(-i64::try_from(seconds).expect("few"));
        self.registry.wake();
        for (_, event) in &mut self.events {
            event.go_back(&self.people, self.now, self.now - seconds);
        }
        self.now -= seconds;
        self.wake();
        self.compare();
    }

    /// Lets time pass, or has the clock skip it. Nobody is seated at what is over, so whatever comes before an end is
    /// done before it.
    fn pass(&mut self, seconds: u64, is_step: bool) {
        let until = self.now + seconds;
        let ends: BTreeSet<u64> = self.events.iter().map(|(_, event)| event.end() - 1).collect();
        for end in ends.into_iter().filter(|end| self.now < *end && *end < until).collect::<Vec<_>>() {
            self.pass_to(end, is_step);
            self.wake();
        }
        self.pass_to(until, is_step);
    }

    fn pass_to(&mut self, until: u64, is_step: bool) {
        self.log.push(format!("it is {until}"));
        match is_step {
            true => self.registry.set_clock_by(i64::try_from(until - self.now).expect("few")),
            false => self.registry.pass_seconds(until - self.now),
        }
        for (_, event) in &mut self.events {
            event.pass(&self.people, self.now, until);
        }
        self.now = until;
    }

    pub(super) fn call<O: Operation + std::fmt::Debug>(&mut self, operation: O) -> Result<O::Reply, Refusal> {
        self.log.push(format!("{operation:?}"));
        let answer = self.registry.call(operation);
        if let Err(refusal) = &answer {
            self.log.push(format!("  {refusal:?}"));
        }
        answer
    }

    fn register(&mut self, at: usize, person: usize) {
        let (event, named) = (self.events[at].0.clone(), name(person));
        let explained = self.call(registration::Explain { event: event.clone(), person: named.clone() });
        let create = registration::Create { event, person: named };
        let dry = Envelope { dry_run: true, ..Envelope::default() };
        let tried = self.registry.call_with(dry, create.clone());
        let answer = self.call(create);
        let expected = match self.people[person].is_deleted {
            true => Err(Code::DELETED),
            false => self.events[at].1.register(&self.people, person, self.now),
        };
        expect_same(&answer, expected);
        assert_eq!(code_of(&tried), code_of(&answer), "a dry run");
        match (explained, &answer) {
            (Err(refusal), _) => assert_eq!(Some(refusal.code), code_of(&answer).err(), "explained"),
            (Ok(explained), Err(refusal)) => assert_eq!(explained.outcome, refusal.code.to_string(), "explained"),
            (Ok(explained), Ok(answer)) => {
                let outcome = if answer.waiting { "wait" } else { "seat" };
                let (explained_as, came) = (explained.outcome.as_str(), outcome);
                assert_eq!((explained_as, explained.pool), (came, answer.pool), "explained {explained:?}");
                assert_eq!(explained.waiting_position, answer.waiting_position, "explained {explained:?}");
            }
        }
        if let (Ok(tried), Ok(answer)) = (&tried, &answer) {
            let what = |registration: &Registration| (registration.pool, registration.waiting_position);
            assert_eq!(what(tried), what(answer), "a dry run");
        }
        if let Ok(answer) = answer {
            self.expect_registration(at, person, &answer);
        }
    }

    fn cancel(&mut self, at: usize, person: usize) {
        let answer = self.call(registration::Cancel { event: self.events[at].0.clone(), person: name(person) });
        let expected = match self.people[person].is_deleted {
            true => Err(Code::DELETED),
            false => self.events[at].1.cancel(&self.people, person, self.now),
        };
        expect_same(&answer, expected);
        if let Ok(answer) = answer {
            self.expect_registration(at, person, &answer);
        }
    }

    fn decide(&mut self, at: usize, person: usize, is_approved: bool) {
        let (event, named) = (self.events[at].0.clone(), name(person));
        let answer = match is_approved {
            true => self.call(registration::Approve { event, person: named, reason: None }),
            false => self.call(registration::Reject { event, person: named, reason: None }),
        };
        let event = &mut self.events[at].1;
        let expected = match is_approved {
            _ if self.people[person].is_deleted => Err(Code::DELETED),
            true => event.approve(&self.people, person, self.now),
            false => event.reject(&self.people, person, self.now),
        };
        expect_same(&answer, expected);
        if let Ok(answer) = answer {
            self.expect_registration(at, person, &answer);
        }
    }

    /// Roles count as they are when it is decided, so nothing may be due when they change.
    fn change_role(&mut self, person: usize) {
        self.wake();
        let (named, role) = (name(person), ROLES[self.random.random_range(0..ROLES.len())]);
        let given = role.parse().expect("a role");
        let (answer, expected) = if self.chance(2) {
            let answer = self.call(role::Assign { person: named, role: given });
            (answer, (!self.people[person].is_deleted).then(|| self.people[person].roles.insert(role)))
        } else {
            let answer = self.call(role::Remove { person: named, role: given });
            (answer, (!self.people[person].is_deleted).then(|| self.people[person].roles.remove(role)))
        };
        assert_eq!(answer.map_err(|refusal| refusal.code), expected.ok_or(Code::DELETED));
        for (_, event) in &mut self.events {
            event.fill(&self.people, self.now);
        }
    }

    fn delete(&mut self, person: usize) {
        // The events' owner stays.
        if person == 0 {
            return;
        }
        self.wake();
        let answer = self.call(person::Delete { person: name(person) });
        let was_deleted = std::mem::replace(&mut self.people[person].is_deleted, true);
        expect_same(&answer, if was_deleted { Err(Code::DELETED) } else { Ok(()) });
        self.people[person].roles.clear();
        for (_, event) in &mut self.events {
            event.leave(&self.people, person, self.now);
        }
    }
}

pub(super) fn new_pool(pool: &Pool) -> event::NewPool {
    event::NewPool {
        name: pool.name.parse().expect("a name"),
        capacity: pool.capacity,
        roles: pool.roles.iter().map(|role| role.parse().expect("a role")).collect(),
        opens: pool.opens.map(time),
    }
}

pub(super) fn time(seconds: u64) -> Time {
    Time::from_micros(BEGIN_MICROS).expect("a time").plus_seconds(seconds)
}

fn callsign(person: usize) -> String {
    format!("P{person}")
}

pub(super) fn name(person: usize) -> Reference {
    callsign(person).parse().expect("a name")
}
