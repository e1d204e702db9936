//! The keys of courses and programs.

use enroll_protocol::course::CourseRole;
use enroll_protocol::{CourseKey, Pk};

pub(super) const COURSE: u8 = 0x70;
pub(super) const COURSE_PK: u8 = 0x71;
pub(super) const COURSE_ENROLLMENT: u8 = 0x72;
pub(super) const PERSON_COURSE: u8 = 0x73;
pub(super) const COURSE_ROLE: u8 = 0x74;
pub(super) const PERSON_COURSE_ROLE: u8 = 0x75;
pub(super) const COURSE_NAME: u8 = 0x76;
pub(super) const PROGRAM_ENROLLMENT: u8 = 0x78;
pub(super) const PROGRAM_PK: u8 = 0x79;
pub(super) const PERSON_PROGRAM: u8 = 0x7a;

/// A course.
pub fn course(course: &CourseKey) -> Vec<u8> {
    [&[COURSE], course.as_str().as_bytes()].concat()
}

/// How the course of a folded key is spelled.
pub fn course_name(folded: &str) -> Vec<u8> {
    [&[COURSE_NAME], folded.as_bytes()].concat()
}

/// The course of a pk.
pub fn course_pk(pk: Pk) -> Vec<u8> {
    [&[COURSE_PK], pk.as_bytes().as_slice()].concat()
}

/// Somebody in a course.
pub fn course_enrollment(course: &CourseKey, person: Pk) -> Vec<u8> {
    [course_enrollments(course).as_slice(), person.as_bytes()].concat()
}

/// What begins everybody in a course.
pub fn course_enrollments(course: &CourseKey) -> Vec<u8> {
    [&[COURSE_ENROLLMENT], course.as_str().as_bytes(), &[0]].concat()
}

/// The course and the person of such a key.
pub fn course_enrollment_of(key: &[u8]) -> Option<(CourseKey, Pk)> {
    let (rest, person) = key.get(1..)?.split_last_chunk::<16>()?;
    Some((course_key(rest.strip_suffix(&[0])?)?, Pk::from_bytes(*person)))
}

/// A course that somebody is or was in.
pub fn person_course(person: Pk, course: &CourseKey) -> Vec<u8> {
    [person_courses(person).as_slice(), course.as_str().as_bytes()].concat()
}

/// What begins every course that somebody is or was in.
pub fn person_courses(person: Pk) -> Vec<u8> {
    [&[PERSON_COURSE], person.as_bytes().as_slice()].concat()
}

/// The person and the course of such a key.
pub fn person_course_of(key: &[u8]) -> Option<(Pk, CourseKey)> {
    let (person, course) = key.get(1..)?.split_first_chunk::<16>()?;
    Some((Pk::from_bytes(*person), course_key(course)?))
}

/// A role that somebody has in a course.
pub fn course_role(course: &CourseKey, person: Pk, role: CourseRole) -> Vec<u8> {
    [course_roles(course).as_slice(), person.as_bytes(), &[role_byte(role)]].concat()
}

/// What begins every role in a course.
pub fn course_roles(course: &CourseKey) -> Vec<u8> {
    [&[COURSE_ROLE], course.as_str().as_bytes(), &[0]].concat()
}

/// The course, the person and the role of such a key.
pub fn course_role_of(key: &[u8]) -> Option<(CourseKey, Pk, CourseRole)> {
    let (role, rest) = key.get(1..)?.split_last()?;
    let (rest, person) = rest.split_last_chunk::<16>()?;
    Some((course_key(rest.strip_suffix(&[0])?)?, Pk::from_bytes(*person), role_of(*role)?))
}

/// A role in a course, by who has it.
pub fn person_course_role(person: Pk, course: &CourseKey, role: CourseRole) -> Vec<u8> {
    [person_course_roles(person).as_slice(), course.as_str().as_bytes(), &[0, role_byte(role)]].concat()
}

