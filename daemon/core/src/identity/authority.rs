//! The certificate authority (X.509, RFC 5280): made at the first start, or brought along. It issues client
//! certificates.
//!
//! A certificate says no more than who somebody is to servers: the callsign as its common name and as an alternative
//! name of the kind that it looks like, for the authentication of clients.
//!
//! `rcgen` could issue these, but not keep three promises. An authority that was brought along signs under its name,
//! byte for byte; `rcgen` keeps one value per attribute type and refuses a set of two attributes. A signing request may
//! be signed with RSA-PSS, and extensions that it asks for are ignored; `rcgen` refuses RSA-PSS and all extensions but
//! alternative names. A revocation list is the same bytes after a restart, with the signature that was kept; `rcgen`
//! returns a list only with a new signature.

use std::net::IpAddr;

use der::asn1::{Any, BitString, Ia5String, Utf8StringRef};
use der::oid::ObjectIdentifier;
use der::{Decode as _, Encode as _};
use enroll_protocol::{Callsign, Time};
use x509_cert::Certificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};
use x509_cert::ext::pkix::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_cert::time::Validity;
use zeroize::Zeroizing;

use super::csr::{COMMON_NAME, SigningRequest};
use super::der::{Parts, Unsigned, extension, issued_by, key_id, signed, time, time_of};
use super::signer::{self, NewPair, Signer};
use super::{IdentityError, pem};

/// Bytes of a serial number.
pub const SERIAL_BYTES: usize = 20;

/// A serial number: positive, and never shorter.
pub type Serial = [u8; SERIAL_BYTES];

/// Characters of a common name at most (RFC 5280, appendix A.1).
pub const COMMON_NAME_CHARS_MAX: usize = 64;

/// Backdating of certificates and lists, so that servers whose clocks are slow by less accept them at once.
pub const BEGIN_EARLIER_SECONDS: u64 = 5 * 60;

/// The label of a certificate in PEM.
pub const CERTIFICATE: &str = "CERTIFICATE";

const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

/// The alternative name for names that are neither a host's nor an address: a user principal name.
const PRINCIPAL_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.3");

/// The authority: its key, its name and its chain.
pub struct Authority {
    signer: Signer,
    /// The name in its own certificate, byte for byte.
    pub(super) name: Name,
    pub(super) key_id: SubjectKeyIdentifier,
    key: SubjectPublicKeyInfoOwned,
    /// Its own certificate first, then those above it.
    chain: Vec<Vec<u8>>,
    /// The validity of the whole chain.
    begins: Time,
    ends: Time,
}

/// A new authority, ready to be stored.
pub struct Founded {
    /// PKCS#8, to be sealed.
    pub private: Zeroizing<Vec<u8>>,
    /// Its certificate.
    pub certificate: Vec<u8>,
}

/// The key that a certificate is wanted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A new key pair.
    NewKey,
    /// The key of this signing request (PEM).
    Request(String),
    /// The key of this certificate (DER).
    Again(Vec<u8>),
}

/// A certificate that was issued, before it is stored.
pub struct Issued {
    /// The callsign of the person.
    pub callsign: Callsign,
    /// The key that was wanted.
    pub wanted: Wanted,
    /// Its serial number.
    pub serial: Serial,
    /// The certificate.
    pub certificate: Vec<u8>,
    /// The private key in PKCS#8, if it was made here.
    pub private: Option<Zeroizing<Vec<u8>>>,
    /// The end of its validity.
    pub ends: Time,
}

impl Authority {
    /// Makes a self-signed authority.
    pub fn found(name: &str, serial: Serial, now: Time, lifetime_seconds: u64) -> Result<Founded, IdentityError> {
        Self::vouch(NewPair::make()?.private, common_name(name)?, serial, now, lifetime_seconds)
    }

    /// Makes a new self-signed certificate for the same name and key, so certificates issued so far stay valid.
    pub fn found_again(
        &self,
        private: Zeroizing<Vec<u8>>,
        serial: Serial,
        now: Time,
        lifetime_seconds: u64,
    ) -> Result<Founded, IdentityError> {
        Self::vouch(private, self.name.clone(), serial, now, lifetime_seconds)
    }

