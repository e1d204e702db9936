//! JWT operations: verify, refresh, rotate the signing keys, and exchange a JWT of a trusted issuer.

use enroll_protocol::code::Exchanged;
use enroll_protocol::jwt::{Exchange, Keys, Refresh, Rotate, Verify};
use enroll_protocol::{Code, Json, Jwt, Pk, Refusal};

use super::{Call, Finish, ReadOp, WriteOp, bootstrap, code, person, token};
use crate::context::{Context, Purpose};
use crate::draft::Txn;
use crate::fault::Fault;
use crate::identity::jwt::first_issued;
use crate::identity::trust;
use crate::model::record;
use crate::needs::{Made, Needed};
use crate::state::ReadTxn;

impl ReadOp for Verify {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Json, Fault> {
        Ok(verified(txn, call, &self.jwt)?.0)
    }
}

impl ReadOp for Keys {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Json, Fault> {
        key_set(txn, call)
    }
}

impl WriteOp for Refresh {
    const FINISH: Option<Finish<Exchanged>> = Some(code::sign);

    const REDACT: Option<fn(&mut Exchanged)> = Some(|reply| reply.jwt = None);

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Exchanged, Fault> {
        let (claims, subject) = verified(txn.as_read(), call, &self.jwt)?;
        call.permit(txn.as_read(), subject.is_some_and(|pk| call.is_actor(pk)))?;
        let id = call.ctx.new_pk(&mut call.ctx.random(Purpose::Rule));
        let again = call.ctx.identity.keys.unsigned_again(&call.ctx.settings.issuing, &claims, call.ctx.now, id)?;
        let (jwt, expires) = again.map_err(invalid)?;
        call.emit(txn, subject.into_iter().collect(), None);
        Ok(Exchanged { jwt: Some(jwt), expires })
    }
}

impl WriteOp for Exchange {
    const FINISH: Option<Finish<Exchanged>> = Some(code::sign);

    const REDACT: Option<fn(&mut Exchanged)> = Some(|reply| reply.jwt = None);

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Exchanged, Fault> {
        let (ctx, settings) = (call.ctx, &call.ctx.settings);
        let foreign = trust::verify(&settings.trusted, &self.jwt, ctx.now, settings.leeway_seconds).map_err(invalid)?;
        let subject = foreign.claims.member::<String>("sub")?;
        let subject = subject_of(txn.as_read(), ctx, subject.as_deref(), None)?.map(|(pk, _)| pk);
        call.permit(txn.as_read(), subject.is_some_and(|pk| call.is_actor(pk)))?;
        if foreign.claims.as_str().len() > code::CLAIMS_BYTES_MAX {
            return Err(invalid("its claims are too large, so that our own would not fit as well").into());
        }
        let hash = ctx.identity.secrets.nonce(&foreign.issuer, &foreign.nonce);
        token::spend(txn, call, hash, self.audit.as_ref(), Some(foreign.expires))?;
        let id = ctx.new_pk(&mut ctx.random(Purpose::Session));
        let (jwt, expires) = ctx.identity.keys.unsigned(&settings.issuing, &foreign.claims, ctx.now, id)?;
        Ok(Exchanged { jwt: Some(jwt), expires })
    }
}

impl WriteOp for Rotate {
    fn may_need(&self) -> bool {
        true
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Json, Fault> {
        call.permit(txn.as_read(), false)?;
        let algorithm = call.ctx.settings.issuing.algorithm;
        let pair = match &call.ctx.made {
            Some(Made::SigningKey(pair)) if pair.algorithm == algorithm => pair,
            _ => return Err(Fault::Needs(Needed::SigningKey(algorithm))),
        };
        let mut random = call.ctx.random(Purpose::Rule);
        let pk = bootstrap::add_signing_key(txn, &call.ctx.identity.secrets, pair, call.ctx.now, &mut random)?;
        call.emit(txn, vec![pk], None);
        key_set(txn.as_read(), call)
    }
}

/// The public keys in this state. Within a batch there may be one that does not sign yet.
fn key_set(txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Json, Fault> {
    let ring = bootstrap::key_ring(txn, &call.ctx.identity.secrets)?;
    Ok(ring.key_set(&call.ctx.settings.issuing, call.ctx.now)?)
}

/// The claims of a JWT that is valid here, and the person that they name. Refuses a deleted person.
fn verified(txn: &dyn ReadTxn, call: &Call<'_>, jwt: &Jwt) -> Result<(Json, Option<Pk>), Fault> {
    let now = call.ctx.now;
    let claims = call.ctx.identity.keys.verify(&call.ctx.settings.issuing, jwt, now).map_err(invalid)?;
    let subject = claims.member::<String>("sub")?;
    let found = subject_of(txn, call.ctx, subject.as_deref(), first_issued(&claims))?;
    Ok((claims, found.map(|(pk, _)| pk)))
}

/// The person whom the `sub` of a JWT names, or none. Refuses a deleted or erased person, and one who was made after the session
/// began: the `sub` was chosen then without this person. Refuses a session from before the person was restored, also
/// while the clock, having gone back, has not come to that time again: another deletion and restore set a new one.
pub(super) fn subject_of(
    txn: &dyn ReadTxn,
    ctx: &Context,
    subject: Option<&str>,
    first_issued: Option<i64>,
) -> Result<Option<(Pk, record::Person)>, Fault> {
    let now = ctx.now;
    let found = subject.map(|callsign| person::of_callsign(txn, callsign)).transpose()?.flatten();
    match &found {
        None if let Some(subject) = subject
            && person::is_erased(txn, &ctx.identity.secrets, subject)? =>
        {
            Err(invalid("it names a person who was erased").into())
        }
        Some((_, person)) if person.deleted.is_some() => Err(invalid("it names a person who is deleted").into()),
        Some((_, person))
            if first_issued.is_some_and(|first| first < person.created.seconds() && person.created <= now) =>
        {
            Err(invalid("it was issued before the person that it names was made; log in again").into())
        }
        Some((_, person)) if first_issued.zip(person.restored).is_some_and(|(first, at)| first <= at.seconds()) => {
            Err(invalid("it was issued before the person that it names was deleted and restored; log in again").into())
        }
        _ => Ok(found),
    }
}

pub(super) fn invalid(why: &str) -> Refusal {
    Refusal::new(Code::JWT_INVALID, format!("the JWT is not valid here: {why}"))
}
