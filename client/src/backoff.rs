//! The exponential backoff, with jitter, of attempts to reach the daemon.

use std::time::Duration;

use rand::rngs::{SmallRng, SysRng};
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

const DELAY_MIN: Duration = Duration::from_millis(10);
const DELAY_MAX: Duration = Duration::from_millis(250);

/// The backoff of one outage, which lasts from the first call without a connection to the next answer, `busy` too. A new
/// connection does not end it: otherwise a daemon that accepts and then dies of every request would be retried for ever.
#[derive(Debug)]
pub(crate) struct Backoff {
    until: Instant,
    attempts: u32,
}

impl Backoff {
    /// Begins an outage now, which may last this long.
    pub(crate) fn begin(reconnect_for: Duration) -> Self {
        Self { until: Instant::now() + reconnect_for, attempts: 0 }
    }

    /// The time at which to give up.
    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    /// The delay before the next attempt: zero before the first, then from 10 ms doubling to 250 ms, plus jitter.
    pub(crate) fn next_delay(&mut self, jitter: &mut Jitter) -> Duration {
        let doublings = self.attempts;
        self.attempts += 1;
        match doublings.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => jitter.spread(DELAY_MIN.saturating_mul(1 << doublings.min(10)).min(DELAY_MAX)),
        }
    }
}

/// Random jitter, so that many clients of one daemon do not return in the same instant.
#[derive(Debug)]
pub(crate) struct Jitter(SmallRng);

impl Jitter {
    /// A generator with a seed of its own.
    pub(crate) fn new() -> Self {
        Self(SmallRng::try_from_rng(&mut SysRng).expect("the operating system gives random bytes"))
    }

    /// Adds up to half of the wait.
    pub(crate) fn spread(&mut self, wait: Duration) -> Duration {
        wait.mul_f64(1.0 + 0.5 * self.0.random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_a_bound() {
        let (mut backoff, mut jitter) = (Backoff::begin(Duration::from_secs(2)), Jitter::new());
        assert_eq!(backoff.next_delay(&mut jitter), Duration::ZERO);
        for bound_ms in [10, 20, 40, 80, 160, 250, 250] {
            let (delay, bound) = (backoff.next_delay(&mut jitter), Duration::from_millis(bound_ms));
            assert!(delay >= bound && delay <= bound.mul_f64(1.5), "{delay:?} for {bound:?}");
        }
    }
}
