//! Invite pools: invite codes by which people enroll, each with an owner, a number of uses and an expiry time.

use serde::{Deserialize, Serialize};

use crate::limits::POOL_FIELDS;
use crate::value::{Cursor, InviteCode, Json, PageLimit, Pk, PkPrefix, Reference, Time, at_most, or_default, words};

/// An invite pool: an invite code by which people enroll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Primary key.
    pub pk: Pk,
    /// The owner.
    pub owner: Pk,
    /// True if it was not deactivated.
    pub active: bool,
    /// `yes` if people can enroll by it now, else the first reason why not.
    pub usable: Usable,
    /// The invite code. `None` in a dry run.
    pub invitecode: Option<InviteCode>,
    /// The `extra` that every enrollment by it begins with.
    pub extra: Json,
    /// The most enrollments by it; none for any number.
    pub max_uses: Option<u32>,
    /// Enrollments by it so far.
    pub uses: u32,
    /// Expiry time; none for never.
    pub expires: Option<Time>,
    /// Creation time.
    pub created: Time,
    /// Time of the last change.
    pub updated: Time,
    /// Deletion time; none for a live record.
    pub deleted: Option<Time>,
}

/// The usability of a pool at the time of the answer: yes, or the first reason why nobody can enroll by it, in the
/// order of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Usable {
    /// They can.
    Yes,
    /// The pool is deleted.
    Deleted,
    /// The pool is not active.
    Inactive,
    /// The owner is deleted.
    OwnerDeleted,
    /// All of its uses are taken.
    Exhausted,
    /// It has expired.
    Expired,
}

/// Make an invite pool
///
/// The owner is the person given, or the one on whose behalf the call is made. An invite code of one's own needs a peer
/// with the grant `admin`, and an actor the permission `/pools/`. It is read as a typed code is.
///
/// Refusals: `conflict` where a live pool has that code; `code_exhausted`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl pool create --owner BOSS --max-uses 40 --extra '{\"team\":\"red\"}'")
)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// Owner: callsign or pk; the person of --as by default
    #[cfg_attr(feature = "cli", arg(long, value_name = "PERSON"))]
    pub owner: Option<Reference>,
    /// A JSON object that every enrollment by it begins with
    #[cfg_attr(feature = "cli", arg(long, value_name = "JSON", default_value = "{}", hide_default_value = true))]
    #[serde(default, deserialize_with = "or_default")]
    pub extra: Json,
    /// The most enrollments by it
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub max_uses: Option<u32>,
    /// Expiry time (RFC 3339)
    #[cfg_attr(feature = "cli", arg(long, value_name = "TIME"))]
    pub expires: Option<Time>,
    /// An invite code of one's own, 8 to 64 of A-Z and 0-9, for printed codes; - reads it from standard input. One is
    /// drawn by default
    #[cfg_attr(feature = "cli", arg(long, value_name = "CODE"))]
    pub invitecode: Option<InviteCode>,
}

/// Show an invite pool
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl pool get K7QWM2XA"))]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// Invite code or pk; - reads the code from standard input
    pub pool: Reference,
    /// Also show a deleted pool
    #[cfg_attr(feature = "cli", arg(long))]
    #[serde(default, deserialize_with = "or_default")]
    pub allow_deleted: bool,
}

/// List invite pools, oldest first
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl pool list --owner BOSS"))]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only pools of this person: callsign or pk
    #[cfg_attr(feature = "cli", arg(long, value_name = "PERSON"))]
    pub owner: Option<Reference>,
    /// Only pks that begin so
    #[cfg_attr(feature = "cli", arg(long))]
    pub prefix: Option<PkPrefix>,
    /// Deleted pools too
    #[cfg_attr(feature = "cli", arg(long))]
    #[serde(default, deserialize_with = "or_default")]
    pub include_deleted: bool,
    /// Only deleted pools, with include_deleted or without
    #[cfg_attr(feature = "cli", arg(long))]
    #[serde(default, deserialize_with = "or_default")]
    pub deleted_only: bool,
    /// The `next` of the page before
    #[cfg_attr(feature = "cli", arg(long, value_name = "CURSOR"))]
    pub after: Option<Cursor>,
    /// Items per page, at most 1000
    #[cfg_attr(feature = "cli", arg(long, default_value_t))]
    #[serde(default, deserialize_with = "or_default")]
    pub limit: PageLimit,
}

