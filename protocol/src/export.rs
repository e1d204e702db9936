//! The first and the last line of an export. Those between them are records.

use serde::{Deserialize, Serialize};

use crate::value::Time;

/// The version of the format: that of the lines, not that of the records.
pub const FORMAT: u32 = 1;

/// What an export says of itself: its first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`]; its name says what the file is.
    pub enrolld_export: u32,
    /// The version of the records' schema.
    pub schema: u32,
    /// The version of the enrolld that wrote it.
    pub version: String,
    /// When.
    pub at: Time,
    /// Whether hashes, keys, certificates and kept answers are in it.
    pub with_secrets: bool,
    /// When the registry was made.
    pub created: Time,
    /// With secrets: what only the right secret key makes of a fixed text, in hexadecimal.
    pub proof: Option<String>,
}

/// That an export is whole: its last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// How many records there were.
    pub enrolld_export_end: u64,
}
