//! Erasure: what tells who somebody was is replaced by a tombstone in every record, for good. What is counted, numbered or
//! signed stays: the record under its pk, places, serial numbers of revoked certificates, and the changes, which hold pks.
//!
//! Only a deleted person is erased, so roles, places and certificates are given up already. The callsign stays reserved
//! under a keyed hash: a session or a certificate that still bears it must never be somebody else's.
//!
//! The traces are looked for in a snapshot before ([`super::traces`]). An answer that is kept between the snapshot and the
//! erasure is not among them; it can only be that of a call about the deleted person, and ends with the other kept answers.

use enroll_protocol::fold::fold;
use enroll_protocol::person::{Erase, Person, Revocation, RevocationReason};
use enroll_protocol::{Callsign, Code, ExternalKey, Json, Pk, Reason, Reference, Refusal, codec};
use rand::Rng as _;
use serde_json::json;

use super::traces::{Names, programs_of, registrations_of};
use super::{Call, WriteOp, authority, enrollment, person, supervisor};
use crate::context::Purpose;
use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::certificate::{Certificate, Certificates};
use crate::model::idempotency::Kept;
use crate::model::key;
use crate::model::program::{KeyOf, ProgramEnrollment};
use crate::model::record::{self, CallsignHolder, Marker};
use crate::model::token::{self, TokenAudit};
use crate::needs::{Made, Needed, Traces};
use crate::state::{ReadTxn, StoreError};

/// The beginning of every name that stands in the place of an erased one.
const TOMBSTONE: &str = "erased-";

/// Names that are tried for a tombstone, where somebody has chosen one of its form.
const TOMBSTONES_MAX: usize = 100;

