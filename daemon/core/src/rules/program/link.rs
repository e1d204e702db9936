//! Linking external keys to people, and unlinking them. A pair is one unit, done whole (a person who had the key before
//! is unlinked with it) or not at all.

use enroll_protocol::program::{Failure, Link, Unlink};
use enroll_protocol::{Code, ExternalKey, Pk, Refusal};

use super::bulk::{Unit, distinct_units, fail};
use super::materialize::{Linked, cut, give_role, materialize};
use super::{not_in_program, require_free};
use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::change;
use crate::model::key;
use crate::model::program::{KeyOf, ProgramEnrollment, RoleStand};
use crate::model::record::{self, Person};
use crate::rules::{BulkOp, Call, Part, person, whole};
use crate::state::ReadTxn;

impl BulkOp for Link {
    type Answer = Failure;
    type Unit = Unit;
    type Common = ();

    fn units(&self) -> Result<Vec<Unit>, Refusal> {
        distinct_units("links", self.links.iter().map(|pair| &pair.external_key))
    }

    fn begin(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<(), Fault> {
        call.permit(txn, false)
    }

    fn run(
        &self,
        txn: &mut dyn Txn,
        call: &Call<'_>,
        (): &(),
        unit: &Unit,
        part: &mut Part<Failure>,
    ) -> Result<(), Fault> {
        let Some(pair) = self.links.get(unit.at) else { return Ok(()) };
        let found = match person::find(txn.as_read(), &pair.person) {
            Err(Fault::Refused(why)) => Err(why),
            found => found?.ok_or_else(|| Refusal::new(Code::NOT_FOUND, "there is no such person; create them first")),
        };
        let (person, found) = match found {
            Ok(found) => found,
            Err(why) => {
                fail(part, call, &pair.external_key, Some(&pair.person.to_string()), why);
                return Ok(());
            }
        };
        let linked = whole(txn, |txn| {
            person::require_live(&pair.person, &found)?;
            let mut enrollment = require(txn.as_read(), self.program, unit, &pair.external_key)?;
            if enrollment.person == Some(person) {
                let why = "it is linked to that person already";
                return Err(Fault::Refused(Refusal::new(Code::CONFLICT, why)));
            }
            let earlier = enrollment.person;
            call.emit(txn, vec![enrollment.pk, person], None);
            link(txn, call, self.program, &unit.folded, &mut enrollment, person)?;
            enrollment.updated = call.ctx.now;
            record::put(txn, key::program_enrollment(self.program, &unit.folded), &enrollment);
            Ok(earlier)
        })?;
        let why = match linked {
            Err(why) => why,
            // A dry run names the person whom it would take a key from.
            Ok(Some(earlier)) if call.ctx.envelope.dry_run => would_move(txn.as_read(), earlier)?,
            Ok(_) => return Ok(()),
        };
        fail(part, call, &pair.external_key, Some(found.callsign.as_str()), why);
        Ok(())
    }
}

impl BulkOp for Unlink {
    type Answer = Failure;
    type Unit = Unit;
    type Common = ();

    fn units(&self) -> Result<Vec<Unit>, Refusal> {
        distinct_units("external_keys", self.external_keys.iter())
    }

    fn begin(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<(), Fault> {
        call.permit(txn, false)
    }

    fn run(
        &self,
        txn: &mut dyn Txn,
        call: &Call<'_>,
        (): &(),
        unit: &Unit,
        part: &mut Part<Failure>,
    ) -> Result<(), Fault> {
        let Some(external_key) = self.external_keys.get(unit.at) else { return Ok(()) };
        let unlinked = whole(txn, |txn| {
            let mut enrollment = require(txn.as_read(), self.program, unit, external_key)?;
            let Some(person) = enrollment.person else {
                return Err(Fault::Refused(Refusal::new(Code::CONFLICT, "it is not linked to anybody")));
            };
            call.emit(txn, vec![enrollment.pk, person], None);
            unlink(txn, call, self.program, &mut enrollment, person)?;
            enrollment.updated = call.ctx.now;
            record::put(txn, key::program_enrollment(self.program, &unit.folded), &enrollment);
            Ok(())
        })?;
        if let Err(why) = unlinked {
            fail(part, call, external_key, None, why);
        }
        Ok(())
    }
}

fn require(
    txn: &dyn ReadTxn,
    program: Pk,
    unit: &Unit,
    external_key: &ExternalKey,
) -> Result<ProgramEnrollment, Fault> {
    let found = record::get::<ProgramEnrollment>(txn, &key::program_enrollment(program, &unit.folded))?;
    Ok(found.ok_or_else(|| not_in_program(external_key))?)
}

fn would_move(txn: &dyn ReadTxn, earlier: Pk) -> Result<Refusal, Fault> {
    let earlier = record::get::<Person>(txn, &key::person(earlier))?;
    let earlier = earlier.map_or(String::new(), |person| person.callsign.to_string());
    let why = format!("it is linked to \"{earlier}\", who would be unlinked");
    Ok(Refusal::new(Code::WOULD_MOVE, why))
}

/// Links an external key: enrolls the person in its courses, and then gives the roles, each by itself. The caller emits
/// the change before, and writes the record after.
pub(super) fn link(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    program: Pk,
    folded: &str,
    enrollment: &mut ProgramEnrollment,
    person: Pk,
) -> Result<(), Fault> {
    require_free(txn.as_read(), program, enrollment.curriculum, person)?;
    if let Some(before) = enrollment.person {
        call.emit_derived(txn, change::UNLINKED, vec![enrollment.pk, before]);
        unlink(txn, call, program, enrollment, before)?;
    }
    enrollment.person = Some(person);
    let key = key::person_program(person, program, enrollment.curriculum);
    record::put(txn, key, &KeyOf { folded: folded.to_owned() });
    let linked = Linked { enrollment: enrollment.pk, person };
    for (course, status) in &enrollment.courses {
        materialize(txn, call, linked, course, *status)?;
    }
    for ((course, role), stand) in &mut enrollment.roles {
        if *stand == RoleStand::Waiting {
            (*stand, _) = give_role(txn, call, linked, course, *role)?;
        }
    }
    Ok(())
}

/// Unlinks an external key from its person. The caller emits the change before, and writes the record after.
fn unlink(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    program: Pk,
    enrollment: &mut ProgramEnrollment,
    person: Pk,
) -> Result<(), Fault> {
    cut(txn, call, enrollment, person)?;
    enrollment.person = None;
    txn.delete(key::person_program(person, program, enrollment.curriculum));
    Ok(())
}
