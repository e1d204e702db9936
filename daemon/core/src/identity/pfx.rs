//! PKCS#12 (RFC 7292): a certificate, the authority's chain and, where the daemon made it, the private key in one file,
//! under a password.
//!
//! Its texts are UTF-16, with surrogate pairs beyond the basic plane as OpenSSL hashes passwords; a strict BMPString
//! has none. Java reads such names, but no password that is not ASCII.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{AES_256, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::{digest, hmac, pbkdf2, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
use der::asn1::{Any, Null, ObjectIdentifier, OctetStringRef};
use der::{Encode as _, Header, Length, Tag, TagNumber};
use zeroize::Zeroizing;

use super::IdentityError;
use super::der::sequence;

/// Iterations of the password's hash.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(100_000).expect("not 0");

/// Iterations for systems that may refuse more.
const LEGACY_ITERATIONS: NonZeroU32 = NonZeroU32::new(2048).expect("not 0");

/// The block size of SHA-1 and SHA-256 in bytes.
const BLOCK: usize = 64;

/// The purpose of a key that is derived from a password (RFC 7292, appendix B.3).
const FOR_ENCRYPTION: u8 = 1;
const FOR_VECTOR: u8 = 2;
const FOR_MAC: u8 = 3;

/// The attribute that pairs a key with its certificate.
const LOCAL_KEY_ID: &[u8] = b"1";

const VERSION: u8 = 3;
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const ENCRYPTED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.6");
const KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.2");
const CERTIFICATE_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.3");
const X509: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.22.1");
const FRIENDLY_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.20");
const KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.21");
const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const HMAC_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const AES_256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");
const TRIPLE_DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.3");
const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");

/// A password, and the algorithms that seal the file under it.
struct Seal<'a> {
    password: &'a str,
    legacy: bool,
}

/// Writes the file, in base64. Without a private key it holds the certificates alone. `legacy` is triple DES and SHA-1,
/// for old systems.
pub fn write(
    name: &str,
    private: Option<&[u8]>,
    chain: &[Vec<u8>],
    password: &str,
    legacy: bool,
) -> Result<String, IdentityError> {
    let seal = Seal { password, legacy };
    let mut bags = Vec::new();
    for (at, certificate) in chain.iter().enumerate() {
        let value = sequence(&[&X509.to_der()?, &inside(0, &octets(certificate)?)?])?;
        // The first is the person's own.
        let attributes = if at == 0 { attributes(name)? } else { Vec::new() };
        bags.push(bag(CERTIFICATE_BAG, &value, &attributes)?);
    }
    let (algorithm, sealed) = seal.encrypt(&joined(&bags)?)?;
    let sealed = header(Tag::ContextSpecific { constructed: false, number: TagNumber(0) }, &sealed)?;
    let sealed = sequence(&[&DATA.to_der()?, &algorithm, &sealed])?;
    let certificates = content(ENCRYPTED_DATA, &sequence(&[&0_u8.to_der()?, &sealed])?)?;

    let mut contents = vec![certificates];
    if let Some(private) = private {
        let (algorithm, sealed) = seal.encrypt(private)?;
        let key = sequence(&[&algorithm, &octets(&sealed)?])?;
        let key = bag(KEY_BAG, &key, &attributes(name)?)?;
        contents.push(content(DATA, &octets(&joined(&[key])?)?)?);
    }
    let contents = joined(&contents)?;
    let mac = seal.mac(&contents)?;
    let file = sequence(&[&VERSION.to_der()?, &content(DATA, &octets(&contents)?)?, &mac])?;
    Ok(STANDARD.encode(file))
}

