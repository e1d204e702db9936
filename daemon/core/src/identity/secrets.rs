//! Key derivation (HKDF) from the secret key: keyed hashes (HMAC), sealing (AEAD), and a proof of the right key.
//!
//! A stolen database holds hashes and sealed bytes only; without the secret key neither can be read, nor can a guess
//! at a short code be tried. Each use has a key of its own, derived by HKDF-SHA256, so none reveals another.

use aws_lc_rs::{hkdf, hmac};
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::{Hash, IdentityError};

/// The secret key itself, wiped when dropped.
pub type SecretKey = Zeroizing<[u8; 32]>;

const NONCE_BYTES: usize = 24;

/// Bytes of a change's MAC: HMAC-SHA256, cut to 128 bits.
pub const MAC_BYTES: usize = 16;

/// The message authentication code of a change. It covers the one of the change before it, so each covers the whole feed.
pub type Mac = [u8; MAC_BYTES];

/// The derived keys.
#[derive(Clone)]
pub struct Secrets {
    tokens: hmac::Key,
    nonces: hmac::Key,
    codes: hmac::Key,
    requests: hmac::Key,
    guesses: hmac::Key,
    changes: hmac::Key,
    callsigns: hmac::Key,
    proof: Hash,
    answers: hkdf::Prk,
    records: hkdf::Prk,
    member: SecretKey,
    seal: XChaCha20Poly1305,
}

