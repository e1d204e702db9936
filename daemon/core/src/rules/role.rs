//! Roles of people. A role's record holds the count of its members: every change of members writes it, and every
//! decision on them reads it.

use std::ops::ControlFlow;

use enroll_protocol::fold::fold;
use enroll_protocol::limits::PAGE_ITEMS_MAX;
use enroll_protocol::role::{Assign, Has, List, Remove};
use enroll_protocol::{Code, NamePrefix, Pk, Reference, Refusal, RoleName};

use super::{Call, ReadOp, WriteOp, person, registration};
use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::key::{self, Family};
use crate::model::record::{self, PersonRoles, Role, RoleMember};
use crate::state::{ReadTxn, SCAN_CHUNK, walk};

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
        if has(txn.as_read(), pk, &self.role)? {
            return Ok(false);
        }
        change(txn, call, pk, |txn| give(txn, pk, &self.role))
    }
}

impl WriteOp for Remove {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<bool, Fault> {
        let pk = require_person(txn.as_read(), &self.person)?;
        permit(txn.as_read(), call, &self.role)?;
        call.permit_touching(txn.as_read(), pk)?;
        if !has(txn.as_read(), pk, &self.role)? {
            return Ok(false);
        }
        change(txn, call, pk, |txn| take(txn, pk, &self.role))
    }
}

/// Changes the roles of a person: behind what is due at their events, and their registrations follow.
fn change(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    person: Pk,
    how: impl FnOnce(&mut dyn Txn) -> Result<bool, Fault>,
) -> Result<bool, Fault> {
    registration::settle_events_of(txn, call, person)?;
    let is_changed = how(txn)?;
    call.emit(txn, vec![person], None);
    registration::readmit_all(txn, call, person)?;
    Ok(is_changed)
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
        let Some(person) = &self.person else {
            call.permit(txn, false)?;
            return names(txn, self.prefix.as_ref());
        };
        let pk = require_asked(txn, person, self.allow_deleted)?;
        call.permit(txn, call.is_actor(pk))?;
        let beginning = self.prefix.as_ref().map_or_else(String::new, |prefix| fold(prefix.as_str()));
        Ok(list_of(txn, pk)?.into_iter().filter(|role| role.as_str().starts_with(&beginning)).collect())
    }
}

/// The first names of the roles that somebody has or that carry a permission, in their order.
fn names(txn: &dyn ReadTxn, prefix: Option<&NamePrefix>) -> Result<Vec<RoleName>, Fault> {
    let (from, to) = match prefix {
        Some(prefix) => key::prefixed([&[Family::Roles as u8], fold(prefix.as_str()).as_bytes()].concat()),
        None => Family::Roles.bounds(),
    };
    let mut names = Vec::new();
    walk(txn, (&from, &to), SCAN_CHUNK, |key, value| {
        let role: Role = record::decode(value)?;
        let is_used = role.members > 0 || !role.permissions.is_empty();
        names.extend(key::role_name(key).filter(|_| is_used));
        let is_full = names.len() >= usize::from(PAGE_ITEMS_MAX);
        Ok::<_, Fault>(if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(names)
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