impl WriteOp for Erase {
    fn may_need(&self) -> bool {
        true
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Person, Fault> {
        let (pk, before) = person::require(txn.as_read(), &self.person)?;
        call.permit(txn.as_read(), false)?;
        require_erasable(&self.person, &before)?;
        let traces = match &call.ctx.made {
            // A dry run changes nothing, so it need not look.
            _ if call.ctx.envelope.dry_run => None,
            Some(Made::Traces(traces)) if traces.person == pk => Some(traces),
            _ => return Err(Fault::Needs(Needed::Traces(pk))),
        };
        let tombstone = callsign_for(txn.as_read(), pk)?;
        if let Some(traces) = traces {
            erase_traces(txn, call, traces, (&before.callsign, &tombstone))?;
        }
        supervisor::forget(txn, pk, &before)?;
        erase_reasons(txn, pk)?;
        erase_external_keys(txn, pk)?;
        erase_certificates(txn, call, pk)?;
        rename(txn, call, (&before.callsign, &tombstone))?;
        person::change(txn, call, pk, |_, person| {
            person.callsign = tombstone;
            person.extra = Json::default();
            person.supervisor = None;
            person.erased = Some(call.ctx.now);
        })
    }
}

/// Refuses a person who is not deleted, and one who was erased.
fn require_erasable(named: &Reference, person: &record::Person) -> Result<(), Refusal> {
    match (person.erased, person.deleted) {
        (Some(at), _) => Err(Refusal::new(Code::CONFLICT, format!("the person \"{named}\" was erased at {at}"))),
        (None, None) => {
            let why = format!("the person \"{named}\" is not deleted; delete them first");
            Err(Refusal::new(Code::CONFLICT, why))
        }
        (None, Some(_)) => Ok(()),
    }
}

/// The callsign that an erased person has. It is told apart from one that somebody chose to look like it.
fn callsign_for(txn: &dyn ReadTxn, pk: Pk) -> Result<Callsign, Fault> {
    for name in tombstones(pk) {
        if txn.get(&key::callsign(&fold(&name)))?.is_none() {
            return Ok(Callsign::new(name)?);
        }
    }
    Err(Refusal::new(Code::CONFLICT, format!("every callsign of the form \"{TOMBSTONE}{pk}\" is taken")).into())
}

fn tombstones(pk: Pk) -> impl Iterator<Item = String> {
    let first = format!("{TOMBSTONE}{pk}");
    (1..=TOMBSTONES_MAX).map(move |n| if n == 1 { first.clone() } else { format!("{first}-{n}") })
}

/// Gives the tombstone the place of the callsign, also of the enrollment that has it, and reserves the callsign.
fn rename(txn: &mut dyn Txn, call: &Call<'_>, (before, after): (&Callsign, &Callsign)) -> Result<(), Fault> {
    let folded = fold(before.as_str());
    let holder = record::get::<CallsignHolder>(txn.as_read(), &key::callsign(&folded))?;
    if let Some((pk, enrollment)) = enrollment::of_holder(txn.as_read(), holder)? {
        let erased = record::Enrollment {
            callsign: after.clone(),
            extra: Json::default(),
            reason: None,
            updated: call.ctx.now,
            ..enrollment
        };
        record::put(txn, key::enrollment(pk), &erased);
        txn.delete(key::enrollment_request(pk));
    }
    txn.delete(key::callsign(&folded));
    record::put(txn, key::callsign(&fold(after.as_str())), &holder.unwrap_or_default());
    let hash = call.ctx.identity.secrets.erased_callsign(&folded);
    record::put(txn, key::erased_callsign(&hash), &Marker);
    Ok(())
}

/// Takes the texts of reasons out of the person's registrations.
fn erase_reasons(txn: &mut dyn Txn, pk: Pk) -> Result<(), Fault> {
    let erased = Reason::new("erased")?;
    for (event, mut registration) in registrations_of(txn.as_read(), pk)? {
        registration.reason = None;
        if let Some(placed) = &mut registration.placed {
            placed.reason = erased.clone();
        }
        record::put(txn, key::registration(event, pk), &registration);
    }
    Ok(())
}

/// Gives each external key of the person a tombstone's name. It stays linked to them.
fn erase_external_keys(txn: &mut dyn Txn, pk: Pk) -> Result<(), Fault> {
    for (program, enrollment) in programs_of(txn.as_read(), pk)? {
        let external_key = external_key_for(txn.as_read(), program, enrollment.pk)?;
        let (before, after) = (fold(enrollment.external_key.as_str()), fold(external_key.as_str()));
        txn.delete(key::program_enrollment(program, &before));
        let to_key = KeyOf { folded: after.clone() };
        record::put(txn, key::program_pk(program, enrollment.pk), &to_key);
        record::put(txn, key::person_program(pk, program, enrollment.curriculum), &to_key);
        record::put(txn, key::program_enrollment(program, &after), &ProgramEnrollment { external_key, ..enrollment });
    }
    Ok(())
}

fn external_key_for(txn: &dyn ReadTxn, program: Pk, enrollment: Pk) -> Result<ExternalKey, Fault> {
    for name in tombstones(enrollment) {
        if txn.get(&key::program_enrollment(program, &fold(&name)))?.is_none() {
            return Ok(ExternalKey::new(name)?);
        }
    }
    Err(Refusal::new(Code::CONFLICT, format!("every key of the form \"{TOMBSTONE}{enrollment}\" is taken")).into())
}

/// Drops certificates and private keys. Their serial numbers stay, and the revocation list with them.
fn erase_certificates(txn: &mut dyn Txn, call: &Call<'_>, pk: Pk) -> Result<(), Fault> {
    // One that had ended by a clock that was ahead may be valid again.
    let why = Revocation { reason: RevocationReason::PrivilegeWithdrawn, at: call.ctx.now };
    authority::revoke(txn, call.ctx, pk, &why, |_| true)?;
    let held = record::get::<Certificates>(txn.as_read(), &key::certificates(pk))?.unwrap_or_default().held;
    for held in held {
        let key = key::certificate(pk, &held.serial);
        let missing = || StoreError::Corrupt(format!("a certificate of {pk} is missing"));
        let before = record::get::<Certificate>(txn.as_read(), &key)?.ok_or_else(missing)?;
        record::put(txn, key, &Certificate { certificate: Vec::new(), sealed: None, ..before });
    }
    Ok(())
}

/// Replaces what the traces have of the person, where they still do.
fn erase_traces(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    traces: &Traces,
    (callsign, tombstone): (&Callsign, &Callsign),
) -> Result<(), Fault> {
    let Some(names) = Names::of(txn.as_read(), traces.person)? else { return Ok(()) };
    for key in &traces.audits {
        if let Some(found) = record::get::<TokenAudit>(txn.as_read(), key)? {
            record::put(txn, key.clone(), &TokenAudit { audit: Json::default(), ..found });
        }
    }
    for key in &traces.codes {
        let Some(found) = record::get::<token::Code>(txn.as_read(), key)? else { continue };
        let is_theirs = found.claims.member::<String>("sub")?.is_some_and(|sub| fold(&sub) == fold(callsign.as_str()));
        let claims = match is_theirs {
            // A code that was not used must still be refused as that of a deleted person.
            true => Json::of(&json!({"sub": tombstone}))?,
            false => without(&found.claims, &names)?,
        };
        let audit = found.audit.clone().filter(|audit| !is_theirs && !names.are_in_json(audit));
        record::put(txn, key.clone(), &token::Code { claims, audit, ..found });
    }
    erase_answers(txn, call, traces)
}

/// The object without the members that name the person.
fn without(json: &Json, names: &Names) -> Result<Json, Fault> {
    let mut members = json.members()?;
    members.retain(|name, value| !names.are_in_member(name, value));
    Ok(Json::of(&members)?)
}

/// Puts a refusal in the place of kept answers. A call that is sent again is still not done twice.
fn erase_answers(txn: &mut dyn Txn, call: &Call<'_>, traces: &Traces) -> Result<(), Fault> {
    let why = "this was answered before, and the answer was erased with the person whom it named";
    let refused: Result<Vec<u8>, Refusal> = Err(Refusal::new(Code::DELETED, why));
    let plain = codec::encode(&refused);
    let mut random = call.ctx.random(Purpose::Erasure);
    for place in &traces.kept {
        let Some(kept) = record::get::<Kept>(txn.as_read(), place)? else { continue };
        let mut nonce = [0; 24];
        random.fill_bytes(&mut nonce);
        let sealed = call.ctx.identity.secrets.seal(place, nonce, &plain)?;
        record::put(txn, place.clone(), &Kept { sealed, ..kept });
        let (from, to) = key::prefixed(key::parts_of_kept(place));
        for (part, _) in txn.as_read().range(&from, &to, usize::MAX)? {
            txn.delete(part);
        }
    }
    Ok(())
}
