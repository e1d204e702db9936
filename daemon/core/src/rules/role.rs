//! Roles of people. A role's record holds the count of its members: every change of members writes it, and every
//! decision on them reads it.

use enroll_protocol::role::{Assign, Has, List, Remove};
use enroll_protocol::{Code, Pk, Reference, Refusal, RoleName};

use super::{Call, ReadOp, WriteOp, person, registration};
use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::key;
use crate::model::record::{self, PersonRoles, Role, RoleMember};
use crate::state::ReadTxn;

/// The one role that an actor with `/supervisors/` may give.
const SUPERVISOR: &str = "supervisor";

/// Roles of one person: they are read as one record in every check.
const ROLES_OF_PERSON_MAX: usize = 256;

impl WriteOp for Assign {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<bool, Fault> {
        let pk = require_person(txn.as_read(), &self.person)?;
        if permit(txn.as_read(), call, &self.role)? == Permitted::ByRoles {
            call.permit_giving(txn.as_read(), &self.role)?;
        }
        call.permit_touching(txn.as_read(), pk)?;
        let is_new = give(txn, pk, &self.role)?;
        if is_new {
            call.emit(txn, vec![pk], None);
            registration::readmit_all(txn, call, pk)?;
        }
        Ok(is_new)
    }
}

impl WriteOp for Remove {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<bool, Fault> {
        let pk = require_person(txn.as_read(), &self.person)?;
        permit(txn.as_read(), call, &self.role)?;
        call.permit_touching(txn.as_read(), pk)?;
        let was_there = take(txn, pk, &self.role)?;
        if was_there {
            call.emit(txn, vec![pk], None);
            registration::readmit_all(txn, call, pk)?;
        }
        Ok(was_there)
    }
}

impl ReadOp for Has {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<bool, Fault> {
        let pk = require_asked(txn, &self.person, self.allow_deleted)?;
        call.permit(txn, call.is_actor(pk))?;
        has(txn, pk, &self.role)
    }
}

impl ReadOp for List {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Vec<RoleName>, Fault> {
        let pk = require_asked(txn, &self.person, self.allow_deleted)?;
        call.permit(txn, call.is_actor(pk))?;
        list_of(txn, pk)
    }
}

/// Gives a role. Returns false if the person had it.
pub(super) fn give(txn: &mut dyn Txn, person: Pk, role: &RoleName) -> Result<bool, Fault> {
    let mut held = roles_of(txn.as_read(), person)?;
    if held.roles.contains(role) {
        return Ok(false);
    }
    if held.roles.len() >= ROLES_OF_PERSON_MAX {
        let why = format!("a person has at most {ROLES_OF_PERSON_MAX} roles; remove one first");
        return Err(Fault::Refused(Refusal::new(Code::CONFLICT, why)));
    }
    held.roles.insert(role.clone());
    let mut head = record_of(txn.as_read(), role)?;
    head.members += 1;
    record::put(txn, key::person_roles(person), &held);
    record::put(txn, key::role_member(role, person), &RoleMember);
    record::put(txn, key::role(role), &head);
    Ok(true)
}

/// Takes a role. Returns false if the person did not have it.
fn take(txn: &mut dyn Txn, person: Pk, role: &RoleName) -> Result<bool, Fault> {
    let mut held = roles_of(txn.as_read(), person)?;
    if !held.roles.remove(role) {
        return Ok(false);
    }
    let mut head = record_of(txn.as_read(), role)?;
    head.members = head.members.saturating_sub(1);
    record::put(txn, key::person_roles(person), &held);
    txn.delete(key::role_member(role, person));
    record::put(txn, key::role(role), &head);
    Ok(true)
}

/// Takes every role of a person.
pub(super) fn take_all(txn: &mut dyn Txn, person: Pk) -> Result<(), Fault> {
    let held = roles_of(txn.as_read(), person)?;
    held.roles.iter().try_for_each(|role| take(txn, person, role).map(drop))
}

/// A role's record; a role that nobody ever had is an empty one.
pub(super) fn record_of(txn: &dyn ReadTxn, role: &RoleName) -> Result<Role, Fault> {
    Ok(record::get::<Role>(txn, &key::role(role))?.unwrap_or_default())
}

/// True if a person has a role.
pub(super) fn has(txn: &dyn ReadTxn, person: Pk, role: &RoleName) -> Result<bool, Fault> {
    Ok(txn.get(&key::role_member(role, person))?.is_some())
}

/// The names of a person's roles, in their order; none of a deleted person.
pub(super) fn list_of(txn: &dyn ReadTxn, person: Pk) -> Result<Vec<RoleName>, Fault> {
    Ok(roles_of(txn, person)?.roles.into_iter().collect())
}

fn roles_of(txn: &dyn ReadTxn, person: Pk) -> Result<PersonRoles, Fault> {
    Ok(record::get::<PersonRoles>(txn, &key::person_roles(person))?.unwrap_or_default())
}

/// The person of this pk or callsign, who must exist and not be deleted.
pub(super) fn require_person(txn: &dyn ReadTxn, named: &Reference) -> Result<Pk, Fault> {
    let (pk, found) = person::require(txn, named)?;
    person::require_live(named, &found)?;
    Ok(pk)
}

/// The person of this pk or callsign, who must exist. A deleted one, who holds no roles, is refused unless allowed.
fn require_asked(txn: &dyn ReadTxn, named: &Reference, allow_deleted: bool) -> Result<Pk, Fault> {
    if allow_deleted { Ok(person::require(txn, named)?.0) } else { require_person(txn, named) }
}

/// The permission that allows to change a role's members.
#[derive(PartialEq, Eq)]
enum Permitted {
    ByRoles,
    BySupervisors,
}

/// Requires `/roles/`; for the role `supervisor`, `/supervisors/` is enough.
fn permit(txn: &dyn ReadTxn, call: &Call<'_>, role: &RoleName) -> Result<Permitted, Fault> {
    if role.as_str() == SUPERVISOR && call.actor_has(txn, "/supervisors/")? {
        return Ok(Permitted::BySupervisors);
    }
    call.permit(txn, false)?;
    Ok(Permitted::ByRoles)
}
