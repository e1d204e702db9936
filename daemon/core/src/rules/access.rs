//! Authorization: the peer's grant and the actor's permissions. Both must allow an operation.
//!
//! The grant is a matter of the operation's line in the table and is checked as soon as the request can be read; the
//! permission is checked after the references, because ownership depends on the record.

use enroll_protocol::enrollment::Decider;
use enroll_protocol::fold::fold;
use enroll_protocol::{
    Access, Actor, Code, Envelope, Json, Operation as _, OperationRow, Pk, Refusal, RoleName, Time, certificate, code,
    enrollment, jwt, pool, server, token,
};

use super::{Call, jwt as jwts, person, role};
use crate::context::{Context, Grant, Identity, Peer, Proof};
use crate::delegation::ActFor;
use crate::fault::Fault;
use crate::identity::jwt::first_issued;
use crate::model::{key, record};
use crate::settings::Settings;
use crate::state::ReadTxn;

/// The permission that covers every other. Its holders are superusers.
const EVERYTHING: &str = "/";

/// Operations that a peer with a bounded delegation may call without an actor: those whose request brings a proof of its
/// own, and those that are public among all who may connect.
const WITHOUT_ACTOR: &[&OperationRow] = &[
    pool::Check::ROW,
    enrollment::Create::ROW,
    code::Use::ROW,
    token::Use::ROW,
    jwt::Verify::ROW,
    jwt::Keys::ROW,
    jwt::Refresh::ROW,
    jwt::Exchange::ROW,
    server::Status::ROW,
    certificate::Ca::ROW,
    certificate::Crl::ROW,
];

/// The actor of a call: the person on whose behalf the peer calls.
#[derive(Debug, Clone)]
pub struct ActingPerson {
    /// Their pk.
    pub pk: Pk,
    /// Their record.
    pub person: record::Person,
}

/// Refuses an operation that the peer's grant does not allow, and an envelope that it may not send.
pub fn admit(row: &OperationRow, peer: &Peer, envelope: &Envelope) -> Result<(), Refusal> {
    let grant = peer.grant.name();
    let has_actor = envelope.actor.is_some();
    if peer.grant < Grant::Operate && (has_actor || envelope.origin.is_some()) {
        let named = if has_actor { "actor" } else { "origin" };
        return Err(denied(format!("a peer with the grant {grant} names no {named}; that takes the grant operate")));
    }
    let needed = match row.access {
        Access::Metrics => Grant::Metrics,
        Access::Read => Grant::Read,
        Access::Operate => Grant::Operate,
        Access::Decide if has_actor => Grant::Operate,
        Access::Decide => Grant::Decide,
        Access::Admin => Grant::Admin,
    };
    if peer.grant < needed {
        let may_act = row.access == Access::Decide && peer.grant == Grant::Operate;
        let way_out = if may_act { ", or an actor who may" } else { "" };
        let (name, needed, uid) = (row.name, needed.name(), peer.uid);
        return Err(denied(format!("{name} needs the grant {needed}{way_out}; uid {uid} has the grant {grant}")));
    }
    admit_actor(row, peer, envelope.actor.as_ref())
}

/// Refuses a named actor where the peer must prove it, and no actor where the peer acts for some people only.
fn admit_actor(row: &OperationRow, peer: &Peer, actor: Option<&Actor>) -> Result<(), Refusal> {
    let uid = peer.uid;
    match actor {
        None if peer.grant < Grant::Admin
            && peer.delegation.is_bounded()
            && WITHOUT_ACTOR.iter().all(|allowed| allowed.number != row.number) =>
        {
            let how = if peer.delegation.proven { ", whose session JWT proves it" } else { "" };
            Err(denied(format!("uid {uid} may call {} on behalf of a person only{how}; name the actor", row.name)))
        }
        Some(Actor::Named(_)) if peer.delegation.proven => Err(denied(format!(
            "uid {uid} must prove its actor with a session JWT; a name is not enough (grants.actors)"
        ))),
        _ => Ok(()),
    }
}

