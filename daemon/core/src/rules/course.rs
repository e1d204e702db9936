//! Courses, course enrollments and course roles. A course's record holds the counts of both: every write of them writes
//! it.

use std::collections::{BTreeMap, BTreeSet};

use enroll_protocol::course::{
    Course, CourseEnrollment, CourseRole, CourseRoleHeld, Create, Delete, Enroll, Enrollments, Get, List, Mode, Roles,
    Unenroll,
};
use enroll_protocol::fold::fold;
use enroll_protocol::limits::{COURSE_GIVERS_MAX, COURSE_ROLES_MAX};
use enroll_protocol::{Code, CourseKey, Named, NaturalName, Page, Pk, Reference, Refusal};

use super::page::{Bounds, page};
use super::{Call, ReadOp, WriteOp, person, role};
use crate::context::Purpose;
use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::change::ChangeEvent;
use crate::model::key::{self, Family};
use crate::model::program::{self as stored, CourseOf, CourseRoleOf};
use crate::model::record::{self, Kind, Marker};
use crate::state::{ReadTxn, StoreError};

impl WriteOp for Create {
    fn check(&self) -> Result<(), Refusal> {
        if self.modes.is_empty() {
            let why = "modes: a course offers at least one of audit, honor, verified, masters";
            return Err(Refusal::new(Code::INVALID_ARGUMENT, why));
        }
        Ok(())
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Course, Fault> {
        call.permit(txn.as_read(), false)?;
        let key = key::course(&self.key);
        let name = key::course_name(&fold(self.key.as_str()));
        if let Some(CourseOf { key }) = record::get(txn.as_read(), &name)? {
            require_free(txn.as_read(), &self.key, &key)?;
        }
        let course = stored::Course {
            pk: call.ctx.new_pk(&mut call.ctx.random(Purpose::Rule)),
            modes: self.modes.iter().copied().collect(),
            enrolled: 0,
            roles: 0,
            created: call.ctx.now,
            updated: call.ctx.now,
        };
        record::put(txn, key, &course);
        record::put(txn, key::course_pk(course.pk), &CourseOf { key: self.key.clone() });
        record::put(txn, name, &CourseOf { key: self.key.clone() });
        call.emit(txn, vec![course.pk], Some(Kind::Course));
        Ok(to_reply(self.key.clone(), course))
    }
}

impl ReadOp for Get {
    fn run(&self, txn: &dyn ReadTxn, _: &Call<'_>) -> Result<Course, Fault> {
        let (key, course) = require(txn, &self.key)?;
        Ok(to_reply(key, course))
    }
}

impl ReadOp for List {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Page<Course>, Fault> {
        let bounds = Bounds::of(call, &self.prefix, self.after.as_ref(), self.limit)?;
        let range = match &self.prefix {
            Some(prefix) => key::prefixed(key::course_name(&fold(prefix.as_str()))),
            None => Family::CoursePks.bounds(),
        };
        page(txn, range, &bounds, |_, value| {
            let CourseOf { key } = record::decode(value)?;
            Ok(record::get::<stored::Course>(txn, &key::course(&key))?.map(|course| to_reply(key, course)))
        })
    }
}

impl WriteOp for Delete {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<bool, Fault> {
        let found = find(txn.as_read(), &self.key)?;
        call.permit(txn.as_read(), false)?;
        let Some((key, course)) = found else { return Ok(false) };
        if course.enrolled > 0 {
            let why = format!("{} people are enrolled in the course \"{key}\"; unenroll them first", course.enrolled);
            return Err(Fault::Refused(Refusal::new(Code::CONFLICT, why)));
        }
        // COURSE_ROLES_MAX bounds them.
        let (from, to) = key::prefixed(key::course_roles(&key));
        for (role_key, _) in txn.as_read().range(&from, &to, usize::MAX)? {
            if let Some((_, person, role)) = key::course_role_of(&role_key) {
                txn.delete(key::person_course_role(person, &key, role));
            }
            txn.delete(role_key);
        }
        txn.delete(key::course(&key));
        txn.delete(key::course_pk(course.pk));
        call.emit(txn, vec![course.pk], None);
        txn.emit(ChangeEvent::Lost(Kind::Course));
        Ok(true)
    }
}

impl WriteOp for Enroll {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<CourseEnrollment, Fault> {
        let (key, course) = require(txn.as_read(), &self.course)?;
        let person = role::require_person(txn.as_read(), &self.person)?;
        call.permit(txn.as_read(), call.is_actor(person))?;
        if !course.modes.contains(&self.mode) {
            let offered: Vec<&str> = course.modes.iter().map(|mode| mode.name()).collect();
            let why = format!("mode: the course \"{key}\" offers {}", offered.join(", "));
            return Err(Fault::Refused(Refusal::new(Code::INVALID_ARGUMENT, why)));
        }
        let before = enrollment(txn.as_read(), &key, person)?;
        if before.as_ref().is_none_or(|before| (before.mode, before.active) != (self.mode, true)) {
            call.emit(txn, vec![course.pk, person], None);
            set_enrollment(txn, call, &key, person, before, |after| (after.mode, after.active) = (self.mode, true))?;
        }
        Ok(CourseEnrollment { course: key, person, mode: self.mode, active: true })
    }
}

impl WriteOp for Unenroll {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<CourseEnrollment, Fault> {
        let (key, course) = require(txn.as_read(), &self.course)?;
        let (person, record) = person::require(txn.as_read(), &self.person)?;
        call.permit(txn.as_read(), call.is_actor(person))?;
        let Some(before) = enrollment(txn.as_read(), &key, person)? else {
            let why = format!("\"{}\" is not enrolled in the course \"{key}\"", record.callsign);
            return Err(Fault::Refused(Refusal::new(Code::NOT_FOUND, why)));
        };
        let mode = before.mode;
        if before.active {
            call.emit(txn, vec![course.pk, person], None);
            set_enrollment(txn, call, &key, person, Some(before), |after| after.active = false)?;
        }
        Ok(CourseEnrollment { course: key, person, mode, active: false })
    }
}

impl ReadOp for Enrollments {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Page<CourseEnrollment>, Fault> {
        let course = self.course.as_ref().map(|course| require(txn, course)).transpose()?.map(|(key, _)| key);
        let person = self.person.as_ref().map(|person| person::require(txn, person)).transpose()?.map(|(pk, _)| pk);
        call.permit(txn, person.is_some_and(|person| call.is_actor(person)))?;
        let bounds = Bounds::of(call, &(&course, &person), self.after.as_ref(), self.limit)?;
        let range = match (&course, person) {
            (Some(course), Some(person)) => key::prefixed(key::course_enrollment(course, person)),
            (Some(course), None) => key::prefixed(key::course_enrollments(course)),
            (None, Some(person)) => key::prefixed(key::person_courses(person)),
            (None, None) => Family::CourseEnrollments.bounds(),
        };
        let by_person = |key: &[u8]| key::person_course_of(key).map(|(person, course)| (course, person));
        let is_by_person = course.is_none() && person.is_some();
        page(txn, range, &bounds, |key, _| {
            let found = if is_by_person { by_person(key) } else { key::course_enrollment_of(key) };
            let Some((course, person)) = found else { return Ok(None) };
            let found = enrollment(txn, &course, person)?;
            Ok(found.map(|found| CourseEnrollment { course, person, mode: found.mode, active: found.active }))
        })
    }
}

impl ReadOp for Roles {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Vec<CourseRoleHeld>, Fault> {
        let course = self.course.as_ref().map(|course| require(txn, course)).transpose()?.map(|(key, _)| key);
        let person = self.person.as_ref().map(|person| person::require(txn, person)).transpose()?.map(|(pk, _)| pk);
        call.permit(txn, person.is_some_and(|person| call.is_actor(person)))?;
        let (from, to) = match (&course, person) {
            (Some(course), _) => key::prefixed(key::course_roles(course)),
            (None, Some(person)) => key::prefixed(key::person_course_roles(person)),
            (None, None) => Family::CourseRoles.bounds(),
        };
        let entries = txn.range(&from, &to, COURSE_ROLES_MAX + 1)?;
        if entries.len() > COURSE_ROLES_MAX {
            let why = format!("there are more than {COURSE_ROLES_MAX} roles; name a course");
            return Err(Fault::Refused(Refusal::new(Code::TOO_LARGE, why)));
        }
        let mut roles = Vec::new();
        for (key, _) in entries {
            let by_person = || key::person_course_role_of(&key).map(|(person, course, role)| (course, person, role));
            let found = if course.is_none() && person.is_some() { by_person() } else { key::course_role_of(&key) };
            let Some((course, holder, role)) = found else { continue };
            // Deleted people hold no roles.
            if person.is_none_or(|person| person == holder) && !person::is_deleted(txn, holder)? {
                roles.push(CourseRoleHeld { person: holder, course, role });
            }
        }
        Ok(roles)
    }
}

/// Refuses a key that a course has in any case, and another spelling of a deleted course's key: program enrollments
/// that wait for the deleted course wait for the next one of its key.
fn require_free(txn: &dyn ReadTxn, wanted: &CourseKey, spelled: &CourseKey) -> Result<(), Fault> {
    let why = match txn.get(&key::course(spelled))?.is_some() {
        true => format!("there is a course with the key \"{spelled}\" already; choose another"),
        false if wanted == spelled => return Ok(()),
        false => format!("there was a course with the key \"{spelled}\"; spell it like that, or choose another"),
    };
    Err(Fault::Refused(Refusal::new(Code::CONFLICT, why)))
}

/// The course of this key or pk.
pub(super) fn find(txn: &dyn ReadTxn, named: &Reference) -> Result<Option<(CourseKey, stored::Course)>, Fault> {
    let key = match named.read(NaturalName::Name)? {
        Named::Pk(pk) => record::get::<CourseOf>(txn, &key::course_pk(pk))?.map(|CourseOf { key }| key),
        Named::Natural(key) => record::get(txn, &key::course_name(&fold(key)))?.map(|CourseOf { key }| key),
    };
    let Some(key) = key else { return Ok(None) };
    Ok(record::get::<stored::Course>(txn, &key::course(&key))?.map(|course| (key, course)))
}

/// The course of this key or pk, which must exist.
pub(super) fn require(txn: &dyn ReadTxn, named: &Reference) -> Result<(CourseKey, stored::Course), Fault> {
    Ok(find(txn, named)?.ok_or_else(|| unknown(&named.to_string()))?)
}

/// The refusal of a course that does not exist.
pub(super) fn unknown(named: &str) -> Refusal {
    Refusal::new(Code::NOT_FOUND, format!("no course has the key \"{named}\""))
}

/// A person's enrollment in a course.
pub(super) fn enrollment(
    txn: &dyn ReadTxn,
    course: &CourseKey,
    person: Pk,
) -> Result<Option<stored::CourseEnrollment>, Fault> {
    Ok(record::get(txn, &key::course_enrollment(course, person))?)
}

/// Changes a person's enrollment in a course, or makes one, and keeps the course's count of active ones.
pub(super) fn set_enrollment(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    course: &CourseKey,
    person: Pk,
    before: Option<stored::CourseEnrollment>,
    change: impl FnOnce(&mut stored::CourseEnrollment),
) -> Result<(), Fault> {
    let was_active = before.as_ref().is_some_and(|before| before.active);
    if before.is_none() {
        record::put(txn, key::person_course(person, course), &Marker);
        txn.emit(ChangeEvent::Made(Kind::CourseEnrollment));
    }
    let (created, updated) = (call.ctx.now, call.ctx.now);
    let none =
        || stored::CourseEnrollment { mode: Mode::Audit, active: false, givers: BTreeMap::new(), created, updated };
    let mut enrollment = before.unwrap_or_else(none);
    change(&mut enrollment);
    enrollment.updated = updated;
    record::put(txn, key::course_enrollment(course, person), &enrollment);
    let active = enrollment.active;
    if was_active != active
        && let Some(mut head) = record::get::<stored::Course>(txn.as_read(), &key::course(course))?
    {
        head.enrolled = if active { head.enrolled + 1 } else { head.enrolled.saturating_sub(1) };
        record::put(txn, key::course(course), &head);
    }
    Ok(())
}

/// A role in a course that a program enrollment gives to a person.
#[derive(Debug, Clone, Copy)]
pub(super) struct GivenRole<'a> {
    /// The course.
    pub(super) course: &'a CourseKey,
    /// The person who holds the role.
    pub(super) person: Pk,
    /// The program enrollment that gives it.
    pub(super) giver: Pk,
    /// The role.
    pub(super) role: CourseRole,
}

