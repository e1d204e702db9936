//! Seeds of random choices.

use std::io::Write as _;
use std::ops::Range;

/// The seed of a test's random choices; printed if it fails.
#[derive(Debug)]
pub struct Seed(pub u64);

/// The seeds of seeded histories: so many as `ENROLL_HISTORIES` says, or else `usual`; or only the one of
/// `ENROLL_SEED`.
pub fn of_histories(usual: u64) -> Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    match number("ENROLL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ENROLL_HISTORIES").unwrap_or(usual),
    }
}

impl Seed {
    /// The one that `ENROLL_SEED` names, or always the same one.
    pub fn of_this_run() -> Self {
        Self(std::env::var("ENROLL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_260_131))
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "failed with ENROLL_SEED={}", self.0);
        }
    }
}
