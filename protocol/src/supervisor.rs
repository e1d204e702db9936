//! Supervisors, who decide on people's registrations, and the representatives who decide in their stead.

use serde::{Deserialize, Serialize};

use crate::value::{Cursor, PageLimit, Reference, or_default};

/// Set a person's supervisor, who decides on their registrations
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl --as MODERATOR supervisor assign DOGGO01a BOSS")
)]
#[serde(deny_unknown_fields)]
pub struct Assign {
    /// Callsign or pk
    pub person: Reference,
    /// The supervisor: callsign or pk
    pub supervisor: Reference,
}

/// Leave a person without a supervisor
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl --as MODERATOR supervisor unassign DOGGO01a")
)]
#[serde(deny_unknown_fields)]
pub struct Unassign {
    /// Callsign or pk
    pub person: Reference,
}

/// Let another supervisor decide in a supervisor's stead; true if that is new
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl --as BOSS supervisor add_representative BOSS DEPUTY")
)]
#[serde(deny_unknown_fields)]
pub struct AddRepresentative {
    /// The supervisor: callsign or pk
    pub supervisor: Reference,
    /// The representative: callsign or pk
    pub representative: Reference,
}

/// Let somebody no longer decide in a supervisor's stead; true if they did
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl --as BOSS supervisor remove_representative BOSS DEPUTY")
)]
#[serde(deny_unknown_fields)]
pub struct RemoveRepresentative {
    /// The supervisor: callsign or pk
    pub supervisor: Reference,
    /// The representative: callsign or pk
    pub representative: Reference,
}

/// List the registrations that wait for this person's decision
///
/// Lists registrations of the people they supervise, and of the people of the supervisors whom they represent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl --as BOSS supervisor pending BOSS")
)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// The decider: callsign or pk
    pub supervisor: Reference,
    /// The `next` of the page before
    #[cfg_attr(feature = "cli", arg(long, value_name = "CURSOR"))]
    pub after: Option<Cursor>,
    /// Items per page, at most 1000
    #[cfg_attr(feature = "cli", arg(long, default_value_t))]
    #[serde(default, deserialize_with = "or_default")]
    pub limit: PageLimit,
}
