//! The random number generator of one client. The operating system seeds it once, so that no system call is measured.

use enroll_client::protocol::Callsign;
use rand::rngs::{ChaCha8Rng, SysRng};
use rand::{RngExt, SeedableRng};

const CODE_ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ23456789";

const CODE_CHARACTERS: usize = 8;

/// Generates random values for one client.
#[derive(Debug)]
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    /// Makes a generator with a seed of its own.
    pub(crate) fn new() -> Self {
        Self(ChaCha8Rng::try_from_rng(&mut SysRng).expect("the operating system gives random bytes"))
    }

    /// A new callsign.
    pub(crate) fn callsign(&mut self) -> Result<Callsign, String> {
        Callsign::new(format!("Call{:016x}", self.0.random::<u64>())).map_err(|err| err.to_string())
    }

    /// A uniformly random item; `None` of an empty list.
    pub(crate) fn choose<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() { None } else { all.get(self.0.random_range(0..all.len())) }
    }

    /// A new token of 64 hexadecimal digits.
    pub(crate) fn token(&mut self) -> String {
        format!("{:032x}{:032x}", self.0.random::<u128>(), self.0.random::<u128>())
    }

    /// A code in the form of the daemon's approve codes, for peers that draw none.
    pub(crate) fn code(&mut self) -> String {
        (0..CODE_CHARACTERS).map(|_| char::from(CODE_ALPHABET[self.0.random_range(0..CODE_ALPHABET.len())])).collect()
    }

    /// A new pk of 32 hexadecimal digits.
    pub(crate) fn pk(&mut self) -> String {
        format!("{:032x}", self.0.random::<u128>())
    }

    /// A uniformly random number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0.random_range(0..end)
    }
}
