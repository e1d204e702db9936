//! Programs: enrollments under external keys, which wait to be linked to people, and their courses and roles.
//!
//! Writes to a program are bulk writes. Each key is a unit of its own, done whole or not at all, and has an answer of
//! its own: one bad row never costs the others. What is wrong with the whole call is refused before any unit.

mod units;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::units::{CourseUnit, EnrollmentUnit, Pair};
use crate::course::CourseRole;
use crate::limits::BULK_UNITS_MAX;
use crate::refusal::Code;
use crate::value::{CourseKey, Cursor, ExternalKey, PageLimit, Pk, Reference, Time, at_most, or_default, words};

/// The answer of a bulk write for each external key, in the caller's spelling: its new status, or the word for a
/// failure: `duplicated`, `invalid-status`, `conflict`, `not-in-program`, `not-found`.
pub type Statuses = BTreeMap<ExternalKey, String>;

/// The external keys of a bulk write that failed, in the caller's spelling, each with its failure.
pub type Failures = BTreeMap<ExternalKey, Failure>;

/// The failure of one unit of a bulk write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The stable code of the refusal.
    pub code: Code,
    /// The problem and the way out, for people.
    pub message: String,
}

/// A program enrollment: an external key in a program, and the person it is linked to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramEnrollment {
    /// Primary key.
    pub pk: Pk,
    /// The program.
    pub program: Pk,
    /// The curriculum.
    pub curriculum: Pk,
    /// The program's own name for the person, unique in the program without regard to case.
    pub external_key: ExternalKey,
    /// The linked person; none while it waits to be linked.
    pub person: Option<Pk>,
    /// Status.
    pub status: Status,
    /// The courses of the program that this key is enrolled in.
    pub courses: Vec<ProgramCourse>,
    /// Creation time.
    pub created: Time,
    /// Time of the last change.
    pub updated: Time,
    /// Always none: an enrollment in a program is canceled or ended, not deleted.
    pub deleted: Option<Time>,
}

/// The status of an enrollment in a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is in force.
    Enrolled,
    /// It is not in force yet.
    Pending,
    /// It is out of force for a time.
    Suspended,
    /// It was called off.
    Canceled,
    /// It is over.
    Ended,
}

/// A course of a program enrollment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramCourse {
    /// The course's key.
    pub course: CourseKey,
    /// Status.
    pub status: CourseStatus,
    /// True once a person was enrolled in the course by it; false while it waits to be linked.
    pub enrolled: bool,
}

/// The status of a course of a program enrollment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CourseStatus {
    /// The person is enrolled, once there is one.
    Active,
    /// The person is not, or no longer.
    Inactive,
}

words! {
    Status: Enrolled "enrolled" Pending "pending" Suspended "suspended" Canceled "canceled" Ended "ended";
    CourseStatus: Active "active" Inactive "inactive";
}

/// Enroll external keys in a program
///
/// Answers each key's new status, or the word for a failure: duplicated, invalid-status, conflict (it is enrolled
/// already, and this does not update; or the person is in the program by another key), not-in-program (it is not, and
/// this does not create), not-found (no such person).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(
        after_help = "Example:\n  enrollctl program enroll 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b --create \\\n    \
                      --enrollment '{\"external_key\":\"s-4711\",\"curriculum\":\"01994f3a-7c1e-7d55-a1b2-000000000001\",\"status\":\"enrolled\"}'"
    )
)]
#[serde(deny_unknown_fields)]
pub struct Enroll {
    /// The program, a UUID
    pub program: Pk,
    /// Enroll keys that are not in the program
    #[cfg_attr(feature = "cli", arg(long))]
    pub create: bool,
    /// Change keys that are
    #[cfg_attr(feature = "cli", arg(long))]
    pub update: bool,
    /// An external key, its curriculum, its status (enrolled, pending, suspended, canceled or ended) and its person, as
    /// JSON; may be repeated
    #[cfg_attr(feature = "cli", arg(long = "enrollment", value_name = "JSON"))]
    #[serde(deserialize_with = "at_most::<BULK_UNITS_MAX, _, _>")]
    pub enrollments: Vec<EnrollmentUnit>,
}

