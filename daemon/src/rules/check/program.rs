//! What holds of courses and programs.

use std::collections::BTreeMap;

use enroll_protocol::CourseKey;
use enroll_protocol::fold::fold;

use super::{Check, hex};
use crate::model::key::{self, Family};
use crate::model::program::{Course, CourseEnrollment, CourseOf, KeyOf, ProgramEnrollment, RoleStand};
use crate::model::record::{self, Kind, Place};
use crate::store::StoreError;

/// Who is in a course, counted.
#[derive(Default)]
struct Tally {
    enrolled: u64,
    roles: u32,
}

impl Check<'_> {
    pub(super) fn courses(&mut self) -> Result<(), StoreError> {
        let mut tallies: BTreeMap<CourseKey, Tally> = BTreeMap::new();
        self.course_enrollments(&mut tallies)?;
        self.course_roles(&mut tallies)?;
        self.each::<Course>(Family::Courses, |check, place, course| {
            *check.counts.entry(Kind::Course).or_default() += 1;
            let found = record::get::<CourseOf>(check.txn, &key::course_pk(course.pk))?;
            let Some(CourseOf { key }) = found.filter(|found| key::course(&found.key) == place) else {
                check.violated("I21", course.pk, "its pk does not lead here");
                return Ok(());
            };
            let tally = tallies.remove(&key).unwrap_or_default();
            if (course.enrolled, course.roles) != (tally.enrolled, tally.roles) {
                let counts = format!("counts {} enrolled and {} roles", course.enrolled, course.roles);
                check.violated("I21", &key, format!("{counts}, and has {} and {}", tally.enrolled, tally.roles));
            }
            Ok(())
        })?;
        for (key, tally) in tallies {
            if tally.enrolled > 0 || tally.roles > 0 {
                self.violated("I21", key, "somebody is enrolled or has a role in it, and there is no such course");
            }
        }
        self.each::<CourseOf>(Family::CoursePks, |check, place, CourseOf { key }| {
            let course = record::get::<Course>(check.txn, &key::course(&key))?;
            if course.is_none_or(|course| key::course_pk(course.pk) != place) {
                check.violated("I21", key, "a pk leads here that is not this course's");
            }
            Ok(())
        })
    }

    fn course_enrollments(&mut self, tallies: &mut BTreeMap<CourseKey, Tally>) -> Result<(), StoreError> {
        self.each::<CourseEnrollment>(Family::CourseEnrollments, |check, place, enrollment| {
            *check.counts.entry(Kind::CourseEnrollment).or_default() += 1;
            let Some((course, person)) = key::course_enrollment_of(place) else {
                check.violated("I22", hex(place), "the key of a course enrollment can not be read");
                return Ok(());
            };
            if check.txn.get(&key::person_course(person, &course))?.is_none() {
                check.violated("I22", person, format!("the course \"{course}\" does not stand among theirs"));
            }
            if check.txn.get(&key::person(person))?.is_none() {
                check.violated("I22", person, "is in a course, and there is no such person");
            }
            if enrollment.active {
                tallies.entry(course).or_default().enrolled += 1;
            }
            Ok(())
        })?;
        self.each::<Place>(Family::PersonCourses, |check, place, _| {
            let found = key::person_course_of(place).map(|(person, course)| key::course_enrollment(&course, person));
            if found.map(|found| check.txn.get(&found)).transpose()?.flatten().is_none() {
                check.violated("I22", hex(place), "a course stands among somebody's that they are not in");
            }
            Ok(())
        })
    }

    fn course_roles(&mut self, tallies: &mut BTreeMap<CourseKey, Tally>) -> Result<(), StoreError> {
        self.each::<Place>(Family::CourseRoles, |check, place, _| {
            let Some((course, person, role)) = key::course_role_of(place) else {
                check.violated("I22", hex(place), "the key of a role in a course can not be read");
                return Ok(());
            };
            if check.txn.get(&key::person_course_role(person, &course, role))?.is_none() {
                check.violated("I22", person, format!("their role in \"{course}\" does not stand among theirs"));
            }
            tallies.entry(course).or_default().roles += 1;
            Ok(())
        })?;
        self.each::<Place>(Family::PersonCourseRoles, |check, place, _| {
            let of = key::person_course_role_of(place);
            let found = of.map(|(person, course, role)| key::course_role(&course, person, role));
            if found.map(|found| check.txn.get(&found)).transpose()?.flatten().is_none() {
                check.violated("I22", hex(place), "a role in a course stands among somebody's that they do not have");
            }
            Ok(())
        })
    }

    pub(super) fn programs(&mut self) -> Result<(), StoreError> {
        self.each::<ProgramEnrollment>(Family::ProgramEnrollments, |check, place, enrollment| {
            *check.counts.entry(Kind::ProgramEnrollment).or_default() += 1;
            let Some((program, folded)) = key::program_enrollment_of(place) else {
                check.violated("I23", hex(place), "the key of a program enrollment can not be read");
                return Ok(());
            };
            let leads_here = |found: Option<KeyOf>| found.is_some_and(|found| found.folded == folded);
            if fold(enrollment.external_key.as_str()) != folded {
                check.violated("I23", enrollment.pk, "lies under another external key");
            }
            if !leads_here(record::get(check.txn, &key::program_pk(program, enrollment.pk))?) {
                check.violated("I23", enrollment.pk, "does not stand among those of its program");
            }
            match enrollment.person {
                Some(person) => {
                    let by_person = key::person_program(person, program, enrollment.curriculum);
                    if !leads_here(record::get(check.txn, &by_person)?) {
                        check.violated("I23", enrollment.pk, "does not stand among those of its person");
                    }
                    for course in enrollment.courses.keys() {
                        if check.txn.get(&key::course_enrollment(course, person))?.is_none() {
                            let why = format!("is linked, and its person is not in the course \"{course}\"");
                            check.violated("I24", enrollment.pk, why);
                        }
                    }
                }
                None if enrollment.roles.values().any(|stand| *stand != RoleStand::Waiting) => {
                    check.violated("I24", enrollment.pk, "waits, and a role of it does not");
                }
                None => {}
            }
            Ok(())
        })?;
        self.each::<KeyOf>(Family::ProgramPks, |check, place, KeyOf { folded }| {
            let program = key::pk_at_front(place);
            let found = program.map(|program| record::get(check.txn, &key::program_enrollment(program, &folded)));
            let found: Option<ProgramEnrollment> = found.transpose()?.flatten();
            if found.is_none_or(|found| Some(found.pk) != key::pk_at_end(place)) {
                check.violated("I23", hex(place), "stands among the enrollments of a program that it is not in");
            }
            Ok(())
        })?;
        self.each::<KeyOf>(Family::PersonPrograms, |check, place, KeyOf { folded }| {
            let program = place.get(16..).and_then(key::pk_at_front);
            let found = program.map(|program| record::get(check.txn, &key::program_enrollment(program, &folded)));
            let found: Option<ProgramEnrollment> = found.transpose()?.flatten();
            let fits = |found: &ProgramEnrollment| {
                found.person == key::pk_at_front(place) && Some(found.curriculum) == key::pk_at_end(place)
            };
            if !found.as_ref().is_some_and(fits) {
                check.violated("I23", hex(place), "stands among somebody's enrollments and is not theirs");
            }
            Ok(())
        })
    }
}
