//! The answers on the wire, as the model has them.

use std::collections::BTreeSet;

use enroll_protocol::{
    Callsign, Json, Operation, RoleName, code, codec, enrollment, event, jwt, person, pool, registration, role, server,
    token,
};

use super::model::Reply;
use super::operations::{NAMES, Op, ROLES, callsign};
use super::owners::Owned;
use super::transactions;

/// Reads the reply to an operation.
pub(super) fn read(op: &Op, bytes: &[u8]) -> Result<Reply, String> {
    match op {
        Op::CreatePerson { .. } => of_person(&decode::<person::Create>(bytes)?),
        Op::DeletePerson { .. } | Op::RevokePerson { .. } => of_person(&decode::<person::Delete>(bytes)?),
        Op::RestorePerson { .. } => of_person(&decode::<person::Restore>(bytes)?),
        Op::ErasePerson { .. } => of_erased(&decode::<person::Erase>(bytes)?),
        Op::Certify(ask) => ask.read(bytes),
        Op::Study(ask) => ask.read(bytes),
        Op::Guess(ask) => ask.read(bytes),
        Op::Transact(units) => transactions::read(units, bytes),
        Op::GetPerson { .. } => of_person(&decode::<person::Get>(bytes)?),
        Op::Approve { .. } => of_person(&decode::<enrollment::Approve>(bytes)?),
        Op::Assign { .. } => decode::<role::Assign>(bytes).map(Reply::Changed),
        Op::Remove { .. } => decode::<role::Remove>(bytes).map(Reply::Changed),
        Op::ListRoles { .. } => Ok(Reply::Roles(of_roles(&decode::<role::List>(bytes)?)?)),
        Op::UseToken { .. } => {
            let spent = decode::<token::Use>(bytes)?;
            let token = spent.token.as_str().strip_prefix("token ").and_then(|number| number.parse().ok());
            Ok(Reply::Spent { token: token.ok_or("another token")?, created: spent.created })
        }
        Op::RotateKeys => decode::<jwt::Rotate>(bytes).map(|_| Reply::Made),
        Op::Check => match decode::<server::Check>(bytes)?.first() {
            None => Ok(Reply::Sound),
            Some(found) => Err(format!("{} {}: {} (server.check)", found.invariant, found.subject, found.message)),
        },
        Op::CreateCode { .. } => decode::<code::Create>(bytes).map(|_| Reply::Made),
        Op::UseCode { .. } => {
            let used = decode::<code::Use>(bytes)?;
            if used.jwt.is_none() {
                return Err("a login code was exchanged for no JWT".to_owned());
            }
            Ok(Reply::Login { sub: sub_of(&used.claims)? })
        }
        Op::CreatePool { .. } => Ok(of_pool(&decode::<pool::Create>(bytes)?)),
        Op::SetActive { .. } => Ok(of_pool(&decode::<pool::SetActive>(bytes)?)),
        Op::ResetCode { .. } => Ok(of_pool(&decode::<pool::ResetCode>(bytes)?)),
        Op::DeletePool { .. } => Ok(of_pool(&decode::<pool::Delete>(bytes)?)),
        Op::Enroll { .. } => of_enrollment(&decode::<enrollment::Create>(bytes)?),
        Op::Reject { .. } => of_enrollment(&decode::<enrollment::Reject>(bytes)?),
        Op::Reopen { .. } => of_enrollment(&decode::<enrollment::Reopen>(bytes)?),
        Op::CreateEvent { .. } => Ok(Reply::Event { pk: decode::<event::Create>(bytes)?.pk }),
        Op::Own { .. } => Owned::read(bytes),
        Op::Register { .. } => Ok(of_registration(&decode::<registration::Create>(bytes)?)),
        Op::Place { .. } => Ok(of_registration(&decode::<registration::Place>(bytes)?)),
        Op::Cancel { .. } => Ok(of_registration(&decode::<registration::Cancel>(bytes)?)),
        Op::Decide { approve: true, .. } => Ok(of_registration(&decode::<registration::Approve>(bytes)?)),
        Op::Decide { approve: false, .. } => Ok(of_registration(&decode::<registration::Reject>(bytes)?)),
    }
}

/// The code that an answer tells, if it tells one.
pub(super) fn code_told(bytes: &[u8]) -> Result<Option<enroll_protocol::LoginCode>, String> {
    Ok(decode::<code::Create>(bytes)?.code)
}

/// The invite code that an answer about a pool tells.
pub(super) fn invite_told(bytes: &[u8]) -> Result<Option<String>, String> {
    Ok(decode::<pool::Create>(bytes)?.invitecode.map(|code| code.as_str().to_owned()))
}

/// The roles of these names, which are all ours.
pub(super) fn of_roles<'a>(roles: impl IntoIterator<Item = &'a RoleName>) -> Result<BTreeSet<&'static str>, String> {
    let ours = |role: &RoleName| ROLES.into_iter().find(|name| *name == role.as_str());
    roles.into_iter().map(|role| ours(role).ok_or_else(|| format!("a role {role}"))).collect()
}

/// Reads a reply.
pub(super) fn decode<O: Operation>(bytes: &[u8]) -> Result<O::Reply, String> {
    codec::decode(bytes).map_err(|err| format!("the reply to {} can not be read: {err}", O::ROW.name))
}

/// A person.
pub(super) fn of_person(person: &person::Person) -> Result<Reply, String> {
    Ok(Reply::Person {
        pk: person.pk,
        name: name_of(&person.callsign)?,
        roles: of_roles(&person.roles)?,
        is_deleted: person.deleted.is_some(),
        is_revoked: person.revocation.is_some(),
    })
}

fn of_erased(person: &person::Person) -> Result<Reply, String> {
    match person.callsign.as_str() == format!("erased-{}", person.pk) && person.deleted.is_some() {
        true => Ok(Reply::Erased { pk: person.pk }),
        false => Err(format!("{} was erased and is called {}", person.pk, person.callsign)),
    }
}

fn of_pool(pool: &pool::Pool) -> Reply {
    Reply::Pool { pk: pool.pk, is_active: pool.active, uses: pool.uses, is_deleted: pool.deleted.is_some() }
}

fn of_enrollment(enrollment: &enrollment::Enrollment) -> Result<Reply, String> {
    let enrollment::Enrollment { pk, state, pool, .. } = enrollment;
    Ok(Reply::Enrollment { pk: *pk, name: name_of(&enrollment.callsign)?, state: *state, pool: *pool })
}

fn of_registration(registration: &registration::Registration) -> Reply {
    Reply::Registration {
        event: registration.event,
        person: registration.person,
        is_waiting: registration.waiting,
        is_canceled: registration.canceled,
        approval: registration.approval,
    }
}

fn name_of(of: &Callsign) -> Result<usize, String> {
    (0..NAMES).find(|name| callsign(*name) == of.as_str()).ok_or_else(|| format!("a callsign {of}"))
}

fn sub_of(claims: &Json) -> Result<Option<usize>, String> {
    let sub = claims.member::<String>("sub").map_err(|err| err.to_string())?;
    Ok(sub.and_then(|sub| (0..NAMES).find(|name| callsign(*name) == sub)))
}
