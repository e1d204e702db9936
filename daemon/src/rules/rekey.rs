//! What another secret key makes of each stored record: everything that was sealed is sealed anew.
//!
//! Hashes can not be made anew, because nobody knows what was hashed. The key that they were made with goes on making
//! them, sealed under the new one.

use rand::Rng as _;
use rand::rngs::ChaCha20Rng;

use super::bootstrap::RegistryError;
use crate::identity::secrets::SecretKey;
use crate::identity::{IdentityError, Secrets};
use crate::model::certificate::{Authority, Certificate};
use crate::model::key::{self, Family};
use crate::model::record::{self, HashingKey, Kept, Registry, SigningKey};

/// From one key to another.
pub struct Rekey<'a> {
    /// Opens what there is.
    pub before: &'a Secrets,
    /// Seals it.
    pub after: &'a Secrets,
    /// Where nonces come from.
    pub random: ChaCha20Rng,
}

impl Rekey<'_> {
    /// The value of an entry under the new key.
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
            let sealed = self.seal_again(key, &kept.sealed)?;
            return Ok(record::encode(&Kept { sealed, ..kept }));
        }
        Ok(value.to_owned())
    }

    /// The record of the key that hashes are made with, where that was the secret key itself so far.
    pub fn hashing_key(&mut self, before: &SecretKey) -> Result<Vec<u8>, RegistryError> {
        let sealed = self.seal(&key::hashing_key(), before.as_slice())?;
        Ok(record::encode(&HashingKey { sealed }))
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
