//! Invariants of courses and programs.

use std::collections::BTreeMap;

use enroll_protocol::fold::fold;
use enroll_protocol::{CourseKey, Pk};

use super::{Check, hex};
use crate::model::key::{self, Family};
use crate::model::program::{Course, CourseEnrollment, CourseOf, CourseRoleOf, KeyOf, ProgramEnrollment, RoleStand};
use crate::model::record::{self, Kind, Marker};
use crate::state::StoreError;

/// The counts of a course: its active enrollments and its roles.
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
        self.each::<Course>(Family::Courses, |check, key, course| {
            *check.counts.entry(Kind::Course).or_default() += 1;
            let found = record::get::<CourseOf>(check.txn, &key::course_pk(course.pk))?;
            let Some(CourseOf { key: name }) = found.filter(|found| key::course(&found.key) == key) else {
                check.violated("I21", course.pk, "its pk does not lead here");
                return Ok(());
            };
            let folded = record::get::<CourseOf>(check.txn, &key::course_name(&fold(name.as_str())))?;
            if folded.is_none_or(|folded| folded.key != name) {
                check.violated("I21", &name, "its name does not lead here");
            }
            let tally = tallies.remove(&name).unwrap_or_default();
            if (course.enrolled, course.roles) != (tally.enrolled, tally.roles) {
                let counts = format!("counts {} enrolled and {} roles", course.enrolled, course.roles);
                check.violated("I21", &name, format!("{counts}, and has {} and {}", tally.enrolled, tally.roles));
            }
            Ok(())
        })?;
        self.each::<CourseOf>(Family::CourseNames, |check, key, CourseOf { key: course }| {
            if key::course_name(&fold(course.as_str())) != key {
                check.violated("I21", course, "its name lies under another one's");
            }
            Ok(())
        })?;
        for (key, tally) in tallies {
            if tally.enrolled > 0 || tally.roles > 0 {
                self.violated("I21", key, "somebody is enrolled or has a role in it, and there is no such course");
            }
        }
        self.each::<CourseOf>(Family::CoursePks, |check, key, CourseOf { key: course }| {
            let found = record::get::<Course>(check.txn, &key::course(&course))?;
            if found.is_none_or(|found| key::course_pk(found.pk) != key) {
                check.violated("I21", course, "a pk leads here that is not this course's");
            }
            Ok(())
        })
    }

    fn course_enrollments(&mut self, tallies: &mut BTreeMap<CourseKey, Tally>) -> Result<(), StoreError> {
        self.each::<CourseEnrollment>(Family::CourseEnrollments, |check, key, enrollment| {
            *check.counts.entry(Kind::CourseEnrollment).or_default() += 1;
            let Some((course, person)) = key::course_enrollment_of(key) else {
                check.violated("I22", hex(key), "the key of a course enrollment can not be read");
                return Ok(());
            };
            if check.txn.get(&key::person_course(person, &course))?.is_none() {
                check.violated("I22", person, format!("the course \"{course}\" does not stand among theirs"));
            }
            if check.txn.get(&key::person(person))?.is_none() {
                check.violated("I22", person, "is in a course, and there is no such person");
            }
            check.givers.0 += enrollment.givers.len() as u64;
            if enrollment.active {
                tallies.entry(course).or_default().enrolled += 1;
            }
            Ok(())
        })?;
        self.each::<Marker>(Family::PersonCourses, |check, key, _| {
            let found = key::person_course_of(key).map(|(person, course)| key::course_enrollment(&course, person));
            if found.map(|found| check.txn.get(&found)).transpose()?.flatten().is_none() {
                check.violated("I22", hex(key), "a course stands among somebody's that they are not in");
            }
            Ok(())
        })
    }

    fn course_roles(&mut self, tallies: &mut BTreeMap<CourseKey, Tally>) -> Result<(), StoreError> {
        self.each::<CourseRoleOf>(Family::CourseRoles, |check, key, held| {
            let Some((course, person, role)) = key::course_role_of(key) else {
                check.violated("I22", hex(key), "the key of a role in a course can not be read");
                return Ok(());
            };
            if check.txn.get(&key::person_course_role(person, &course, role))?.is_none() {
                check.violated("I22", person, format!("their role in \"{course}\" does not stand among theirs"));
            }
            check.givers.1 += held.givers.len() as u64;
            if held.givers.is_empty() {
                check.violated("I26", person, format!("has a role in \"{course}\" that nothing gives"));
            }
            tallies.entry(course).or_default().roles += 1;
            Ok(())
        })?;
        self.each::<Marker>(Family::PersonCourseRoles, |check, key, _| {
            let of = key::person_course_role_of(key);
            let found = of.map(|(person, course, role)| key::course_role(&course, person, role));
            if found.map(|found| check.txn.get(&found)).transpose()?.flatten().is_none() {
                check.violated("I22", hex(key), "a role in a course stands among somebody's that they do not have");
            }
            Ok(())
        })
    }

    /// Checks the courses and roles that a linked program enrollment gives. Each is removed from the givers collected
    /// with courses and roles; a giver that is left in the end violates I26.
    fn given(&mut self, enrollment: &ProgramEnrollment, person: Pk) -> Result<(), StoreError> {
        for (course, status) in &enrollment.courses {
            let given = record::get::<CourseEnrollment>(self.txn, &key::course_enrollment(course, person))?;
            match given.and_then(|given| given.givers.get(&enrollment.pk).copied()) {
                Some(given) if given == *status => self.givers.0 = self.givers.0.wrapping_sub(1),
                _ => {
                    let why = format!("is linked, and does not give its person the course \"{course}\" as it says");
                    self.violated("I24", enrollment.pk, why);
                }
            }
        }
        for ((course, role), stand) in &enrollment.roles {
            let held = record::get::<CourseRoleOf>(self.txn, &key::course_role(course, person, *role))?;
            // The roles of a course are deleted with it.
            if *stand == RoleStand::Given && held.is_some_and(|held| held.givers.contains(&enrollment.pk)) {
                self.givers.1 = self.givers.1.wrapping_sub(1);
            }
        }
        Ok(())
    }

    pub(super) fn programs(&mut self) -> Result<(), StoreError> {
        self.each::<ProgramEnrollment>(Family::ProgramEnrollments, |check, key, enrollment| {
            *check.counts.entry(Kind::ProgramEnrollment).or_default() += 1;
            let Some((program, folded)) = key::program_enrollment_of(key) else {
                check.violated("I23", hex(key), "the key of a program enrollment can not be read");
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
                    check.given(&enrollment, person)?;
                }
                None if enrollment.roles.values().any(|stand| *stand != RoleStand::Waiting) => {
                    check.violated("I24", enrollment.pk, "waits, and a role of it does not");
                }
                None => {}
            }
            Ok(())
        })?;
        if self.givers != (0, 0) {
            let (courses, roles) = self.givers;
            let why = format!("{courses} courses and {roles} roles are given by enrollments that do not give them");
            self.violated("I26", "course enrollments", why);
        }
        self.each::<KeyOf>(Family::ProgramPks, |check, key, KeyOf { folded }| {
            let program = key::pk_at_front(key);
            let found = program.map(|program| record::get(check.txn, &key::program_enrollment(program, &folded)));
            let found: Option<ProgramEnrollment> = found.transpose()?.flatten();
            if found.is_none_or(|found| Some(found.pk) != key::pk_at_end(key)) {
                check.violated("I23", hex(key), "stands among the enrollments of a program that it is not in");
            }
            Ok(())
        })?;
        self.each::<KeyOf>(Family::PersonPrograms, |check, key, KeyOf { folded }| {
            let program = key.get(16..).and_then(key::pk_at_front);
            let found = program.map(|program| record::get(check.txn, &key::program_enrollment(program, &folded)));
            let found: Option<ProgramEnrollment> = found.transpose()?.flatten();
            let fits = |found: &ProgramEnrollment| {
                found.person == key::pk_at_front(key) && Some(found.curriculum) == key::pk_at_end(key)
            };
            if !found.as_ref().is_some_and(fits) {
                check.violated("I23", hex(key), "stands among somebody's enrollments and is not theirs");
            }
            Ok(())
        })
    }
}
