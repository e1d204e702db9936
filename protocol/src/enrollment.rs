//! Enrollments: requests for a callsign that wait to be approved or rejected.

use serde::{Deserialize, Serialize};

use crate::person::CertificateWanted;
use crate::value::{
    ApproveCode, Callsign, Cursor, Json, NamePrefix, PageLimit, Pk, Reason, Reference, Time, arrived_if_any,
    or_default, words,
};

/// An enrollment: a callsign's request to become a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrollment {
    /// Primary key.
    pub pk: Pk,
    /// Unique among people and enrollments, without regard to case.
    pub callsign: Callsign,
    /// The decision, or pending.
    pub state: State,
    /// The code that the approver may ask the person for. `None` in a dry run.
    pub approvecode: Option<ApproveCode>,
    /// The pool it came by.
    pub pool: Option<Pk>,
    /// The person it became.
    pub person: Option<Pk>,
    /// The pool's extra, with what the caller attached over it.
    pub extra: Json,
    /// The signing request that it came with, in PEM; none without one, and for a peer with the grant `read`.
    pub csr: Option<String>,
    /// True if it came with a signing request.
    pub has_csr: bool,
    /// The decider; none while it is pending.
    pub decided_by: Option<Decider>,
    /// Time of the decision.
    pub decided_on: Option<Time>,
    /// Reason of the rejection.
    pub reason: Option<Reason>,
    /// Creation time.
    pub created: Time,
    /// Time of the last change.
    pub updated: Time,
    /// Always none: an enrollment is never deleted.
    pub deleted: Option<Time>,
}

/// The state of an enrollment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody has decided yet.
    Pending,
    /// It became a person.
    Approved,
    /// It was turned down.
    Rejected,
}

words! {
    State: Pending "pending" Approved "approved" Rejected "rejected";
}

/// The decider: a person, or the uid of a process that called without an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decider {
    /// A person, by pk.
    Person(Pk),
    /// A process without an actor, by uid.
    Uid(u32),
}

/// Enroll a callsign, by a pool or alone
///
/// Refusals: `callsign_reserved`; `pool_inactive`, `pool_exhausted`, `expired` or `deleted` for the pool;
/// `csr_mismatch` where a signing request names somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl enrollment create PORA22b --pool K7QWM2XA --origin 203.0.113.9")
)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// The callsign to enroll
    pub callsign: Callsign,
    /// The pool, by its invite code; - reads it from standard input
    ///
    /// Read as an invite code and never as a pk, because strangers type it; in JSON {"pk": ..} names a pool by its pk.
    #[cfg_attr(feature = "cli", arg(long))]
    pub pool: Option<Reference>,
    /// A JSON object to keep with it; its keys win over the pool's
    #[cfg_attr(feature = "cli", arg(long, value_name = "JSON", default_value = "{}", hide_default_value = true))]
    #[serde(default, deserialize_with = "or_default")]
    pub extra: Json,
    /// A signing request in PEM
    #[cfg_attr(feature = "cli", arg(long, value_name = "PEM", allow_hyphen_values = true))]
    #[serde(default, deserialize_with = "arrived_if_any")]
    pub csr: Option<String>,
}

impl Create {
    /// An enrollment of this callsign, without a pool, extra and signing request.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::{Reference, enrollment};
    ///
    /// let invited = enrollment::Create {
    ///     pool: Some(Reference::by_code("SPRING2027")?),
    ///     ..enrollment::Create::new("CAT02b".parse()?)
    /// };
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(callsign: Callsign) -> Self {
        Self { callsign, pool: None, extra: Json::default(), csr: None }
    }
}

/// Show an enrollment
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl enrollment get PORA22b"))]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// Callsign or pk
    pub enrollment: Reference,
}

/// Find an enrollment by its approve code
///
/// A code that does not exist counts as a guess, and guesses are limited (`too_many_attempts`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl enrollment find 9RXTLQ4E"))]
#[serde(deny_unknown_fields)]
pub struct Find {
    /// The approve code; - reads it from standard input
    pub approvecode: ApproveCode,
}

