//! The time that the latest batches took to become durable, as a moving average: it tells a disk that became slow.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The weight of the latest batch in the average.
const WEIGHT: f64 = 1.0 / 16.0;

/// An average is of the past after this time without a batch, and tells nothing of the disk as it is.
const FORGET_AFTER: Duration = Duration::from_secs(10 * 60);

/// The average, and the time of the latest batch.
#[derive(Debug, Clone, Default)]
pub struct CommitTime(Arc<Mutex<Option<(f64, Instant)>>>);

impl CommitTime {
    /// Adds a batch that took this long.
    pub fn add(&self, seconds: f64) {
        self.add_at(seconds, Instant::now());
    }

    /// The average in seconds; 0 where there was no batch lately.
    pub fn seconds(&self) -> f64 {
        self.seconds_at(Instant::now())
    }

    fn add_at(&self, seconds: f64, now: Instant) {
        let before = self.seconds_at(now);
        let average = if before > 0.0 { before + (seconds - before) * WEIGHT } else { seconds };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((average, now));
    }

    fn seconds_at(&self, now: Instant) -> f64 {
        let latest = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest.filter(|(_, at)| now.duration_since(*at) < FORGET_AFTER).map_or(0.0, |(average, _)| average)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_batch_is_no_slow_disk_and_the_past_is_forgotten() {
        let (times, start) = (CommitTime::default(), Instant::now());
        assert_eq!(times.seconds_at(start), 0.0);
        times.add_at(0.002, start);
        times.add_at(1.0, start);
        assert!((0.05..0.1).contains(&times.seconds_at(start)), "{}", times.seconds_at(start));
        for _ in 0..50 {
            times.add_at(1.0, start);
        }
        assert!(times.seconds_at(start) > 0.9);
        assert_eq!(times.seconds_at(start + FORGET_AFTER), 0.0);
        times.add_at(0.002, start + FORGET_AFTER);
        assert_eq!(times.seconds_at(start + FORGET_AFTER), 0.002);
    }
}
