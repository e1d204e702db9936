//! What an external key's courses and roles come to for the person that it is linked to, and how that is undone.
//!
//! Each of these is told as what follows from the change before it, of the course, the person and the program
//! enrollment, so that a service that owns the courses can follow.

use enroll_protocol::course::{CourseRole, Mode};
use enroll_protocol::program::CourseStatus;
use enroll_protocol::{Code, CourseKey, Pk, Refusal};

use crate::fault::Fault;
use crate::model::change;
use crate::model::key;
use crate::model::program::{Course, ProgramEnrollment, RoleStand};
use crate::model::record;
use crate::rules::{Call, course, whole};
use crate::store::Txn;

/// Enrolls the person in a course of theirs. Whoever is enrolled as `audit` or `honor` is converted to `masters`, whoever
/// is in another mode stays in it, everybody else is enrolled as `masters`; an inactive one comes out inactive.
pub(super) fn realise(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    enrollment: Pk,
    person: Pk,
    (key, status): (&CourseKey, CourseStatus),
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
    let subjects = || vec![course.pk, person, enrollment];
    call.tell_consequence(txn, what, subjects());
    let is_active = status == CourseStatus::Active;
    if !is_active {
        call.tell_consequence(txn, change::DEACTIVATED, subjects());
    }
    if before.as_ref().is_none_or(|before| (before.mode, before.active) != (mode, is_active)) {
        course::set_enrollment(txn, call, (key, person), before, (mode, is_active))?;
    }
    Ok(())
}

/// Has a course enrollment that came true follow its new status.
pub(super) fn follow(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    enrollment: Pk,
    person: Pk,
    (key, status): (&CourseKey, CourseStatus),
) -> Result<(), Fault> {
    let is_active = status == CourseStatus::Active;
    let found = record::get::<Course>(txn.as_read(), &key::course(key))?;
    let before = course::enrollment(txn.as_read(), key, person)?;
    let (Some(course), Some(before)) = (found, before) else { return Ok(()) };
    if before.active != is_active {
        let what = if is_active { change::ACTIVATED } else { change::DEACTIVATED };
        call.tell_consequence(txn, what, vec![course.pk, person, enrollment]);
        let mode = before.mode;
        course::set_enrollment(txn, call, (key, person), Some(before), (mode, is_active))?;
    }
    Ok(())
}

/// Cuts a person's courses from the program: each becomes inactive, and moves to `audit` where the course has that mode.
/// Roles that came by it are taken back. All of them wait again.
pub(super) fn cut(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    enrollment: &mut ProgramEnrollment,
    person: Pk,
) -> Result<(), Fault> {
    for key in enrollment.courses.keys() {
        let Some(before) = course::enrollment(txn.as_read(), key, person)? else { continue };
        // Where the course is gone, its enrollments are inactive, and nobody knows of its modes.
        let Some(course) = record::get::<Course>(txn.as_read(), &key::course(key))? else { continue };
        let subjects = || vec![course.pk, person, enrollment.pk];
        let mode = if course.modes.contains(&Mode::Audit) { Mode::Audit } else { before.mode };
        if before.active {
            call.tell_consequence(txn, change::DEACTIVATED, subjects());
        }
        if before.mode != mode {
            call.tell_consequence(txn, change::MOVED_TO_AUDIT, subjects());
        }
        if (before.mode, before.active) != (mode, false) {
            course::set_enrollment(txn, call, (key, person), Some(before), (mode, false))?;
        }
    }
    for ((key, role), stand) in &mut enrollment.roles {
        if *stand == RoleStand::Given
            && let Some(course) = course::take_role(txn, key, person, *role)?
        {
            call.tell_consequence(txn, change::ROLE_TAKEN, vec![course.pk, person, enrollment.pk]);
        }
        *stand = RoleStand::Waiting;
    }
    Ok(())
}

/// Gives the person a role of theirs in a course. One that can not be given goes on waiting, which is told.
pub(super) fn give_role(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    enrollment: Pk,
    person: Pk,
    (key, role): (&CourseKey, CourseRole),
) -> Result<RoleStand, Fault> {
    match whole(txn, |txn| course::give_role(txn, key, person, role))? {
        Ok((course, true)) => {
            call.tell_consequence(txn, change::ROLE_GIVEN, vec![course.pk, person, enrollment]);
            Ok(RoleStand::Given)
        }
        Ok((_, false)) => Ok(RoleStand::Held),
        Err(refusal) => {
            let course = record::get::<Course>(txn.as_read(), &key::course(key))?.map(|course| course.pk);
            let subjects = course.into_iter().chain([person, enrollment]).collect();
            call.tell_failure(txn, change::ROLE_FAILED, subjects, refusal.code);
            Ok(RoleStand::Waiting)
        }
    }
}
