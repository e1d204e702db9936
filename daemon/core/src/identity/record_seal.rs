//! The record seal: AES-256-GCM for the records of a shared journal, which lies with others, with a key for each term.
//!
//! A nonce that is used twice under one key would break the seal. It can not be: the key is derived from the secret key, the
//! journal's identity and the term, and the nonce is the record's number. A term belongs to one process, which makes each
//! number once; when it repeats an append, it repeats the bytes that it sealed. A process that starts again, on whatever
//! copy of a state directory, has another term, because the engine gives each out once.
//!
//! The place of a record is authenticated with it: identity, term, number, and the checksum of the record before. So a
//! record that was moved, left out or put elsewhere does not open.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::IdentityError;
use super::secrets::{Secrets, unusable};

/// The place of a record in a shared journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The random identity of the journal.
    pub identity: u64,
    /// The term of the daemon that made it.
    pub term: u64,
    /// Its number.
    pub number: u64,
    /// The checksum of the record before it.
    pub before: u64,
}

impl Secrets {
    /// Seals the record of this place, appending to `out`.
    pub fn seal_record(&self, place: &Place, plain: &[u8], out: &mut Vec<u8>) -> Result<(), IdentityError> {
        let begin = out.len();
        out.extend_from_slice(plain);
        let key = self.record_key(place)?;
        let tag = key.seal_in_place_separate_tag(place.nonce(), Aad::from(place.bytes()), &mut out[begin..]);
        out.extend_from_slice(tag.map_err(|_| unusable())?.as_ref());
        Ok(())
    }

    /// Opens the record of this place. Fails under another secret key, and for a record of another place.
    pub fn open_record(&self, place: &Place, sealed: &[u8]) -> Result<Vec<u8>, IdentityError> {
        let mut bytes = sealed.to_vec();
        let key = self.record_key(place)?;
        let plain = key.open_in_place(place.nonce(), Aad::from(place.bytes()), &mut bytes).map_err(|_| unusable())?;
        let plain = plain.len();
        bytes.truncate(plain);
        Ok(bytes)
    }

    fn record_key(&self, place: &Place) -> Result<LessSafeKey, IdentityError> {
        let (identity, term) = (place.identity.to_be_bytes(), place.term.to_be_bytes());
        let info = [identity.as_slice(), &term];
        let derived = self.records().expand(&info, &AES_256_GCM).map_err(|_| unusable())?;
        Ok(LessSafeKey::new(UnboundKey::from(derived)))
    }
}

impl Place {
    fn nonce(&self) -> Nonce {
        let mut bytes = [0; NONCE_LEN];
        bytes[NONCE_LEN - 8..].copy_from_slice(&self.number.to_be_bytes());
        Nonce::assume_unique_for_key(bytes)
    }

    fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (at, part) in [self.identity, self.term, self.number, self.before].into_iter().enumerate() {
            bytes[8 * at..8 * (at + 1)].copy_from_slice(&part.to_be_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::secrets::SecretKey;
    use super::*;

    #[test]
    fn a_record_opens_in_its_place_and_under_its_key_alone() {
        let secrets = |key| Secrets::derive(&SecretKey::new([key; 32])).expect("keys");
        let (here, other) = (secrets(1), secrets(2));
        let place = Place { identity: 1, term: 2, number: 3, before: 4 };
        let mut sealed = b"before".to_vec();
        here.seal_record(&place, b"a callsign", &mut sealed).expect("sealed");
        let sealed = sealed.strip_prefix(b"before").expect("appended");
        assert!(!sealed.windows(8).any(|window| window == b"callsign"));
        assert_eq!(here.open_record(&place, sealed).expect("opens"), b"a callsign");
        assert!(other.open_record(&place, sealed).is_err());
        for elsewhere in [
            Place { identity: 9, ..place },
            Place { term: 9, ..place },
            Place { number: 9, ..place },
            Place { before: 9, ..place },
        ] {
            assert!(here.open_record(&elsewhere, sealed).is_err(), "{elsewhere:?}");
        }
        for at in 0..sealed.len() {
            let mut sealed = sealed.to_vec();
            sealed[at] ^= 1;
            assert!(here.open_record(&place, &sealed).is_err(), "byte {at}");
        }
    }
}
