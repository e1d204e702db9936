//! The authority and its certificates as they are stored.

use enroll_protocol::person::RevocationReason;
use enroll_protocol::{Pk, Time};
use serde::{Deserialize, Serialize};

use super::record::{Record, stored_bytes};
use crate::identity::authority::Serial;

/// The authority of this registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    /// Its certificate.
    #[serde(with = "stored_bytes")]
    pub certificate: Vec<u8>,
    /// Its private key in PKCS#8, sealed; none where it was brought along and stays outside.
    #[serde(with = "stored_bytes::optional")]
    pub sealed: Option<Vec<u8>>,
}

/// The certificates of one person that are not known to have ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificates {
    /// The latest one last; that one stays even when it has ended.
    pub held: Vec<Held>,
}

/// A certificate that a person holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Its serial number.
    #[serde(with = "stored_bytes")]
    pub serial: Serial,
    /// The end of its validity.
    pub ends: Time,
    /// True if it is revoked.
    pub revoked: bool,
}

impl Held {
    /// True if it is valid at this time.
    pub fn is_valid(&self, now: Time) -> bool {
        !self.revoked && now < self.ends
    }
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The certificate itself.
    #[serde(with = "stored_bytes")]
    pub certificate: Vec<u8>,
    /// The private key in PKCS#8, sealed, where the daemon made it.
    #[serde(with = "stored_bytes::optional")]
    pub sealed: Option<Vec<u8>>,
    /// The number of the first list that it stands in as revoked.
    pub revoked: Option<u64>,
}

/// A service that certificates were issued to: a name that the configuration reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The key of its certificates, as a person's pk is of theirs.
    pub pk: Pk,
}

/// A revoked certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// The time of the revocation.
    pub at: Time,
    /// The reason of the revocation.
    pub reason: RevocationReason,
    /// The end of its validity.
    pub ends: Time,
}

/// The head of the revoked certificates: number and times of the current revocation list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListHead {
    /// The list's number. Revocations and renewals raise it.
    pub number: u64,
    /// The time at which it got that number.
    pub since: Time,
    /// The time by which there will be another (`nextUpdate`).
    pub until: Time,
    /// The time at which the list is due for renewal.
    pub due: Time,
    /// The number of revoked certificates so far.
    pub revoked: u64,
}

/// The signing request of an enrollment, in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrollmentRequest {
    /// The text as it was sent.
    pub csr: String,
}

impl Record for Authority {}
impl Record for Certificates {}
impl Record for Certificate {}
impl Record for Revoked {}
impl Record for Service {}
impl Record for ListHead {}
impl Record for EnrollmentRequest {}