/// List enrollments, oldest first, or with a prefix by callsign
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl enrollment list --state pending")
)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only those of this pool: invite code or pk
    #[cfg_attr(feature = "cli", arg(long))]
    pub pool: Option<Reference>,
    /// Only those in this state: pending, approved or rejected
    #[cfg_attr(feature = "cli", arg(long))]
    pub state: Option<State>,
    /// Only callsigns that begin so, without regard to case; then ordered by callsign
    #[cfg_attr(feature = "cli", arg(long))]
    pub prefix: Option<NamePrefix>,
    /// The `next` of the page before
    #[cfg_attr(feature = "cli", arg(long, value_name = "CURSOR"))]
    pub after: Option<Cursor>,
    /// Items per page, at most 1000
    #[cfg_attr(feature = "cli", arg(long, default_value_t))]
    #[serde(default, deserialize_with = "or_default")]
    pub limit: PageLimit,
}

/// Approve an enrollment: it becomes a person
///
/// Only while it is pending (`already_decided`); an approve code, where one is given, must be its own (`code_mismatch`,
/// which counts as a guess). A signing request that the enrollment brought gives the person a certificate, unless
/// another one is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Examples:\n  enrollctl --as BOSS enrollment approve PORA22b --approvecode 9RXTLQ4E\n  \
                            enrollctl --as BOSS enrollment approve PORA22b CAT02b\n  \
                            enrollctl --as BOSS enrollment approve --pool K7QWM2XA")
)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// Callsign or pk
    pub enrollment: Reference,
    /// The approve code, if the approver was given one; - reads it from standard input
    #[cfg_attr(feature = "cli", arg(long, value_name = "CODE"))]
    pub approvecode: Option<ApproveCode>,
    /// The certificate to make with the person: none, generate, or the text of a signing request in PEM
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "WHICH", default_value = "none", hide_default_value = true, allow_hyphen_values = true)
    )]
    #[serde(default, deserialize_with = "or_default")]
    pub certificate: CertificateWanted,
}

impl Approve {
    /// This enrollment, without code and certificate.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::enrollment;
    /// use enroll_protocol::person::CertificateWanted;
    ///
    /// let approve = enrollment::Approve::new("CAT02b".parse()?);
    /// let with_certificate = enrollment::Approve { certificate: CertificateWanted::Generate, ..approve };
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(enrollment: Reference) -> Self {
        Self { enrollment, approvecode: None, certificate: CertificateWanted::None }
    }
}

/// Change the JSON object that is kept with an enrollment that waits
///
/// The object given replaces the one before. With a merge patch (RFC 7396) only its members change. One of both must be
/// given. Refusals: `already_decided`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl enrollment update PORA22b --patch '{\"team\":\"blue\"}'")
)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// Callsign or pk
    pub enrollment: Reference,
    /// A JSON object to keep with it
    #[cfg_attr(feature = "cli", arg(value_name = "JSON"))]
    pub extra: Option<Json>,
    /// A merge patch (RFC 7396) of the object before: null removes a member
    #[cfg_attr(feature = "cli", arg(long, value_name = "JSON"))]
    pub patch: Option<Json>,
}

/// Reject an enrollment; its callsign stays taken
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Examples:\n  enrollctl --as BOSS enrollment reject PORA22b --reason 'not one of us'\n  \
                            enrollctl --as BOSS enrollment reject PORA22b CAT02b")
)]
#[serde(deny_unknown_fields)]
pub struct Reject {
    /// Callsign or pk
    pub enrollment: Reference,
    /// The reason, for people
    #[cfg_attr(feature = "cli", arg(long, value_name = "TEXT"))]
    pub reason: Option<Reason>,
}

/// Put a rejected enrollment back to pending, with a new approve code
///
/// The decision on it is cleared; the change feed still tells of it.
///
/// Refusals: `already_decided` for an approved one, with the decision in the details; `conflict` for a pending one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl --as BOSS enrollment reopen PORA22b")
)]
#[serde(deny_unknown_fields)]
pub struct Reopen {
    /// Callsign or pk
    pub enrollment: Reference,
}

/// Give an enrollment a new approve code; the old one stops working in the same instant
///
/// The code of an approved enrollment only says who somebody is, by enrollment.find. A rejected one gets none
/// (`already_decided`, with the decision in the details): reopen it first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl enrollment reset_code PORA22b")
)]
#[serde(deny_unknown_fields)]
pub struct ResetCode {
    /// Callsign or pk
    pub enrollment: Reference,
}

/// Refused, always: an enrollment can only be rejected
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl enrollment delete PORA22b")
)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// Callsign or pk
    pub enrollment: Reference,
}