    fn vouch(
        private: Zeroizing<Vec<u8>>,
        name: Name,
        serial: Serial,
        now: Time,
        lifetime_seconds: u64,
    ) -> Result<Founded, IdentityError> {
        let signer = Signer::of_der(&private)?;
        let public = signer.public()?;
        let key_id = key_id(&public)?;
        let usage = KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign);
        let extensions = vec![
            extension(&BasicConstraints { ca: true, path_len_constraint: Some(0) }, true)?,
            extension(&usage, true)?,
            extension(&issued_by(&key_id), false)?,
            extension(&key_id, false)?,
        ];
        let validity =
            Validity::new(time(now.minus_seconds(BEGIN_EARLIER_SECONDS))?, time(now.plus_seconds(lifetime_seconds))?);
        let unsigned = Unsigned::new(
            SerialNumber::new(&serial)?,
            (name.clone(), signer.algorithm()?),
            validity,
            (name, public),
            extensions,
        );
        let certificate = sign(&signer, &unsigned)?;
        Ok(Founded { private, certificate })
    }

    /// Opens the authority of this private key (PKCS#8) and these certificates (DER): its own first, then those above
    /// it.
    pub fn open(private: &[u8], chain: Vec<Vec<u8>>) -> Result<Self, IdentityError> {
        Self::of(Signer::of_der(private)?, chain)
    }

    /// Opens the authority of these PEM texts.
    pub fn of_pem(private: &str, chain: &str) -> Result<Self, IdentityError> {
        let chain = pem::read(chain)?;
        if let Some(other) = chain.iter().find(|block| block.label != CERTIFICATE) {
            return Err(IdentityError(format!("among its certificates there is a PEM block {}", other.label)));
        }
        Self::of(Signer::of_pem(private)?, chain.iter().map(|block| block.der.to_vec()).collect())
    }

    fn of(signer: Signer, chain: Vec<Vec<u8>>) -> Result<Self, IdentityError> {
        let unusable = |why: &str| IdentityError(format!("the certificate of the authority {why}"));
        let read = |der: &Vec<u8>| Certificate::from_der(der).map_err(|_| unusable("can not be read"));
        let certificates = chain.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let own = certificates.first().ok_or_else(|| unusable("is missing"))?.tbs_certificate();
        let key = signer.public()?;
        if *own.subject_public_key_info() != key {
            return Err(unusable("is for another key than its private key"));
        }
        let constraints = own.get_extension::<BasicConstraints>()?;
        if !constraints.is_some_and(|(_, constraints)| constraints.ca) {
            return Err(unusable("is not one of an authority (basicConstraints CA:TRUE)"));
        }
        let usage = own.get_extension::<KeyUsage>()?;
        if usage.is_some_and(|(_, usage)| !usage.key_cert_sign() || !usage.crl_sign()) {
            return Err(unusable("does not let its key sign certificates and revocation lists (keyUsage)"));
        }
        if chain.iter().zip(&certificates[1..]).any(|(certificate, issuer)| !has_signed(issuer, certificate)) {
            let why = "the certificates of the authority are no chain: each must have signed the one before it";
            return Err(IdentityError(why.to_owned()));
        }
        let key_id = match own.get_extension::<SubjectKeyIdentifier>()? {
            Some((_, key_id)) => key_id,
            None => key_id(&key)?,
        };
        // A certificate is good for nobody while one above it is not valid (RFC 5280, section 6.1.3).
        let validities = || certificates.iter().map(|certificate| certificate.tbs_certificate().validity());
        let begins = validities().map(|validity| time_of(&validity.not_before)).max().unwrap_or(Time::EPOCH);
        let ends = validities().map(|validity| time_of(&validity.not_after)).min().unwrap_or(Time::EPOCH);
        Ok(Self { name: own.subject().clone(), key_id, key, begins, ends, signer, chain })
    }

    /// Issues a certificate that begins a little earlier than now and lasts no longer than the authority's own.
    pub fn issue(
        &self,
        callsign: &Callsign,
        wanted: Wanted,
        serial: Serial,
        now: Time,
        lifetime_seconds: u64,
    ) -> Result<Issued, IdentityError> {
        let (key, private) = match &wanted {
            Wanted::NewKey => {
                let pair = NewPair::make()?;
                (pair.public, Some(pair.private))
            }
            Wanted::Request(text) => (SigningRequest::read(text).map_err(IdentityError)?.public, None),
            Wanted::Again(certificate) => {
                let certificate = Certificate::from_der(certificate)?;
                (certificate.tbs_certificate().subject_public_key_info().clone(), None)
            }
        };
        let begins = now.minus_seconds(BEGIN_EARLIER_SECONDS).max(self.begins);
        let ends = now.plus_seconds(lifetime_seconds).min(self.ends);
        let extensions = vec![
            extension(&BasicConstraints { ca: false, path_len_constraint: None }, true)?,
            extension(&KeyUsage(KeyUsages::DigitalSignature.into()), true)?,
            extension(&ExtendedKeyUsage(vec![CLIENT_AUTH]), false)?,
            extension(&SubjectAltName(vec![alternative_name(callsign.as_str())?]), false)?,
            extension(&issued_by(&self.key_id), false)?,
            extension(&key_id(&key)?, false)?,
        ];
        let unsigned = Unsigned::new(
            SerialNumber::new(&serial)?,
            (self.name.clone(), self.signer.algorithm()?),
            Validity::new(time(begins)?, time(ends)?),
            (common_name(callsign.as_str())?, key),
            extensions,
        );
        let certificate = sign(&self.signer, &unsigned)?;
        Ok(Issued { callsign: callsign.clone(), wanted, serial, certificate, private, ends })
    }

    /// True if its certificate was made by a clock that was ahead of this time.
    pub fn is_ahead(&self, now: Time) -> bool {
        now < self.begins
    }

    /// The reason, for people, that the authority can not issue at this time; `None` if it can.
    pub fn is_invalid(&self, now: Time) -> Option<String> {
        match () {
            () if now < self.begins => {
                Some(format!("the certificate of the authority, or one above it, begins at {}", self.begins))
            }
            () if self.ends <= now => {
                Some(format!("the certificate of the authority, or one above it, ended at {}", self.ends))
            }
            () => None,
        }
    }

    /// The time at which the first certificate of its chain ends.
    pub fn ends(&self) -> Time {
        self.ends
    }

    /// Its own certificate first, then those above it.
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// The chain in PEM.
    pub fn chain_pem(&self) -> String {
        self.chain.iter().map(|certificate| pem::write(CERTIFICATE, certificate)).collect()
    }

    /// True for its certificate, also for one from before a renewal: the same name and the same key.
    pub fn is_same(&self, certificate: &[u8]) -> bool {
        Certificate::from_der(certificate).is_ok_and(|certificate| {
            let other = certificate.tbs_certificate();
            *other.subject() == self.name && *other.subject_public_key_info() == self.key
        })
    }

    /// Its signature of these encoded bytes.
    pub(super) fn sign(&self, unsigned: &[u8]) -> Result<BitString, IdentityError> {
        self.signer.sign(unsigned)
    }

    /// Encoded bytes with their signature.
    pub(super) fn signed(&self, unsigned: &[u8], signature: &BitString) -> Result<Vec<u8>, IdentityError> {
        signed(unsigned, &self.signer.algorithm()?, signature)
    }

    /// Its signature algorithm, encoded.
    pub(super) fn algorithm(&self) -> Result<Vec<u8>, IdentityError> {
        Ok(self.signer.algorithm()?.to_der()?)
    }

    /// True if the signature of these bytes is the authority's.
    pub(super) fn has_signed(&self, unsigned: &[u8], signature: &BitString) -> bool {
        let algorithm = self.signer.algorithm();
        algorithm.is_ok_and(|algorithm| signer::is_signed_by(&self.key, &algorithm, unsigned, signature))
    }
}

