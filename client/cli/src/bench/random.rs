//! Randomness of one client, seeded by the operating system once: a system call per token would be measured too.

use enroll_client::protocol::Callsign;
use rand::rngs::{ChaCha8Rng, SysRng};
use rand::{RngExt, SeedableRng};

const CODE_ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ23456789";

const CODE_CHARACTERS: usize = 8;

/// See the module.
#[derive(Debug)]
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    /// With a seed of its own.
    pub(crate) fn new() -> Self {
        Self(ChaCha8Rng::try_from_rng(&mut SysRng).expect("the operating system gives random bytes"))
    }

    /// A callsign that nobody had before.
    pub(crate) fn callsign(&mut self) -> Result<Callsign, String> {
        Callsign::new(format!("Call{:016x}", self.0.random::<u64>())).map_err(|err| err.to_string())
    }

    /// One of these, each as likely; `None` where there are none.
    pub(crate) fn choose<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() { None } else { all.get(self.0.random_range(0..all.len())) }
    }

    /// 64 hexadecimal digits that nobody had before.
    pub(crate) fn token(&mut self) -> String {
        format!("{:032x}{:032x}", self.0.random::<u128>(), self.0.random::<u128>())
    }

    /// A code as the daemon draws them for enrollments, for stores that do not draw any themselves.
    pub(crate) fn code(&mut self) -> String {
        (0..CODE_CHARACTERS).map(|_| char::from(CODE_ALPHABET[self.0.random_range(0..CODE_ALPHABET.len())])).collect()
    }

    /// A pk that nobody had before, as 32 hexadecimal digits.
    pub(crate) fn pk(&mut self) -> String {
        format!("{:032x}", self.0.random::<u128>())
    }

    /// One of `0..end`, each as likely.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0.random_range(0..end)
    }
}
