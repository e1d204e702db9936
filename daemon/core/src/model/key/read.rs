//! Reading the parts back out of storage keys.

use enroll_protocol::course::CourseRole;
use enroll_protocol::{CourseKey, ListName, Pk, RoleName, Time};

use super::{Family, event_due, prefixed, time_of};
use crate::identity::authority::Serial;

/// The pk that a key ends with.
pub fn pk_at_end(key: &[u8]) -> Option<Pk> {
    key.last_chunk::<16>().copied().map(Pk::from_bytes)
}

/// The pk that a key begins with, after its tag.
pub fn pk_at_front(key: &[u8]) -> Option<Pk> {
    key.get(1..)?.first_chunk::<16>().copied().map(Pk::from_bytes)
}

/// The number that a key ends with.
pub fn seq_at_end(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().copied().map(u64::from_be_bytes)
}

/// The serial number that a key ends with.
pub fn serial_at_end(key: &[u8]) -> Option<Serial> {
    key.last_chunk().copied()
}

/// The name in the key of a role.
pub fn role_name(key: &[u8]) -> Option<RoleName> {
    RoleName::new(std::str::from_utf8(key.get(1..)?).ok()?).ok()
}

/// The list in the key of a constant.
pub fn list_of_constant(key: &[u8]) -> Option<ListName> {
    let (list, _) = std::str::from_utf8(key.get(1..)?).ok()?.split_once('\0')?;
    ListName::new(list).ok()
}

/// The event and the stretch of order numbers in the key of a waiting count; the last stretch has no end.
pub fn waiting_stretch(key: &[u8]) -> Option<(Pk, u64, Option<u64>)> {
    let bits = 6 * u32::from(*key.get(17)?);
    let stretch = seq_at_end(key)?;
    Some((pk_at_front(key)?, stretch << bits, (stretch + 1).checked_shl(bits)))
}

/// The time in the key of an event that is due.
pub fn event_due_at(key: &[u8]) -> Option<Time> {
    time_of(key.get(1..)?)
}

/// The range of the events that are due at this time or earlier, without the end.
pub fn event_dues_until(now: Time) -> (Vec<u8>, Vec<u8>) {
    let last = event_due(now, Pk::from_bytes([u8::MAX; 16]));
    (Family::EventDues.bounds().0, prefixed(last).1)
}

/// The person and the event in the key of a pending registration.
pub fn pending_of(key: &[u8]) -> Option<(Pk, Pk)> {
    Some((pk_at_front(key.get(16..)?)?, pk_at_end(key)?))
}

/// The course and the person in the key of a course enrollment.
pub fn course_enrollment_of(key: &[u8]) -> Option<(CourseKey, Pk)> {
    let (rest, person) = key.get(1..)?.split_last_chunk::<16>()?;
    Some((course_key(rest.strip_suffix(&[0])?)?, Pk::from_bytes(*person)))
}

/// The person and the course in the key of a person's course.
pub fn person_course_of(key: &[u8]) -> Option<(Pk, CourseKey)> {
    let (person, course) = key.get(1..)?.split_first_chunk::<16>()?;
    Some((Pk::from_bytes(*person), course_key(course)?))
}

/// The course, the person and the role in the key of a course role.
pub fn course_role_of(key: &[u8]) -> Option<(CourseKey, Pk, CourseRole)> {
    let (role, rest) = key.get(1..)?.split_last()?;
    let (rest, person) = rest.split_last_chunk::<16>()?;
    Some((course_key(rest.strip_suffix(&[0])?)?, Pk::from_bytes(*person), course_role_of_byte(*role)?))
}

/// The person, the course and the role in the key of a person's course role.
pub fn person_course_role_of(key: &[u8]) -> Option<(Pk, CourseKey, CourseRole)> {
    let (person, rest) = key.get(1..)?.split_first_chunk::<16>()?;
    let (role, course) = rest.split_last()?;
    Some((Pk::from_bytes(*person), course_key(course.strip_suffix(&[0])?)?, course_role_of_byte(*role)?))
}

/// The beginning of the keys by which a person's program enrollments are found.
pub fn programs_of(person: Pk) -> Vec<u8> {
    [&[Family::PersonPrograms as u8], person.as_bytes().as_slice()].concat()
}

/// The key of the kept answer that a part belongs to.
pub fn kept_of_part(part: &[u8]) -> Option<Vec<u8>> {
    Some([&[Family::Kept as u8], part.get(1..part.len().checked_sub(4)?)?].concat())
}

/// The beginning of the keys of a kept answer's parts.
pub fn parts_of_kept(kept: &[u8]) -> Vec<u8> {
    [&[Family::KeptParts as u8], kept.get(1..).unwrap_or_default()].concat()
}

/// The program and the folded external key in the key of a program enrollment.
pub fn program_enrollment_of(key: &[u8]) -> Option<(Pk, &str)> {
    let (program, folded) = key.get(1..)?.split_first_chunk::<16>()?;
    Some((Pk::from_bytes(*program), std::str::from_utf8(folded).ok()?))
}

fn course_key(bytes: &[u8]) -> Option<CourseKey> {
    CourseKey::new(std::str::from_utf8(bytes).ok()?).ok()
}

fn course_role_of_byte(byte: u8) -> Option<CourseRole> {
    (byte == 0).then_some(CourseRole::Staff)
}

#[cfg(test)]
mod tests {
    use enroll_protocol::Key;

    use super::super::{course_enrollment, course_role, person_course, person_course_role, program_enrollment};
    use super::super::{kept, kept_part, kept_parts, person_programs};
    use super::*;

    #[test]
    fn keys_of_courses_and_programs_come_back_whole() {
        let (pk, course, role) = (Pk::from_bytes([0xab; 16]), CourseKey::new("AB").expect("a key"), CourseRole::Staff);
        assert_eq!(course_enrollment_of(&course_enrollment(&course, pk)), Some((course.clone(), pk)));
        assert_eq!(person_course_of(&person_course(pk, &course)), Some((pk, course.clone())));
        assert_eq!(course_role_of(&course_role(&course, pk, role)), Some((course.clone(), pk, role)));
        assert_eq!(person_course_role_of(&person_course_role(pk, &course, role)), Some((pk, course, role)));
        assert_eq!(program_enrollment_of(&program_enrollment(pk, "x1")), Some((pk, "x1")));
        assert!(person_programs(pk, pk).starts_with(&programs_of(pk)));
    }

    #[test]
    fn a_kept_answer_and_its_parts_lead_to_each_other() {
        let key = Key(Pk::from_bytes([0xab; 16]));
        assert_eq!(kept_of_part(&kept_part(1000, key, 258)), Some(kept(1000, key)));
        assert_eq!(parts_of_kept(&kept(1000, key)), kept_parts(1000, key));
        assert_eq!(kept_of_part(&[]), None);
    }
}