/// Gives a role, and returns the course and whether the person did not hold the role before.
pub(super) fn give_role(txn: &mut dyn Txn, given: GivenRole<'_>) -> Result<(stored::Course, bool), Fault> {
    let GivenRole { course: key, person, giver, role } = given;
    let found = record::get::<stored::Course>(txn.as_read(), &key::course(key))?;
    let mut course = found.ok_or_else(|| unknown(key.as_str()))?;
    let role_key = key::course_role(key, person, role);
    let before = record::get::<CourseRoleOf>(txn.as_read(), &role_key)?;
    let is_new = before.is_none();
    if is_new && course.roles as usize >= COURSE_ROLES_MAX {
        let why =
            format!("the course \"{key}\" has {COURSE_ROLES_MAX} roles already, the most it can have; unlink some");
        return Err(Fault::Refused(Refusal::new(Code::CONFLICT, why)));
    }
    let mut held = before.unwrap_or_default();
    require_room_for_giver(held.givers.len())?;
    held.givers.insert(giver);
    record::put(txn, role_key, &held);
    if is_new {
        course.roles += 1;
        record::put(txn, key::course(key), &course);
        record::put(txn, key::person_course_role(person, key, role), &Marker);
    }
    Ok((course, is_new))
}

/// Takes a role back. Returns the course where this was the last program enrollment that gave the role, and the person
/// has lost it.
pub(super) fn take_role(txn: &mut dyn Txn, given: GivenRole<'_>) -> Result<Option<stored::Course>, Fault> {
    let GivenRole { course: key, person, giver, role } = given;
    let role_key = key::course_role(key, person, role);
    let Some(mut held) = record::get::<CourseRoleOf>(txn.as_read(), &role_key)? else { return Ok(None) };
    if !held.givers.remove(&giver) {
        return Ok(None);
    }
    if !held.givers.is_empty() {
        record::put(txn, role_key, &held);
        return Ok(None);
    }
    let found = record::get::<stored::Course>(txn.as_read(), &key::course(key))?;
    let mut course = found
        .ok_or_else(|| StoreError::Corrupt(format!("the course {key} is missing, and somebody has a role in it")))?;
    course.roles = course.roles.saturating_sub(1);
    record::put(txn, key::course(key), &course);
    txn.delete(role_key);
    txn.delete(key::person_course_role(person, key, role));
    Ok(Some(course))
}

/// Refuses another giver of a course or a role that [`COURSE_GIVERS_MAX`] program enrollments give already.
pub(super) fn require_room_for_giver(givers: usize) -> Result<(), Refusal> {
    if givers < COURSE_GIVERS_MAX {
        return Ok(());
    }
    let why = format!("{COURSE_GIVERS_MAX} linked program enrollments of this person give the same; unlink one first");
    Err(Refusal::new(Code::CONFLICT, why))
}

fn to_reply(key: CourseKey, course: stored::Course) -> Course {
    let modes: BTreeSet<Mode> = course.modes;
    Course {
        pk: course.pk,
        key,
        modes: modes.into_iter().collect(),
        created: course.created,
        updated: course.updated,
        deleted: None,
    }
}
