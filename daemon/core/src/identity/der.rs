//! DER encoding of the pieces that certificates, signing requests and revocation lists (RFC 5280) are made of.

use aws_lc_rs::digest;
use der::asn1::{AnyRef, BitString, GeneralizedTime, OctetString, UtcTime};
use der::oid::AssociatedOid;
use der::{DateTime, Encode, Sequence};
use enroll_protocol::Time;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, SubjectKeyIdentifier};
use x509_cert::ext::{Extension, Extensions};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::Validity;

use super::IdentityError;

/// The last year that is written with two digits.
const UTC_YEAR_LAST: u16 = 2049;

/// Version 3 of certificates, counted from 0.
const VERSION_3: u8 = 2;

/// The signed part of a certificate (`TBSCertificate`).
#[derive(Sequence)]
pub(super) struct Unsigned {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: u8,
    pub(super) serial: SerialNumber,
    pub(super) algorithm: AlgorithmIdentifierOwned,
    pub(super) issuer: Name,
    pub(super) validity: Validity,
    pub(super) subject: Name,
    pub(super) key: SubjectPublicKeyInfoOwned,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    pub(super) extensions: Extensions,
}

impl Unsigned {
    pub(super) fn new(
        serial: SerialNumber,
        (issuer, algorithm): (Name, AlgorithmIdentifierOwned),
        validity: Validity,
        (subject, key): (Name, SubjectPublicKeyInfoOwned),
        extensions: Extensions,
    ) -> Self {
        Self { version: VERSION_3, serial, algorithm, issuer, validity, subject, key, extensions }
    }
}

/// The three parts of a certificate, a request or a list. The signed part stays the bytes that it was.
#[derive(Sequence)]
pub(super) struct Parts<'a> {
    pub(super) unsigned: AnyRef<'a>,
    pub(super) algorithm: AlgorithmIdentifierOwned,
    pub(super) signature: BitString,
}

/// A certificate, request or list of its signed part, the algorithm and the signature.
pub(super) fn signed(
    unsigned: &[u8],
    algorithm: &AlgorithmIdentifierOwned,
    signature: &BitString,
) -> Result<Vec<u8>, IdentityError> {
    sequence(&[unsigned, &algorithm.to_der()?, &signature.to_der()?])
}

/// A SEQUENCE of encoded parts.
pub(super) fn sequence(parts: &[&[u8]]) -> Result<Vec<u8>, IdentityError> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let header = der::Header::new(der::Tag::Sequence, der::Length::try_from(length)?);
    let mut bytes = header.to_der()?;
    bytes.reserve(length);
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    Ok(bytes)
}

/// An extension with the OID of its type.
pub(super) fn extension<E: Encode + AssociatedOid>(value: &E, critical: bool) -> Result<Extension, IdentityError> {
    Ok(Extension { extn_id: E::OID, critical, extn_value: OctetString::new(value.to_der()?)? })
}

/// The key identifier: 20 bytes of the SHA-256 of the key (RFC 7093).
pub(super) fn key_id(key: &SubjectPublicKeyInfoOwned) -> Result<SubjectKeyIdentifier, IdentityError> {
    let hash = digest::digest(&digest::SHA256, key.subject_public_key.raw_bytes());
    Ok(SubjectKeyIdentifier(OctetString::new(&hash.as_ref()[..20])?))
}

/// The extension that names the key that signed.
pub(super) fn issued_by(key_id: &SubjectKeyIdentifier) -> AuthorityKeyIdentifier {
    AuthorityKeyIdentifier { key_identifier: Some(key_id.0.clone()), ..AuthorityKeyIdentifier::default() }
}

/// A time in whole seconds, as UTCTime or GeneralizedTime by its year (RFC 5280).
pub(super) fn time(at: Time) -> Result<x509_cert::time::Time, IdentityError> {
    let since = std::time::Duration::from_secs(u64::try_from(at.seconds()).unwrap_or(0));
    let at = DateTime::from_unix_duration(since)?;
    Ok(match at.year() {
        ..=UTC_YEAR_LAST => x509_cert::time::Time::UtcTime(UtcTime::from_date_time(at)?),
        _ => x509_cert::time::Time::GeneralTime(GeneralizedTime::from_date_time(at)),
    })
}

/// The time in a certificate.
pub(super) fn time_of(time: &x509_cert::time::Time) -> Time {
    Time::EPOCH.plus_seconds(time.to_unix_duration().as_secs())
}
