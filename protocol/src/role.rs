//! Roles of people. A role allows what its permissions allow.

use serde::{Deserialize, Serialize};

use crate::value::{NamePrefix, Reference, RoleName, or_default};

/// Give a person a role
///
/// Answers true if the person did not have it, false if they did. The actor needs every permission that the role
/// carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl role assign DOGGO01a member")
)]
#[serde(deny_unknown_fields)]
pub struct Assign {
    /// Callsign or pk
    pub person: Reference,
    /// The role's name
    pub role: RoleName,
}

/// Take a role from a person
///
/// Answers true if the person had it, false if not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl role remove DOGGO01a member")
)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    /// Callsign or pk
    pub person: Reference,
    /// The role's name
    pub role: RoleName,
}

/// Tell whether a person has a role
///
/// A deleted person has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl role has DOGGO01a member"))]
#[serde(deny_unknown_fields)]
pub struct Has {
    /// Callsign or pk
    pub person: Reference,
    /// The role's name
    pub role: RoleName,
    /// Answer false for a deleted person, instead of `deleted`
    #[cfg_attr(feature = "cli", arg(long))]
    #[serde(default, deserialize_with = "or_default")]
    pub allow_deleted: bool,
}

impl Has {
    /// This role of this person, who must not be deleted.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::role;
    ///
    /// let of_today = role::Has::new("DOGGO01a".parse()?, "member".parse()?);
    /// let also_deleted = role::Has { allow_deleted: true, ..of_today };
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(person: Reference, role: RoleName) -> Self {
        Self { person, role, allow_deleted: false }
    }
}

/// List a person's roles, or without a person those that there are
///
/// A deleted person has none. Without a person, the first 1000 names of roles that somebody has or that carry a
/// permission.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Examples:\n  enrollctl role list DOGGO01a\n  enrollctl role list --prefix mem")
)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Callsign or pk
    pub person: Option<Reference>,
    /// Only names that begin so
    #[cfg_attr(feature = "cli", arg(long))]
    pub prefix: Option<NamePrefix>,
    /// Answer an empty list for a deleted person, instead of `deleted`
    #[cfg_attr(feature = "cli", arg(long))]
    #[serde(default, deserialize_with = "or_default")]
    pub allow_deleted: bool,
}

impl List {
    /// The roles of this person, who must not be deleted.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::role;
    ///
    /// let of_person = role::List::new("DOGGO01a".parse()?);
    /// // Without a person: all roles that anybody has.
    /// let of_all = role::List { person: None, ..of_person };
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(person: Reference) -> Self {
        Self { person: Some(person), ..Self::default() }
    }
}