impl Secrets {
    /// Derives all keys. The labels are part of the stored format: another label is another key.
    pub fn derive(key: &SecretKey) -> Result<Self, IdentityError> {
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, b"enrolld").extract(key.as_slice());
        let subkey = |label: &'static str| -> Result<SecretKey, IdentityError> {
            let mut bytes = SecretKey::default();
            extracted
                .expand(&[label.as_bytes()], hkdf::HKDF_SHA256)
                .and_then(|output| output.fill(bytes.as_mut_slice()))
                .map_err(|_| IdentityError("the secret key can not be expanded".to_owned()))?;
            Ok(bytes)
        };
        let hashing = |label| subkey(label).map(|bytes| hmac::Key::new(hmac::HMAC_SHA256, bytes.as_slice()));
        Ok(Self {
            tokens: hashing("token hash 1")?,
            nonces: hashing("nonce hash 1")?,
            codes: hashing("login code hash 1")?,
            requests: hashing("request hash 1")?,
            guesses: hashing("guess source hash 1")?,
            changes: hashing("change chain 1")?,
            callsigns: hashing("erased callsign 1")?,
            proof: hash(&hashing("proof 1")?, &[b"enrolld"]),
            answers: hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, subkey("kept answer 2")?.as_slice()),
            records: hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, subkey("shared journal 1")?.as_slice()),
            member: subkey("member 1")?,
            seal: XChaCha20Poly1305::new(subkey("seal 1")?.as_slice().try_into().map_err(|_| unusable())?),
        })
    }

    /// Replaces the hashing keys with those derived from another key, for a registry whose secret key was rotated.
    pub fn hashing_with(self, key: &SecretKey) -> Result<Self, IdentityError> {
        let Self { tokens, nonces, codes, requests, guesses, changes, callsigns, .. } = Self::derive(key)?;
        Ok(Self { tokens, nonces, codes, requests, guesses, changes, callsigns, ..self })
    }

    /// The key from which those of counting seals are derived.
    pub(super) fn answers(&self) -> &hkdf::Prk {
        &self.answers
    }

    /// The key from which those of a shared journal's records are derived.
    pub(super) fn records(&self) -> &hkdf::Prk {
        &self.records
    }

    /// The seed of the key pair by which the members of a cluster know each other: all of them have the same.
    pub fn member(&self) -> &SecretKey {
        &self.member
    }

    /// The keyed hash of a fixed text. It is stored with the database and compared at every start.
    pub fn proof(&self) -> Hash {
        self.proof
    }

    /// The keyed hash that a token is stored under.
    pub fn token(&self, token: &str) -> Hash {
        hash(&self.tokens, &[token.as_bytes()])
    }

    /// The keyed hash that an issuer's nonce is stored under, among the tokens. No token and no other issuer's nonce
    /// has the same one.
    pub fn nonce(&self, issuer: &str, nonce: &str) -> Hash {
        hash(&self.nonces, &[issuer.as_bytes(), nonce.as_bytes()])
    }

    /// The keyed hash that a login code, in its issued form, is stored under.
    pub fn code(&self, code: &str) -> Hash {
        hash(&self.codes, &[code.as_bytes()])
    }

    /// The keyed hash that the wrong codes of a source are counted under.
    pub fn guess_source(&self, source: &[&[u8]]) -> Hash {
        hash(&self.guesses, source)
    }

    /// The keyed hash that the folded callsign of an erased person is reserved under.
    pub fn erased_callsign(&self, folded: &str) -> Hash {
        hash(&self.callsigns, &[folded.as_bytes()])
    }

    /// The keyed hash of a request, which tells it from another one under the same idempotency key.
    pub fn request(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut short = [0; 16];
        short.copy_from_slice(&hash(&self.requests, parts)[..16]);
        short
    }

    /// The MAC of a change, from that of the change before it, its own number and its stored bytes.
    pub fn change(&self, before: &Mac, seq: u64, change: &[u8]) -> Mac {
        let mut context = hmac::Context::with_key(&self.changes);
        // Two parts of fixed length and a rest: no two lists of parts are the same bytes.
        context.update(before);
        context.update(&seq.to_be_bytes());
        context.update(change);
        let mut mac = Mac::default();
        mac.copy_from_slice(&context.sign().as_ref()[..MAC_BYTES]);
        mac
    }

    /// Seals bytes to the storage key that they are kept under. The nonce must never be used twice.
    pub fn seal(&self, storage_key: &[u8], nonce: [u8; NONCE_BYTES], plain: &[u8]) -> Result<Vec<u8>, IdentityError> {
        let payload = Payload { msg: plain, aad: storage_key };
        let sealed = self.seal.encrypt(&XNonce::from(nonce), payload).map_err(|_| unusable())?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens bytes that were sealed to this storage key.
    pub fn open(&self, storage_key: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or_else(unusable)?;
        let payload = Payload { msg: sealed, aad: storage_key };
        self.seal.decrypt(&XNonce::from(*nonce), payload).map(Zeroizing::new).map_err(|_| unusable())
    }
}

/// Each part is preceded by its length, so that no two lists of parts hash alike.
fn hash(key: &hmac::Key, parts: &[&[u8]]) -> Hash {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut hash = Hash::default();
    hash.copy_from_slice(context.sign().as_ref());
    hash
}

pub(super) fn unusable() -> IdentityError {
    IdentityError("sealed bytes do not open: they are damaged or were sealed under another key".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seals_open_only_in_their_place_and_under_their_key() {
        let secrets = Secrets::derive(&SecretKey::new([1; 32])).expect("keys");
        let other = Secrets::derive(&SecretKey::new([2; 32])).expect("keys");
        let sealed = secrets.seal(b"here", [7; 24], b"secret").expect("sealed");
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_eq!(secrets.open(b"here", &sealed).expect("opens").as_slice(), b"secret");
        assert!(secrets.open(b"there", &sealed).is_err());
        assert!(other.open(b"here", &sealed).is_err());
        assert_ne!(secrets.proof(), other.proof());
    }

    #[test]
    fn hashes_of_one_kind_say_nothing_of_another() {
        let secrets = Secrets::derive(&SecretKey::new([1; 32])).expect("keys");
        assert_ne!(secrets.token("x"), secrets.code("x"));
        assert_ne!(secrets.request(&[b"ab", b"c"]), secrets.request(&[b"a", b"bc"]));
    }
}
