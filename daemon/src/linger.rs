//! Linger, also called commit delay: how long a batch whose commit is a round trip waits for company.
//!
//! Callers that wait for an answer before they ask again fall into two halves: while the requests of one are committed,
//! those of the other wait, and each round trip takes half of what it could. So the next batch waits for those that were
//! just answered, for a quarter of the last round trip at most. A lone caller waits for nobody.

use std::time::{Duration, Instant};

/// The part of the last round trip that the next batch waits at most.
const PART: u32 = 4;

/// The longest wait, so that one slow round trip does not make the next batch slow too.
const LONGEST: Duration = Duration::from_millis(2);

/// The wait of the next batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Linger {
    /// Requests that are expected.
    pub(crate) expected: u64,
    until: Instant,
}

impl Default for Linger {
    /// No wait.
    fn default() -> Self {
        Self { expected: 0, until: Instant::now() }
    }
}

impl Linger {
    /// The wait after a round trip that began at this time and ends now. So many requests, answered now, may be followed by
    /// others of the same callers; so many came meanwhile.
    pub(crate) fn after(began: Instant, answered: u64, came: u64) -> Self {
        let now = Instant::now();
        Self { expected: answered + came, until: now + longest(now - began) }
    }

    /// The time that is left to wait; `None` if it is over.
    pub(crate) fn left(&self) -> Option<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}

/// The longest wait after a round trip that took this time.
fn longest(took: Duration) -> Duration {
    (took / PART).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_came_and_those_that_were_answered_are_expected_for_a_quarter_of_the_round_trip() {
        assert_eq!(Linger::after(Instant::now(), 30, 2).expected, 32);
        assert_eq!(longest(Duration::from_millis(4)), Duration::from_millis(1));
        assert_eq!(longest(Duration::from_secs(1)), LONGEST);
        assert_eq!(Linger::default().left(), None);
    }
}
