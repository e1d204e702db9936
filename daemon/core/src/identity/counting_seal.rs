//! The counting seal: AES-256-GCM with a counter as its nonce and a key for each start, for the kept answers, of which
//! there is one for each write.
//!
//! A nonce that is used twice under one key would break the seal. It can not be: the key is derived from the secret key
//! and from a salt of 16 bytes, which the system's random source gives at each start, and the counter belongs to the
//! process. Neither is ever read back from a disk. So a start after a crash, on a restored backup or on a copy of the
//! state directory has another key, also beside the first one and under the same secret key; two starts of 2^32 have
//! the same salt with a probability of 2^-65. The counter ends before 2^64, and sealing is an error from there on.
//!
//! ```text
//! sealed  version 1 | salt 16 | counter 8 | cipher text | tag 16
//! ```
//!
//! Answers were sealed as everything else once, under XChaCha20-Poly1305 with a drawn nonce before the cipher text and no
//! version. What begins with the version by chance and does not open is opened as one of those: a tag of 16 bytes tells.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::IdentityError;
use super::secrets::{Secrets, unusable};

/// Bytes of a salt.
pub const SALT_BYTES: usize = 16;

/// The first byte of sealed bytes.
const VERSION: u8 = 2;

/// Bytes before the cipher text.
const PREFIX_BYTES: usize = 1 + SALT_BYTES + 8;

/// A seal that counts. There must be one for a salt.
pub struct CountingSeal {
    key: LessSafeKey,
    salt: [u8; SALT_BYTES],
    /// The next nonce.
    counter: u64,
}

impl CountingSeal {
    /// A seal under the secret key of these secrets. The salt must be drawn for it and never be used again.
    pub fn new(secrets: &Secrets, salt: [u8; SALT_BYTES]) -> Result<Self, IdentityError> {
        Ok(Self { key: key_of(secrets, &salt)?, salt, counter: 0 })
    }

    /// Seals bytes to the storage key that they are kept under.
    pub fn seal(&mut self, storage_key: &[u8], plain: &[u8]) -> Result<Vec<u8>, IdentityError> {
        let counter = self.counter;
        self.counter = counter.checked_add(1).ok_or_else(unusable)?;
        let mut sealed = Vec::with_capacity(PREFIX_BYTES + plain.len() + AES_256_GCM.tag_len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.salt);
        sealed.extend_from_slice(&counter.to_be_bytes());
        sealed.extend_from_slice(plain);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce(counter), Aad::from(storage_key), &mut sealed[PREFIX_BYTES..])
            .map_err(|_| unusable())?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }
}

impl Secrets {
    /// Opens bytes that a counting seal sealed to this storage key under the same secret key, or [`Secrets::seal`].
    pub fn open_counted(&self, storage_key: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
        match opened(self, storage_key, sealed)? {
            Some(plain) => Ok(plain),
            None => self.open(storage_key, sealed),
        }
    }
}

/// `None` for bytes that no counting seal made.
fn opened(secrets: &Secrets, storage_key: &[u8], sealed: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, IdentityError> {
    let Some(rest) = sealed.strip_prefix(&[VERSION]) else { return Ok(None) };
    let Some((salt, rest)) = rest.split_first_chunk::<SALT_BYTES>() else { return Ok(None) };
    let Some((counter, cipher)) = rest.split_first_chunk::<8>() else { return Ok(None) };
    let mut bytes = Zeroizing::new(cipher.to_vec());
    let nonce = nonce(u64::from_be_bytes(*counter));
    let opened = key_of(secrets, salt)?.open_in_place(nonce, Aad::from(storage_key), &mut bytes);
    let Ok(plain_bytes) = opened.map(|plain| plain.len()) else { return Ok(None) };
    bytes.truncate(plain_bytes);
    Ok(Some(bytes))
}

fn key_of(secrets: &Secrets, salt: &[u8; SALT_BYTES]) -> Result<LessSafeKey, IdentityError> {
    let info = [salt.as_slice()];
    let derived = secrets.answers().expand(&info, &AES_256_GCM).map_err(|_| unusable())?;
    Ok(LessSafeKey::new(UnboundKey::from(derived)))
}

fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[NONCE_LEN - 8..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::secrets::SecretKey;
    use super::*;

    fn secrets(key: u8) -> Secrets {
        Secrets::derive(&SecretKey::new([key; 32])).expect("keys")
    }

    #[test]
    fn counted_seals_open_only_in_their_place_and_under_their_key() {
        let (here, other) = (secrets(1), secrets(2));
        let mut seal = CountingSeal::new(&here, [7; SALT_BYTES]).expect("a seal");
        for plain in [b"secret".as_slice(), b""] {
            let sealed = seal.seal(b"here", plain).expect("sealed");
            assert!(!sealed.windows(6).any(|window| window == b"secret"));
            assert_eq!(here.open_counted(b"here", &sealed).expect("opens").as_slice(), plain);
            assert!(here.open_counted(b"there", &sealed).is_err());
            assert!(other.open_counted(b"here", &sealed).is_err());
            for at in 0..sealed.len() {
                let mut sealed = sealed.clone();
                sealed[at] ^= 1;
                assert!(here.open_counted(b"here", &sealed).is_err(), "byte {at}");
            }
        }
    }

    #[test]
    fn what_was_sealed_before_there_were_versions_opens_whatever_it_begins_with() {
        let secrets = secrets(1);
        for first in 0..=u8::MAX {
            let sealed = secrets.seal(b"here", [first; 24], b"secret").expect("sealed");
            assert_eq!(secrets.open_counted(b"here", &sealed).expect("opens").as_slice(), b"secret");
        }
    }

    #[test]
    fn no_key_has_a_nonce_twice() {
        let secrets = secrets(1);
        let mut prefixes = BTreeSet::new();
        let mut streams = BTreeSet::new();
        for salt in 0..20 {
            let mut seal = CountingSeal::new(&secrets, [salt; SALT_BYTES]).expect("a seal");
            for _ in 0..50 {
                let sealed = seal.seal(b"here", &[0; 32]).expect("sealed");
                assert!(prefixes.insert(sealed[..PREFIX_BYTES].to_vec()), "a salt and a counter come again");
                assert!(streams.insert(sealed[PREFIX_BYTES..].to_vec()), "a key stream comes again");
            }
        }
        let mut last = CountingSeal { counter: u64::MAX, ..CountingSeal::new(&secrets, [1; 16]).expect("a seal") };
        last.seal(b"here", b"secret").expect_err("the counter would begin anew");
    }
}
