//! The daemon itself.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Time;
use crate::value::arrived;

/// How the daemon is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// Its version.
    pub version: String,
    /// How long it has been running.
    pub uptime_seconds: u64,
    /// Where its database and key are.
    pub state_dir: String,
    /// The database.
    pub database: Database,
    /// When the registry was made. A backup keeps it; what was made anew by mistake is young.
    pub registry_created: Time,
    /// How many records of each kind there are.
    pub records: BTreeMap<String, u64>,
    /// Connections open now.
    pub connections: u64,
    /// Writes waiting now.
    pub queue: u64,
    /// The number of the latest change; 0 before the first.
    pub changes_head: u64,
    /// The last time that the system's clock was set by more than a few seconds; null where it never was.
    pub clock: Option<ClockStep>,
    /// Standing warnings, which an administrator should see to; empty where all is well.
    pub warnings: Vec<Warning>,
}

/// A step of the system's clock, while the daemon ran or between two starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockStep {
    /// By how many seconds it was set; less than none is back.
    pub last_step_seconds: i64,
    /// What it said after that.
    pub last_step_at: Time,
}

/// Something that does not stop the daemon, and that an administrator should see to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// What part of the daemon it is about, one of a few words, such as `grants`. The metric `enrolld_warnings` counts
    /// by it.
    pub topic: String,
    /// What in that part, such as an issuer; empty where there is only one thing.
    pub subject: String,
    /// What is wrong, what follows from it, and what to do.
    pub message: String,
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

/// Show how the daemon is: version, database, records, connections
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl server status"))]
#[serde(deny_unknown_fields)]
pub struct Status {}

/// Accept the system's clock, after a start that doubted it
///
/// A daemon that finds at its start that the clock is more than 30 days ahead of the latest change, and that the kernel does
/// not call the clock synchronised, opens no event pool, merges none and sweeps nothing: none of that could be undone. Reads
/// and writes go on. `server status` warns of it, with both times.
///
/// Where the clock is wrong, set it right: then it is no longer doubted, and this is not needed. Where it is right, accept
/// it. Where nothing is doubted this changes nothing.
///
/// An authority that was made while the clock was ahead begins in the future. Accept the clock that is right now, and the
/// next start makes another certificate for the same key; a clock that the kernel calls synchronised needs no accepting.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl server accept-clock"))]
#[serde(deny_unknown_fields)]
pub struct AcceptClock {}

/// Check every rule that holds across records, on a snapshot
///
/// Lists what is wrong; an empty list means the registry is sound.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl server check"))]
#[serde(deny_unknown_fields)]
pub struct Check {}

/// Print what is counted and measured, in OpenMetrics
///
/// Operations by name and outcome with their latencies, refusals by code, batches, commits, queue, connections, streams,
/// records by kind, and the size of the database. Counts begin when the daemon starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl server metrics"))]
#[serde(deny_unknown_fields)]
pub struct Metrics {}

/// A rule that does not hold somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The rule's name, such as `I3`.
    pub invariant: String,
    /// The record it does not hold for.
    pub subject: String,
    /// What is wrong.
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
/// One record a line: {"record":KIND,"key":{..},"value":{..}}, what is referred to before what refers to it, between a
/// line that says what the file is and one that says that it is whole. `enrollctl server import` reads it into an empty
/// registry.
///
/// WITHOUT --with-secrets the hashes of spent tokens and login codes, signing keys, the authority, certificates and answers
/// kept under idempotency keys are left out. A registry that is made of such a file KNOWS NO SPENT TOKEN: every one of them
/// can be used again. Its login codes and JWTs are no longer valid, it has an authority of its own, and nobody in it has a
/// certificate. Invite codes and approve codes are in every export: keep it where others can not read it.
///
/// With --with-secrets everything is there; hashes and keys as they are stored, under the secret key, which is not in
/// the file: whoever imports it needs the same one.
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
/// rule holds, everybody else's writes are refused with `conflict`. An import that was interrupted, or found a bad line,
/// is begun again with the whole file: what was read of it is removed first.
///
/// A file with secrets needs the secret key that it was exported under; one without them makes a registry that KNOWS NO
/// SPENT TOKEN. See the help of `server export`.
///
/// Refusals: `conflict` where the registry is not empty, where the secret key or the authority is another one, and where
/// a rule does not hold at the end; `invalid_argument` for a line, with its number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Examples:\n  enrollctl server import registry.ndjson\n  \
                          gunzip < registry.ndjson.gz | enrollctl server import -")
)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// How many bytes of the file came before this piece; 0 begins.
    #[cfg_attr(feature = "cli", arg(skip))]
    pub at: u64,
    /// The next piece of the file, cut anywhere. The first one holds the whole first line; an empty one ends the file.
    #[cfg_attr(feature = "cli", arg(skip))]
    #[serde(deserialize_with = "arrived")]
    pub text: String,
}

/// How far an import has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Where the next piece begins. Still 0 behind the first piece while an earlier import is being removed: it is sent
    /// again.
    pub at: u64,
    /// How many records of each kind there were, once the file was ended and is right; before that, nothing.
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
        deserializer.deserialize_byte_buf(PieceBytes)
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

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Piece, E> {
        Ok(Piece(bytes))
    }
}
