//! The workloads `register` and `register-waiting`: registers people for one event, each for the first time.
//!
//! The people are made first. With a waiting list there are ten times more people than places, in five pools, of which
//! each person may join two, and one in five registered people cancels again.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use enroll_client::Client;
use enroll_client::protocol::event::{self, NewPool};
use enroll_client::protocol::registration::{Cancel, Create, Registration};
use enroll_client::protocol::{Pk, Reference, RoleName, Time, person};

use super::pipelined::call_all;
use super::random::Random;

/// Places of the event without a waiting list.
pub(crate) const PLACES: u32 = 1_000_000;

/// Pools of the event with a waiting list, and roles. A pool admits two roles, so each person may join two pools.
const POOLS: usize = 5;

/// The start of the event, in the far future.
const START: &str = "2100-01-01T00:00:00Z";

/// The event and the people who register for it; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Crowd(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    event: Pk,
    people: Vec<Pk>,
    is_waiting: bool,
    /// Operations begun so far.
    begun: AtomicUsize,
    /// The index of the next person to register.
    next: AtomicUsize,
    /// Registered people who may cancel, in the order of registration.
    registered: Mutex<VecDeque<Pk>>,
}

/// Makes the people, the event and its pools.
pub(crate) async fn prepare(client: &Client, records: u64, is_waiting: bool) -> Result<Crowd, String> {
    let roles: Vec<RoleName> = (0..POOLS).map(role).collect::<Result<_, _>>()?;
    let people = make_people(client, records, &roles).await?;
    let owner = people.first().ok_or("there is nobody to register")?;
    let capacity =
        if is_waiting { u32::try_from(records / 10 / POOLS as u64).unwrap_or(u32::MAX).max(1) } else { PLACES };
    let pools = (0..if is_waiting { POOLS } else { 1 }).map(|at| {
        let both = [roles[at].clone(), roles[(at + 1) % POOLS].clone()];
        let roles = if is_waiting { both.to_vec() } else { roles.clone() };
        Ok(NewPool { name: format!("pool {at}").parse().map_err(text)?, capacity, roles, opens: None })
    });
    let start: Time = START.parse().map_err(text)?;
    let mut create = event::Create::new("Bench".parse().map_err(text)?, "bench".parse().map_err(text)?, start, 60);
    create.owner = Some(Reference::by_pk(*owner));
    create.published = Some(true);
    create.pools = pools.collect::<Result<_, String>>()?;
    let event = client.call(create).await.map_err(text)?.pk;
    let (begun, next, registered) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::default());
    Ok(Crowd(Arc::new(Shared { event, people, is_waiting, begun, next, registered })))
}

async fn make_people(client: &Client, records: u64, roles: &[RoleName]) -> Result<Vec<Pk>, String> {
    let (mut random, mut people) = (Random::new(), Vec::new());
    let requests = (0..records).zip(roles.iter().cycle()).map(|(_, role)| {
        let create = person::Create { roles: vec![role.clone()], ..person::Create::new(random.callsign()?) };
        Ok((create, ()))
    });
    call_all(client, requests, |person, ()| {
        people.push(person.pk);
        Ok(())
    })
    .await?;
    Ok(people)
}

/// Does one operation, a registration or a cancellation, and checks its reply.
pub(crate) async fn run_once(crowd: &Crowd, client: &Client) -> Result<(), String> {
    let shared = &*crowd.0;
    let begun = shared.begun.fetch_add(1, Ordering::Relaxed);
    // One cancellation for five registrations.
    if shared.is_waiting && begun % 6 == 5 {
        let first = shared.registered.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        if let Some(person) = first {
            return shared.cancel(client, person).await;
        }
    }
    let next = shared.next.fetch_add(1, Ordering::Relaxed);
    let person = *shared.people.get(next).ok_or("everybody has registered; make more people with --records")?;
    shared.register(client, person).await
}

impl Shared {
    async fn register(&self, client: &Client, person: Pk) -> Result<(), String> {
        let create = Create { event: Reference::by_pk(self.event), person: Reference::by_pk(person) };
        let registered = client.call(create).await.map_err(text)?;
        self.check(&registered, person, false)?;
        let waits =
            (registered.pool.is_none(), registered.waiting_position.is_some(), !registered.waiting_pools.is_empty());
        if waits != (registered.waiting, registered.waiting, registered.waiting)
            || (registered.waiting && !self.is_waiting)
        {
            return Err("the reply has neither a pool nor a waiting position, or both".to_owned());
        }
        if self.is_waiting {
            self.registered.lock().unwrap_or_else(PoisonError::into_inner).push_back(person);
        }
        Ok(())
    }

    async fn cancel(&self, client: &Client, person: Pk) -> Result<(), String> {
        let cancel = Cancel { event: Reference::by_pk(self.event), person: Reference::by_pk(person) };
        let canceled = client.call(cancel).await.map_err(text)?;
        self.check(&canceled, person, true)?;
        match (canceled.pool, canceled.waiting) {
            (None, false) => Ok(()),
            _ => Err("the reply to a cancellation still has a pool".to_owned()),
        }
    }

    fn check(&self, answered: &Registration, person: Pk, is_canceled: bool) -> Result<(), String> {
        if (answered.event, answered.person, answered.canceled) != (self.event, person, is_canceled) {
            return Err("the reply has another registration than the request".to_owned());
        }
        Ok(())
    }
}

fn role(at: usize) -> Result<RoleName, String> {
    format!("bench-{at}").parse().map_err(text)
}

fn text(err: impl std::fmt::Display) -> String {
    err.to_string()
}