/// What begins every role that somebody has in courses.
pub fn person_course_roles(person: Pk) -> Vec<u8> {
    [&[PERSON_COURSE_ROLE], person.as_bytes().as_slice()].concat()
}

/// The person, the course and the role of such a key.
pub fn person_course_role_of(key: &[u8]) -> Option<(Pk, CourseKey, CourseRole)> {
    let (person, rest) = key.get(1..)?.split_first_chunk::<16>()?;
    let (role, course) = rest.split_last()?;
    Some((Pk::from_bytes(*person), course_key(course.strip_suffix(&[0])?)?, role_of(*role)?))
}

/// An external key, folded, in a program.
pub fn program_enrollment(program: Pk, folded: &str) -> Vec<u8> {
    [&[PROGRAM_ENROLLMENT], program.as_bytes().as_slice(), folded.as_bytes()].concat()
}

/// The program and the folded external key of such a key.
pub fn program_enrollment_of(key: &[u8]) -> Option<(Pk, &str)> {
    let (program, folded) = key.get(1..)?.split_first_chunk::<16>()?;
    Some((Pk::from_bytes(*program), std::str::from_utf8(folded).ok()?))
}

/// A program enrollment in the order of those of its program.
pub fn program_pk(program: Pk, enrollment: Pk) -> Vec<u8> {
    [program_pks(program).as_slice(), enrollment.as_bytes()].concat()
}

/// What begins every enrollment of a program.
pub fn program_pks(program: Pk) -> Vec<u8> {
    [&[PROGRAM_PK], program.as_bytes().as_slice()].concat()
}

/// The enrollment of a person in a program and a curriculum.
pub fn person_program(person: Pk, program: Pk, curriculum: Pk) -> Vec<u8> {
    [person_programs(person, program).as_slice(), curriculum.as_bytes()].concat()
}

/// What begins every enrollment of a person in a program.
pub fn person_programs(person: Pk, program: Pk) -> Vec<u8> {
    [&[PERSON_PROGRAM], person.as_bytes().as_slice(), program.as_bytes()].concat()
}

fn course_key(bytes: &[u8]) -> Option<CourseKey> {
    CourseKey::new(std::str::from_utf8(bytes).ok()?).ok()
}

fn role_byte(role: CourseRole) -> u8 {
    match role {
        CourseRole::Staff => 0,
    }
}

fn role_of(byte: u8) -> Option<CourseRole> {
    (byte == role_byte(CourseRole::Staff)).then_some(CourseRole::Staff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_these_bytes_and_come_back_whole() {
        let (pk, key) = (Pk::from_bytes([0xab; 16]), CourseKey::new("AB").expect("a key"));
        let hex = |key: &[u8]| key.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let abs = "ab".repeat(16);
        let role = CourseRole::Staff;
        for (made, expected) in [
            (course(&key), "704142".to_owned()),
            (course_pk(pk), format!("71{abs}")),
            (course_name("ab"), "766162".to_owned()),
            (course_enrollment(&key, pk), format!("72414200{abs}")),
            (person_course(pk, &key), format!("73{abs}4142")),
            (course_role(&key, pk, role), format!("74414200{abs}00")),
            (person_course_role(pk, &key, role), format!("75{abs}41420000")),
            (program_enrollment(pk, "x1"), format!("78{abs}7831")),
            (program_pk(pk, pk), format!("79{abs}{abs}")),
            (person_program(pk, pk, pk), format!("7a{abs}{abs}{abs}")),
        ] {
            assert_eq!(hex(&made), expected);
        }
        assert_eq!(course_enrollment_of(&course_enrollment(&key, pk)), Some((key.clone(), pk)));
        assert_eq!(person_course_of(&person_course(pk, &key)), Some((pk, key.clone())));
        assert_eq!(course_role_of(&course_role(&key, pk, role)), Some((key.clone(), pk, role)));
        assert_eq!(person_course_role_of(&person_course_role(pk, &key, role)), Some((pk, key, role)));
        assert_eq!(program_enrollment_of(&program_enrollment(pk, "x1")), Some((pk, "x1")));
    }
}
