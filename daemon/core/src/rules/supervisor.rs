//! Supervisors of people, and their representatives, who decide in their stead.

use enroll_protocol::person::Person;
use enroll_protocol::registration::Registration;
use enroll_protocol::supervisor::{AddRepresentative, Assign, Pending, RemoveRepresentative, Unassign};
use enroll_protocol::{Code, Page, Pk, Reference, Refusal, RoleName};

use super::page::{Bounds, page_of};
use super::registration::View;
use super::{Call, ReadOp, WriteOp, person, registration, role};
use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::event as stored;
use crate::model::key;
use crate::model::record::{self, Marker};
use crate::state::{Entries, ReadTxn};

/// The role that a decider must hold.
const SUPERVISOR: &str = "supervisor";

/// Supervisors whom one person represents: a list of pending registrations merges all of them.
const REPRESENTED_MAX: usize = 64;

impl WriteOp for Assign {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Person, Fault> {
        let person = role::require_person(txn.as_read(), &self.person)?;
        let supervisor = role::require_person(txn.as_read(), &self.supervisor)?;
        call.permit(txn.as_read(), false)?;
        call.permit_touching(txn.as_read(), person)?;
        if person == supervisor {
            let why = format!("\"{}\" can not supervise themself", self.person);
            return Err(Fault::Refused(Refusal::new(Code::INVALID_ARGUMENT, why)));
        }
        require_supervisor(txn.as_read(), supervisor, &self.supervisor)?;
        set(txn, call, person, Some(supervisor))
    }
}

impl WriteOp for Unassign {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Person, Fault> {
        let person = role::require_person(txn.as_read(), &self.person)?;
        call.permit(txn.as_read(), false)?;
        call.permit_touching(txn.as_read(), person)?;
        set(txn, call, person, None)
    }
}

impl WriteOp for AddRepresentative {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<bool, Fault> {
        let supervisor = role::require_person(txn.as_read(), &self.supervisor)?;
        let representative = role::require_person(txn.as_read(), &self.representative)?;
        permit_naming(txn.as_read(), call, supervisor)?;
        call.permit_touching(txn.as_read(), supervisor)?;
        if supervisor == representative {
            let why = format!("\"{}\" can not represent themself", self.supervisor);
            return Err(Fault::Refused(Refusal::new(Code::INVALID_ARGUMENT, why)));
        }
        require_supervisor(txn.as_read(), supervisor, &self.supervisor)?;
        require_supervisor(txn.as_read(), representative, &self.representative)?;
        let key = key::representative(supervisor, representative);
        if txn.as_read().get(&key)?.is_some() {
            return Ok(false);
        }
        let (from, to) = key::prefixed(key::representeds(representative));
        if txn.as_read().range(&from, &to, REPRESENTED_MAX)?.len() == REPRESENTED_MAX {
            let why = format!(
                "\"{}\" represents {REPRESENTED_MAX} supervisors already; remove one first",
                self.representative
            );
            return Err(Fault::Refused(Refusal::new(Code::CONFLICT, why)));
        }
        record::put(txn, key, &Marker);
        record::put(txn, key::represented(representative, supervisor), &Marker);
        call.emit(txn, vec![supervisor, representative], None);
        Ok(true)
    }
}

impl WriteOp for RemoveRepresentative {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<bool, Fault> {
        let supervisor = role::require_person(txn.as_read(), &self.supervisor)?;
        let (representative, _) = person::require(txn.as_read(), &self.representative)?;
        permit_naming(txn.as_read(), call, supervisor)?;
        call.permit_touching(txn.as_read(), supervisor)?;
        let key = key::representative(supervisor, representative);
        if txn.as_read().get(&key)?.is_none() {
            return Ok(false);
        }
        txn.delete(key);
        txn.delete(key::represented(representative, supervisor));
        call.emit(txn, vec![supervisor, representative], None);
        Ok(true)
    }
}

impl ReadOp for Pending {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Page<Registration>, Fault> {
        let supervisor = role::require_person(txn, &self.supervisor)?;
        call.permit(txn, call.is_actor(supervisor))?;
        let bounds = Bounds::of(call, &supervisor, self.after.as_ref(), self.limit)?;
        let mut deciders = Vec::new();
        if is_supervisor(txn, supervisor)? {
            deciders.push(supervisor);
            let (from, to) = key::prefixed(key::representeds(supervisor));
            let represented = txn.range(&from, &to, REPRESENTED_MAX)?;
            for other in represented.iter().filter_map(|(key, _)| key::pk_at_end(key)) {
                if is_supervisor(txn, other)? {
                    deciders.push(other);
                }
            }
        }
        deciders.sort_unstable();
        let ranges: Vec<_> = deciders.into_iter().map(|decider| key::prefixed(key::pendings(decider))).collect();
        page_of(txn, &ranges, &bounds, |key, _| {
            let Some((person, event)) = key::pending_of(key) else { return Ok(None) };
            let Some(found) = record::get::<stored::Registration>(txn, &key::registration(event, person))? else {
                return Ok(None);
            };
            View::of(txn, event)?.to_reply(txn, person, found).map(Some)
        })
    }
}

