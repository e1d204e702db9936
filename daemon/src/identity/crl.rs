//! The list of revoked certificates (RFC 5280, section 5): everything that one number stands for, signed once.

use std::sync::{Arc, Mutex, PoisonError};

use der::asn1::{ContextSpecific, Uint};
use der::oid::AssociatedOid as _;
use der::{Decode as _, Encode as _, TagMode, TagNumber};
use enroll_protocol::Time;
use enroll_protocol::person::RevocationReason;
use x509_cert::certificate::Rfc5280;
use x509_cert::crl::CertificateList;
use x509_cert::ext::pkix::{CrlNumber, CrlReason};
use x509_cert::serial_number::SerialNumber;

use super::authority::{Authority, Serial};
use super::encoding::{Parts, extension, issued_by, sequence, time};
use super::{IdentityError, pem};

/// The label of a list in PEM.
const LIST: &str = "X509 CRL";

/// Version 2, counted from 0.
const VERSION_2: u8 = 1;

/// A signed list.
pub struct List {
    /// Its number.
    pub number: u64,
    /// The list.
    pub pem: String,
}

/// What is gathered for a list.
#[derive(Default)]
pub struct Entries {
    encoded: Vec<u8>,
    /// What is said of the reasons that came so far.
    reasons: Vec<(RevocationReason, Vec<u8>)>,
}

/// When a list is of, and when the next one comes at the latest.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// The time of its number.
    pub since: Time,
    /// The time by which there will be another.
    pub until: Time,
}

/// The latest list. It is made when somebody first asks for its number, and whoever asks meanwhile waits for it.
#[derive(Default)]
pub struct Latest(Mutex<Option<Arc<List>>>);

impl Entries {
    /// One more certificate.
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

    /// The list of all of them.
    pub fn sign(self, authority: &Authority, number: u64, span: Span) -> Result<List, IdentityError> {
        let extensions = vec![
            extension(&issued_by(&authority.key_id), false)?,
            extension(&CrlNumber(Uint::new(&number.to_be_bytes())?), false)?,
        ];
        let extensions = ContextSpecific { tag_number: TagNumber(0), tag_mode: TagMode::Explicit, value: extensions };
        // An empty list is none at all.
        let entries = if self.encoded.is_empty() { Vec::new() } else { sequence(&[&self.encoded])? };
        let unsigned = sequence(&[
            &VERSION_2.to_der()?,
            &authority.algorithm()?,
            &authority.name.to_der()?,
            &time(span.since)?.to_der()?,
            &time(span.until)?.to_der()?,
            &entries,
            &extensions.to_der()?,
        ])?;
        Ok(List { number, pem: pem::write(LIST, &authority.sign(&unsigned)?) })
    }
}

/// The extensions of an entry, as they are encoded.
fn said(reason: RevocationReason) -> Result<Vec<u8>, IdentityError> {
    let reason = match reason {
        // Nothing is said where nothing is known.
        RevocationReason::Unspecified => return Ok(Vec::new()),
        RevocationReason::KeyCompromise => CrlReason::KeyCompromise,
        RevocationReason::AffiliationChanged => CrlReason::AffiliationChanged,
        RevocationReason::Superseded => CrlReason::Superseded,
        RevocationReason::CessationOfOperation => CrlReason::CessationOfOperation,
        RevocationReason::PrivilegeWithdrawn => CrlReason::PrivilegeWithdrawn,
    };
    Ok(vec![extension(&reason, false)?].to_der()?)
}

impl List {
    /// A list that this authority has signed before.
    pub fn read(text: &str, authority: &Authority) -> Option<Self> {
        let blocks = pem::read(text).ok()?;
        let [block] = blocks.as_slice() else { return None };
        let parts = Parts::from_der(&block.der).ok()?;
        if !authority.has_signed(&parts.unsigned.to_der().ok()?, &parts.signature) {
            return None;
        }
        let list: CertificateList = CertificateList::from_der(&block.der).ok()?;
        let extensions = list.tbs_cert_list.crl_extensions?;
        let number = extensions.iter().find(|extension| extension.extn_id == CrlNumber::OID)?;
        let number = CrlNumber::from_der(number.extn_value.as_bytes()).ok()?;
        let number = number.0.as_bytes().iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        Some(Self { number, pem: text.to_owned() })
    }
}

impl Latest {
    /// The list of this number.
    pub fn of<E>(&self, number: u64, make: impl FnOnce() -> Result<List, E>) -> Result<Arc<List>, E> {
        // Whoever panicked has left the list before in its place.
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*latest {
            Some(list) if list.number == number => Ok(Arc::clone(list)),
            before => {
                let is_newer = before.as_ref().is_none_or(|before| before.number < number);
                let made = Arc::new(make()?);
                if is_newer {
                    *latest = Some(Arc::clone(&made));
                }
                Ok(made)
            }
        }
    }

    /// Another authority signs from now on.
    pub fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Has this one be the latest.
    pub fn set(&self, list: List) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(list));
    }
}
