//! Courses, course enrollments with their modes, and roles in courses.
//!
//! A course is named by its key wherever it stands in a record; a request may name it by its pk as well.

use serde::{Deserialize, Serialize};

use crate::limits::COURSE_MODES;
use crate::value::{CourseKey, Cursor, NamePrefix, PageLimit, Pk, Reference, Time, at_most, or_default, words};

/// A course that people can be enrolled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    /// Primary key.
    pub pk: Pk,
    /// The key, unique among courses without regard to case.
    pub key: CourseKey,
    /// The modes in which people can be enrolled in it.
    pub modes: Vec<Mode>,
    /// Creation time.
    pub created: Time,
    /// Time of the last change.
    pub updated: Time,
    /// Always none: a course that is deleted is gone.
    pub deleted: Option<Time>,
}

/// The mode in which somebody is enrolled in a course.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// To listen.
    Audit,
    /// For a certificate of honor.
    Honor,
    /// For a verified certificate.
    Verified,
    /// As part of a program.
    Masters,
}

/// A role that somebody can have in a course.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CourseRole {
    /// Staff, who teach the course.
    Staff,
}

words! {
    Mode: Audit "audit" Honor "honor" Verified "verified" Masters "masters";
    CourseRole: Staff "staff";
}

/// Somebody in a course.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CourseEnrollment {
    /// The course's key.
    pub course: CourseKey,
    /// The person enrolled.
    pub person: Pk,
    /// The mode.
    pub mode: Mode,
    /// False once the person is unenrolled.
    pub active: bool,
}

/// A role that somebody has in a course.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CourseRoleHeld {
    /// The person who holds it.
    pub person: Pk,
    /// The course's key.
    pub course: CourseKey,
    /// The role.
    pub role: CourseRole,
}

/// Make a course
///
/// A key that a course has already is a `conflict`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl course create Hiking+2027 --mode audit --mode masters")
)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// Key of the course
    pub key: CourseKey,
    /// A mode in which people can be enrolled in it: audit, honor, verified or masters; may be repeated
    #[cfg_attr(feature = "cli", arg(long = "mode", value_name = "MODE", required = true))]
    #[serde(deserialize_with = "at_most::<COURSE_MODES, _, _>")]
    pub modes: Vec<Mode>,
}

/// Show a course
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl course get Hiking+2027"))]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The course: key or pk
    pub key: Reference,
}

/// List courses, oldest first, or with a prefix by key
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl course list --limit 20"))]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only keys that begin so, without regard to case; then ordered by key
    #[cfg_attr(feature = "cli", arg(long))]
    pub prefix: Option<NamePrefix>,
    /// The `next` of the page before
    #[cfg_attr(feature = "cli", arg(long, value_name = "CURSOR"))]
    pub after: Option<Cursor>,
    /// Items per page, at most 1000
    #[cfg_attr(feature = "cli", arg(long, default_value_t))]
    #[serde(default, deserialize_with = "or_default")]
    pub limit: PageLimit,
}

/// Delete a course in which nobody is enrolled; true if there was one
///
/// While somebody is enrolled, it is a `conflict`. Roles in it are gone with it. Program enrollments that wait for it
/// may go on naming it, and fail to be linked until there is a course of that key again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl course delete Hiking+2027")
)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// The course: key or pk
    pub key: Reference,
}

/// Enroll a person in a course
///
/// A person who is enrolled already changes to this mode. The course must offer it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl course enroll Hiking+2027 DOGGO01a audit")
)]
#[serde(deny_unknown_fields)]
pub struct Enroll {
    /// The course: key or pk
    pub course: Reference,
    /// Person: callsign or pk
    pub person: Reference,
    /// audit, honor, verified or masters
    pub mode: Mode,
}

/// Take a person out of a course
///
/// The enrollment stays, with its mode, and is no longer active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl course unenroll Hiking+2027 DOGGO01a")
)]
#[serde(deny_unknown_fields)]
pub struct Unenroll {
    /// The course: key or pk
    pub course: Reference,
    /// Person: callsign or pk
    pub person: Reference,
}

/// List enrollments in courses, active ones and ended ones
///
/// In the order of the courses' keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl course enrollments --course Hiking+2027")
)]
#[serde(deny_unknown_fields)]
pub struct Enrollments {
    /// Only in this course: key or pk
    #[cfg_attr(feature = "cli", arg(long, value_name = "COURSE"))]
    pub course: Option<Reference>,
    /// Only of this person: callsign or pk
    #[cfg_attr(feature = "cli", arg(long, value_name = "PERSON"))]
    pub person: Option<Reference>,
    /// The `next` of the page before
    #[cfg_attr(feature = "cli", arg(long, value_name = "CURSOR"))]
    pub after: Option<Cursor>,
    /// Items per page, at most 1000
    #[cfg_attr(feature = "cli", arg(long, default_value_t))]
    #[serde(default, deserialize_with = "or_default")]
    pub limit: PageLimit,
}

/// List the roles that people have in courses
///
/// More than 1000 roles are refused as `too_large`: name a course.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl course roles --person DOGGO01a")
)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// Only in this course: key or pk
    #[cfg_attr(feature = "cli", arg(long, value_name = "COURSE"))]
    pub course: Option<Reference>,
    /// Only of this person: callsign or pk
    #[cfg_attr(feature = "cli", arg(long, value_name = "PERSON"))]
    pub person: Option<Reference>,
}
