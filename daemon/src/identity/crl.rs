//! The list of revoked certificates (RFC 5280, section 5): everything that one number stands for, signed once.
//!
//! What is signed follows from the state that has the number, byte for byte; only a signature is random. So the signature
//! is all that is kept over a restart, in a file of its own: where it is right for what would be signed it is taken, and
//! a lost file, a torn one, or one of another list or another authority costs no more than another signature.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use der::asn1::{BitString, ContextSpecific, Uint};
use der::{Encode as _, TagMode, TagNumber};
use enroll_protocol::Time;
use enroll_protocol::person::RevocationReason;
use nix::fcntl::OFlag;
use x509_cert::certificate::Rfc5280;
use x509_cert::ext::pkix::{CrlNumber, CrlReason, SubjectKeyIdentifier};
use x509_cert::serial_number::SerialNumber;

use super::authority::{Authority, BEGIN_EARLIER_SECONDS, Serial};
use super::der::{extension, issued_by, sequence, time};
use super::{IdentityError, pem};
use crate::directory::{Directory, FileError};

/// The file of the latest list's signature in the state directory, and what it is called before it is whole.
pub const SIGNATURE: &str = "enrolld.crl.signature";
const SIGNATURE_NEW: &str = "enrolld.crl.signature.new";

/// Bytes of a signature at most: that of an RSA key of 8192 bits.
const SIGNATURE_BYTES_MAX: u64 = 1024;

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
    /// Whose it is.
    signer: SubjectKeyIdentifier,
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
pub struct Latest {
    list: Mutex<Option<Arc<List>>>,
    /// Where its signature outlasts the process.
    kept: Option<Arc<Directory>>,
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It could not be put together or signed.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Its signature could not be kept, so it was given to nobody.
    #[error("the signature of a list of revoked certificates can not be kept: {0}")]
    Kept(#[from] FileError),
}

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

    /// The list of all of them, as it is signed.
    pub fn encode(self, authority: &Authority, number: u64, span: Span) -> Result<Vec<u8>, IdentityError> {
        let extensions = vec![
            extension(&issued_by(&authority.key_id), false)?,
            extension(&CrlNumber(Uint::new(&number.to_be_bytes())?), false)?,
        ];
        let extensions = ContextSpecific { tag_number: TagNumber(0), tag_mode: TagMode::Explicit, value: extensions };
        // An empty list is none at all.
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

impl Latest {
    /// None yet; this directory may have the signature of the one before.
    pub fn kept_in(state_dir: Arc<Directory>) -> Self {
        Self { kept: Some(state_dir), ..Self::default() }
    }

    /// The list of this number, or a later one where there is one already: of what is encoded, if it is not signed yet.
    pub fn of<E: From<ListError>>(
        &self,
        number: u64,
        authority: &Authority,
        encode: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Arc<List>, E> {
        // Whoever panicked has left the list before in its place.
        let mut latest = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let is_latest = |list: &&Arc<List>| list.number >= number && list.signer == authority.key_id;
        if let Some(list) = latest.as_ref().filter(is_latest) {
            return Ok(Arc::clone(list));
        }
        let unsigned = encode()?;
        let signed = authority.signed(&unsigned, &self.signature(authority, &unsigned)?).map_err(ListError::from)?;
        let list = Arc::new(List { number, pem: pem::write(LIST, &signed), signer: authority.key_id.clone() });
        Ok(Arc::clone(latest.insert(list)))
    }

    /// Another registry begins: what was signed says nothing about it.
    pub fn forget(&self) {
        *self.list.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The signature that was made before, if it was; else one that is kept before anybody sees it.
    fn signature(&self, authority: &Authority, unsigned: &[u8]) -> Result<BitString, ListError> {
        let Some(directory) = &self.kept else { return Ok(authority.sign(unsigned)?) };
        if let Some(before) = read(directory).filter(|before| authority.has_signed(unsigned, before)) {
            return Ok(before);
        }
        let signature = authority.sign(unsigned)?;
        let failed = |source| FileError::Io { path: directory.path_of(SIGNATURE_NEW), source };
        let mut file = directory.create_private(SIGNATURE_NEW)?;
        file.write_all(signature.raw_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        directory.publish(SIGNATURE_NEW, SIGNATURE)?;
        Ok(signature)
    }
}

fn read(directory: &Directory) -> Option<BitString> {
    let file = directory.open_private(SIGNATURE, OFlag::O_RDONLY).ok()?;
    let mut bytes = Vec::new();
    file.take(SIGNATURE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    BitString::from_bytes(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::super::authority::SERIAL_BYTES;
    use super::*;

    fn authority(name: &str) -> Authority {
        let founded = Authority::found(name, [7; SERIAL_BYTES], Time::EPOCH, 60).expect("an authority");
        Authority::open(&founded.private, vec![founded.certificate.clone()]).expect("the same")
    }

    #[test]
    fn whoever_has_an_older_state_gets_the_latest_list_and_each_authority_has_its_own() {
        let (latest, one, other) = (Latest::default(), authority("one"), authority("other"));
        let list = |number, authority: &Authority| {
            let span = Span { since: Time::EPOCH, until: Time::EPOCH.plus_seconds(60) };
            let encode = || Ok::<_, ListError>(Entries::default().encode(authority, number, span)?);
            latest.of(number, authority, encode).expect("a list")
        };
        let fifth = list(5, &one);
        assert!(Arc::ptr_eq(&fifth, &list(5, &one)) && Arc::ptr_eq(&fifth, &list(4, &one)));
        assert_eq!((list(6, &one).number, list(4, &other).number), (6, 4));
    }
}
