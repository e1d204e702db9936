//! Programs: enrollments under external keys. A key is looked up by its program and its folded text, never by a scan,
//! so the cost of a call grows with its keys and not with the program.
//!
//! An external key's record holds all that waits for its person. A linked key's courses are all materialized, a waiting
//! key's none. Roles in courses may go on waiting, because they are given one by one, and a role that can not be given
//! does not undo a link.

mod bulk;
mod enroll;
mod link;
mod materialize;

use enroll_protocol::fold::fold;
use enroll_protocol::limits::PROGRAM_COURSES_MAX;
use enroll_protocol::program::{AssignCourseRole, Enrollments, ProgramCourse, ProgramEnrollment};
use enroll_protocol::{Code, ExternalKey, Page, Pk, Refusal};

use self::materialize::Linked;
use super::page::{Bounds, page};
use super::{Call, ReadOp, WriteOp, course, person};
use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::key;
use crate::model::program::{self as stored, KeyOf, RoleStand};
use crate::model::record;
use crate::state::ReadTxn;

impl WriteOp for AssignCourseRole {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<bool, Fault> {
        let key = key::program_enrollment(self.program, &fold(self.external_key.as_str()));
        let found = record::get::<stored::ProgramEnrollment>(txn.as_read(), &key)?;
        let mut enrollment = found.ok_or_else(|| not_in_program(&self.external_key))?;
        let (course, head) = course::require(txn.as_read(), &self.course)?;
        call.permit(txn.as_read(), false)?;
        if enrollment.roles.contains_key(&(course.clone(), self.role)) {
            return Ok(false);
        }
        if is_full(&enrollment) {
            let why = format!(
                "the key \"{}\" has {PROGRAM_COURSES_MAX} courses and roles already, the most it can have",
                self.external_key
            );
            return Err(Fault::Refused(Refusal::new(Code::CONFLICT, why)));
        }
        call.emit(txn, [Some(head.pk), enrollment.person, Some(enrollment.pk)].into_iter().flatten().collect(), None);
        let (stand, is_new) = match enrollment.person {
            None => (RoleStand::Waiting, true),
            Some(person) => {
                let linked = Linked { enrollment: enrollment.pk, person };
                materialize::give_role(txn, call, linked, &course, self.role)?
            }
        };
        enrollment.roles.insert((course, self.role), stand);
        enrollment.updated = call.ctx.now;
        record::put(txn, key, &enrollment);
        Ok(is_new)
    }
}

impl ReadOp for Enrollments {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Page<ProgramEnrollment>, Fault> {
        let person = self.person.as_ref().map(|person| person::require(txn, person)).transpose()?.map(|(pk, _)| pk);
        call.permit(txn, person.is_some_and(|person| call.is_actor(person)))?;
        let folded = self.external_key.as_ref().map(|key| fold(key.as_str()));
        let filter = (self.program, &folded, person, self.linked);
        let bounds = Bounds::of(call, &filter, self.after.as_ref(), self.limit)?;
        let range = match (&folded, person) {
            (Some(folded), _) => {
                let key = key::program_enrollment(self.program, folded);
                let end = crate::state::successor(key.clone());
                (key, end)
            }
            (None, Some(person)) => key::prefixed(key::person_programs(person, self.program)),
            (None, None) => key::prefixed(key::program_pks(self.program)),
        };
        page(txn, range, &bounds, |_, value| {
            let found = match &folded {
                Some(_) => Some(record::decode::<stored::ProgramEnrollment>(value)?),
                None => {
                    let KeyOf { folded } = record::decode(value)?;
                    record::get(txn, &key::program_enrollment(self.program, &folded))?
                }
            };
            let is_wanted = |found: &stored::ProgramEnrollment| {
                person.is_none_or(|person| found.person == Some(person))
                    && self.linked.is_none_or(|linked| found.person.is_some() == linked)
            };
            Ok(found.filter(is_wanted).map(|found| to_reply(self.program, found)))
        })
    }
}

/// True if an external key can have no further course or role.
fn is_full(enrollment: &stored::ProgramEnrollment) -> bool {
    enrollment.courses.len() + enrollment.roles.len() >= PROGRAM_COURSES_MAX
}

fn not_in_program(external_key: &ExternalKey) -> Refusal {
    let why = format!("no enrollment in this program has the key \"{external_key}\"; enroll it first");
    Refusal::new(Code::NOT_FOUND, why)
}

/// Refuses a person who is in the program and the curriculum already.
fn require_free(txn: &dyn ReadTxn, program: Pk, curriculum: Pk, person: Pk) -> Result<(), Fault> {
    let Some(KeyOf { folded }) = record::get(txn, &key::person_program(person, program, curriculum))? else {
        return Ok(());
    };
    let other = record::get::<stored::ProgramEnrollment>(txn, &key::program_enrollment(program, &folded))?;
    let other = other.map_or(folded, |other| other.external_key.as_str().to_owned());
    let why = format!("the person is in this program and curriculum already, by the key \"{other}\"");
    Err(Fault::Refused(Refusal::new(Code::CONFLICT, why)))
}

fn to_reply(program: Pk, enrollment: stored::ProgramEnrollment) -> ProgramEnrollment {
    let enrolled = enrollment.person.is_some();
    let course = |(course, status)| ProgramCourse { course, status, enrolled };
    ProgramEnrollment {
        pk: enrollment.pk,
        program,
        curriculum: enrollment.curriculum,
        external_key: enrollment.external_key,
        person: enrollment.person,
        status: enrollment.status,
        courses: enrollment.courses.into_iter().map(course).collect(),
        created: enrollment.created,
        updated: enrollment.updated,
        deleted: None,
    }
}
