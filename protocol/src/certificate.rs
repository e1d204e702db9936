//! X.509 certificates of people, and the authority that issues them. All of them are PEM, except PKCS#12, which is
//! base64.

use serde::{Deserialize, Serialize};

use crate::person::RevocationReason;
use crate::value::{Callsign, CertificateSerial, Password, PrivateKey, Reference, arrived_if_any, or_default};

/// Show a person's certificate
///
/// The one that was issued last; one before it stays valid until it ends, unless it was for another key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl certificate get DOGGO01a > DOGGO01a.pem")
)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// Callsign or pk
    pub person: Reference,
    /// Also that of a deleted person, which is revoked
    #[cfg_attr(feature = "cli", arg(long))]
    #[serde(default, deserialize_with = "or_default")]
    pub allow_deleted: bool,
}

impl Get {
    /// The certificate of this person, unless the person is deleted.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::certificate;
    ///
    /// let of_today = certificate::Get::new("DOGGO01a".parse()?);
    /// let also_deleted = certificate::Get { allow_deleted: true, ..of_today };
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(person: Reference) -> Self {
        Self { person, allow_deleted: false }
    }
}

/// Show the private key of a person's certificate
///
/// Only where the daemon made it (`not_found` otherwise). Needs the permission `/`. `null` in a dry run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  (umask 077; enrollctl certificate key DOGGO01a > DOGGO01a.key)")
)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Callsign or pk
    pub person: Reference,
}

/// Put a person's key, certificate and the authority's chain into one PKCS#12 file, in base64
///
/// Where the person brought the key, the file holds the certificate and the chain alone. Needs the permission `/`.
/// `null` in a dry run. Refusals: `not_found` without a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(
        after_help = "Example:\n  printf %s \"$PASSWORD\" | enrollctl certificate pfx DOGGO01a | base64 -d > DOGGO01a.pfx"
    )
)]
#[serde(deny_unknown_fields)]
pub struct Pfx {
    /// Callsign or pk
    pub person: Reference,
    /// Password of the file; `-`, the default, reads it from standard input
    #[cfg_attr(feature = "cli", arg(default_value = "-", hide_default_value = true))]
    pub password: Password,
    /// Use triple DES and SHA-1, for systems that know nothing newer; they protect little
    #[cfg_attr(feature = "cli", arg(long))]
    #[serde(default, deserialize_with = "or_default")]
    pub legacy: bool,
}

impl Pfx {
    /// The file of this person under this password, in the encryption of today.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::certificate;
    ///
    /// let file = certificate::Pfx::new("DOGGO01a".parse()?, "correct horse".parse()?);
    /// // For a device that knows no encryption of today.
    /// let for_old_devices = certificate::Pfx { legacy: true, ..file };
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(person: Reference, password: Password) -> Self {
        Self { person, password, legacy: false }
    }
}

/// Issue another certificate to a person who has one
///
/// For a new key of the daemon, or for the key of a signing request; without one, a key that the person brought is
/// certified again. The certificate before stays valid until it ends or is revoked with the person. `null` in a dry
/// run.
///
/// Refusals: `not_found` without a certificate; `csr_mismatch`; `conflict` while too many are valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(
        after_help = "Example:\n  enrollctl --as DOGGO01a certificate renew DOGGO01a --csr \"$(cat request.pem)\""
    )
)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// Callsign or pk
    pub person: Reference,
    /// A signing request in PEM
    #[cfg_attr(feature = "cli", arg(long, value_name = "PEM", allow_hyphen_values = true))]
    #[serde(default, deserialize_with = "arrived_if_any")]
    pub csr: Option<String>,
    /// Leave the certificate before valid, though the new one is for another key
    #[cfg_attr(feature = "cli", arg(long))]
    #[serde(default, deserialize_with = "or_default")]
    pub keep: bool,
}

/// Issue a certificate to a service whose name the configuration reserves
///
/// The name must stand in `reserved_callsigns`, and neither a person nor an enrollment may have it. For a new key of the
/// daemon, or for the key of a signing request. Certificates of the service before stay valid until they end or are
/// revoked; of more than 16 the oldest is superseded. Needs the permission `/`.
///
/// Refusals: `invalid_argument` for a name that is not reserved; `conflict` where a person, also a deleted one, or an
/// enrollment has the name; `csr_mismatch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl certificate issue portal --csr \"$(cat request.pem)\"")
)]
#[serde(deny_unknown_fields)]
pub struct Issue {
    /// The name of the service: the CN of its certificate
    pub name: Callsign,
    /// A signing request in PEM
    #[cfg_attr(feature = "cli", arg(long, value_name = "PEM", allow_hyphen_values = true))]
    #[serde(default, deserialize_with = "arrived_if_any")]
    pub csr: Option<String>,
}

/// A certificate that was issued to a service. All fields are `None` in a dry run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// The certificate in PEM.
    pub certificate: Option<String>,
    /// Its serial number: pairs of hexadecimal digits with colons between them.
    pub serial: Option<CertificateSerial>,
    /// The private key in PEM, where the daemon made it. It is not kept, but in the answer under the idempotency key.
    pub key: Option<PrivateKey>,
}

/// Revoke a certificate of a person or of a service, or all of them, and leave the person as they are
///
/// Answers the serial numbers of those that were revoked. Refusals: `not_found` where there is none that is valid, or
/// none of this serial number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(
        allow_missing_positional = true,
        after_help = "Examples:\n  enrollctl certificate revoke DOGGO01a key_compromise\n  \
                      enrollctl certificate revoke --name portal superseded"
    )
)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// The person: callsign or pk
    pub person: Option<Reference>,
    /// A service in place of a person, by the name that `certificate issue` gave its certificates
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME"))]
    pub name: Option<Callsign>,
    /// Reason: unspecified, key_compromise, affiliation_changed, superseded, cessation_of_operation or
    /// privilege_withdrawn
    pub reason: RevocationReason,
    /// Only the one of this serial number, in hexadecimal digits as `certificate show` prints it
    #[cfg_attr(feature = "cli", arg(long, value_name = "HEX"))]
    pub serial: Option<CertificateSerial>,
}

impl Revoke {
    /// All certificates of this person.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::certificate;
    /// use enroll_protocol::person::RevocationReason;
    ///
    /// let all = certificate::Revoke::of("DOGGO01a".parse()?, RevocationReason::KeyCompromise);
    /// let one = certificate::Revoke { serial: Some("4f3a7c1e7d55a1b2".parse()?), ..all };
    /// # Ok(())
    /// # }
    /// ```
    pub fn of(person: Reference, reason: RevocationReason) -> Self {
        Self { person: Some(person), name: None, reason, serial: None }
    }
}

/// Show the certificate of the authority, and those above it
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl certificate ca > ca.pem"))]
#[serde(deny_unknown_fields)]
pub struct Ca {}

/// Print the signed list of revoked certificates
///
/// The list comes in pieces and may have any length. It is signed once for each number, which grows with every
/// revocation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(
        after_help = "Examples:\n  enrollctl certificate crl > crl.pem\n  enrollctl certificate crl --der > list.crl"
    )
)]
#[serde(deny_unknown_fields)]
pub struct Crl {
    /// In DER in place of PEM: its bytes; as base64 where the answer is JSON
    #[cfg_attr(feature = "cli", arg(long))]
    #[serde(default, deserialize_with = "or_default")]
    pub der: bool,
}
