//! Program enrollment: external keys enrolled in programs and in their courses. A key that fails answers a word for the
//! failure in place of its status.

use enroll_protocol::program::{CourseStatus, Enroll, EnrollCourse, EnrollmentUnit, Status};
use enroll_protocol::{Code, CourseKey, ExternalKey, Pk, Refusal};

use super::bulk::{Unit, require_something_to_do, units};
use super::link::link;
use super::materialize::{Linked, follow, materialize};
use super::{is_full, require_free};
use crate::context::Purpose;
use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::change;
use crate::model::key;
use crate::model::program::{KeyOf, ProgramEnrollment};
use crate::model::record::{self, Kind};
use crate::rules::{BulkOp, Call, Part, course, person, whole};
use crate::state::ReadTxn;

const DUPLICATED: &str = "duplicated";
const INVALID_STATUS: &str = "invalid-status";
const CONFLICT: &str = "conflict";
const NOT_IN_PROGRAM: &str = "not-in-program";
const NOT_FOUND: &str = "not-found";

impl BulkOp for Enroll {
    type Answer = String;
    type Unit = Unit;
    type Common = ();

    fn units(&self) -> Result<Vec<Unit>, Refusal> {
        require_something_to_do(self.create, self.update)?;
        if let Some(without) = self.enrollments.iter().find(|wanted| self.create && wanted.curriculum.is_none()) {
            let why =
                format!("curriculum: it is required to create, and the key \"{}\" has none", without.external_key);
            return Err(Refusal::new(Code::INVALID_ARGUMENT, why));
        }
        units(self.enrollments.iter().map(|wanted| &wanted.external_key))
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
        part: &mut Part<String>,
    ) -> Result<(), Fault> {
        let Some(wanted) = self.enrollments.get(unit.at) else { return Ok(()) };
        answer(txn, &wanted.external_key, unit, part, |txn| enroll(txn, call, self, unit, wanted))
    }
}

/// Enrolls one external key in the program. Returns its status, or the word for the failure.
fn enroll(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    asked: &Enroll,
    unit: &Unit,
    wanted: &EnrollmentUnit,
) -> Result<&'static str, Fault> {
    let Ok(status) = wanted.status.parse::<Status>() else { return Ok(INVALID_STATUS) };
    let key = key::program_enrollment(asked.program, &unit.folded);
    let before = record::get::<ProgramEnrollment>(txn.as_read(), &key)?;
    if before.is_some() && !asked.update {
        return Ok(CONFLICT);
    }
    let person = match &wanted.person {
        None => None,
        Some(named) => match person::find(txn.as_read(), named) {
            Ok(Some((pk, found))) if found.deleted.is_none() => Some(pk),
            Ok(_) | Err(Fault::Refused(_)) => return Ok(NOT_FOUND),
            Err(fault) => return Err(fault),
        },
    };
    let mut enrollment = match (before.clone(), wanted.curriculum) {
        (Some(before), _) => before,
        (None, Some(curriculum)) if asked.create => fresh(call, unit, &wanted.external_key, curriculum),
        (None, _) => return Ok(NOT_IN_PROGRAM),
    };
    let curriculum = wanted.curriculum.filter(|curriculum| *curriculum != enrollment.curriculum);
    let person = person.filter(|person| enrollment.person != Some(*person));
    if before.is_some() && (enrollment.status, curriculum, person) == (status, None, None) {
        return Ok(status.name());
    }
    enrollment.status = status;
    let made = before.is_none().then_some(Kind::ProgramEnrollment);
    call.emit(txn, [Some(enrollment.pk), enrollment.person].into_iter().flatten().collect(), made);
    if let Some(curriculum) = curriculum {
        change_curriculum(txn, asked.program, unit, &mut enrollment, curriculum)?;
    }
    if let Some(person) = person {
        call.emit_derived(txn, change::LINKED, vec![enrollment.pk, person]);
        link(txn, call, asked.program, &unit.folded, &mut enrollment, person)?;
    }
    if before.is_none() {
        let key_of = KeyOf { folded: unit.folded.clone() };
        record::put(txn, key::program_pk(asked.program, enrollment.pk), &key_of);
    }
    enrollment.updated = call.ctx.now;
    record::put(txn, key, &enrollment);
    Ok(status.name())
}

