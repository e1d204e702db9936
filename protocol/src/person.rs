//! People: the members of the registry, each with a callsign.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::ROLES_MAX;
use crate::value::{
    Callsign, Cursor, Invalid, Json, NamePrefix, PageLimit, Pk, Reference, RoleName, Time, arrived, at_most,
    or_default, words,
};

/// A person: a member of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Primary key.
    pub pk: Pk,
    /// Unique among people, deleted ones too, without regard to case.
    pub callsign: Callsign,
    /// The JSON object that the caller attached.
    pub extra: Json,
    /// The roles that the person has; a deleted person has none.
    pub roles: Vec<RoleName>,
    /// The person who decides on this person's registrations.
    pub supervisor: Option<Pk>,
    /// True if the person has a certificate.
    pub certificate: bool,
    /// Reason and time of the revocation; none for a person who was not revoked.
    pub revocation: Option<Revocation>,
    /// Creation time.
    pub created: Time,
    /// Time of the last change.
    pub updated: Time,
    /// Deletion time; none for a live record.
    pub deleted: Option<Time>,
}

/// A revocation in the sense of RFC 5280.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The reason.
    pub reason: RevocationReason,
    /// The time.
    pub at: Time,
}

/// The reasons of RFC 5280, section 5.3.1, that fit a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationReason {
    /// No reason given.
    Unspecified,
    /// The private key is in other hands.
    KeyCompromise,
    /// The person belongs elsewhere now.
    AffiliationChanged,
    /// Another certificate replaces it.
    Superseded,
    /// It is no longer needed.
    CessationOfOperation,
    /// The person may no longer use it.
    PrivilegeWithdrawn,
}

words! {
    RevocationReason: Unspecified "unspecified" KeyCompromise "key_compromise" AffiliationChanged "affiliation_changed"
        Superseded "superseded" CessationOfOperation "cessation_of_operation"
        PrivilegeWithdrawn "privilege_withdrawn";
}

/// Create a person
///
/// The callsign is unique without regard to case, among deleted people too. Giving roles needs every permission that
/// they carry, and the right to decide.
///
/// Refusals: `callsign_reserved`; `csr_mismatch` where a signing request names somebody else; `expired` for a
/// certificate of an authority that has expired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl person create DOGGO01a --role member --extra '{\"team\":\"red\"}'")
)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// The person's callsign
    pub callsign: Callsign,
    /// A JSON object to keep with the person
    #[cfg_attr(feature = "cli", arg(long, value_name = "JSON", default_value = "{}", hide_default_value = true))]
    #[serde(default, deserialize_with = "or_default")]
    pub extra: Json,
    /// A role to give at once; may be repeated
    #[cfg_attr(feature = "cli", arg(long = "role", value_name = "ROLE"))]
    #[serde(default, deserialize_with = "at_most::<ROLES_MAX, _, _>")]
    pub roles: Vec<RoleName>,
    /// The certificate to make with the person: none, generate, or the text of a signing request in PEM
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "WHICH", default_value = "none", hide_default_value = true, allow_hyphen_values = true)
    )]
    #[serde(default, deserialize_with = "or_default")]
    pub certificate: CertificateWanted,
}

impl Create {
    /// A person with this callsign, without roles, extra and certificate.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::person;
    ///
    /// let person = person::Create::new("DOGGO01a".parse()?);
    /// let member = person::Create { roles: vec!["member".parse()?], ..person };
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(callsign: Callsign) -> Self {
        Self { callsign, extra: Json::default(), roles: Vec::new(), certificate: CertificateWanted::None }
    }
}

/// The certificate that a person is made with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateWanted {
    /// No certificate.
    #[default]
    None,
    /// A certificate for a key pair that the daemon makes.
    Generate,
    /// A certificate for this signing request (PEM).
    Csr(#[serde(deserialize_with = "arrived")] String),
}

impl FromStr for CertificateWanted {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "none" => Ok(Self::None),
            "generate" => Ok(Self::Generate),
            pem if pem.starts_with("-----BEGIN") => Ok(Self::Csr(pem.to_owned())),
            _ => Err(Invalid::new("certificate must be none, generate, or a signing request in PEM")),
        }
    }
}

/// Show a person
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl person get DOGGO01a --json")
)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// Callsign or pk
    pub person: Reference,
    /// Also show a deleted person
    #[cfg_attr(feature = "cli", arg(long))]
    #[serde(default, deserialize_with = "or_default")]
    pub allow_deleted: bool,
}

