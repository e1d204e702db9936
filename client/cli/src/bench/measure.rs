//! The measuring: clients that do one operation after the other, and what they count together.
//!
//! The first half second is not counted, nor is what was begun in time and ended too late. An answer that is wrong is
//! counted as an error and not as an operation.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::failure::Failure;

/// What is done before anything is counted.
pub(super) const WARM_UP: Duration = Duration::from_millis(500);

/// What takes longer than a minute is counted as a minute.
const NANOS_MAX: u64 = 60_000_000_000;

/// A client: a connection of its own, and one operation outstanding.
pub(super) trait Driver: Send + 'static {
    /// Does one operation and checks its answer.
    fn run_once(&mut self) -> impl Future<Output = Result<(), String>> + Send;
}

/// What the clients count together.
#[derive(Debug)]
pub(super) struct Tally {
    /// How long each operation took that is counted.
    nanos: Histogram<u64>,
    /// Operations done in all, the uncounted ones too.
    pub(super) done: u64,
    pub(super) errors: u64,
    pub(super) first_error: Option<String>,
}

/// How fast something was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Speed {
    pub(super) ops_per_s: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
}

impl Tally {
    pub(super) fn new() -> Self {
        let nanos = Histogram::new_with_bounds(1, NANOS_MAX, 3).expect("bounds that a histogram can have");
        Self { nanos, done: 0, errors: 0, first_error: None }
    }

    /// Counts an operation.
    pub(super) fn record(&mut self, took: Duration) {
        self.nanos.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Of so many seconds.
    pub(super) fn speed(&self, seconds: u64) -> Speed {
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

/// With one decimal.
pub(super) fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Has all of them run for so long, at once. Dropping it stops them.
pub(super) async fn measure<D: Driver>(drivers: Vec<D>, seconds: u64) -> Result<Tally, Failure> {
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
    // Every clone went with its task.
    let tally = Arc::into_inner(tally).map(|tally| tally.into_inner().unwrap_or_else(PoisonError::into_inner));
    tally.ok_or_else(|| Failure::Io(std::io::Error::other("a client of the bench is still running")))
}

/// When to count.
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
            // What fails at once must not keep the others from their turn.
            tokio::task::yield_now().await;
        }
    }
}

impl Window {
    /// Counts an operation of that time.
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
