//! Randomness of one client, seeded by the operating system once: a system call per token would be measured too.

use rand::rngs::{ChaCha8Rng, SysRng};
use rand::{RngExt, SeedableRng};

/// See the module.
#[derive(Debug)]
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    /// With a seed of its own.
    pub(crate) fn new() -> Self {
        Self(ChaCha8Rng::try_from_rng(&mut SysRng).expect("the operating system gives random bytes"))
    }

    /// 32 hexadecimal digits that nobody had before.
    pub(crate) fn token(&mut self) -> String {
        format!("{:032x}", self.0.random::<u128>())
    }
}
