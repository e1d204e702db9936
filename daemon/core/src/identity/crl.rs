//! The certificate revocation list (RFC 5280, section 5): its bytes follow from the state that has its number, and only
//! its signature is random.

use der::asn1::{BitString, ContextSpecific, Uint};
use der::{Encode as _, TagMode, TagNumber};
use enroll_protocol::Time;
use enroll_protocol::person::RevocationReason;
use x509_cert::certificate::Rfc5280;
use x509_cert::ext::pkix::{CrlNumber, CrlReason, SubjectKeyIdentifier};
use x509_cert::serial_number::SerialNumber;

use super::authority::{Authority, BEGIN_EARLIER_SECONDS, Serial};
use super::der::{extension, issued_by, sequence, time};
use super::{IdentityError, pem};

/// The label of a list in PEM.
const LIST: &str = "X509 CRL";

/// Version 2, counted from 0.
const VERSION_2: u8 = 1;

/// The signature of a list.
pub struct Signature(BitString);

/// A signed list.
pub struct List {
    /// Its number.
    pub number: u64,
    /// The list.
    pub pem: String,
    /// The key id of its authority.
    signer: SubjectKeyIdentifier,
}

/// The entries of a list, encoded one by one.
#[derive(Default)]
pub struct Entries {
    encoded: Vec<u8>,
    /// The encoded extension of each reason so far.
    reasons: Vec<(RevocationReason, Vec<u8>)>,
}

/// The validity of a list: `thisUpdate` and `nextUpdate`.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// The time of its number.
    pub since: Time,
    /// The time by which there will be another.
    pub until: Time,
}

impl Signature {
    /// Signs an encoded list.
    pub fn make(authority: &Authority, unsigned: &[u8]) -> Result<Self, IdentityError> {
        authority.sign(unsigned).map(Self)
    }

    /// The signature in these bytes, if the authority signed this list with it.
    pub fn read(bytes: &[u8], authority: &Authority, unsigned: &[u8]) -> Option<Self> {
        BitString::from_bytes(bytes).ok().filter(|signature| authority.has_signed(unsigned, signature)).map(Self)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.raw_bytes()
    }
}

impl List {
    /// An encoded list with its signature.
    pub fn signed(
        number: u64,
        authority: &Authority,
        unsigned: &[u8],
        signature: &Signature,
    ) -> Result<Self, IdentityError> {
        let signed = authority.signed(unsigned, &signature.0)?;
        Ok(Self { number, pem: pem::write(LIST, &signed), signer: authority.key_id.clone() })
    }

    /// Its DER in base64, with line ends: the PEM without its first and its last line.
    pub fn base64_lines(&self) -> &str {
        let after_begin = self.pem.split_once('\n').map_or("", |(_, rest)| rest);
        after_begin.split_once('-').map_or(after_begin, |(lines, _)| lines)
    }

    /// True if this authority signed it.
    pub fn is_by(&self, authority: &Authority) -> bool {
        self.signer == authority.key_id
    }
}

impl Entries {
    /// Adds a revoked certificate.
    pub fn add(&mut self, serial: &Serial, at: Time, reason: RevocationReason) -> Result<(), IdentityError> {
        let serial = SerialNumber::<Rfc5280>::new(serial)?.to_der()?;
        let at = time(at)?.to_der()?;
        let said = match self.reasons.iter().position(|(known, _)| *known == reason) {
            Some(known) => known,
            None => {
                self.reasons.push((reason, said(reason)?));
                self.reasons.len() - 1
            }
        };
        self.encoded.extend(sequence(&[&serial, &at, &self.reasons[said].1])?);
        Ok(())
    }

    /// The list of all of them, as it is signed.
    pub fn encode(self, authority: &Authority, number: u64, span: Span) -> Result<Vec<u8>, IdentityError> {
        let extensions = vec![
            extension(&issued_by(&authority.key_id), false)?,
            extension(&CrlNumber(Uint::new(&number.to_be_bytes())?), false)?,
        ];
        let extensions = ContextSpecific { tag_number: TagNumber(0), tag_mode: TagMode::Explicit, value: extensions };
        // RFC 5280 wants an empty list left out.
        let entries = if self.encoded.is_empty() { Vec::new() } else { sequence(&[&self.encoded])? };
        sequence(&[
            &VERSION_2.to_der()?,
            &authority.algorithm()?,
            &authority.name.to_der()?,
            &time(span.since.minus_seconds(BEGIN_EARLIER_SECONDS))?.to_der()?,
            &time(span.until)?.to_der()?,
            &entries,
            &extensions.to_der()?,
        ])
    }
}

/// The extensions of an entry, as they are encoded.
fn said(reason: RevocationReason) -> Result<Vec<u8>, IdentityError> {
    let reason = match reason {
        // RFC 5280 wants the reason "unspecified" left out.
        RevocationReason::Unspecified => return Ok(Vec::new()),
        RevocationReason::KeyCompromise => CrlReason::KeyCompromise,
        RevocationReason::AffiliationChanged => CrlReason::AffiliationChanged,
        RevocationReason::Superseded => CrlReason::Superseded,
        RevocationReason::CessationOfOperation => CrlReason::CessationOfOperation,
        RevocationReason::PrivilegeWithdrawn => CrlReason::PrivilegeWithdrawn,
    };
    Ok(vec![extension(&reason, false)?].to_der()?)
}
