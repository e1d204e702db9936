//! Login codes: made for claims, exchanged once for a JWT with those claims.
//!
//! Only a code's keyed hash is stored. A code that does not exist counts as a guess; one that exists but was used or
//! has expired does not, nor does one of another length.

use enroll_protocol::code::{Create, Created, Delete, Exchanged, Get, Login, Use, Used};
use enroll_protocol::limits::JSON_BYTES_MAX;
use enroll_protocol::{Code, Invalid, Json, Jwt, LoginCode, Pk, Reference, Refusal};

use super::{Call, Finish, ReadOp, WriteOp, expiry, human_code, person, rate_limit, token};
use crate::context::{Context, Grant, Purpose};
use crate::draft::Txn;
use crate::fault::Fault;
use crate::identity::jwt::OWN_CLAIMS;
use crate::identity::{IdentityError, KeyRing};
use crate::model::key::{self, Due};
use crate::model::record::{self, Kind, Pointer};
use crate::model::token as stored;
use crate::state::{ReadTxn, StoreError};

/// The JWT adds its own claims to the caller's, and all together must be an object within the bounds.
pub(super) const CLAIMS_BYTES_MAX: usize = JSON_BYTES_MAX - (4 << 10);

const CHARACTERS: usize = 12;

impl WriteOp for Create {
    const REDACT: Option<fn(&mut Created)> = Some(|reply| reply.code = None);

    fn check(&self) -> Result<(), Refusal> {
        let refuse = |why: String| Err(Refusal::new(Code::INVALID_ARGUMENT, why));
        if self.claims.as_str().len() > CLAIMS_BYTES_MAX {
            return refuse(format!("claims: at most {CLAIMS_BYTES_MAX} bytes, so that the JWT's own fit as well"));
        }
        let claims = self.claims.members()?;
        match OWN_CLAIMS.iter().find(|name| claims.contains_key(**name)) {
            Some(name) => {
                refuse(format!("claims: must not contain {name}; the JWT gets its own {}", OWN_CLAIMS.join(", ")))
            }
            None => Ok(()),
        }
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Created, Fault> {
        let subject_life = subject_of(txn.as_read(), call.ctx, &self.claims)?.map_or(0, |(_, person)| person.life);
        permit_making(txn.as_read(), call, &self.claims)?;
        call.expect_to_come(self.expires)?;
        let mut random = call.ctx.random(Purpose::Rule);
        let pk = call.ctx.new_pk(&mut random);
        let secrets = &call.ctx.identity.secrets;
        let settings = &call.ctx.settings;
        let (code, key) = human_code::draw_free(txn.as_read(), &mut random, settings, CHARACTERS, |code| {
            key::code_hash(&secrets.code(code))
        })?;
        let code_record = stored::Code {
            hash: secrets.code(&code),
            created: call.ctx.now,
            claims: self.claims.clone(),
            audit: self.audit.clone(),
            subject_life,
            used_on: None,
            used_by: None,
            expires: self.expires,
        };
        record::put(txn, key, &Pointer { pk });
        record::put(txn, key::code(pk), &code_record);
        expiry::plan_after_expiry(txn, self.expires, &Due::Code(pk));
        call.emit(txn, vec![pk], Some(Kind::Code));
        Ok(Created { code: Some(LoginCode::new(code)?), expires: self.expires })
    }
}

impl WriteOp for Use {
    const FINISH: Option<Finish<Used>> = Some(|mut reply, keys| {
        reply.jwt = signed(reply.jwt.as_ref(), keys)?;
        Ok(reply)
    });

    const REDACT: Option<fn(&mut Used)> = Some(|reply| reply.jwt = None);