fn change_curriculum(
    txn: &mut dyn Txn,
    program: Pk,
    unit: &Unit,
    enrollment: &mut ProgramEnrollment,
    curriculum: Pk,
) -> Result<(), Fault> {
    if let Some(person) = enrollment.person {
        require_free(txn.as_read(), program, curriculum, person)?;
        txn.delete(key::person_program(person, program, enrollment.curriculum));
        let key_of = KeyOf { folded: unit.folded.clone() };
        record::put(txn, key::person_program(person, program, curriculum), &key_of);
    }
    enrollment.curriculum = curriculum;
    Ok(())
}

impl BulkOp for EnrollCourse {
    type Answer = String;
    type Unit = Unit;
    /// The course.
    type Common = (CourseKey, Pk);

    fn units(&self) -> Result<Vec<Unit>, Refusal> {
        require_something_to_do(self.create, self.update)?;
        units(self.enrollments.iter().map(|wanted| &wanted.external_key))
    }

    fn begin(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<(CourseKey, Pk), Fault> {
        let (key, course) = course::require(txn, &self.course)?;
        call.permit(txn, false)?;
        Ok((key, course.pk))
    }

    fn run(
        &self,
        txn: &mut dyn Txn,
        call: &Call<'_>,
        course: &(CourseKey, Pk),
        unit: &Unit,
        part: &mut Part<String>,
    ) -> Result<(), Fault> {
        let Some(wanted) = self.enrollments.get(unit.at) else { return Ok(()) };
        answer(txn, &wanted.external_key, unit, part, |txn| {
            enroll_course(txn, call, self, course, unit, &wanted.status)
        })
    }
}

/// Enrolls one external key in the course. Returns its status, or the word for the failure.
fn enroll_course(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    asked: &EnrollCourse,
    (course, course_pk): &(CourseKey, Pk),
    unit: &Unit,
    status: &str,
) -> Result<&'static str, Fault> {
    let Ok(status) = status.parse::<CourseStatus>() else { return Ok(INVALID_STATUS) };
    let key = key::program_enrollment(asked.program, &unit.folded);
    let Some(mut enrollment) = record::get::<ProgramEnrollment>(txn.as_read(), &key)? else {
        return Ok(NOT_IN_PROGRAM);
    };
    let before = enrollment.courses.get(course).copied();
    match before {
        Some(_) if !asked.update => return Ok(CONFLICT),
        None if !asked.create => return Ok(NOT_FOUND),
        None if is_full(&enrollment) => return Ok(CONFLICT),
        Some(before) if before == status => return Ok(status.name()),
        _ => {}
    }
    let subjects = [Some(*course_pk), enrollment.person, Some(enrollment.pk)];
    call.emit(txn, subjects.into_iter().flatten().collect(), None);
    if let Some(person) = enrollment.person {
        let linked = Linked { enrollment: enrollment.pk, person };
        match before {
            None => materialize(txn, call, linked, course, status)?,
            Some(_) => follow(txn, call, linked, course, status)?,
        }
    }
    enrollment.courses.insert(course.clone(), status);
    enrollment.updated = call.ctx.now;
    record::put(txn, key, &enrollment);
    Ok(status.name())
}

/// A new record, linked to nobody.
fn fresh(call: &Call<'_>, unit: &Unit, external_key: &ExternalKey, curriculum: Pk) -> ProgramEnrollment {
    // Each unit has random bytes of its own.
    let mut random = call.ctx.random(Purpose::Rule);
    random.set_word_pos(16 * unit.at as u128);
    ProgramEnrollment {
        pk: call.ctx.new_pk(&mut random),
        curriculum,
        external_key: external_key.clone(),
        person: None,
        status: Status::Pending,
        courses: Default::default(),
        roles: Default::default(),
        created: call.ctx.now,
        updated: call.ctx.now,
    }
}

/// Runs a unit, whole or not at all, and answers its status.
fn answer(
    txn: &mut dyn Txn,
    external_key: &ExternalKey,
    unit: &Unit,
    part: &mut Part<String>,
    run: impl FnOnce(&mut dyn Txn) -> Result<&'static str, Fault>,
) -> Result<(), Fault> {
    let word = if unit.is_twice { DUPLICATED } else { whole(txn, run)?.unwrap_or(CONFLICT) };
    part.answers.insert(external_key.clone(), word.to_owned());
    Ok(())
}
