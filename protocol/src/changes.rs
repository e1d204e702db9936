//! The change feed: every committed write, in the order of commits, numbered without holes.

use serde::{Deserialize, Serialize};

use crate::operations::StreamOperation;
use crate::refusal::Code;
use crate::value::{ChangeMac, Cursor, Invalid, MemberName, Origin, PageLimit, Pk, Time, or_default};

/// Changes that are no operations, by number: they follow from another change, or from the time. The numbers are stable
/// like those of operations.
pub static CONSEQUENCES: &[(u16, &str)] = &[
    (60_000, "code.alarm"),
    (60_001, "registration.seated"),
    (60_002, "registration.moved"),
    (60_003, "event.opened"),
    (60_004, "event.merged"),
    (60_005, "certificate.listed"),
    (60_006, "program.linked"),
    (60_007, "program.unlinked"),
    (60_008, "course.enrolled"),
    (60_009, "course.converted"),
    (60_010, "course.mode_kept"),
    (60_011, "course.moved_to_audit"),
    (60_012, "course.activated"),
    (60_013, "course.deactivated"),
    (60_014, "course.role_given"),
    (60_015, "course.role_taken"),
    (60_016, "course.role_failed"),
    (60_017, "server.clock"),
    (60_018, "code.uid_alarm"),
    (60_019, "server.refusals"),
    (60_020, "registration.positioned"),
    (60_021, "registration.left"),
];

/// One committed write, or one refused attempt on a code or token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its number; the next change has the next number.
    pub seq: u64,
    /// The time of the commit.
    pub at: Time,
    /// The area of the operation, such as `person`.
    pub area: String,
    /// The verb of the change, such as `create`.
    pub verb: String,
    /// The records that were changed. Of a registration: the event, the person, and the pool where a place was taken or
    /// given up, or the event itself where it has no pools; of a position in the waiting list the person behind.
    pub subjects: Vec<Pk>,
    /// The actor: the person on whose behalf it was done.
    pub actor: Option<Pk>,
    /// The process that called.
    pub peer: PeerId,
    /// The origin of the attempt, such as a remote address, if the service named one.
    pub origin: Option<Origin>,
    /// The change that this one follows from.
    pub cause: Option<u64>,
    /// The code of the refusal; none for a change that was made.
    pub refused: Option<Code>,
}

/// A process as the kernel names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerId {
    /// Its user.
    pub uid: u32,
    /// Its process id when it connected.
    pub pid: i32,
    /// The member of the cluster on whose host it runs; null for a registry on one host.
    #[serde(default)]
    pub member: Option<MemberName>,
}

/// List changes, oldest first
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl changes list --since 1200")
)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only changes after this number
    #[cfg_attr(feature = "cli", arg(long, value_name = "SEQ"))]
    pub since: Option<u64>,
    /// Items per page, at most 1000
    #[cfg_attr(feature = "cli", arg(long, default_value_t))]
    #[serde(default, deserialize_with = "or_default")]
    pub limit: PageLimit,
    /// The `next` of the page before
    #[cfg_attr(feature = "cli", arg(long, value_name = "CURSOR"))]
    pub after: Option<Cursor>,
}

/// Print changes as they happen, one JSON line each, until interrupted
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl changes follow --since 1200")
)]
#[serde(deny_unknown_fields)]
pub struct Follow {
    /// First all changes after this number, then those to come [default: only those to come]
    #[cfg_attr(feature = "cli", arg(long, value_name = "SEQ"))]
    pub since: Option<u64>,
}

/// Print the number and the MAC of the latest change, to be kept elsewhere
///
/// Each change has a MAC under the secret key, which covers the change before it, so the MAC of the latest one is of all of
/// them. Kept where this machine can not write, it shows later with `server check --head FILE` that none of the changes up to
/// it was altered, left out or added, not even by somebody who has the secret key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl changes head --json >> heads")
)]
#[serde(deny_unknown_fields)]
pub struct Head {}

/// The head of the chain of changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHead {
    /// The number of the latest change; 0 before the first.
    pub seq: u64,
    /// Its MAC.
    pub mac: ChangeMac,
    /// The number behind which the chain begins: changes up to it are no longer kept, or are of before an upgrade or an
    /// import.
    pub from: u64,
    /// The time of the latest write.
    pub at: Time,
}

/// A head of the chain as it was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptHead {
    /// The number of a change.
    pub seq: u64,
    /// Its MAC.
    pub mac: ChangeMac,
}

impl KeptHead {
    /// The last of the heads that `changes head --json` printed, one a line.
    pub fn last_of(lines: &str) -> Result<Self, Invalid> {
        let last = lines.lines().rfind(|line| !line.trim().is_empty());
        let last = last.ok_or_else(|| Invalid("there is no head in it".to_owned()))?;
        let head = serde_json::from_str::<ChainHead>(last)
            .map_err(|err| Invalid(format!("the last line is no head that `changes head --json` printed: {err}")))?;
        Ok(Self { seq: head.seq, mac: head.mac })
    }
}

impl StreamOperation for Follow {
    fn resume_after(&self, item: &Change) -> Self {
        Self { since: Some(item.seq) }
    }
}