    fn takes_code(&self) -> bool {
        true
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Used, Fault> {
        rate_limit::expect_under_limit(call.ctx)?;
        let (pk, mut code) = expect(txn.as_read(), call, &self.code)?;
        let attempt = |refusal| Fault::Attempt { refusal, subject: Some(pk), guess: false };
        let subject = expect_subject(txn.as_read(), call.ctx, &code);
        let is_own = matches!(&subject, Ok(Some(pk)) if call.is_actor(*pk));
        subject.map_err(|fault| fault.into_attempt(Some(pk)))?;
        call.permit(txn.as_read(), is_own).map_err(|fault| fault.into_attempt(Some(pk)))?;
        if let Some(used_on) = code.used_on {
            let why = format!("this code was used before, at {used_on}");
            let used_by = call.shown_user(txn.as_read(), code.used_by)?;
            return Err(attempt(Refusal::new(Code::TOKEN_REUSE, why).with(token::reused(used_on, used_by))));
        }
        if let Some(expires) = code.expires.filter(|expires| *expires <= call.ctx.now) {
            return Err(attempt(Refusal::new(Code::EXPIRED, format!("this code expired at {expires}; make another"))));
        }
        let id = call.ctx.new_pk(&mut call.ctx.random(Purpose::Rule));
        let (jwt, expires) =
            call.ctx.identity.keys.unsigned(&call.ctx.settings.issuing, &code.claims, call.ctx.now, id)?;
        (code.used_on, code.used_by) = (Some(call.ctx.now), Some(call.decider()));
        code.audit = match (&code.audit, &self.audit) {
            (Some(made), Some(used)) => Some(made.merged(used).map_err(|err| {
                Refusal::new(Code::INVALID_ARGUMENT, format!("audit, with what was attached before: {err}"))
            })?),
            (made, used) => used.clone().or_else(|| made.clone()),
        };
        record::put(txn, key::code(pk), &code);
        call.emit(txn, vec![pk], None);
        Ok(Used { jwt: Some(jwt), expires, claims: code.claims })
    }
}

impl ReadOp for Get {
    fn takes_code(&self) -> bool {
        true
    }

    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Login, Fault> {
        rate_limit::expect_under_limit(call.ctx)?;
        let (pk, code) = expect(txn, call, &self.code)?;
        let is_own = names_actor(txn, call, &code)?;
        call.permit(txn, is_own).map_err(|fault| fault.into_attempt(Some(pk)))?;
        Ok(Login {
            created: code.created,
            claims: code.claims,
            audit: code.audit,
            used_on: code.used_on,
            expires: code.expires,
        })
    }
}

impl WriteOp for Delete {
    fn run(&self, _: &mut dyn Txn, _: &Call<'_>) -> Result<(), Fault> {
        let why = "login codes can not be deleted; using a code is how it is revoked";
        Err(Fault::Refused(Refusal::new(Code::FORBIDDEN_OPERATION, why)))
    }
}

/// A code whose claims name a person here is a login of theirs, so it is a decision and bounded like acting for them;
/// nobody needs a permission for a code of their own.
fn permit_making(txn: &dyn ReadTxn, call: &Call<'_>, claims: &Json) -> Result<(), Fault> {
    let named = named_by(claims)?.map(|callsign| person::of_callsign(txn, &callsign)).transpose()?.flatten();
    let Some((pk, person)) = named else { return call.permit(txn, false) };
    if call.actor.is_none() && call.ctx.peer.grant < Grant::Decide {
        let why = format!(
            "a login code for \"{}\" needs the grant decide, or an actor who is that person or has the permission {}",
            person.callsign, call.row.permission
        );
        return Err(Fault::Refused(Refusal::new(Code::PERMISSION_DENIED, why)));
    }
    call.permit(txn, call.is_actor(pk))?;
    call.permit_login_of(txn, pk, &person)
}

/// The callsign by which claims name somebody: `sub`, else `CN`, which is how `person.find` reads them.
pub(super) fn named_by(claims: &Json) -> Result<Option<String>, Invalid> {
    match claims.member("sub")? {
        Some(sub) => Ok(Some(sub)),
        None => claims.member("CN"),
    }
}

/// Signs what was stored unsigned.
pub(super) fn sign(mut reply: Exchanged, keys: &KeyRing) -> Result<Exchanged, IdentityError> {
    reply.jwt = signed(reply.jwt.as_ref(), keys)?;
    Ok(reply)
}

fn signed(unsigned: Option<&Jwt>, keys: &KeyRing) -> Result<Option<Jwt>, IdentityError> {
    unsigned.map(|unsigned| keys.sign(unsigned)).transpose()
}

/// The stored code, or an attempt that counts as a guess. What can be no login code by its length is not found and
/// counts as nothing.
fn expect(txn: &dyn ReadTxn, call: &Call<'_>, typed: &LoginCode) -> Result<(Pk, stored::Code), Fault> {
    let unknown = || Refusal::new(Code::NOT_FOUND, "there is no such login code; check it for typing errors");
    let read = human_code::read_typed(typed.as_str(), call.ctx.settings.code_avoid_confusion);
    if read.chars().count() != CHARACTERS {
        return Err(Fault::Refused(unknown()));
    }
    let key = key::code_hash(&call.ctx.identity.secrets.code(&read));
    let Some(Pointer { pk }) = record::get::<Pointer>(txn, &key)? else {
        return Err(Fault::Attempt { refusal: unknown(), subject: None, guess: true });
    };
    let code = record::get(txn, &key::code(pk))?;
    Ok((pk, code.ok_or_else(|| StoreError::Corrupt("a login code is missing that its hash leads to".to_owned()))?))
}

/// True if a code's claims name the actor.
fn names_actor(txn: &dyn ReadTxn, call: &Call<'_>, code: &stored::Code) -> Result<bool, Fault> {
    match expect_subject(txn, call.ctx, code) {
        Ok(subject) => Ok(subject.is_some_and(|pk| call.is_actor(pk))),
        Err(Fault::Refused(_)) => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// The person whom a code's claim `sub` names, who must not be deleted. Refuses a code that is older than the person,
/// because it was not made as a login for them, and one from before the person was deleted and restored.
fn expect_subject(txn: &dyn ReadTxn, ctx: &Context, code: &stored::Code) -> Result<Option<Pk>, Fault> {
    let Some((pk, person)) = subject_of(txn, ctx, &code.claims)? else { return Ok(None) };
    if code.created < person.created && person.created <= ctx.now {
        let why = format!("this code was made before the person \"{}\" was; make another", person.callsign);
        return Err(Fault::Refused(Refusal::new(Code::EXPIRED, why)));
    }
    if code.subject_life != person.life {
        let why = format!(
            "this code was made before the person \"{}\" was deleted and restored; make another",
            person.callsign
        );
        return Err(Fault::Refused(Refusal::new(Code::DELETED, why)));
    }
    Ok(Some(pk))
}

/// The person whom the claim `sub` names, who must not be deleted or erased. A `sub` may also name nobody here.
fn subject_of(txn: &dyn ReadTxn, ctx: &Context, claims: &Json) -> Result<Option<(Pk, record::Person)>, Fault> {
    let Some(sub) = claims.member::<String>("sub")? else { return Ok(None) };
    let Some((pk, found)) = person::of_callsign(txn, &sub)? else {
        if person::is_erased(txn, &ctx.identity.secrets, &sub)? {
            let why = "the sub of the claims names a person who was erased";
            return Err(Fault::Refused(Refusal::new(Code::DELETED, why)));
        }
        return Ok(None);
    };
    person::require_live(&Reference::from(&found.callsign), &found)?;
    Ok(Some((pk, found)))
}