impl Seal<'_> {
    fn iterations(&self) -> NonZeroU32 {
        if self.legacy { LEGACY_ITERATIONS } else { ITERATIONS }
    }

    /// A ciphertext with its algorithm.
    fn encrypt(&self, plain: &[u8]) -> Result<(Vec<u8>, Vec<u8>), IdentityError> {
        let salt = random::<20>()?;
        match self.legacy {
            false => self.encrypt_with_aes(plain, &salt),
            true => self.encrypt_with_triple_des(plain, &salt),
        }
    }

    /// Encryption by PBES2 (RFC 8018), whose password is UTF-8.
    fn encrypt_with_aes(&self, plain: &[u8], salt: &[u8]) -> Result<(Vec<u8>, Vec<u8>), IdentityError> {
        let mut key = Zeroizing::new([0; 32]);
        let password = self.password.as_bytes();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, self.iterations(), salt, password, key.as_mut_slice());
        let mut sealed = plain.to_vec();
        let key = UnboundCipherKey::new(&AES_256, key.as_slice()).and_then(PaddedBlockEncryptingKey::cbc_pkcs7);
        let context = key.and_then(|key| key.encrypt(&mut sealed)).map_err(failed)?;
        let vector: &[u8] = (&context).try_into().map_err(failed)?;

        let hashing = algorithm(HMAC_SHA256, &Null.to_der()?)?;
        let derived = sequence(&[&octets(salt)?, &self.iterations().get().to_der()?, &hashing])?;
        let parameters = sequence(&[&algorithm(PBKDF2, &derived)?, &algorithm(AES_256_CBC, &octets(vector)?)?])?;
        Ok((algorithm(PBES2, &parameters)?, sealed))
    }

    /// Encryption by triple DES and SHA-1, the legacy form (RFC 7292, appendix C).
    fn encrypt_with_triple_des(&self, plain: &[u8], salt: &[u8]) -> Result<(Vec<u8>, Vec<u8>), IdentityError> {
        let of = |purpose, length| self.derive(&digest::SHA1_FOR_LEGACY_USE_ONLY, salt, purpose, length);
        let (key, vector) = (of(FOR_ENCRYPTION, 24), of(FOR_VECTOR, 8));
        let cipher = cbc::Encryptor::<des::TdesEde3>::new_from_slices(&key, &vector).map_err(failed)?;
        let sealed = cipher.encrypt_padded_vec::<Pkcs7>(plain);
        let parameters = sequence(&[&octets(salt)?, &self.iterations().get().to_der()?])?;
        Ok((algorithm(TRIPLE_DES, &parameters)?, sealed))
    }

    /// The MAC, which proves the file's integrity under the password.
    fn mac(&self, contents: &[u8]) -> Result<Vec<u8>, IdentityError> {
        let (oid, digest, by) = match self.legacy {
            false => (SHA256, &digest::SHA256, hmac::HMAC_SHA256),
            true => (SHA1, &digest::SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        };
        let salt = random::<20>()?;
        let key = self.derive(digest, &salt, FOR_MAC, digest.output_len());
        let mac = hmac::sign(&hmac::Key::new(by, &key), contents);
        let mac = sequence(&[&algorithm(oid, &Null.to_der()?)?, &octets(mac.as_ref())?])?;
        sequence(&[&mac, &octets(&salt)?, &self.iterations().get().to_der()?])
    }

    /// A key of the password (RFC 7292, appendix B.2).
    fn derive(&self, by: &'static digest::Algorithm, salt: &[u8], purpose: u8, length: usize) -> Zeroizing<Vec<u8>> {
        let mut password = Zeroizing::new(utf16(self.password));
        password.extend([0, 0]);
        let filled = |bytes: &[u8]| -> Zeroizing<Vec<u8>> {
            let length = BLOCK * bytes.len().div_ceil(BLOCK);
            Zeroizing::new(bytes.iter().copied().cycle().take(length).collect())
        };
        let mut input = Zeroizing::new([filled(salt).as_slice(), &filled(&password)].concat());
        let mut key = Zeroizing::new(Vec::new());
        while key.len() < length {
            let first = Zeroizing::new([[purpose; BLOCK].as_slice(), &input].concat());
            let mut hash = digest::digest(by, &first);
            for _ in 1..self.iterations().get() {
                hash = digest::digest(by, hash.as_ref());
            }
            key.extend_from_slice(hash.as_ref());
            for block in input.chunks_exact_mut(BLOCK) {
                add(block, &filled(hash.as_ref())[..BLOCK]);
            }
        }
        key.truncate(length);
        key
    }
}

/// Adds a number to a block, and 1.
fn add(block: &mut [u8], number: &[u8]) {
    let mut carry = 1;
    for (byte, more) in block.iter_mut().zip(number).rev() {
        let [high, low] = (u16::from(*byte) + u16::from(*more) + carry).to_be_bytes();
        (*byte, carry) = (low, u16::from(high));
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// The attributes of a key and its certificate: the name for people, and the id that pairs the two.
fn attributes(name: &str) -> Result<Vec<u8>, IdentityError> {
    let name = Any::new(Tag::BmpString, utf16(name))?.to_der()?;
    let attribute = |oid: ObjectIdentifier, value: &[u8]| sequence(&[&oid.to_der()?, &header(Tag::Set, value)?]);
    let mut all = [attribute(FRIENDLY_NAME, &name)?, attribute(KEY_ID, &octets(LOCAL_KEY_ID)?)?];
    // DER sorts a SET by the encoding of its members.
    all.sort();
    header(Tag::Set, &all.concat())
}

/// A key or a certificate, with its attributes.
fn bag(oid: ObjectIdentifier, value: &[u8], attributes: &[u8]) -> Result<Vec<u8>, IdentityError> {
    sequence(&[&oid.to_der()?, &inside(0, value)?, attributes])
}

/// A ContentInfo of this type.
fn content(oid: ObjectIdentifier, value: &[u8]) -> Result<Vec<u8>, IdentityError> {
    sequence(&[&oid.to_der()?, &inside(0, value)?])
}

fn algorithm(oid: ObjectIdentifier, parameters: &[u8]) -> Result<Vec<u8>, IdentityError> {
    sequence(&[&oid.to_der()?, parameters])
}

fn octets(bytes: &[u8]) -> Result<Vec<u8>, IdentityError> {
    Ok(OctetStringRef::new(bytes)?.to_der()?)
}

fn joined(parts: &[Vec<u8>]) -> Result<Vec<u8>, IdentityError> {
    sequence(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// Encoded bytes under an explicit tag of this number.
fn inside(number: u32, value: &[u8]) -> Result<Vec<u8>, IdentityError> {
    header(Tag::ContextSpecific { constructed: true, number: TagNumber(number) }, value)
}

/// Bytes with a header of this tag.
fn header(tag: Tag, value: &[u8]) -> Result<Vec<u8>, IdentityError> {
    let mut bytes = Header::new(tag, Length::try_from(value.len())?).to_der()?;
    bytes.extend_from_slice(value);
    Ok(bytes)
}

fn random<const N: usize>() -> Result<[u8; N], IdentityError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn failed<E>(_: E) -> IdentityError {
    IdentityError("a PKCS#12 file can not be made".to_owned())
}
