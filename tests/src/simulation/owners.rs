//! Changes of events in a simulation by those who own them.

use enroll_protocol::event::{self, Field};
use enroll_protocol::{Code, Envelope, Pk, Time};
use rand::RngExt as _;
use rand::rngs::ChaCha20Rng;
use std::collections::BTreeSet;

use super::answers::decode;
use super::model::{Done, Model, Reply};
use super::operations::{Encoded, by_pk, encoded, new_pool, seconds, time};
use crate::event_model::{self, Event, Pool};

/// Names of pools.
const POOLS: usize = 6;

/// The length of an event that a simulation sees the end of is less.
pub(super) const MINUTES: u32 = 6;

/// A change of an event. Pools are named by number.
#[derive(Debug, Clone)]
pub(super) enum Owned {
    Capacity { pool: usize, capacity: u32 },
    Opens { pool: usize, opens: u64 },
    Roles { pool: usize, roles: BTreeSet<&'static str> },
    Add { pool: Pool },
    Remove { pool: usize },
    Most(Option<u32>),
    Merges(Option<u64>),
    Closes(Option<u64>),
    Starts { start: u64, minutes: u32 },
    WaitingList(bool),
    Publish,
    Unpublish,
    CallOff,
}

/// The name of a pool.
pub(super) fn pool_name(number: usize) -> String {
    format!("pool {number}")
}

/// A time near now, past or to come.
pub(super) fn some_time(random: &mut ChaCha20Rng, now: Time) -> u64 {
    let within = [3, 30, 600][random.random_range(0..3)];
    // The beginning stands for all times before it.
    (seconds(now) + random.random_range(0..within)).saturating_sub(within / 4).max(1)
}

impl Owned {
    pub(super) fn draw(random: &mut ChaCha20Rng, now: Time, roles: BTreeSet<&'static str>) -> Self {
        let pool = random.random_range(0..POOLS / 2);
        let capacity = random.random_range(0..4);
        match random.random_range(0..18) {
            0..=3 => Self::Capacity { pool, capacity },
            4 | 5 => Self::Opens { pool, opens: some_time(random, now) },
            6 => Self::Roles { pool, roles },
            7 | 8 => {
                let opens = random.random_bool(0.5).then(|| some_time(random, now));
                let name = pool_name(random.random_range(0..POOLS));
                Self::Add { pool: Pool { name, capacity, opens, roles } }
            }
            9 => Self::Remove { pool },
            10 | 11 => Self::Most(random.random_bool(0.6).then(|| capacity + 1)),
            12 => Self::Merges(random.random_bool(0.6).then(|| some_time(random, now))),
            13 => Self::Closes(random.random_bool(0.4).then(|| some_time(random, now))),
            14 => Self::WaitingList(random.random_bool(0.7)),
            15 | 16 => Self::Starts { start: some_time(random, now), minutes: random.random_range(1..MINUTES) },
            _ => match random.random_range(0..8) {
                0 => Self::CallOff,
                1..=3 => Self::Unpublish,
                _ => Self::Publish,
            },
        }
    }

    pub(super) fn encode(&self, envelope: &Envelope, event: Pk) -> Encoded {
        let event = by_pk(event);
        let named = |pool: usize| pool_name(pool).parse().expect("a name");
        let update = event::Update::new;
        let changed = |pool| event::UpdatePool {
            event: event.clone(),
            pool: named(pool),
            name: None,
            capacity: None,
            roles: None,
            opens: None,
        };
        let cleared = |is_none: bool, field| if is_none { vec![field] } else { Vec::new() };
        match self {
            Self::Capacity { pool, capacity } => {
                encoded(envelope, &event::UpdatePool { capacity: Some(*capacity), ..changed(*pool) })
            }
            Self::Opens { pool, opens } => {
                encoded(envelope, &event::UpdatePool { opens: Some(time(*opens)), ..changed(*pool) })
            }
            Self::Roles { pool, roles } => {
                let roles = roles.iter().map(|role| role.parse().expect("a role")).collect();
                encoded(envelope, &event::UpdatePool { roles: Some(roles), ..changed(*pool) })
            }
            Self::Add { pool } => {
                let event::NewPool { name, capacity, roles, opens } = new_pool(pool);
                encoded(envelope, &event::AddPool { event, name, capacity, roles, opens })
            }
            Self::Remove { pool } => encoded(envelope, &event::RemovePool { event, pool: named(*pool) }),
            Self::Most(most) => {
                let clear = cleared(most.is_none(), Field::MaxParticipants);
                encoded(envelope, &event::Update { max_participants: *most, clear, ..update(event) })
            }
            Self::Merges(at) => {
                let clear = cleared(at.is_none(), Field::MergeTime);
                encoded(envelope, &event::Update { merge_time: at.map(time), clear, ..update(event) })
            }
            Self::Closes(at) => {
                let clear = cleared(at.is_none(), Field::RegistrationCloses);
                encoded(envelope, &event::Update { registration_closes: at.map(time), clear, ..update(event) })
            }
            Self::Starts { start, minutes } => {
                let (start, duration_minutes) = (Some(time(*start)), Some(*minutes));
                encoded(envelope, &event::Update { start, duration_minutes, ..update(event) })
            }
            Self::WaitingList(has) => encoded(envelope, &event::Update { waiting_list: Some(*has), ..update(event) }),
            Self::Publish => encoded(envelope, &event::Publish { event }),
            Self::Unpublish => encoded(envelope, &event::Unpublish { event }),
            Self::CallOff => encoded(envelope, &event::Cancel { event }),
        }
    }

