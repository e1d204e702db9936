//! The change feed: events that a write emits, and changes as they are stored once they have their numbers.

use enroll_protocol::changes::{self, PeerId};
use enroll_protocol::{OperationRow, Origin, Pk, Time, refusal};
use serde::{Deserialize, Serialize};

use super::record::{Kind, Record};

/// Changes that are no operations: numbers from 60000 on, stable like theirs.
const CONSEQUENCES: &[(u16, &str)] = &[
    (ALARM, "code.alarm"),
    (SEATED, "registration.seated"),
    (MOVED, "registration.moved"),
    (OPENED, "event.opened"),
    (MERGED, "event.merged"),
    (LISTED, "certificate.listed"),
    (LINKED, "program.linked"),
    (UNLINKED, "program.unlinked"),
    (ENROLLED, "course.enrolled"),
    (CONVERTED, "course.converted"),
    (MODE_KEPT, "course.mode_kept"),
    (MOVED_TO_AUDIT, "course.moved_to_audit"),
    (ACTIVATED, "course.activated"),
    (DEACTIVATED, "course.deactivated"),
    (ROLE_GIVEN, "course.role_given"),
    (ROLE_TAKEN, "course.role_taken"),
    (ROLE_FAILED, "course.role_failed"),
    (CLOCK, "server.clock"),
];

/// Wrong codes in all passed their rate: somebody tries codes from many places.
pub const ALARM: u16 = 60_000;

/// Somebody who waited was given a place. Of the event, the person, and the pool if there are any.
pub const SEATED: u16 = 60_001;

/// Somebody was moved to another pool, which gave somebody who waited a place. Of the event, the person and the pool.
pub const MOVED: u16 = 60_002;

/// A pool opened by itself. Of the event and the pool.
pub const OPENED: u16 = 60_003;

/// The places of an event's pools became one. Of the event.
pub const MERGED: u16 = 60_004;

/// The list of revoked certificates got another number because its time had come.
pub const LISTED: u16 = 60_005;

/// An external key was linked by another operation than that. Of the program enrollment and the person.
pub const LINKED: u16 = 60_006;

/// An external key was unlinked from somebody, to be linked to somebody else. Of the program enrollment and the person.
pub const UNLINKED: u16 = 60_007;

/// A course that an external key waited for: its person is enrolled in it as `masters`. This and what follows are of
/// the course, the person and the program enrollment.
pub const ENROLLED: u16 = 60_008;

/// Somebody who was enrolled in a course as `audit` or `honor` is from now on as `masters`.
pub const CONVERTED: u16 = 60_009;

/// Somebody who was enrolled in a course in another mode stays in it.
pub const MODE_KEPT: u16 = 60_010;

/// Somebody's course enrollment was cut from a program and moved to `audit`.
pub const MOVED_TO_AUDIT: u16 = 60_011;

/// A course enrollment became active again.
pub const ACTIVATED: u16 = 60_012;

/// A course enrollment became inactive.
pub const DEACTIVATED: u16 = 60_013;

/// Somebody has a role in a course.
pub const ROLE_GIVEN: u16 = 60_014;

/// A role in a course was taken back.
pub const ROLE_TAKEN: u16 = 60_015;

/// A role in a course could not be given, and goes on waiting.
pub const ROLE_FAILED: u16 = 60_016;

/// The system's clock was set by more than a few seconds: times before and after this are not of one clock.
pub const CLOCK: u16 = 60_017;

/// The daemon itself, where nobody asked.
pub const DAEMON: PeerId = PeerId { uid: 0, pid: 0 };

/// A change as it is stored; its number is its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The time.
    pub at: Time,
    /// The operation's number, or a consequence's.
    pub what: u16,
    /// The records it happened to.
    pub subjects: Vec<Pk>,
    /// On whose behalf.
    pub actor: Option<Pk>,
    /// The peer that asked.
    pub peer: PeerId,
    /// From where.
    pub origin: Option<Origin>,
    /// The change that it follows from.
    pub cause: Option<u64>,
    /// Why it was refused.
    pub refused: Option<refusal::Code>,
}

impl Record for Change {}

/// The events that a write emits beside its writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A change that has no number yet, and what there is one more of, if it made something.
    Change(Change, Option<Kind>),
    /// A change that follows from the last one told before it, unless it says itself from which.
    Consequence(Change),
    /// What is told later will follow from the last change told before this: its number is to be kept under this key.
    Remember(Vec<u8>),
    /// There is one more of this, beside what the change made.
    Made(Kind),
    /// There is one less of this, which nobody did: its time had come.
    Lost(Kind),
    /// The change of this number is no longer kept, nor any before it.
    Forgotten(u64),
    /// What was planned under a clock that was ahead is planned anew up to this key, or all of it.
    Replanned(Option<Vec<u8>>),
    /// The clock is accepted, which says this.
    ClockAccepted(Time),
}

impl Change {
    /// A change that nobody asked for: its time had come.
    pub fn of_time(what: u16, at: Time) -> Self {
        Self { at, what, subjects: Vec::new(), actor: None, peer: DAEMON, origin: None, cause: None, refused: None }
    }

    /// The change as the feed shows it.
    pub fn numbered(self, seq: u64) -> changes::Change {
        let name = name_of(self.what);
        let (area, verb) = name.split_once('.').unwrap_or((name, ""));
        changes::Change {
            seq,
            at: self.at,
            area: area.to_owned(),
            verb: verb.to_owned(),
            subjects: self.subjects,
            actor: self.actor,
            peer: self.peer,
            origin: self.origin,
            cause: self.cause,
            refused: self.refused,
        }
    }
}

fn name_of(what: u16) -> &'static str {
    let consequence = || CONSEQUENCES.iter().find(|(number, _)| *number == what).map(|(_, name)| *name);
    OperationRow::by_number(what).map(|row| row.name).or_else(consequence).unwrap_or("unknown.unknown")
}
