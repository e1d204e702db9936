//! Materializing a program enrollment: its courses become course enrollments of the linked person and its roles course
//! roles, and unlinking undoes it.
//!
//! Each step emits a derived event with the course, the person and the program enrollment, so that a service that owns
//! the courses can follow.

use enroll_protocol::course::{CourseRole, Mode};
use enroll_protocol::program::CourseStatus;
use enroll_protocol::{Code, CourseKey, Pk, Refusal};

use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::change;
use crate::model::key;
use crate::model::program::{Course, ProgramEnrollment, RoleStand};
use crate::model::record;
use crate::rules::course::{self, GivenRole};
use crate::rules::{Call, whole};

/// A program enrollment and the person it is linked to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Linked {
    /// The program enrollment's pk.
    pub(super) enrollment: Pk,
    /// The person's pk.
    pub(super) person: Pk,
}

/// Enrolls the linked person in a course. A person enrolled as `audit` or `honor` is converted to `masters`, one in
/// another mode stays in it, and one who is not enrolled becomes `masters`. With the status `inactive` the enrollment
/// is inactive, unless another program enrollment of the person has it active.
pub(super) fn materialize(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    Linked { enrollment, person }: Linked,
    key: &CourseKey,
    status: CourseStatus,
) -> Result<(), Fault> {
    let found = record::get::<Course>(txn.as_read(), &key::course(key))?;
    let course = found.ok_or_else(|| course::unknown(key.as_str()))?;
    let before = course::enrollment(txn.as_read(), key, person)?;
    let active = before.as_ref().filter(|before| before.active).map(|before| before.mode);
    let (mode, what) = match active {
        Some(Mode::Audit | Mode::Honor) => (Mode::Masters, change::CONVERTED),
        Some(mode @ (Mode::Verified | Mode::Masters)) => (mode, change::MODE_KEPT),
        None => (Mode::Masters, change::ENROLLED),
    };
    if active != Some(mode) && !course.modes.contains(&mode) {
        let why = format!("the course \"{key}\" does not offer masters");
        return Err(Fault::Refused(Refusal::new(Code::CONFLICT, why)));
    }
    course::require_room_for_giver(before.as_ref().map_or(0, |before| before.givers.len()))?;
    let subjects = || vec![course.pk, person, enrollment];
    call.emit_derived(txn, what, subjects());
    let by_another = before.as_ref().is_some_and(|before| before.is_active_by_another(enrollment));
    let is_active = status == CourseStatus::Active || by_another;
    if !is_active {
        call.emit_derived(txn, change::DEACTIVATED, subjects());
    }
    course::set_enrollment(txn, call, key, person, before, |after| {
        (after.mode, after.active) = (mode, is_active);
        after.givers.insert(enrollment, status);
    })
}

/// Changes a materialized course enrollment to a new status. It stays active while another program enrollment of the
/// person has it active.
pub(super) fn follow(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    Linked { enrollment, person }: Linked,
    key: &CourseKey,
    status: CourseStatus,
) -> Result<(), Fault> {
    let Some(before) = course::enrollment(txn.as_read(), key, person)? else { return Ok(()) };
    let found = record::get::<Course>(txn.as_read(), &key::course(key))?;
    let is_active = match status {
        CourseStatus::Active => true,
        CourseStatus::Inactive => before.active && before.is_active_by_another(enrollment),
    };
    // Enrollments in a deleted course are inactive.
    let is_active = is_active && found.is_some();
    if let Some(course) = found.filter(|_| before.active != is_active) {
        let what = if is_active { change::ACTIVATED } else { change::DEACTIVATED };
        call.emit_derived(txn, what, vec![course.pk, person, enrollment]);
    }
    course::set_enrollment(txn, call, key, person, Some(before), |after| {
        after.active = is_active;
        after.givers.insert(enrollment, status);
    })
}

/// Undoes the materializing of all courses and roles. A course enrollment that no other program enrollment gives
/// becomes inactive, and moves to `audit` if the course has that mode; the others stay active while another one has
/// them active. Roles that no other one gives are taken back. All of them wait again.
pub(super) fn cut(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    enrollment: &mut ProgramEnrollment,
    person: Pk,
) -> Result<(), Fault> {
    let linked = Linked { enrollment: enrollment.pk, person };
    for key in enrollment.courses.keys() {
        cut_course(txn, call, linked, key)?;
    }
    for ((course, role), stand) in &mut enrollment.roles {
        let given = GivenRole { course, person, giver: enrollment.pk, role: *role };
        if *stand == RoleStand::Given
            && let Some(course) = course::take_role(txn, given)?
        {
            call.emit_derived(txn, change::ROLE_TAKEN, vec![course.pk, person, enrollment.pk]);
        }
        *stand = RoleStand::Waiting;
    }
    Ok(())
}

fn cut_course(txn: &mut dyn Txn, call: &Call<'_>, linked: Linked, key: &CourseKey) -> Result<(), Fault> {
    let Linked { enrollment, person } = linked;
    let Some(before) = course::enrollment(txn.as_read(), key, person)? else { return Ok(()) };
    let is_last = before.givers.keys().all(|giver| *giver == enrollment);
    let is_active = before.active && before.is_active_by_another(enrollment);
    let mut mode = before.mode;
    // Enrollments in a deleted course are inactive, and its modes are unknown.
    if let Some(course) = record::get::<Course>(txn.as_read(), &key::course(key))? {
        let subjects = || vec![course.pk, person, enrollment];
        if before.active && !is_active {
            call.emit_derived(txn, change::DEACTIVATED, subjects());
        }
        if is_last && before.mode != Mode::Audit && course.modes.contains(&Mode::Audit) {
            call.emit_derived(txn, change::MOVED_TO_AUDIT, subjects());
            mode = Mode::Audit;
        }
    }
    course::set_enrollment(txn, call, key, person, Some(before), |after| {
        (after.mode, after.active) = (mode, is_active);
        after.givers.remove(&enrollment);
    })
}

/// Gives the linked person a role in a course. Returns its standing, and whether that is new. A role that can not be
/// given goes on waiting, and emits an event with the refusal's code.
pub(super) fn give_role(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    Linked { enrollment, person }: Linked,
    course: &CourseKey,
    role: CourseRole,
) -> Result<(RoleStand, bool), Fault> {
    let given = GivenRole { course, person, giver: enrollment, role };
    match whole(txn, |txn| course::give_role(txn, given))? {
        Ok((course, is_new)) => {
            if is_new {
                call.emit_derived(txn, change::ROLE_GIVEN, vec![course.pk, person, enrollment]);
            }
            Ok((RoleStand::Given, is_new))
        }
        Err(refusal) => {
            let course = record::get::<Course>(txn.as_read(), &key::course(course))?.map(|course| course.pk);
            let subjects = course.into_iter().chain([person, enrollment]).collect();
            call.emit_failure(txn, change::ROLE_FAILED, subjects, refusal.code);
            Ok((RoleStand::Waiting, true))
        }
    }
}
