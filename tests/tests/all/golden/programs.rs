//! Golden samples of courses and programs.

use enroll_protocol::course::{self, CourseRole, Mode};
use enroll_protocol::program::{self, CourseStatus, Failure, Status};
use enroll_protocol::{Code, Page};

use super::{Samples, name, pk, time};

pub(super) fn courses(samples: &mut Samples) {
    let key = || "Hiking".parse().expect("a key");
    let modes = || vec![Mode::Audit, Mode::Honor, Mode::Verified, Mode::Masters];
    let (created, updated, deleted) = (time(1), time(2), Some(time(3)));
    let course = course::Course { pk: pk(1), key: key(), modes: modes(), created, updated, deleted };
    samples.operation(&course::Create { key: key(), modes: modes() }, &course);
    samples.operation(&course::Get { key: name("Hiking") }, &course);
    let after = || Some("cursor".parse().expect("a cursor"));
    let limit = || "7".parse().expect("a limit");
    let list = course::List { prefix: Some("hik".parse().expect("a prefix")), after: after(), limit: limit() };
    samples.operation(&list, &Page { items: vec![course], next: None });
    samples.operation(&course::Delete { key: name("Hiking") }, &true);
    let enrollment = course::CourseEnrollment { course: key(), person: pk(2), mode: Mode::Verified, active: true };
    let (course, person) = (|| name("Hiking"), || name("DOGGO01a"));
    let enroll = course::Enroll { course: course(), person: person(), mode: Mode::Verified };
    samples.operation(&enroll, &enrollment);
    samples.operation(&course::Unenroll { course: course(), person: person() }, &enrollment);
    let (by_course, by_person) = (Some(course()), Some(person()));
    let list = course::Enrollments { course: by_course, person: by_person, after: after(), limit: limit() };
    samples.operation(&list, &Page { items: vec![enrollment], next: None });
    let held = course::CourseRoleHeld { person: pk(2), course: key(), role: CourseRole::Staff };
    samples.operation(&course::Roles { course: Some(course()), person: Some(person()) }, &vec![held]);
}

pub(super) fn programs(samples: &mut Samples) {
    let key = |text: &str| text.parse().expect("a key");
    let statuses = |word: &str| [(key("s-1"), word.to_owned()), (key("S-2"), "conflict".to_owned())].into();
    let unit = program::EnrollmentUnit {
        external_key: key("s-1"),
        curriculum: Some(pk(2)),
        status: "enrolled".to_owned(),
        person: Some(name("DOGGO01a")),
    };
    let enroll = program::Enroll { program: pk(1), create: true, update: true, enrollments: vec![unit] };
    samples.operation(&enroll, &statuses("enrolled"));
    let unit = program::CourseUnit { external_key: key("s-1"), status: "active".to_owned() };
    let (course, enrollments) = (name("Hiking"), vec![unit]);
    let enroll = program::EnrollCourse { program: pk(1), course, create: true, update: true, enrollments };
    samples.operation(&enroll, &statuses("active"));
    let (external_key, course, role) = (key("s-1"), name("Hiking"), CourseRole::Staff);
    samples.operation(&program::AssignCourseRole { program: pk(1), external_key, course, role }, &true);
    let message = "there is no such person".to_owned();
    let failures = || [(key("s-2"), Failure { code: Code::NOT_FOUND, message: message.clone() })].into();
    let links = ["s-1=DOGGO01a", "s-2=NOBODY"].map(|pair| pair.parse().expect("a pair")).into();
    samples.operation(&program::Link { program: pk(1), links }, &failures());
    let external_keys = vec![key("s-1"), key("s-2")];
    samples.operation(&program::Unlink { program: pk(1), external_keys }, &failures());
    let course = |status| program::ProgramCourse { course: "Hiking".parse().expect("a key"), status, enrolled: true };
    let enrollment = |status| program::ProgramEnrollment {
        pk: pk(3),
        program: pk(1),
        curriculum: pk(2),
        external_key: key("s-1"),
        person: Some(pk(4)),
        status,
        courses: vec![course(CourseStatus::Active), course(CourseStatus::Inactive)],
        created: time(1),
        updated: time(2),
        deleted: Some(time(3)),
    };
    let list = program::Enrollments {
        program: pk(1),
        external_key: Some(key("s-1")),
        person: Some(name("DOGGO01a")),
        linked: Some(true),
        after: Some("cursor".parse().expect("a cursor")),
        limit: "7".parse().expect("a limit"),
    };
    let all = [Status::Enrolled, Status::Pending, Status::Suspended, Status::Canceled, Status::Ended];
    samples.operation(&list, &Page { items: all.map(enrollment).into(), next: None });
}