impl Get {
    /// This person, unless deleted.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::person;
    ///
    /// let of_today = person::Get::new("DOGGO01a".parse()?);
    /// let also_deleted = person::Get { allow_deleted: true, ..of_today };
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(person: Reference) -> Self {
        Self { person, allow_deleted: false }
    }
}

/// Find a person by verified claims or the subject of a client certificate
///
/// The claim `sub` names a callsign, or where there is none, `CN` does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl person find '{\"sub\":\"DOGGO01a\"}'")
)]
#[serde(deny_unknown_fields)]
pub struct Find {
    /// The claims, a JSON object
    pub claims: Json,
    /// Also show a deleted person
    #[cfg_attr(feature = "cli", arg(long))]
    #[serde(default, deserialize_with = "or_default")]
    pub allow_deleted: bool,
}

impl Find {
    /// The person whom these claims name, unless deleted.
    ///
    /// For the claims of a JWT, such as those that [`code::Use`](crate::code::Use) answers:
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::person;
    ///
    /// let of_session = person::Find::new(r#"{"sub":"DOGGO01a"}"#.parse()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(claims: Json) -> Self {
        Self { claims, allow_deleted: false }
    }
}

/// Change the JSON object that is kept with a person
///
/// The object given replaces the one before. With a merge patch (RFC 7396) only its members change. One of both must be
/// given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl person update DOGGO01a '{\"team\":\"blue\"}'\n  \
                            enrollctl person update DOGGO01a --patch '{\"team\":null}'")
)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// Callsign or pk
    pub person: Reference,
    /// A JSON object to keep with the person
    #[cfg_attr(feature = "cli", arg(value_name = "JSON"))]
    pub extra: Option<Json>,
    /// A merge patch (RFC 7396) of the object before: null removes a member
    #[cfg_attr(feature = "cli", arg(long, value_name = "JSON"))]
    pub patch: Option<Json>,
}

/// Delete a person
///
/// The record stays and keeps its callsign; the person loses every role and passes no check any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl person delete DOGGO01a"))]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// Callsign or pk
    pub person: Reference,
}

/// Revoke a person: delete them, with a reason of RFC 5280
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl person revoke DOGGO01a key_compromise")
)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// Callsign or pk
    pub person: Reference,
    /// unspecified, key_compromise, affiliation_changed, superseded, cessation_of_operation or privilege_withdrawn
    pub reason: RevocationReason,
}

/// Restore a deleted person
///
/// It undoes person.delete, also that of a person who had a certificate, and never person.revoke. Roles, supervisors,
/// representatives, places and certificates do not come back, and the person's invite pools come back inactive. JWTs
/// issued and login codes made before stay refused.
///
/// Refusals: `conflict` for a person who is not deleted, or who was revoked; `callsign_reserved` where the
/// configuration reserves the callsign by now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl person restore DOGGO01a"))]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// Callsign or pk
    pub person: Reference,
}

/// Erase the data of a deleted person, for good
///
/// Callsign, extra and the texts of reasons are replaced wherever they are kept: in the person, the enrollment, the
/// registrations, certificates, external keys, login codes, what is attached to tokens, and kept answers. The record, its
/// pk and the changes that name it stay, so everything that was counted still counts. The callsign is kept as a keyed hash
/// and is nobody's again. Older backups still have what was erased.
///
/// Refusals: `conflict` for a person who is not deleted, or who was erased before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl person erase DOGGO01a --yes")
)]
#[serde(deny_unknown_fields)]
pub struct Erase {
    /// Callsign or pk
    pub person: Reference,
}

/// List people, oldest first, or with a prefix by callsign
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Examples:\n  enrollctl person list --role superuser\n  enrollctl person list --prefix dog")
)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only people who have this role
    #[cfg_attr(feature = "cli", arg(long))]
    pub role: Option<RoleName>,
    /// Only callsigns that begin so, without regard to case; then ordered by callsign
    #[cfg_attr(feature = "cli", arg(long))]
    pub prefix: Option<NamePrefix>,
    /// Deleted people too
    #[cfg_attr(feature = "cli", arg(long))]
    #[serde(default, deserialize_with = "or_default")]
    pub include_deleted: bool,
    /// Only deleted people, with include_deleted or without; none of them has a role
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