/// True if two certificates are for the same key.
pub fn has_same_key(one: &[u8], other: &[u8]) -> bool {
    let key = |der| Certificate::from_der(der).map(|read| read.tbs_certificate().subject_public_key_info().clone());
    matches!((key(one), key(other)), (Ok(one), Ok(other)) if one == other)
}

/// A serial number of these random bytes.
pub fn serial(mut random: Serial) -> Serial {
    // The first bits keep it positive and of full length.
    random[0] = random[0] & 0x7f | 0x40;
    random
}

fn sign(signer: &Signer, unsigned: &Unsigned) -> Result<Vec<u8>, IdentityError> {
    let bytes = unsigned.to_der()?;
    signed(&bytes, &unsigned.algorithm, &signer.sign(&bytes)?)
}

/// True if the key of one certificate signed the other.
fn has_signed(issuer: &Certificate, certificate: &[u8]) -> bool {
    let above = issuer.tbs_certificate().subject_public_key_info();
    let Ok(parts) = Parts::from_der(certificate) else { return false };
    let bytes = parts.unsigned.to_der();
    bytes.is_ok_and(|bytes| signer::is_signed_by(above, &parts.algorithm, &bytes, &parts.signature))
}

fn common_name(text: &str) -> Result<Name, IdentityError> {
    let value = Any::from(Utf8StringRef::new(text)?);
    let attribute = AttributeTypeAndValue { oid: COMMON_NAME, value };
    let mut names = RdnSequence::default();
    names.push(RelativeDistinguishedName::try_from(vec![attribute])?);
    Ok(Name::from_der(&names.to_der()?)?)
}