    /// Reads the event, whose reply is of one type for all of them.
    pub(super) fn read(bytes: &[u8]) -> Result<Reply, String> {
        let shown = decode::<event::Publish>(bytes)?;
        let pools = shown.pools.iter().map(|pool| (pool.name.as_str(), pool.capacity, pool.places_taken));
        let pools: Vec<_> = pools.collect();
        let states = (shown.published, shown.canceled, shown.places_taken, shown.waiting_count);
        Ok(Reply::Word(format!("{states:?} {pools:?}")))
    }

    fn change(&self, event: &mut Event, people: &[event_model::Person], now: u64) -> Result<(), Code> {
        let before = event.clone();
        let found = |event: &Event, number: usize| {
            event.pools.iter().position(|pool| pool.name == pool_name(number)).ok_or(Code::NOT_FOUND)
        };
        match self {
            Self::Capacity { pool, capacity } => {
                let at = found(event, *pool)?;
                event.pools[at].capacity = *capacity;
            }
            Self::Opens { pool, opens } => {
                let at = found(event, *pool)?;
                event.pools[at].opens = Some(*opens);
            }
            Self::Roles { pool, roles } => {
                let at = found(event, *pool)?;
                event.pools[at].roles = roles.clone();
            }
            Self::Add { pool } if event.pools.iter().any(|other| other.name == pool.name) => {
                return Err(Code::CONFLICT);
            }
            Self::Add { pool } => return event.add_pool(people, pool.clone(), now),
            Self::Remove { pool } => return event.remove_pool(people, &pool_name(*pool), now),
            Self::Most(most) => event.most = *most,
            Self::Merges(at) => event.merges = *at,
            Self::Closes(at) => event.closes = *at,
            Self::Starts { start, minutes } => (event.start, event.minutes) = (*start, *minutes),
            Self::WaitingList(has) => event.has_waiting_list = *has,
            Self::Publish => event.publish()?,
            Self::Unpublish => event.unpublish()?,
            Self::CallOff => event.call_off()?,
        }
        event.take_times_back(&before, now);
        match before.is_over(now) {
            true => event.go_on(people, now, now),
            false => drop(event.fill(people, now)),
        }
        Ok(())
    }
}

impl Model {
    /// Changes an event.
    pub(super) fn own(&mut self, number: usize, owned: &Owned, at: Time) -> Result<Done, Code> {
        let (people, now) = (self.attending(), seconds(at));
        let state = self.events.get_mut(&number).ok_or(Code::NOT_FOUND)?;
        state.settle(&people, now);
        let event = &mut state.event;
        // A time that is set anew, and is past, has passed.
        event.passed = event.passed.max(now);
        owned.change(event, &people, now)?;
        let waiting = u32::try_from(event.waiting().len()).unwrap_or(u32::MAX);
        let states = (event.is_published, event.is_canceled, event.taken(), waiting);
        let pools = event.pools.iter().map(|pool| (pool.name.as_str(), pool.capacity, event.taken_in(pool)));
        let pools: Vec<_> = pools.collect();
        Ok((Reply::Word(format!("{states:?} {pools:?}")), Some(vec![state.pk])))
    }
}
