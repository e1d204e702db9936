//! Courses and programs as they are stored.
//!
//! A course is stored under its course key, and all references to a course are by that: program enrollments that wait
//! for a course may outlive it, and find the next one of the same key.

use std::collections::{BTreeMap, BTreeSet};

use enroll_protocol::course::{CourseRole, Mode};
use enroll_protocol::program::{CourseStatus, Status};
use enroll_protocol::{CourseKey, ExternalKey, Pk, Time};
use serde::{Deserialize, Serialize};

use super::record::Record;

/// A course, which is also the head of its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Course {
    /// Primary key.
    pub pk: Pk,
    /// The modes in which people can be enrolled in it.
    pub modes: BTreeSet<Mode>,
    /// The number of active course enrollments.
    pub enrolled: u64,
    /// The number of roles in it.
    pub roles: u32,
    /// The time at which the record was made.
    pub created: Time,
    /// The time of the last change, but for its members.
    pub updated: Time,
}

/// The key of a course.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CourseOf {
    /// The key.
    pub key: CourseKey,
}

/// Somebody in a course. An inactive one may outlive the course.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CourseEnrollment {
    /// The mode.
    pub mode: Mode,
    /// True while the enrollment is active.
    pub active: bool,
    /// The program enrollments that give it while they are linked, by pk, with its status in each. It is cut with the
    /// last of them, and active at least while it is active in one of them.
    pub givers: BTreeMap<Pk, CourseStatus>,
    /// The time at which the record was made.
    pub created: Time,
    /// The time of the last change.
    pub updated: Time,
}

/// Somebody's role in a course.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CourseRoleOf {
    /// The program enrollments that give it while they are linked, by pk; it is taken with the last of them.
    pub givers: BTreeSet<Pk>,
}

/// An external key in a program, with the courses and roles that wait for its person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramEnrollment {
    /// Primary key.
    pub pk: Pk,
    /// The curriculum.
    pub curriculum: Pk,
    /// The external key as it was sent.
    pub external_key: ExternalKey,
    /// The person, once it is linked.
    pub person: Option<Pk>,
    /// The status.
    pub status: Status,
    /// The courses. Of a linked key all are realized, of a waiting one none.
    pub courses: BTreeMap<CourseKey, CourseStatus>,
    /// The roles in courses.
    #[serde(with = "stored_pairs")]
    pub roles: BTreeMap<(CourseKey, CourseRole), RoleStand>,
    /// The time at which the record was made.
    pub created: Time,
    /// The time of the last change.
    pub updated: Time,
}

/// The standing of an external key's role in a course.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleStand {
    /// It waits.
    Waiting,
    /// The person has it, and this program enrollment is one of those that give it.
    Given,
}

/// The folded external key of a program enrollment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyOf {
    /// The key.
    pub folded: String,
}

impl CourseEnrollment {
    /// True if another program enrollment than this one gives the course and has it active.
    pub fn is_active_by_another(&self, enrollment: Pk) -> bool {
        self.givers.iter().any(|(giver, status)| *giver != enrollment && *status == CourseStatus::Active)
    }
}

impl Record for Course {}
impl Record for CourseOf {}
impl Record for CourseEnrollment {}
impl Record for CourseRoleOf {}
impl Record for ProgramEnrollment {}
impl Record for KeyOf {}

/// In JSON a map whose keys are not texts is a list of pairs.
mod stored_pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K, V, S>(map: &BTreeMap<K, V>, serializer: S) -> Result<S::Ok, S::Error>
    where
        K: Serialize,
        V: Serialize,
        S: Serializer,
    {
        if serializer.is_human_readable() { serializer.collect_seq(map) } else { map.serialize(serializer) }
    }

    pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        if deserializer.is_human_readable() {
            return Vec::deserialize(deserializer).map(|pairs: Vec<(K, V)>| pairs.into_iter().collect());
        }
        BTreeMap::deserialize(deserializer)
    }
}