/// Verifies the session JWT of a proven actor; none for another envelope. Refuses a JWT that is not one of ours and
/// valid at this time (`jwt_invalid`).
pub fn prove(
    envelope: &Envelope,
    identity: &Identity,
    settings: &Settings,
    now: Time,
) -> Result<Option<Proof>, Refusal> {
    let Some(Actor::Proven(jwt)) = &envelope.actor else { return Ok(None) };
    let claims = identity.keys.verify(&settings.issuing, jwt, now).map_err(jwts::invalid)?;
    let subject = claims.member::<String>("sub")?.ok_or_else(|| jwts::invalid(NAMES_NOBODY))?;
    let expires = claims.member::<i64>("exp")?.unwrap_or_default();
    Ok(Some(Proof { subject, first_issued: first_issued(&claims), expires }))
}

/// Why a JWT proves no actor.
const NAMES_NOBODY: &str = "its sub names nobody here, so it proves no actor";

impl ActingPerson {
    /// The actor of a request; none where it has none. Refuses a deleted person, a proof that has expired, and a person
    /// for whom the peer may not act.
    pub(super) fn find(txn: &dyn ReadTxn, ctx: &Context) -> Result<Option<Self>, Fault> {
        let (pk, person) = match (&ctx.envelope.actor, &ctx.proof) {
            (None, _) => return Ok(None),
            (Some(Actor::Named(named)), _) => {
                let (pk, person) = person::require(txn, named)?;
                person::require_live(named, &person)?;
                (pk, person)
            }
            (Some(Actor::Proven(_)), Some(proof)) => proven(txn, ctx, proof)?,
            (Some(Actor::Proven(_)), None) => return Err(Fault::Broken("a proof was not verified".to_owned())),
        };
        require_delegated(txn, &ctx.peer, pk, &person)?;
        Ok(Some(Self { pk, person }))
    }
}

/// The person that a proof names. It is looked at again at each step of a stream, which may outlive it.
fn proven(txn: &dyn ReadTxn, ctx: &Context, proof: &Proof) -> Result<(Pk, record::Person), Fault> {
    if proof.expires <= ctx.now.seconds() {
        return Err(jwts::invalid("it has expired").into());
    }
    let found = jwts::subject_of(txn, ctx, Some(&proof.subject), proof.first_issued)?;
    Ok(found.ok_or_else(|| jwts::invalid(NAMES_NOBODY))?)
}

/// Refuses a person for whom the peer may not act.
fn require_delegated(txn: &dyn ReadTxn, peer: &Peer, pk: Pk, person: &record::Person) -> Result<(), Fault> {
    let (uid, callsign, delegation) = (peer.uid, &person.callsign, &peer.delegation);
    if peer.grant < Grant::Admin && !delegation.superusers && has_permission(txn, pk, EVERYTHING)? {
        let why = format!(
            "\"{callsign}\" has the permission /, and uid {uid} may not act for such people; \
             an administrator can name it in superusers_through, under [grants]"
        );
        return Err(denied(why).into());
    }
    for list in &delegation.act_for {
        if !is_on(txn, list, pk, person)? {
            let why =
                format!("uid {uid} may not act for \"{callsign}\"; its line in grants.act_for does not name them");
            return Err(denied(why).into());
        }
    }
    Ok(())
}

fn is_on(txn: &dyn ReadTxn, list: &ActFor, pk: Pk, person: &record::Person) -> Result<bool, Fault> {
    if list.callsigns.contains(&fold(person.callsign.as_str())) {
        return Ok(true);
    }
    let held = record::get::<record::PersonRoles>(txn, &key::person_roles(pk))?.unwrap_or_default().roles;
    Ok(held.iter().any(|role| list.roles.contains(role)))
}

fn denied(why: impl Into<String>) -> Refusal {
    Refusal::new(Code::PERMISSION_DENIED, why)
}

