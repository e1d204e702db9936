//! Event pools: add, update, remove. People who wait are seated in places that this makes free; nobody is unseated.

use enroll_protocol::event::{AddPool, Event, RemovePool, UpdatePool};
use enroll_protocol::fold::fold;
use enroll_protocol::limits::{EVENT_POOLS_MAX, POOL_ROLES_MAX};
use enroll_protocol::{Code, EventPoolName, Named, NaturalName, Reference, Refusal, RoleName};

use super::{change, permit_editing, require};
use crate::context::Purpose;
use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::event::{self as stored, Slot};
use crate::rules::seating::Seats;
use crate::rules::{Call, WriteOp};

impl WriteOp for AddPool {
    fn check(&self) -> Result<(), Refusal> {
        check_roles(&self.roles)
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Event, Fault> {
        let (pk, event) = require(txn.as_read(), &self.event)?;
        permit_editing(txn.as_read(), call, &event)?;
        change(txn, call, pk, event, |seats| {
            let has_registrations = has_registrations(seats);
            let event = &mut seats.event;
            require_free_name(event, &self.name, None)?;
            if event.pools.len() >= EVENT_POOLS_MAX {
                let why = format!("an event has at most {EVENT_POOLS_MAX} pools; remove one first");
                return Err(Fault::Refused(Refusal::new(Code::INVALID_ARGUMENT, why)));
            }
            if event.pools.is_empty() && has_registrations {
                let why = "somebody has registered for this event without pools; cancel the registrations before adding a pool";
                return Err(Fault::Refused(Refusal::new(Code::POOL_HAS_REGISTRATIONS, why)));
            }
            let slot = event.next_slot;
            event.next_slot += 1;
            event.pools.push(stored::Pool {
                pk: call.ctx.new_pk(&mut call.ctx.random(Purpose::Rule)),
                slot,
                name: self.name.clone(),
                capacity: self.capacity,
                held: 0,
                opens: self.opens,
                roles: self.roles.iter().cloned().collect(),
            });
            readmit(seats, slot);
            Ok(())
        })
    }
}

impl WriteOp for UpdatePool {
    fn check(&self) -> Result<(), Refusal> {
        self.roles.as_ref().map_or(Ok(()), |roles| check_roles(roles))
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Event, Fault> {
        let (pk, event) = require(txn.as_read(), &self.event)?;
        let at = require_pool(&event, &self.pool)?;
        permit_editing(txn.as_read(), call, &event)?;
        change(txn, call, pk, event, |seats| {
            let slot = seats.event.pools[at].slot;
            if let Some(name) = &self.name {
                require_free_name(&seats.event, name, Some(slot))?;
                seats.event.pools[at].name = name.clone();
            }
            let pool = &mut seats.event.pools[at];
            pool.capacity = self.capacity.unwrap_or(pool.capacity);
            pool.opens = self.opens.or(pool.opens);
            if let Some(roles) = &self.roles {
                pool.roles = roles.iter().cloned().collect();
                readmit(seats, slot);
            }
            Ok(())
        })
    }
}

impl WriteOp for RemovePool {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Event, Fault> {
        let (pk, event) = require(txn.as_read(), &self.event)?;
        let at = require_pool(&event, &self.pool)?;
        permit_editing(txn.as_read(), call, &event)?;
        change(txn, call, pk, event, |seats| {
            let pool = &seats.event.pools[at];
            let (slot, taken) = (pool.slot, seats.head.pools.get(&pool.slot).map_or(0, |count| count.taken));
            if taken > 0 {
                let why = format!(
                    "{taken} people hold a place in the pool \"{}\"; cancel their registrations first",
                    pool.name
                );
                return Err(Fault::Refused(Refusal::new(Code::POOL_HAS_REGISTRATIONS, why)));
            }
            if seats.event.pools.len() == 1 && has_registrations(seats) {
                let why =
                    "somebody has registered for this event; cancel the registrations before removing its last pool";
                return Err(Fault::Refused(Refusal::new(Code::POOL_HAS_REGISTRATIONS, why)));
            }
            seats.event.pools.remove(at);
            readmit(seats, slot);
            Ok(())
        })
    }
}

/// Has every registered person admitted anew to this pool, or no longer, in the steps after this change.
fn readmit(seats: &mut Seats<'_>, slot: Slot) {
    if has_registrations(seats) {
        seats.head.left.readmit.insert(slot, 0);
    }
}

fn has_registrations(seats: &Seats<'_>) -> bool {
    seats.head.taken + seats.head.waiting > 0
}

/// Refuses an empty list of roles, and more roles than a pool may have.
pub(super) fn check_roles(roles: &[RoleName]) -> Result<(), Refusal> {
    if (1..=POOL_ROLES_MAX).contains(&roles.len()) {
        return Ok(());
    }
    let why = format!("roles: a pool has 1 to {POOL_ROLES_MAX}; these are {}", roles.len());
    Err(Refusal::new(Code::INVALID_ARGUMENT, why))
}

fn require_free_name(event: &stored::Event, name: &EventPoolName, own: Option<Slot>) -> Result<(), Refusal> {
    match of_name(event, name.as_str()) {
        Some(at) if Some(event.pools[at].slot) != own => {
            let why = format!("the event has a pool \"{}\" already; choose another name", event.pools[at].name);
            Err(Refusal::new(Code::CONFLICT, why))
        }
        _ => Ok(()),
    }
}

/// The index in the event of the pool of this pk or name.
pub(in crate::rules) fn require_pool(event: &stored::Event, named: &Reference) -> Result<usize, Refusal> {
    let found = match named.read(NaturalName::Name)? {
        Named::Pk(pk) => event.pools.iter().position(|pool| pool.pk == pk),
        Named::Natural(name) => of_name(event, name),
    };
    found.ok_or_else(|| {
        let names: Vec<_> = event.pools.iter().map(|pool| format!("\"{}\"", pool.name)).collect();
        let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Refusal::new(Code::NOT_FOUND, format!("the event has no pool \"{named}\"; it has {has}"))
    })
}

fn of_name(event: &stored::Event, name: &str) -> Option<usize> {
    let folded = fold(name);
    event.pools.iter().position(|pool| fold(pool.name.as_str()) == folded)
}
