//! The requests of clients: operations drawn from the areas of a plan, with what earlier answers have told.

use std::collections::BTreeSet;
use std::iter::repeat_n;

use enroll_protocol::{LoginCode, Pk, Time};
use rand::RngExt as _;
use rand::rngs::ChaCha20Rng;
use rand::seq::IteratorRandom as _;

use super::answers;
use super::certificates::Ask;
use super::judge::{Answer, Judge};
use super::operations::{NAMES, Op, ROLES, TOKENS};
use super::owners::{MINUTES, Owned, pool_name, some_time};
use super::plan::Area;
use super::{bulk, guesses, programs, transactions};
use crate::event_model::{Event, Pool, Target};

/// The latest records of a kind, among which the next one is drawn.
const LATEST: usize = 7;

/// The start of most events, in seconds since the beginning: no clock of a simulation gets there.
const FAR_SECONDS: u64 = 400 * 24 * 60 * 60;

/// The records that answers have told.
#[derive(Default)]
pub(super) struct Known {
    codes: Vec<(usize, LoginCode)>,
    /// Pools, by the numbers of the requests that made them.
    pools: Vec<(usize, Pk)>,
    /// Invite codes, by the numbers of the requests whose answers told them.
    invites: Vec<(usize, String)>,
    events: Vec<(usize, Pk)>,
    /// Callsigns of people.
    people: Vec<usize>,
    /// Callsigns of enrollments that were not decided.
    enrolled: Vec<usize>,
    /// Those who registered, by the numbers of the requests that made the events.
    registered: Vec<((usize, Pk), usize)>,
}

impl Known {
    /// Learns from an answer.
    pub(super) fn learn(&mut self, judge: &Judge, number: usize, answer: &Answer) -> Result<(), String> {
        let Ok(bytes) = answer else { return Ok(()) };
        let learn = |known: &mut Vec<(usize, Pk)>, pk| {
            if !known.iter().any(|(of, _)| *of == number) {
                known.push((number, pk));
            }
        };
        match (&judge.requests[number].op, answers::read(&judge.requests[number].op, bytes)?) {
            (Op::CreateCode { .. }, _) => self.codes.extend(answers::code_told(bytes)?.map(|code| (number, code))),
            (Op::CreatePool { .. }, super::model::Reply::Pool { pk, .. }) => {
                learn(&mut self.pools, pk);
                self.invites.extend(answers::invite_told(bytes)?.map(|code| (number, code)));
            }
            (Op::ResetCode { .. }, _) => self.invites.extend(answers::invite_told(bytes)?.map(|code| (number, code))),
            (Op::CreateEvent { .. }, super::model::Reply::Event { pk }) => learn(&mut self.events, pk),
            (Op::CreatePerson { name, .. } | Op::Approve { name }, _) => self.people.push(*name),
            (Op::Enroll { name, .. }, _) => self.enrolled.push(*name),
            (Op::Register { event, name }, _) => self.registered.push((*event, *name)),
            _ => {}
        }
        Ok(())
    }

    /// The next operation.
    pub(super) fn draw(&self, random: &mut ChaCha20Rng, areas: &BTreeSet<Area>, now: Time) -> Op {
        let areas: Vec<_> = areas.iter().flat_map(|area| repeat_n(*area, weight(*area))).collect();
        let name = match random.random_bool(0.7) {
            true => some(random, &self.people).unwrap_or(0),
            false => random.random_range(0..NAMES),
        };
        match areas[random.random_range(0..areas.len())] {
            _ if self.people.is_empty() && random.random_bool(0.5) => self.some_person(random, 0),
            Area::People => match random.random_range(0..9) {
                0..=3 => self.some_person(random, 0),
                4 => Op::DeletePerson { name },
                5 => Op::RestorePerson { name },
                6 if random.random_bool(0.3) => Op::RevokePerson { name },
                _ => Op::GetPerson { name },
            },
            Area::Roles => {
                let role = ROLES[random.random_range(0..ROLES.len())];
                match random.random_range(0..4) {
                    0 | 1 => Op::Assign { name, role },
                    2 => Op::Remove { name, role },
                    _ => Op::ListRoles { name },
                }
            }
            Area::Enrollments => self.of_enrollments(random, name),
            Area::Tokens => Op::UseToken { token: random.random_range(0..TOKENS), expires: some_expiry(random, now) },
            Area::Codes => match random.random_range(0..3) {
                0 => {
                    let sub = random.random_bool(0.6).then_some(name);
                    Op::CreateCode { sub, expires: some_expiry(random, now) }
                }
                _ => Op::UseCode { code: some(random, &self.codes) },
            },
            Area::Events => self.of_events(random, name, areas.contains(&Area::Openings).then_some(now)),
            Area::Openings => match some(random, &self.events) {
                Some(event) => {
                    let roles = some_roles(random, 1);
                    Op::Own { event, change: Owned::draw(random, now, roles) }
                }
                None => some_event(random, name, Some(now)),
            },
            Area::Certificates => Op::Certify(Ask::draw(random, name)),
            Area::Erasure if random.random_bool(0.7) => Op::DeletePerson { name },
            Area::Erasure => Op::ErasePerson { name },
            Area::Guesses if random.random_bool(0.3) => Op::UseCode { code: None },
            Area::Guesses => {
                let (invite, code) = (some(random, &self.invites), some(random, &self.codes));
                Op::Guess(guesses::Ask::draw(random, name, invite, code))
            }
            Area::Bulk => Op::Study(bulk::draw(random, |random| match random.random_bool(0.7) {
                true => some(random, &self.people).unwrap_or(0),
                false => random.random_range(0..NAMES),
            })),
            Area::Programs => Op::Study(programs::Ask::draw(random, name)),
            Area::Transactions => transactions::draw(self, random, now),
            // Following goes on beside what is asked.
            Area::Streams => Op::GetPerson { name },
            Area::Server if random.random_bool(0.5) => Op::Check,
            Area::Server => Op::RotateKeys,
        }
    }

