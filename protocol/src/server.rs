//! The daemon: status, metrics, checks, backup, export and import.

mod snapshot;

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Time;
use crate::changes::KeptHead;
use crate::finding::Finding;
use crate::value::arrived;

pub use snapshot::{
    ConnectionFigures, DaemonSnapshot, EventPlaces, EventPoolPlaces, FullestPools, Journal, NextEvents,
    OperationFigures, PoolUses, RefusalCount, Snapshot, UidConnections, WaitingEnrollment, WriterFigures,
};

/// The status of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// Its version.
    pub version: String,
    /// Uptime.
    pub uptime_seconds: u64,
    /// The state directory, which holds the database and the secret key.
    pub state_dir: String,
    /// The database.
    pub database: Database,
    /// Creation time of the registry. A backup keeps it, so a registry that was made anew by mistake is young.
    pub registry_created: Time,
    /// The number of records of each kind.
    pub records: BTreeMap<String, u64>,
    /// Connections open now.
    pub connections: u64,
    /// Writes waiting now.
    pub queue: u64,
    /// The number of the latest change; 0 before the first.
    pub changes_head: u64,
    /// The last time that the system's clock was set by more than a few seconds; null where it never was.
    pub clock: Option<ClockStep>,
    /// Standing warnings, which an administrator should see to, the worst first; empty where all is well.
    pub warnings: Vec<Finding>,
    /// Durable bytes that the calls of each uid caused, largest first: 32 uids, and the others as one.
    pub written: Vec<WrittenBytes>,
    /// The time of the last scheduled backup, which was rehearsed; null before the first.
    pub last_backup: Option<Time>,
    /// The directory of the scheduled backups; null where none are configured.
    pub backup_directory: Option<String>,
    /// Enrollments that wait for a decision.
    pub waiting: Waiting,
    /// Requests since the start.
    pub requests: Requests,
    /// The disk of the state directory.
    pub disk: Disk,
    /// True if the kernel calls the system's clock synchronised.
    pub clock_synchronised: bool,
    /// The end of the authority's certificate, or of one above it, whichever is first.
    pub authority_ends: Time,
    /// The end of the certificate that ends next: of the valid ones, without those that were renewed. Null where there
    /// is none. In a registry with more than 1,000 certificates it is up to an hour old.
    pub certificate_ends: Option<Time>,
}

/// Enrollments that wait for a decision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Their number, at most 1,000: no more are counted.
    pub enrollments: u64,
    /// True if there are more than that.
    pub more: bool,
    /// The time at which the oldest of them was made.
    pub oldest: Option<Time>,
}

/// Requests that were answered since the start; a stream counts when it begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Done.
    pub done: u64,
    /// Refused.
    pub refused: u64,
    /// Failed inside the daemon.
    pub failed: u64,
}

/// The disk of the state directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Bytes that are free; null where the system does not say.
    pub free_bytes: Option<u64>,
    /// Free bytes below which writes are refused (`database.free_mib`); 0 for no limit.
    pub needed_bytes: u64,
    /// Average time to make one of the latest batches of writes durable, in microseconds; 0 before the first.
    pub commit_micros: u64,
}

/// Durable bytes that the calls of a uid caused, refused ones too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenBytes {
    /// The uid; null for all others together.
    pub uid: Option<u32>,
    /// Since the last full hour (UTC).
    pub bytes_this_hour: u64,
    /// In the hour before.
    pub bytes_last_hour: u64,
}

/// A step of the system's clock, while the daemon ran or between two starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockStep {
    /// By how many seconds it was set; less than none is back.
    pub last_step_seconds: i64,
    /// The clock's time after the step.
    pub last_step_at: Time,
}

/// The database's size and shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// Bytes of its file.
    pub bytes: u64,
    /// Bytes its cache may take.
    pub cache_bytes: u64,
    /// The version of its schema.
    pub schema: u32,
}

/// Show what is wrong, who waits for a decision, and how the daemon does
///
/// On a terminal it is one screen: what is wrong comes first, with the command that mends it, then who waits, then
/// sizes, rates and where things lie. In a pipe and as JSON it is the whole record. The exit code is 1 if something is wrong.
///
/// `doctor` looks at the machine around the daemon, too, and works without one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl server status"))]
#[serde(deny_unknown_fields)]
pub struct Status {}

/// Accept the system's clock, after a start that doubted it
///
/// A daemon that finds at its start that the clock is more than 30 days ahead of the latest change, and that the kernel
/// does not call the clock synchronised, opens no event pool, merges none and sweeps nothing: none of that could be
/// undone. Reads and writes go on. `server status` warns of it, with both times.
///
/// If the clock is wrong, set it right: then it is no longer doubted, and this is not needed. If it is right, accept
/// it. While nothing is doubted this changes nothing.
///
/// An authority that was made while the clock was ahead begins in the future. Accept the clock that is right now, and
/// the next start makes another certificate for the same key; a clock that the kernel calls synchronised needs no
/// accepting.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl server accept-clock"))]
#[serde(deny_unknown_fields)]
pub struct AcceptClock {}

