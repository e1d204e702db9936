//! The export format, JSON lines: a header line, records, and a trailer line that says that the file is whole.

use serde::{Deserialize, Serialize};

use crate::value::Time;

/// The version of the format: that of the lines, not that of the records.
pub const FORMAT: u32 = 1;

/// The header of an export: its first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`]; its name says what the file is.
    pub enrolld_export: u32,
    /// The version of the records' schema.
    pub schema: u32,
    /// The version of the enrolld that wrote it.
    pub version: String,
    /// Time of the snapshot.
    pub at: Time,
    /// True if it holds hashes, keys, certificates and kept answers.
    pub with_secrets: bool,
    /// Creation time of the registry.
    pub created: Time,
    /// With secrets: a keyed hash of a fixed text, in hexadecimal, which only the right secret key makes.
    pub proof: Option<String>,
}

/// The trailer of a whole export: its last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// The number of records.
    pub enrolld_export_end: u64,
}