impl Call<'_> {
    /// Refuses an actor who lacks the permission of this operation for something that is not their own.
    pub fn permit(&self, txn: &dyn ReadTxn, is_own: bool) -> Result<(), Fault> {
        if is_own || self.row.permission.is_empty() {
            return Ok(());
        }
        self.permit_path(txn, self.row.permission)
    }

    /// Refuses an actor who lacks this permission. Without an actor the grant has decided already, except on `/`, which
    /// takes the grant `admin`.
    pub fn permit_path(&self, txn: &dyn ReadTxn, path: &str) -> Result<(), Fault> {
        match &self.actor {
            Some(actor) if !has_permission(txn, actor.pk, path)? => {
                let callsign = &actor.person.callsign;
                Err(denied(format!("\"{callsign}\" lacks the permission {path}; give them a role that has it")).into())
            }
            None if path == EVERYTHING && self.ctx.peer.grant < Grant::Admin => {
                Err(denied("this needs the grant admin, or an actor who has the permission /").into())
            }
            _ => Ok(()),
        }
    }

    /// Refuses to give a role unless the actor has every permission that it carries. Without an actor the peer needs
    /// the grant `decide`, and `admin` for a role that carries `/`.
    pub fn permit_giving(&self, txn: &dyn ReadTxn, role: &RoleName) -> Result<(), Fault> {
        if self.actor.is_none() && self.ctx.peer.grant < Grant::Decide {
            let why = "giving a role needs the grant decide, or an actor who has what the role carries";
            return Err(denied(why).into());
        }
        let carried = role::record_of(txn, role)?.permissions;
        carried.iter().try_for_each(|path| self.permit_path(txn, path))
    }

    /// Refuses to change a holder of `/`, or what they are identified by, unless the peer has the grant `admin` or the
    /// actor has `/`.
    pub fn permit_touching(&self, txn: &dyn ReadTxn, person: Pk) -> Result<(), Fault> {
        let may = self.ctx.peer.grant >= Grant::Admin || self.actor_has(txn, EVERYTHING)?;
        if may || !has_permission(txn, person, EVERYTHING)? {
            return Ok(());
        }
        Err(denied("this person has the permission /; only a peer with the grant admin, or an actor with /, may")
            .into())
    }

    /// Refuses to make a login for a person for whom the peer may not act.
    pub fn permit_login_of(&self, txn: &dyn ReadTxn, pk: Pk, person: &record::Person) -> Result<(), Fault> {
        self.permit_touching(txn, pk)?;
        if self.ctx.peer.grant >= Grant::Admin {
            return Ok(());
        }
        require_delegated(txn, &self.ctx.peer, pk, person)
    }

    /// True if the peer sees the codes of pools and enrollments that the actor may see.
    pub fn sees_codes(&self) -> bool {
        self.ctx.peer.grant >= Grant::Operate
    }

    /// An `extra` as the peer sees it: empty where it may not.
    pub fn shown_extra(&self, extra: Json) -> Json {
        let is_seen = self.ctx.peer.grant >= Grant::Operate || self.ctx.settings.read_sees_extra;
        if is_seen { extra } else { Json::default() }
    }

    /// The actor, or where there is none the peer.
    pub fn decider(&self) -> Decider {
        self.actor.as_ref().map_or(Decider::Uid(self.ctx.peer.uid), |actor| Decider::Person(actor.pk))
    }

    /// The user of a code or a token as far as the caller may know: an actor without the permission of this operation,
    /// and a peer that acts for some people only, see nobody but themselves.
    pub fn shown_user(&self, txn: &dyn ReadTxn, user: Option<Decider>) -> Result<Option<Decider>, Fault> {
        let sees_all = match &self.actor {
            Some(_) => self.actor_has(txn, self.row.permission)?,
            None => self.ctx.peer.grant >= Grant::Admin || !self.ctx.peer.delegation.is_bounded(),
        };
        Ok(user.filter(|user| sees_all || *user == self.decider()))
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
