//! People: create, find, update, delete, revoke and restore, and the reservation of their callsigns.

use enroll_protocol::fold::fold;
use enroll_protocol::person::{
    CertificateWanted, Create, Delete, Find, Get, List, Person, Restore, Revocation, RevocationReason, Revoke, Update,
};
use enroll_protocol::{Callsign, Code, Json, Named, NaturalName, Page, Pk, Reference, Refusal, RoleName};
use unicode_normalization::UnicodeNormalization as _;

use super::extra::Wanted;
use super::page::{Bounds, has_deleted, page, record_of};
use super::{Call, ReadOp, WriteOp, allowed_values, authority, certificate, code, registration, role, supervisor};
use crate::context::Purpose;
use crate::draft::Txn;
use crate::fault::Fault;
use crate::identity::Secrets;
use crate::model::key::{self, Family};
use crate::model::record::{self, CallsignHolder, Kind};
use crate::state::{ReadTxn, StoreError};

impl WriteOp for Create {
    fn check(&self) -> Result<(), Refusal> {
        certificate::require_for(&self.callsign, &self.certificate)
    }

    fn may_need(&self) -> bool {
        self.certificate != CertificateWanted::None
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Person, Fault> {
        call.permit(txn.as_read(), false)?;
        for role in &self.roles {
            call.permit_giving(txn.as_read(), role)?;
        }
        require_free(txn.as_read(), call, &self.callsign)?;
        allowed_values::require_allowed(txn.as_read(), &self.extra, None)?;

        let mut person = make(txn, call, &self.callsign, CallsignHolder::default(), self.extra.clone());
        for role in &self.roles {
            role::give(txn, person.pk, role)?;
        }
        person.roles = role::list_of(txn.as_read(), person.pk)?;
        if let Some(wanted) = certificate::wanted(&self.certificate) {
            certificate::give(txn, call, (person.pk, &self.callsign), &wanted)?;
            person.certificate = true;
        }
        call.emit(txn, vec![person.pk], Some(Kind::Person));
        Ok(person)
    }
}

impl ReadOp for Get {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Person, Fault> {
        let (pk, person) = require(txn, &self.person)?;
        if !self.allow_deleted {
            require_live(&self.person, &person)?;
        }
        call.permit(txn, call.is_actor(pk))?;
        to_reply(txn, call, pk, person)
    }
}

impl ReadOp for List {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Page<Person>, Fault> {
        call.permit(txn, false)?;
        let filter = (&self.role, &self.prefix, self.include_deleted, self.deleted_only);
        let bounds = Bounds::of(call, &filter, self.after.as_ref(), self.limit)?;
        if self.deleted_only && self.role.is_some() {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let range = match (&self.prefix, &self.role) {
            (Some(prefix), _) => key::prefixed(key::callsign(&fold(prefix.as_str()))),
            (None, Some(role)) => key::prefixed(key::role_members(role)),
            (None, None) => Family::People.bounds(),
        };
        page(txn, range, &bounds, |key, value| {
            let pk = if self.prefix.is_some() {
                record::decode::<CallsignHolder>(value)?.person
            } else {
                key::pk_at_end(key)
            };
            let Some(pk) = pk else { return Ok(None) };
            if let Some(role) = &self.role
                && !role::has(txn, pk, role)?
            {
                return Ok(None);
            }
            let found = record_of::<record::Person>(txn, Family::People, (key, value), &key::person(pk))?;
            // Deleted people are never listed by role: they hold none.
            let include_deleted = self.include_deleted && self.role.is_none();
            let wanted = found.filter(|person| has_deleted(person.deleted, include_deleted, self.deleted_only));
            wanted.map(|person| to_reply(txn, call, pk, person)).transpose()
        })
    }
}

impl ReadOp for Find {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Person, Fault> {
        let Some(callsign) = code::named_by(&self.claims)? else {
            let why = "claims: neither sub nor CN names anybody; one of them must be a callsign";
            return Err(Fault::Refused(Refusal::new(Code::INVALID_ARGUMENT, why)));
        };
        let callsign =
            Callsign::new(callsign).map_err(|err| Refusal::new(Code::INVALID_ARGUMENT, format!("claims: {err}")))?;
        let named = Reference::from(&callsign);
        // A certificate of that name is a service's, which is nobody.
        if self.claims.member::<String>("sub")?.is_none() && is_reserved(call, &fold(callsign.as_str())) {
            let why = format!("the CN \"{callsign}\" is a reserved name, which is no person's");
            return Err(Fault::Refused(Refusal::new(Code::NOT_FOUND, why)));
        }
        let (pk, person) = require(txn, &named)?;
        if !self.allow_deleted {
            require_live(&named, &person)?;
        }
        call.permit(txn, call.is_actor(pk))?;
        to_reply(txn, call, pk, person)
    }
}

impl WriteOp for Update {
    fn check(&self) -> Result<(), Refusal> {
        Wanted::of(&self.extra, &self.patch).expect_one()
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Person, Fault> {
        let (pk, person) = require(txn.as_read(), &self.person)?;
        require_live(&self.person, &person)?;
        call.permit(txn.as_read(), false)?;
        call.permit_touching(txn.as_read(), pk)?;
        let extra = Wanted::of(&self.extra, &self.patch).over(&person.extra)?.unwrap_or_default();
        allowed_values::require_allowed(txn.as_read(), &extra, Some(&person.extra))?;
        change(txn, call, pk, |_, person| person.extra = extra)
    }
}

impl WriteOp for Delete {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Person, Fault> {
        delete(txn, call, &self.person, None)
    }
}

impl WriteOp for Revoke {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Person, Fault> {
        let revocation = Revocation { reason: self.reason, at: call.ctx.now };
        delete(txn, call, &self.person, Some(revocation))
    }
}

impl WriteOp for Restore {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Person, Fault> {
        let (pk, person) = require(txn.as_read(), &self.person)?;
        call.permit(txn.as_read(), false)?;
        require_restorable(&self.person, &person)?;
        require_unreserved(call, &person.callsign, &fold(person.callsign.as_str()))?;
        supervisor::forget(txn, pk, &person)?;
        change(txn, call, pk, |_, person| {
            // The revocation was that of the certificates, which stay revoked.
            person.revocation = None;
            person.deleted = None;
            person.supervisor = None;
            person.life = person.life.wrapping_add(1);
            person.restored = Some(call.ctx.now);
        })
    }
}

/// Refuses a person who is not deleted, and one who was revoked.
fn require_restorable(named: &Reference, person: &record::Person) -> Result<(), Refusal> {
    let refuse = |why: String| Err(Refusal::new(Code::CONFLICT, why));
    match person.deleted {
        _ if person.erased.is_some() => {
            refuse(format!("the person \"{named}\" was erased, which is final; make a person of another callsign"))
        }
        None => refuse(format!("the person \"{named}\" is not deleted; there is nothing to restore")),
        Some(_) if person.was_revoked() => {
            refuse(format!("the person \"{named}\" was revoked, which is final; make a person of another callsign"))
        }
        Some(_) => Ok(()),
    }
}

/// Deletes a person, who keeps the record and the callsign and loses every role. Their certificates are revoked.
fn delete(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    named: &Reference,
    revocation: Option<Revocation>,
) -> Result<Person, Fault> {
    let (pk, person) = require(txn.as_read(), named)?;
    require_live(named, &person)?;
    call.permit(txn.as_read(), false)?;
    call.permit_touching(txn.as_read(), pk)?;
    registration::settle_events_of(txn, call, pk)?;
    role::take_all(txn, pk)?;
    let reason = RevocationReason::PrivilegeWithdrawn;
    let withdrawn = || Revocation { reason, at: call.ctx.now };
    let of_certificates = revocation.clone().unwrap_or_else(withdrawn);
    let has_revoked = !authority::revoke(txn, call.ctx, pk, &of_certificates, |_| true)?.is_empty();
    let deleted = change(txn, call, pk, |_, person| {
        person.is_revoked = revocation.is_some();
        person.revocation = revocation.or(has_revoked.then_some(of_certificates));
        person.deleted = Some(call.ctx.now);
    })?;
    registration::leave_all(txn, call, pk)?;
    Ok(deleted)
}

/// Changes the record of a person who exists.
pub(super) fn change(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    pk: Pk,
    how: impl FnOnce(&mut dyn Txn, &mut record::Person),
) -> Result<Person, Fault> {
    let missing = || StoreError::Corrupt(format!("the person {pk} is missing"));
    let mut person = record::get::<record::Person>(txn.as_read(), &key::person(pk))?.ok_or_else(missing)?;
    how(txn, &mut person);
    person.updated = call.ctx.now;
    record::put(txn, key::person(pk), &person);
    call.emit(txn, vec![pk], None);
    to_reply(txn.as_read(), call, pk, person)
}

/// Writes a new person. The callsign may be held by an enrollment, which `holder` names.
pub(super) fn make(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    callsign: &Callsign,
    holder: CallsignHolder,
    extra: Json,
) -> Person {
    let pk = call.ctx.new_pk(&mut call.ctx.random(Purpose::Rule));
    let person = record::Person {
        callsign: callsign.clone(),
        extra,
        supervisor: None,
        supervisor_life: 0,
        revocation: None,
        is_revoked: false,
        life: 0,
        restored: None,
        created: call.ctx.now,
        updated: call.ctx.now,
        deleted: None,
        erased: None,
    };
    record::put(txn, key::person(pk), &person);
    record::put(txn, key::callsign(&fold(callsign.as_str())), &CallsignHolder { person: Some(pk), ..holder });
    reply_of(pk, person, Beside::default())
}

/// Refuses a callsign that is taken, that the configuration reserves, or that reads as a pk. Returns its case-folded
/// form.
pub(super) fn require_free(txn: &dyn ReadTxn, call: &Call<'_>, callsign: &Callsign) -> Result<String, Fault> {
    let folded = fold(callsign.as_str());
    require_unreserved(call, callsign, &folded)?;
    if reads_as_pk(callsign) {
        let why = format!("the callsign \"{callsign}\" has the form of a pk; choose another");
        return Err(Fault::Refused(Refusal::new(Code::CALLSIGN_RESERVED, why)));
    }
    if txn.get(&key::callsign(&folded))?.is_some() || is_erased(txn, &call.ctx.identity.secrets, callsign.as_str())? {
        let why = format!("the callsign \"{callsign}\" is taken; upper and lower case do not matter; choose another");
        return Err(Fault::Refused(Refusal::new(Code::CALLSIGN_RESERVED, why)));
    }
    Ok(folded)
}

/// Refuses a callsign that the configuration reserves.
pub(super) fn require_unreserved(call: &Call<'_>, callsign: &Callsign, folded: &str) -> Result<(), Fault> {
    if is_reserved(call, folded) {
        let why = format!("the callsign \"{callsign}\" is reserved by the configuration; choose another");
        return Err(Fault::Refused(Refusal::new(Code::CALLSIGN_RESERVED, why)));
    }
    Ok(())
}

/// True if the configuration reserves the callsign of this folded form.
fn is_reserved(call: &Call<'_>, folded: &str) -> bool {
    call.ctx.settings.reserved_callsigns.contains(folded)
}

/// True if a callsign reads as one of our pks, in compatibility characters too: the same text would name two records.
pub(super) fn reads_as_pk(callsign: &Callsign) -> bool {
    let callsign = callsign.as_str();
    match callsign.is_ascii() {
        true => Pk::of_ours(callsign).is_some(),
        false => Pk::of_ours(&callsign.nfkc().collect::<String>()).is_some(),
    }
}

/// The person of this pk or callsign.
pub(super) fn find(txn: &dyn ReadTxn, person: &Reference) -> Result<Option<(Pk, record::Person)>, Fault> {
    match person.read(NaturalName::Callsign)? {
        Named::Pk(pk) => Ok(record::get::<record::Person>(txn, &key::person(pk))?.map(|found| (pk, found))),
        Named::Natural(callsign) => of_callsign(txn, callsign),
    }
}

/// True if a person who was erased had this callsign. It is reserved, so that nobody is taken for them.
pub(super) fn is_erased(txn: &dyn ReadTxn, secrets: &Secrets, callsign: &str) -> Result<bool, StoreError> {
    Ok(txn.get(&key::erased_callsign(&secrets.erased_callsign(&fold(callsign))))?.is_some())
}

/// The person of this callsign.
pub(super) fn of_callsign(txn: &dyn ReadTxn, callsign: &str) -> Result<Option<(Pk, record::Person)>, Fault> {
    let holder = record::get::<CallsignHolder>(txn, &key::callsign(&fold(callsign)))?;
    let Some(pk) = holder.and_then(|holder| holder.person) else { return Ok(None) };
    Ok(record::get::<record::Person>(txn, &key::person(pk))?.map(|found| (pk, found)))
}

/// The person of this pk or callsign, who must exist.
pub(super) fn require(txn: &dyn ReadTxn, person: &Reference) -> Result<(Pk, record::Person), Fault> {
    let nobody = || {
        let kind = match person.read(NaturalName::Callsign) {
            Ok(Named::Pk(_)) => "pk",
            _ => "callsign",
        };
        Refusal::new(Code::NOT_FOUND, format!("no person has the {kind} \"{person}\""))
    };
    Ok(find(txn, person)?.ok_or_else(nobody)?)
}

/// Refuses a deleted person.
pub(super) fn require_live(named: &Reference, person: &record::Person) -> Result<(), Fault> {
    let done = if person.erased.is_some() { "erased" } else { "deleted" };
    match person.erased.or(person.deleted) {
        Some(at) => {
            let why = format!("the person \"{named}\" was {done} at {at}");
            Err(Fault::Refused(Refusal::new(Code::DELETED, why)))
        }
        None => Ok(()),
    }
}

/// True if this person was deleted, or never was.
pub(super) fn is_deleted(txn: &dyn ReadTxn, pk: Pk) -> Result<bool, Fault> {
    let found = record::get::<record::Person>(txn, &key::person(pk))?;
    Ok(found.is_none_or(|person| person.deleted.is_some()))
}

/// The supervisor of a person; none where the supervisor was restored since.
pub(super) fn supervisor_of(txn: &dyn ReadTxn, person: &record::Person) -> Result<Option<Pk>, StoreError> {
    let Some(pk) = person.supervisor else { return Ok(None) };
    let supervisor = record::get::<record::Person>(txn, &key::person(pk))?;
    Ok(supervisor.filter(|supervisor| supervisor.life == person.supervisor_life).map(|_| pk))
}

/// The parts of a reply that stand in other records.
#[derive(Default)]
struct Beside {
    roles: Vec<RoleName>,
    supervisor: Option<Pk>,
    certificate: bool,
}

/// The person as a reply to this call.
fn to_reply(txn: &dyn ReadTxn, call: &Call<'_>, pk: Pk, mut person: record::Person) -> Result<Person, Fault> {
    person.extra = call.shown_extra(person.extra);
    let beside = Beside {
        roles: role::list_of(txn, pk)?,
        supervisor: supervisor_of(txn, &person)?,
        certificate: txn.get(&key::certificates(pk))?.is_some(),
    };
    Ok(reply_of(pk, person, beside))
}

fn reply_of(pk: Pk, person: record::Person, beside: Beside) -> Person {
    Person {
        pk,
        callsign: person.callsign,
        extra: person.extra,
        roles: beside.roles,
        supervisor: beside.supervisor,
        certificate: beside.certificate,
        revocation: person.revocation,
        created: person.created,
        updated: person.updated,
        deleted: person.deleted,
    }
}
