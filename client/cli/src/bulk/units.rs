//! The units of the bulk writes: the rows and columns of each operation's file, and the failures in its reply.

use clap::FromArgMatches;
use enroll_client::protocol::program::{self, CourseUnit, EnrollmentUnit, Failures, Pair, Statuses};
use enroll_client::protocol::{ExternalKey, Operation, Pk, Reference};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::report::Failed;
use super::rows::Column;

/// A bulk write whose units can come from a file.
pub(super) trait Bulk: Operation + FromArgMatches {
    /// A row of the file.
    type Unit: DeserializeOwned;
    /// The columns of a CSV file.
    const COLUMNS: &'static [Column];
    /// Replaces the units of the request and returns the old ones.
    fn replace(&mut self, units: Vec<Self::Unit>) -> Vec<Self::Unit>;
    /// The same request without units.
    fn empty(&self) -> Self;
    /// The program.
    fn program(&self) -> Pk;
    /// The external key of a row.
    fn key(unit: &Self::Unit) -> &ExternalKey;
    /// The person of a row.
    fn person(unit: &Self::Unit) -> Option<&Reference>;
    /// The failures in a reply.
    fn failed(reply: Self::Reply) -> Vec<Failed>;
}

/// A row of `program link`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkRow {
    external_key: ExternalKey,
    #[serde(alias = "callsign")]
    person: Reference,
}

const EXTERNAL_KEY: Column = Column { field: "external_key", names: &["external_key"], is_optional: false };
const STATUS: Column = Column { field: "status", names: &["status"], is_optional: false };

impl Bulk for program::Link {
    type Unit = LinkPair;
    const COLUMNS: &'static [Column] =
        &[EXTERNAL_KEY, Column { field: "person", names: &["callsign", "person"], is_optional: false }];

    fn replace(&mut self, units: Vec<LinkPair>) -> Vec<LinkPair> {
        let units = units.into_iter().map(|LinkPair(pair)| pair).collect();
        std::mem::replace(&mut self.links, units).into_iter().map(LinkPair).collect()
    }

    fn empty(&self) -> Self {
        Self { program: self.program, links: Vec::new() }
    }

    fn program(&self) -> Pk {
        self.program
    }

    fn key(unit: &LinkPair) -> &ExternalKey {
        &unit.0.external_key
    }

    fn person(unit: &LinkPair) -> Option<&Reference> {
        Some(&unit.0.person)
    }

    fn failed(reply: Failures) -> Vec<Failed> {
        let failed = |(key, failure): (ExternalKey, program::Failure)| Failed {
            key: key.to_string(),
            code: failure.code.to_string(),
            message: failure.message,
        };
        reply.into_iter().map(failed).collect()
    }
}

/// A pair that is read from a row.
#[derive(Debug, Deserialize)]
#[serde(from = "LinkRow")]
pub(super) struct LinkPair(Pair);

impl From<LinkRow> for LinkPair {
    fn from(row: LinkRow) -> Self {
        Self(Pair { external_key: row.external_key, person: row.person })
    }
}

impl Bulk for program::Enroll {
    type Unit = EnrollmentUnit;
    const COLUMNS: &'static [Column] = &[
        EXTERNAL_KEY,
        Column { field: "curriculum", names: &["curriculum"], is_optional: true },
        STATUS,
        Column { field: "person", names: &["person", "callsign"], is_optional: true },
    ];

    fn replace(&mut self, units: Vec<EnrollmentUnit>) -> Vec<EnrollmentUnit> {
        std::mem::replace(&mut self.enrollments, units)
    }

    fn empty(&self) -> Self {
        Self { enrollments: Vec::new(), ..*self }
    }

    fn program(&self) -> Pk {
        self.program
    }

    fn key(unit: &EnrollmentUnit) -> &ExternalKey {
        &unit.external_key
    }

    fn person(unit: &EnrollmentUnit) -> Option<&Reference> {
        unit.person.as_ref()
    }

    fn failed(reply: Statuses) -> Vec<Failed> {
        of_statuses(reply)
    }
}

impl Bulk for program::EnrollCourse {
    type Unit = CourseUnit;
    const COLUMNS: &'static [Column] = &[EXTERNAL_KEY, STATUS];

    fn replace(&mut self, units: Vec<CourseUnit>) -> Vec<CourseUnit> {
        std::mem::replace(&mut self.enrollments, units)
    }

    fn empty(&self) -> Self {
        Self { enrollments: Vec::new(), course: self.course.clone(), ..*self }
    }

    fn program(&self) -> Pk {
        self.program
    }

    fn key(unit: &CourseUnit) -> &ExternalKey {
        &unit.external_key
    }

    fn person(_: &CourseUnit) -> Option<&Reference> {
        None
    }

    fn failed(reply: Statuses) -> Vec<Failed> {
        of_statuses(reply)
    }
}

/// The failures of a reply: the keys that have a failure's word instead of their status.
fn of_statuses(reply: Statuses) -> Vec<Failed> {
    let failed = |(key, word): (ExternalKey, String)| {
        let message = match word.as_str() {
            "duplicated" => "the key stands there twice; upper and lower case do not matter",
            "invalid-status" => "there is no such status",
            "conflict" => "it is there already and --update was not given, or its person is in the way",
            "not-in-program" => "no enrollment in this program has the key",
            "not-found" => "there is no such person or course enrollment",
            _ => return None,
        };
        Some(Failed { key: key.to_string(), code: word, message: message.to_owned() })
    };
    reply.into_iter().filter_map(failed).collect()
}