/// Change an invite pool
///
/// A field that is not given stays. A field that is cleared goes back to none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl pool update K7QWM2XA --max-uses 60 --clear expires")
)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// Invite code or pk; - reads the code from standard input
    pub pool: Reference,
    /// A JSON object that replaces the one before
    #[cfg_attr(feature = "cli", arg(long, value_name = "JSON"))]
    pub extra: Option<Json>,
    /// A merge patch (RFC 7396) of the object before: null removes a member
    #[cfg_attr(feature = "cli", arg(long, value_name = "JSON"))]
    pub patch: Option<Json>,
    /// The most enrollments by it
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub max_uses: Option<u32>,
    /// Expiry time (RFC 3339)
    #[cfg_attr(feature = "cli", arg(long, value_name = "TIME"))]
    pub expires: Option<Time>,
    /// A field to clear: extra, max_uses or expires; may be repeated
    #[cfg_attr(feature = "cli", arg(long, value_name = "FIELD"))]
    #[serde(default, deserialize_with = "at_most::<POOL_FIELDS, _, _>")]
    pub clear: Vec<Field>,
}

/// The fields of a pool that can be cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// Back to an empty object.
    Extra,
    /// Any number may enroll.
    MaxUses,
    /// It never expires.
    Expires,
}

words! {
    Usable: Yes "yes" Deleted "deleted" Inactive "inactive" OwnerDeleted "owner_deleted" Exhausted "exhausted"
        Expired "expired";
    Field: Extra "extra" MaxUses "max_uses" Expires "expires";
}

/// Activate an invite pool, or deactivate it
///
/// While it is not active nobody enrolls by it; enrollments so far stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl pool set_active K7QWM2XA false")
)]
#[serde(deny_unknown_fields)]
pub struct SetActive {
    /// Invite code or pk; - reads the code from standard input
    pub pool: Reference,
    /// true or false
    #[cfg_attr(feature = "cli", arg(action = clap::ArgAction::Set))]
    pub active: bool,
}

/// Give an invite pool a new code; the old one stops working in the same instant
///
/// A code of one's own needs a peer with the grant `admin`, and an actor the permission `/pools/`. It is read as a
/// typed code is.
///
/// Refusals: `conflict` where a live pool has that code, this one too; `code_exhausted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl pool reset_code K7QWM2XA"))]
#[serde(deny_unknown_fields)]
pub struct ResetCode {
    /// Invite code or pk; - reads the code from standard input
    pub pool: Reference,
    /// The new code, 8 to 64 of A-Z and 0-9; one is drawn by default
    #[cfg_attr(feature = "cli", arg(long, value_name = "CODE"))]
    pub invitecode: Option<InviteCode>,
}

impl ResetCode {
    /// A new code, drawn, for this pool.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::pool;
    ///
    /// let drawn = pool::ResetCode::new("SPRING2027".parse()?);
    /// let chosen = pool::ResetCode { invitecode: Some("SUMMER2027".parse()?), ..drawn };
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(pool: Reference) -> Self {
        Self { pool, invitecode: None }
    }
}

/// Delete an invite pool; enrollments by it stay
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl pool delete K7QWM2XA"))]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// Invite code or pk; - reads the code from standard input
    pub pool: Reference,
}

/// Tell whether somebody could enroll by this invite code right now
///
/// A code that does not exist counts as a guess, and guesses are limited (`too_many_attempts`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl pool check K7QWM2XA --origin 203.0.113.9")
)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The invite code; - reads it from standard input
    pub invitecode: InviteCode,
}