/// Enroll external keys of a program in a course
///
/// A key that is linked enrolls its person at once, another one when it is linked. Answers each key's new status, or
/// the word for a failure: duplicated, invalid-status, conflict (it is in the course already, and this does not update;
/// or its person can not be enrolled), not-in-program, not-found (it is not in the course, and this does not create).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(
        after_help = "Example:\n  enrollctl program enroll_course 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b Hiking+2027 --create \\\n    \
                      --enrollment '{\"external_key\":\"s-4711\",\"status\":\"active\"}'"
    )
)]
#[serde(deny_unknown_fields)]
pub struct EnrollCourse {
    /// The program, a UUID
    pub program: Pk,
    /// The course: key or pk
    pub course: Reference,
    /// Enroll keys that are not in the course
    #[cfg_attr(feature = "cli", arg(long))]
    pub create: bool,
    /// Change keys that are
    #[cfg_attr(feature = "cli", arg(long))]
    pub update: bool,
    /// An external key and its status (active or inactive), as JSON; may be repeated
    #[cfg_attr(feature = "cli", arg(long = "enrollment", value_name = "JSON"))]
    #[serde(deserialize_with = "at_most::<BULK_UNITS_MAX, _, _>")]
    pub enrollments: Vec<CourseUnit>,
}

/// Give an external key a role in a course; true if that is new
///
/// The role waits until the key is linked. A key that is linked gives it to its person at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(
        after_help = "Example:\n  enrollctl program assign_course_role 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b s-4711 \
                      Hiking+2027 staff"
    )
)]
#[serde(deny_unknown_fields)]
pub struct AssignCourseRole {
    /// The program, a UUID
    pub program: Pk,
    /// The external key, in any case
    pub external_key: ExternalKey,
    /// The course: key or pk
    pub course: Reference,
    /// The role: staff
    pub role: CourseRole,
}

/// Link external keys of a program to people
///
/// Each pair is done whole or not at all, in the order given: a person taken from one key may be given a later one. The
/// key's course enrollments are made for its person, and then its roles in courses. A key that is linked to somebody
/// else is first unlinked from them. Answers the keys that failed, and in a dry run also those that would be moved
/// (would_move).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(
        after_help = "Example:\n  enrollctl program link 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b --link s-4711=DOGGO01a\n  \
                      enrollctl program link 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b --file links.csv"
    )
)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The program, a UUID
    pub program: Pk,
    /// An external key and its person, callsign or pk; may be repeated
    #[cfg_attr(feature = "cli", arg(long = "link", value_name = "KEY=PERSON"))]
    #[serde(with = "units::pairs")]
    pub links: Vec<Pair>,
}

/// Unlink external keys of a program from their people
///
/// Each key is done whole or not at all: its person's course enrollments under it become inactive, move to audit where
/// the course has that mode, and are cut from the program; roles in courses that the link gave are taken back and wait
/// again. Answers the keys that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl program unlink 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b s-4711")
)]
#[serde(deny_unknown_fields)]
pub struct Unlink {
    /// The program, a UUID
    pub program: Pk,
    /// The external keys, in any case
    #[cfg_attr(feature = "cli", arg(value_name = "EXTERNAL_KEY", required = true))]
    #[serde(deserialize_with = "at_most::<BULK_UNITS_MAX, _, _>")]
    pub external_keys: Vec<ExternalKey>,
}

/// List the enrollments of a program, oldest first
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(
        after_help = "Example:\n  enrollctl program enrollments 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b --linked false"
    )
)]
#[serde(deny_unknown_fields)]
pub struct Enrollments {
    /// The program, a UUID
    pub program: Pk,
    /// Only of this external key, in any case
    #[cfg_attr(feature = "cli", arg(long, value_name = "KEY"))]
    pub external_key: Option<ExternalKey>,
    /// Only of this person: callsign or pk
    #[cfg_attr(feature = "cli", arg(long, value_name = "PERSON"))]
    pub person: Option<Reference>,
    /// Only those that are linked, or that wait
    #[cfg_attr(feature = "cli", arg(long, value_name = "BOOL"))]
    pub linked: Option<bool>,
    /// The `next` of the page before
    #[cfg_attr(feature = "cli", arg(long, value_name = "CURSOR"))]
    pub after: Option<Cursor>,
    /// Items per page, at most 1000
    #[cfg_attr(feature = "cli", arg(long, default_value_t))]
    #[serde(default, deserialize_with = "or_default")]
    pub limit: PageLimit,
}
