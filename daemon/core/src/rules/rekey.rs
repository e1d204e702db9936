//! Key rotation of the secret key: each sealed record is opened with the old key and sealed with the new one.
//!
//! Hashes can not be made anew, because the hashed values are not stored. The key that they were made with stays the
//! hashing key, sealed under the new secret key.

use rand::Rng as _;
use rand::rngs::ChaCha20Rng;

use super::bootstrap::RegistryError;
use crate::identity::secrets::SecretKey;
use crate::identity::{CountingSeal, IdentityError, Secrets};
use crate::model::certificate::{Authority, Certificate};
use crate::model::idempotency::{Kept, KeptPart};
use crate::model::key::{self, Family};
use crate::model::record::{self, HashingKey, Registry, SigningKey};

/// A rotation from one secret key to another.
pub struct Rekey<'a> {
    /// The old key, which opens records.
    pub before: &'a Secrets,
    /// The new key, which seals them.
    pub after: &'a Secrets,
    /// The seal of kept answers, under the new key.
    pub answers: CountingSeal,
    /// The source of the other nonces.
    pub random: ChaCha20Rng,
}

impl Rekey<'_> {
    /// The value of an entry, sealed under the new key if the record has secrets.
    pub fn entry(&mut self, key: &[u8], value: &[u8]) -> Result<Vec<u8>, RegistryError> {
        if key == key::registry() {
            let registry = record::decode::<Registry>(value)?;
            return Ok(record::encode(&Registry { proof: self.after.proof(), ..registry }));
        }
        if key == key::authority() {
            let authority = record::decode::<Authority>(value)?;
            let sealed = authority.sealed.map(|sealed| self.seal_again(key, &sealed)).transpose()?;
            return Ok(record::encode(&Authority { sealed, ..authority }));
        }
        if key == key::hashing_key() {
            let HashingKey { sealed } = record::decode(value)?;
            return Ok(record::encode(&HashingKey { sealed: self.seal_again(key, &sealed)? }));
        }
        if Family::SigningKeys.holds(key) {
            let signing = record::decode::<SigningKey>(value)?;
            let sealed = self.seal_again(key, &signing.sealed)?;
            return Ok(record::encode(&SigningKey { sealed, ..signing }));
        }
        if Family::Certificates.holds(key) {
            let certificate = record::decode::<Certificate>(value)?;
            let sealed = certificate.sealed.map(|sealed| self.seal_again(key, &sealed)).transpose()?;
            return Ok(record::encode(&Certificate { sealed, ..certificate }));
        }
        if Family::Kept.holds(key) {
            let kept = record::decode::<Kept>(value)?;
            let sealed = self.seal_answer_again(key, &kept.sealed)?;
            return Ok(record::encode(&Kept { sealed, ..kept }));
        }
        if Family::KeptParts.holds(key) {
            let KeptPart { sealed } = record::decode(value)?;
            return Ok(record::encode(&KeptPart { sealed: self.seal_answer_again(key, &sealed)? }));
        }
        Ok(value.to_owned())
    }

    /// The record of the hashing key for a registry whose hashes were made with the secret key itself.
    pub fn hashing_key(&mut self, before: &SecretKey) -> Result<Vec<u8>, RegistryError> {
        let sealed = self.seal(&key::hashing_key(), before.as_slice())?;
        Ok(record::encode(&HashingKey { sealed }))
    }

    fn seal_answer_again(&mut self, key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, IdentityError> {
        self.answers.seal(key, &self.before.open_counted(key, sealed)?)
    }

    fn seal_again(&mut self, key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, IdentityError> {
        let plain = self.before.open(key, sealed)?;
        self.seal(key, &plain)
    }

    fn seal(&mut self, key: &[u8], plain: &[u8]) -> Result<Vec<u8>, IdentityError> {
        let mut nonce = [0; 24];
        self.random.fill_bytes(&mut nonce);
        self.after.seal(key, nonce, plain)
    }
}
