//! The cluster: who shares the journal of this registry, who leads, and handing over.

use serde::{Deserialize, Serialize};

use crate::MemberName;

/// Show who shares the registry: who leads, how far each member has come, and how full etcd is
///
/// As the daemon that is asked saw it at its last look, a second ago at most. A registry on one host has no members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Examples:\n  enrollctl cluster status\n  enrollctl cluster status --json")
)]
#[serde(deny_unknown_fields)]
pub struct Status {}

/// Let another member lead, before this host is stopped or updated
///
/// The daemon that leads finishes what was begun, gives its lease back and ends; started again, by systemd at once, it
/// follows. The member that is named has two seconds to take over, then any may. Answers with the name of the one that
/// led, or with null where nothing happens: the named member leads already, or no other one is here, as on one host.
///
/// Refusals: `conflict` where the daemon that is asked does not lead; `not_found` where no member of this name is here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl cluster hand-over"))]
#[serde(deny_unknown_fields)]
pub struct HandOver {
    /// The member that is to lead; without one, the first that comes
    #[serde(default)]
    pub member: Option<MemberName>,
}

/// The cluster as one of its members sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// The member that was asked; null for a registry on one host, of which the rest is empty.
    pub member: Option<String>,
    /// The member that leads; null while nobody does.
    pub leader: Option<String>,
    /// The tenure of the leader; a later one is higher.
    pub term: u64,
    /// The number of the last record of the journal.
    pub latest_record: u64,
    /// The number of the oldest record that etcd keeps.
    pub oldest_record: u64,
    /// Bytes of the records that etcd keeps.
    pub journal_bytes: u64,
    /// etcd's database, as the member of etcd that is asked has it.
    pub etcd: EtcdSize,
    /// The members, by name; one that is away is listed as long as the daemon that was asked runs.
    pub members: Vec<Member>,
}

/// The size of etcd's database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcdSize {
    /// Bytes of its file.
    pub bytes: u64,
    /// Bytes of it that are in use. Writes are refused when they are 80 % of the quota.
    pub in_use_bytes: u64,
    /// Bytes that it may have, by the configuration of the member that was asked.
    pub quota_bytes: u64,
}

/// A member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its host.
    pub host: String,
    /// The version of its daemon.
    pub version: String,
    /// True if its daemon is there.
    pub is_here: bool,
    /// The number of the latest record that its readers see.
    pub record: u64,
    /// The number of records that it lacked when it told.
    pub lag_records: u64,
    /// For how long the oldest of them has been there.
    pub lag_seconds: u64,
    /// The number of the record up to which its database has everything on its disk.
    pub on_disk: u64,
    /// By how many milliseconds its clock is ahead, at least; less than none is behind. Null before clocks were compared.
    pub clock_ahead_millis: Option<i64>,
    /// Settings that differ from those of the member that was asked.
    pub differing_settings: Vec<String>,
}
