//! The measurement: closed-loop clients, and the latency histogram and error count that they share.
//!
//! The first half second warms up and is not counted. Operations that end after the window are not counted. A wrong
//! answer counts as an error and not as an operation.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::task::JoinSet;

use enrollctl::failure::Failure;

/// The time before the window, in which nothing is counted.
pub(crate) const WARM_UP: Duration = Duration::from_millis(500);

/// The longest latency of the histogram, a minute; longer ones count as this.
const NANOS_MAX: u64 = 60_000_000_000;

/// A client with a connection of its own and one operation outstanding.
pub(crate) trait Driver: Send + 'static {
    /// Does one operation and checks its answer.
    fn run_once(&mut self) -> impl Future<Output = Result<(), String>> + Send;
}

/// The counts of all clients.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Latencies of the counted operations.
    nanos: Histogram<u64>,
    /// All operations done, uncounted ones included.
    pub(crate) done: u64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
}

/// Throughput and latency percentiles.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Speed {
    pub(crate) ops_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        let nanos = Histogram::new_with_bounds(1, NANOS_MAX, 3).expect("bounds that a histogram can have");
        Self { nanos, done: 0, errors: 0, first_error: None }
    }

    /// Counts an operation by its latency.
    pub(crate) fn record(&mut self, took: Duration) {
        self.nanos.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// The throughput and percentiles of a window of this many seconds.
    pub(crate) fn speed(&self, seconds: u64) -> Speed {
        let micros =
            |quantile| tenths(Duration::from_nanos(self.nanos.value_at_quantile(quantile)).as_secs_f64() * 1e6);
        let operations = u32::try_from(self.nanos.len()).map_or(f64::INFINITY, f64::from);
        Speed {
            ops_per_s: tenths(operations / Duration::from_secs(seconds).as_secs_f64()),
            p50_us: micros(0.5),
            p99_us: micros(0.99),
            p999_us: micros(0.999),
        }
    }
}

/// Rounds to one decimal.
pub(crate) fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Runs all drivers at once for the warm-up and this many seconds. Dropping the future stops them.
pub(crate) async fn measure<D: Driver>(drivers: Vec<D>, seconds: u64) -> Result<Tally, Failure> {
    let from = Instant::now() + WARM_UP;
    let window = Window { from, until: from + Duration::from_secs(seconds) };
    let tally = Arc::new(Mutex::new(Tally::new()));
    let mut running = JoinSet::new();
    for driver in drivers {
        running.spawn(drive(driver, window, tally.clone()));
    }
    while let Some(ended) = running.join_next().await {
        ended.map_err(|err| Failure::Io(err.into()))?;
    }
    // Every other clone ended with its task.
    let tally = Arc::into_inner(tally).map(|tally| tally.into_inner().unwrap_or_else(PoisonError::into_inner));
    tally.ok_or_else(|| Failure::Io(std::io::Error::other("a client of the bench is still running")))
}

/// The time in which operations are counted.
#[derive(Debug, Clone, Copy)]
struct Window {
    from: Instant,
    until: Instant,
}

async fn drive(mut driver: impl Driver, window: Window, tally: Arc<Mutex<Tally>>) {
    loop {
        let begun = Instant::now();
        if begun >= window.until {
            return;
        }
        let outcome = driver.run_once().await;
        let (ended, is_error) = (Instant::now(), outcome.is_err());
        window.count(begun..ended, outcome, &mut tally.lock().unwrap_or_else(PoisonError::into_inner));
        if is_error {
            // A driver that fails at once must not starve the others.
            tokio::task::yield_now().await;
        }
    }
}

impl Window {
    /// Counts an operation of this duration and outcome.
    fn count(self, time: Range<Instant>, outcome: Result<(), String>, tally: &mut Tally) {
        match outcome {
            Ok(()) => {
                tally.done += 1;
                if time.start >= self.from && time.end <= self.until {
                    tally.record(time.end - time.start);
                }
            }
            Err(error) if time.start >= self.from => {
                tally.errors += 1;
                tally.first_error.get_or_insert(error);
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_is_what_was_counted_by_the_time_it_took() {
        let mut tally = Tally::new();
        for millis in [1, 1, 1, 1, 1, 2] {
            tally.record(Duration::from_millis(millis));
        }
        let speed = tally.speed(4);
        assert_eq!(speed.ops_per_s, 1.5);
        assert!((999.0..1002.0).contains(&speed.p50_us) && (1999.0..2003.0).contains(&speed.p99_us), "{speed:?}");
    }
}
