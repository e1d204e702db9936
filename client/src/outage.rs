//! How long the daemon has been missed, and when to look for it again.

use std::time::Duration;

use rand::rngs::{SmallRng, SysRng};
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

const DELAY_MIN: Duration = Duration::from_millis(10);
const DELAY_MAX: Duration = Duration::from_millis(250);

/// The time from the moment a call had no connection to the next ordinary answer. A new connection alone does not end
/// it: a daemon that accepts and then dies of every request would otherwise be asked for ever.
#[derive(Debug)]
pub(crate) struct Outage {
    until: Instant,
    attempts: u32,
}

impl Outage {
    /// An outage that begins now and may last this long.
    pub(crate) fn begin(reconnect_for: Duration) -> Self {
        Self { until: Instant::now() + reconnect_for, attempts: 0 }
    }

    /// When to give up.
    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    /// How long to wait before the next attempt: not at all before the first, then longer each time.
    pub(crate) fn next_delay(&mut self, jitter: &mut Jitter) -> Duration {
        let doublings = self.attempts;
        self.attempts += 1;
        match doublings.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => jitter.spread(DELAY_MIN.saturating_mul(1 << doublings.min(10)).min(DELAY_MAX)),
        }
    }
}

/// Spreads waits, so that many clients of one daemon do not come back in the same instant.
#[derive(Debug)]
pub(crate) struct Jitter(SmallRng);

impl Jitter {
    /// A spread of its own.
    pub(crate) fn new() -> Self {
        Self(SmallRng::try_from_rng(&mut SysRng).expect("the operating system gives random bytes"))
    }

    /// At least this long, and up to half as long again.
    pub(crate) fn spread(&mut self, wait: Duration) -> Duration {
        wait.mul_f64(1.0 + 0.5 * self.0.random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_a_bound() {
        let (mut outage, mut jitter) = (Outage::begin(Duration::from_secs(2)), Jitter::new());
        assert_eq!(outage.next_delay(&mut jitter), Duration::ZERO);
        for bound_ms in [10, 20, 40, 80, 160, 250, 250] {
            let (delay, bound) = (outage.next_delay(&mut jitter), Duration::from_millis(bound_ms));
            assert!(delay >= bound && delay <= bound.mul_f64(1.5), "{delay:?} for {bound:?}");
        }
    }
}
