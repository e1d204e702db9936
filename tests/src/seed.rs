//! Seeds of random choices.

use std::io::Write as _;

/// What a test draws its choices from; printed if it fails.
#[derive(Debug)]
pub struct Seed(pub u64);

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
