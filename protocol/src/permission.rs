//! Permissions, which roles carry. A permission is a path, and covers its own path and every path below it, whole words
//! only.

use serde::{Deserialize, Serialize};

use crate::value::{PermissionPath, Reference, RoleName};

/// A permission that a role was granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// The role.
    pub role: RoleName,
    /// The permission that it carries.
    pub permission: PermissionPath,
}

/// Grant a role a permission
///
/// Answers true if the role did not have it, false if it did. Needs the permission `/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl permission grant greeter /enrollments/")
)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The role's name
    pub role: RoleName,
    /// The permission's path
    pub permission: PermissionPath,
}

/// Take a permission from a role
///
/// Answers true if the role had it, false if not; permissions above it stay. Needs the permission `/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl permission revoke greeter /enrollments/")
)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// The role's name
    pub role: RoleName,
    /// The permission's path
    pub permission: PermissionPath,
}

/// Tell whether a person has a permission
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl permission has DOGGO01a /enrollments/")
)]
#[serde(deny_unknown_fields)]
pub struct Has {
    /// Callsign or pk
    pub person: Reference,
    /// The permission's path
    pub permission: PermissionPath,
}

/// List the permissions that roles carry
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Examples:\n  enrollctl permission list\n  enrollctl permission list --role admin")
)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only permissions of this role
    #[cfg_attr(feature = "cli", arg(long))]
    pub role: Option<RoleName>,
}
