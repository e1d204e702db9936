//! The daemon itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
    /// How many records of each kind there are.
    pub records: BTreeMap<String, u64>,
    /// Connections open now.
    pub connections: u64,
    /// Writes waiting now.
    pub queue: u64,
    /// The number of the latest change; 0 before the first.
    pub changes_head: u64,
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
