//! Authorization: the peer's grant and the actor's permissions. Both must allow an operation.
//!
//! The grant is a matter of the operation's line in the table and is checked as soon as the request can be read; the
//! permission is checked after the references, because ownership depends on the record.

use enroll_protocol::{Access, Code, OperationRow, Pk, Reference, Refusal, RoleName};

use super::{Call, person, role};
use crate::context::{Grant, Peer};
use crate::fault::Fault;
use crate::model::{key, record};
use crate::state::ReadTxn;

/// The actor of a call: the person on whose behalf the peer calls.
#[derive(Debug, Clone)]
pub struct Actor {
    /// Their pk.
    pub pk: Pk,
    /// Their record.
    pub person: record::Person,
}

/// Refuses an operation that the peer's grant does not allow, whether or not there is an actor.
pub fn admit(row: &OperationRow, peer: &Peer, names_actor: bool) -> Result<(), Refusal> {
    let denied = |why: String| Err(Refusal::new(Code::PERMISSION_DENIED, why));
    if names_actor && peer.grant == Grant::Read {
        return denied("a peer with the grant read names no actor".to_owned());
    }
    let needed = match row.access {
        Access::Read => Grant::Read,
        Access::Operate => Grant::Operate,
        Access::Decide if names_actor => Grant::Operate,
        Access::Decide => Grant::Admin,
    };
    if peer.grant >= needed {
        return Ok(());
    }
    let way_out = if peer.grant == Grant::Operate { ", or an actor who may" } else { "" };
    denied(format!(
        "{} needs the grant {}{way_out}; uid {} has the grant {}",
        row.name,
        needed.name(),
        peer.uid,
        peer.grant.name()
    ))
}

impl Actor {
    pub(super) fn find(txn: &dyn ReadTxn, actor: &Reference) -> Result<Self, Fault> {
        let (pk, person) = person::require(txn, actor)?;
        person::require_live(actor, &person)?;
        Ok(Self { pk, person })
    }
}

impl Call<'_> {
    /// Refuses an actor who lacks the permission of this operation for something that is not their own.
    pub fn permit(&self, txn: &dyn ReadTxn, is_own: bool) -> Result<(), Fault> {
        if is_own || self.row.permission.is_empty() {
            return Ok(());
        }
        self.permit_path(txn, self.row.permission)
    }

    /// Refuses an actor who lacks this permission. Without an actor the grant has decided already.
    pub fn permit_path(&self, txn: &dyn ReadTxn, path: &str) -> Result<(), Fault> {
        match &self.actor {
            Some(actor) if !has_permission(txn, actor.pk, path)? => Err(Fault::Refused(Refusal::new(
                Code::PERMISSION_DENIED,
                format!("\"{}\" lacks the permission {path}; give them a role that has it", actor.person.callsign),
            ))),
            _ => Ok(()),
        }
    }

    /// Refuses to give a role unless the actor has every permission that it carries, or the peer has the grant `admin`.
    pub fn permit_giving(&self, txn: &dyn ReadTxn, role: &RoleName) -> Result<(), Fault> {
        if self.actor.is_none() && self.ctx.peer.grant < Grant::Admin {
            let why = "giving a role needs the grant admin, or an actor who has what the role carries";
            return Err(Fault::Refused(Refusal::new(Code::PERMISSION_DENIED, why)));
        }
        let carried = role::record_of(txn, role)?.permissions;
        carried.iter().try_for_each(|path| self.permit_path(txn, path))
    }

    /// True if there is an actor who has this permission.
    pub fn actor_has(&self, txn: &dyn ReadTxn, path: &str) -> Result<bool, Fault> {
        self.actor.as_ref().map_or(Ok(false), |actor| has_permission(txn, actor.pk, path))
    }

    /// True if this person is the actor.
    pub fn is_actor(&self, person: Pk) -> bool {
        self.actor.as_ref().is_some_and(|actor| actor.pk == person)
    }
}

/// True if one of a person's roles was granted this path or one that it lies under.
pub(super) fn has_permission(txn: &dyn ReadTxn, person: Pk, path: &str) -> Result<bool, Fault> {
    let roles = record::get::<record::PersonRoles>(txn, &key::person_roles(person))?.unwrap_or_default().roles;
    for role in &roles {
        let granted = role::record_of(txn, role)?.permissions;
        if granted.iter().any(|granted| path.starts_with(granted.as_str())) {
            return Ok(true);
        }
    }
    Ok(false)
}
