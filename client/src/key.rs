//! The idempotency keys of writes whose caller gave none: UUIDv7, so that they ascend in the daemon's tree.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use enroll_protocol::{Key, Pk};
use rand::rngs::{ChaCha12Rng, SysRng};
use rand::{Rng, SeedableRng};

/// Generates unique keys.
#[derive(Debug)]
pub(crate) struct KeyMaker(Mutex<ChaCha12Rng>);

impl KeyMaker {
    /// A generator with a seed from the operating system.
    pub(crate) fn new() -> Self {
        let rng = ChaCha12Rng::try_from_rng(&mut SysRng).expect("the operating system gives random bytes");
        Self(Mutex::new(rng))
    }

    /// A new key.
    pub(crate) fn make(&self) -> Key {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX);
        let mut random = [0; 10];
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut random);
        Key(Pk::v7(micros, random))
    }
}