/// The alternative name of the kind that a callsign looks like.
fn alternative_name(callsign: &str) -> Result<GeneralName, IdentityError> {
    if let Ok(address) = callsign.parse::<IpAddr>() {
        let bytes = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        return Ok(GeneralName::IpAddress(der::asn1::OctetString::new(bytes)?));
    }
    if is_host_name(callsign) {
        return Ok(GeneralName::DnsName(Ia5String::new(callsign)?));
    }
    if is_mail_address(callsign) {
        return Ok(GeneralName::Rfc822Name(Ia5String::new(callsign)?));
    }
    let value = Any::from(Utf8StringRef::new(callsign)?);
    Ok(GeneralName::OtherName(OtherName { type_id: PRINCIPAL_NAME, value }))
}

/// Labels of letters, digits and inner hyphens.
fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_inside = !label.starts_with('-') && !label.ends_with('-');
        (1..=63).contains(&label.len()) && is_inside && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// `local@host`, without what would have to be quoted.
fn is_mail_address(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
    let is_local =
        |local: &str| !local.is_empty() && local.bytes().all(is_plain) && !local.split('.').any(str::is_empty);
    text.split_once('@').is_some_and(|(local, host)| is_local(local) && is_host_name(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callsign_is_an_alternative_name_of_the_kind_it_looks_like() {
        for (callsign, kind) in [
            ("DOGGO01a", "dns"),
            ("host.example.org", "dns"),
            ("dog@example.org", "mail"),
            ("dog..o@example.org", "other"),
            ("-dog", "other"),
            ("192.0.2.1", "ip"),
            ("2001:db8::1", "ip"),
            ("Good dog", "other"),
            ("Ελένη", "other"),
        ] {
            let found = match alternative_name(callsign).expect("a name") {
                GeneralName::DnsName(_) => "dns",
                GeneralName::Rfc822Name(_) => "mail",
                GeneralName::IpAddress(_) => "ip",
                _ => "other",
            };
            assert_eq!(found, kind, "{callsign}");
        }
    }

    #[test]
    fn serial_numbers_are_positive_and_of_twenty_bytes() {
        for first in [0, 0x3f, 0x80, 0xff] {
            let mut bytes = [7; SERIAL_BYTES];
            bytes[0] = first;
            let encoded =
                SerialNumber::<x509_cert::certificate::Rfc5280>::new(&serial(bytes)).expect("a serial number");
            assert_eq!(encoded.as_bytes().len(), SERIAL_BYTES);
            assert!(encoded.as_bytes()[0] < 0x80);
        }
    }
}