/// Check every rule that holds across records, on a snapshot
///
/// Lists what is wrong; an empty list means the registry is sound. With a head that `changes head` printed before it also
/// tells whether the changes up to that one are still those of then.
///
/// Refusals: `expired` where the change of that head is no longer kept: compare with a later head.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Examples:\n  enrollctl server check\n  enrollctl server check --head heads")
)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// A head of the changes that was kept elsewhere
    #[cfg_attr(feature = "cli", arg(skip))]
    #[serde(default)]
    pub head: Option<KeptHead>,
}

/// Print the metrics, in the OpenMetrics format
///
/// Operations by name and outcome with their latencies, refusals by code, batches, commits, queue, connections,
/// streams, records by kind, and the size of the database. Counts begin when the daemon starts. Of what ends or waits
/// they tell the time, not how long that is ahead or ago.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Examples:\n  enrollctl server metrics\n  \
                          enrollctl server metrics --text\n  \
                          enrollctl server metrics --write enrolld.prom")
)]
#[serde(deny_unknown_fields)]
pub struct Metrics {}

/// A rule that does not hold somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The rule's name, such as `I3`.
    pub invariant: String,
    /// The record it does not hold for.
    pub subject: String,
    /// The problem.
    pub message: String,
}

/// Write a backup of everything, as of one moment, while the daemon runs
///
/// The backup is checked while it is written and gets its name when it is whole; a file that is there already is left
/// alone. It holds no secret key: keep a copy of that, too, in another place. `enrolld restore` makes a database of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Examples:\n  enrollctl server backup registry.backup\n  \
                          enrollctl server backup - | gzip > registry.backup.gz")
)]
#[serde(deny_unknown_fields)]
pub struct Backup {}

/// Write everything as lines of JSON, as of one moment, while the daemon runs
///
/// One record a line: {"record":KIND,"key":{..},"value":{..}}, records before those that refer to them, between a
/// header line and a trailer line that says that the file is whole. `enrollctl server import` reads it into an empty
/// registry.
///
/// WITHOUT --with-secrets the hashes of spent tokens and login codes, signing keys, the authority, certificates and
/// answers kept under idempotency keys are left out. A registry that is made of such a file KNOWS NO SPENT TOKEN: every
/// one of them can be used again. Its login codes and JWTs are no longer valid, it has an authority of its own, and
/// nobody in it has a certificate. Invite codes and approve codes are in every export: keep it where others can not
/// read it.
///
/// With --with-secrets everything is there; hashes and keys as they are stored, under the secret key, which is not in
/// the file: the registry that imports it needs the same one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Examples:\n  enrollctl server export registry.ndjson\n  \
                          enrollctl server export --with-secrets | gzip > registry.ndjson.gz")
)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// Everything: hashes, keys, certificates and kept answers too
    #[cfg_attr(feature = "cli", arg(long))]
    #[serde(default)]
    pub with_secrets: bool,
}

/// Read an export into an empty registry
///
/// Empty is what a daemon makes when it first starts. From the first piece on until the whole file is read and every
/// rule holds, everybody else's writes are refused with `conflict`. An import that was interrupted, or found a bad
/// line, is begun again with the whole file: what was read of it is removed first.
///
/// A file with secrets needs the secret key that it was exported under; one without them makes a registry that KNOWS NO
/// SPENT TOKEN. See the help of `server export`.
///
/// Refusals: `conflict` where the registry is not empty, where the secret key or the authority is another one, and
/// where a rule does not hold at the end; `invalid_argument` for a line, with its number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Examples:\n  enrollctl server import registry.ndjson\n  \
                          gunzip < registry.ndjson.gz | enrollctl server import -")
)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// Offset of this piece in the file, in bytes; 0 begins.
    #[cfg_attr(feature = "cli", arg(skip))]
    pub at: u64,
    /// The next piece of the file, cut anywhere. The first one holds the whole first line; an empty one ends the file.
    #[cfg_attr(feature = "cli", arg(skip))]
    #[serde(deserialize_with = "arrived")]
    pub text: String,
}

/// The progress of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Offset of the next piece. It is 0 after the first piece while an earlier import is being removed: that piece is
    /// sent again.
    pub at: u64,
    /// The number of records of each kind, once the whole file was read and every rule holds; none before that.
    pub records: Option<BTreeMap<String, u64>>,
}

/// The next bytes of a backup. In JSON they are base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece(pub Vec<u8>);

impl Serialize for Piece {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&STANDARD.encode(&self.0))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Piece {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            return STANDARD.decode(text).map(Self).map_err(de::Error::custom);
        }
        // Borrowed, so that a claimed length allocates nothing.
        deserializer.deserialize_bytes(PieceBytes)
    }
}

struct PieceBytes;

impl de::Visitor<'_> for PieceBytes {
    type Value = Piece;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Piece, E> {
        Ok(Piece(bytes.to_owned()))
    }
}