    /// Mostly somebody who is not there yet, with at least so many roles.
    fn some_person(&self, random: &mut ChaCha20Rng, least: usize) -> Op {
        let is_new = random.random_bool(0.7);
        let new = (0..NAMES).filter(|name| is_new && !self.people.contains(name)).choose(random);
        let name = new.unwrap_or_else(|| random.random_range(0..NAMES));
        Op::CreatePerson { name, roles: some_roles(random, least) }
    }

    fn of_enrollments(&self, random: &mut ChaCha20Rng, name: usize) -> Op {
        let pool = some(random, &self.pools);
        let owner = name;
        let name = some(random, &self.enrolled).unwrap_or(name);
        match (random.random_range(0..10), pool) {
            (0 | 1, _) => Op::CreatePool { owner, most: random.random_bool(0.7).then(|| random.random_range(0..4)) },
            (2, Some(pool)) => match random.random_range(0..4) {
                0 => Op::SetActive { pool, active: random.random_bool(0.6) },
                1 => Op::DeletePool { pool },
                _ => Op::ResetCode { pool },
            },
            (3 | 4, _) => Op::Approve { name },
            (5, _) => Op::Reject { name },
            (6, _) => Op::Reopen { name },
            _ => Op::Enroll { name: random.random_range(0..NAMES), pool: some(random, &self.invites) },
        }
    }

    fn of_events(&self, random: &mut ChaCha20Rng, name: usize, openings: Option<Time>) -> Op {
        let Some(event) = self.events.last().copied().filter(|_| random.random_bool(0.95)) else {
            // Until the answer to the first one is there, people come who may register.
            return match self.events.is_empty() && random.random_bool(0.8) {
                true => self.some_person(random, 1),
                false => some_event(random, name, openings),
            };
        };
        let (of, registered) = some(random, &self.registered).unwrap_or((event, name));
        match random.random_range(0..14) {
            0..=5 => Op::Register { event, name },
            6 => Op::Register { event: of, name: registered },
            7..=9 => Op::Cancel { event: of, name: registered },
            10 => Op::Place { event, name, target: some_target(random) },
            11 => Op::Place { event: of, name: registered, target: some_target(random) },
            _ => Op::Decide { event: of, name: registered, approve: random.random_bool(0.6) },
        }
    }
}

/// The parts of an area among all: an event takes several people who register, cancel and are decided on.
fn weight(area: Area) -> usize {
    if area == Area::Events { 3 } else { 1 }
}

/// An event with few places; with a time around which pools open and merge, and it begins and ends, some of them do.
fn some_event(random: &mut ChaCha20Rng, owner: usize, openings: Option<Time>) -> Op {
    let some =
        |random: &mut ChaCha20Rng| openings.filter(|_| random.random_bool(0.4)).map(|now| some_time(random, now));
    let pool = |random: &mut ChaCha20Rng, at: usize| Pool {
        name: pool_name(at),
        capacity: if random.random_bool(0.8) { random.random_range(1..3) } else { 0 },
        opens: some(random),
        roles: some_roles(random, 1),
    };
    let pools = match random.random_bool(0.9) {
        true => random.random_range(1..4),
        false => 0,
    };
    let (start, minutes) = match openings.filter(|_| random.random_bool(0.6)) {
        Some(now) => (some_time(random, now), random.random_range(1..MINUTES)),
        None => (FAR_SECONDS, MINUTES),
    };
    // Otherwise both close at the start.
    let [closes, cancel_closes] = [(); 2].map(|()| random.random_bool(0.6).then_some(FAR_SECONDS));
    let event = Event {
        start,
        minutes,
        most: random.random_bool(0.6).then(|| random.random_range(1..4)),
        is_leisure: false,
        is_published: true,
        is_canceled: false,
        needs_approval: random.random_bool(0.5),
        has_waiting_list: random.random_bool(0.8),
        merges: some(random),
        closes,
        cancel_closes,
        pools: (0..pools).map(|at| pool(random, at)).collect(),
        registrations: Vec::new(),
        next_order: 1,
        passed: 0,
    };
    Op::CreateEvent { owner, event: Box::new(event) }
}

/// A place at an event, or a position of its waiting list.
fn some_target(random: &mut ChaCha20Rng) -> Target {
    match random.random_range(0..3) {
        0 => Target::Anywhere,
        1 => Target::In(pool_name(random.random_range(0..3))),
        _ => Target::At(random.random_range(1..4)),
    }
}

fn some_roles(random: &mut ChaCha20Rng, least: usize) -> BTreeSet<&'static str> {
    let mut roles: BTreeSet<_> = ROLES.into_iter().filter(|_| random.random_bool(0.5)).collect();
    if roles.len() < least {
        roles.insert(ROLES[random.random_range(0..ROLES.len())]);
    }
    roles
}

/// Mostly none; otherwise near, and sometimes past.
fn some_expiry(random: &mut ChaCha20Rng, now: Time) -> Option<Time> {
    let seconds = random.random_range(0..600);
    let expiry = Time::from_micros(now.micros() - 30_000_000).unwrap_or(now).plus_seconds(seconds);
    random.random_bool(0.3).then_some(expiry)
}

/// One of the latest; seldom none.
fn some<T: Clone>(random: &mut ChaCha20Rng, known: &[T]) -> Option<T> {
    let latest = &known[known.len().saturating_sub(LATEST)..];
    let is_none = latest.is_empty() || random.random_bool(0.1);
    (!is_none).then(|| latest[random.random_range(0..latest.len())].clone())
}