/// Sets a person's supervisor, and moves the person's pending registrations to them.
fn set(txn: &mut dyn Txn, call: &Call<'_>, pk: Pk, supervisor: Option<Pk>) -> Result<Person, Fault> {
    let pending = registration::pending_of(txn.as_read(), pk)?;
    let life = match supervisor {
        Some(supervisor) => record::get::<record::Person>(txn.as_read(), &key::person(supervisor))?.map(|s| s.life),
        None => None,
    };
    person::change(txn, call, pk, |txn, person| {
        for event in &pending {
            if let Some(before) = person.supervisor {
                txn.delete(key::pending(before, pk, *event));
            }
            if let Some(supervisor) = supervisor {
                record::put(txn, key::pending(supervisor, pk, *event), &stored::Registered { person: pk });
            }
        }
        person.supervisor = supervisor;
        person.supervisor_life = life.unwrap_or_default();
    })
}

/// Unties a person who is restored: from their supervisor, from those whom they represent and who represent them, and
/// from the registrations that wait for their decision.
pub(super) fn forget(txn: &mut dyn Txn, pk: Pk, person: &record::Person) -> Result<(), Fault> {
    if let Some(supervisor) = person.supervisor {
        for event in registration::pending_of(txn.as_read(), pk)? {
            txn.delete(key::pending(supervisor, pk, event));
        }
    }
    for (pending, _) in all_under(txn.as_read(), key::pendings(pk))? {
        txn.delete(pending);
    }
    for (represented, _) in all_under(txn.as_read(), key::representeds(pk))? {
        if let Some(supervisor) = key::pk_at_end(&represented) {
            txn.delete(key::representative(supervisor, pk));
        }
        txn.delete(represented);
    }
    for (named, _) in all_under(txn.as_read(), key::representatives(pk))? {
        if let Some(representative) = key::pk_at_end(&named) {
            txn.delete(key::represented(representative, pk));
        }
        txn.delete(named);
    }
    Ok(())
}

fn all_under(txn: &dyn ReadTxn, beginning: Vec<u8>) -> Result<Entries, Fault> {
    let (from, to) = key::prefixed(beginning);
    Ok(txn.range(&from, &to, usize::MAX)?)
}

/// Refuses an actor who may not decide on a person's registrations: it takes being their supervisor, or one's
/// representative, both with the role, or the permission.
pub(super) fn permit_deciding(txn: &dyn ReadTxn, call: &Call<'_>, person: Pk) -> Result<(), Fault> {
    let supervisor = match record::get::<record::Person>(txn, &key::person(person))? {
        Some(person) => person::supervisor_of(txn, &person)?,
        None => None,
    };
    if let (Some(actor), Some(supervisor)) = (&call.actor, supervisor)
        && is_supervisor(txn, supervisor)?
        && is_supervisor(txn, actor.pk)?
        && (actor.pk == supervisor || txn.get(&key::representative(supervisor, actor.pk))?.is_some())
    {
        return Ok(());
    }
    call.permit(txn, false)
}

/// A supervisor names their own representatives; an actor who may set supervisors may name them too.
fn permit_naming(txn: &dyn ReadTxn, call: &Call<'_>, supervisor: Pk) -> Result<(), Fault> {
    let is_own = call.is_actor(supervisor) && call.actor_has(txn, "/representatives/")?;
    call.permit(txn, is_own)
}

fn is_supervisor(txn: &dyn ReadTxn, person: Pk) -> Result<bool, Fault> {
    role::has(txn, person, &RoleName::new(SUPERVISOR)?)
}

fn require_supervisor(txn: &dyn ReadTxn, person: Pk, named: &Reference) -> Result<(), Fault> {
    if is_supervisor(txn, person)? {
        return Ok(());
    }
    let why = format!("\"{named}\" does not have the role {SUPERVISOR}; give it to them first");
    Err(Fault::Refused(Refusal::new(Code::CONFLICT, why)))
}
