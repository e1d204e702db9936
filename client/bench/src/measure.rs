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

/// A caller with one operation in flight.
pub(crate) trait Driver: Send + 'static {
    /// Does one operation and checks its answer.
    fn run_once(&mut self) -> impl Future<Output = Result<(), String>> + Send;
}

/// The counts of all clients.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Latencies of the counted operations.
    nanos: Histogram<u64>,
    /// Those of the interval that is not over yet.
    interval: Option<Interval>,
    /// Throughput and percentiles of each interval that is over.
    pub(crate) intervals: Vec<Speed>,
    /// All operations done, uncounted ones included.
    pub(crate) done: u64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
}

/// An interval of the window, with the latencies of the operations that ended in it.
#[derive(Debug)]
struct Interval {
    seconds: u64,
    until: Duration,
    nanos: Histogram<u64>,
}

/// Throughput, latency percentiles, and the longest pause of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Speed {
    pub(crate) ops_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { nanos: histogram(), interval: None, intervals: Vec::new(), done: 0, errors: 0, first_error: None }
    }

    /// A tally that also tells the speed of each interval of this many seconds.
    pub(crate) fn with_intervals(seconds: u64) -> Self {
        let interval = Interval { seconds, until: Duration::from_secs(seconds), nanos: histogram() };
        Self { interval: Some(interval), ..Self::new() }
    }

    /// Counts an operation by its latency, and by the time of its end since the window began.
    pub(crate) fn record(&mut self, took: Duration, ended: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.saturating_record(nanos);
        if let Some(interval) = &mut self.interval {
            while ended >= interval.until {
                self.intervals.push(Speed::of(&interval.nanos, interval.seconds));
                interval.nanos.reset();
                interval.until += Duration::from_secs(interval.seconds);
            }
            interval.nanos.saturating_record(nanos);
        }
    }

    /// The throughput and percentiles of a window of this many seconds.
    pub(crate) fn speed(&self, seconds: u64) -> Speed {
        Speed::of(&self.nanos, seconds)
    }

    /// Ends the last interval with the window.
    fn finish(mut self) -> Self {
        if let Some(interval) = self.interval.take() {
            self.intervals.push(Speed::of(&interval.nanos, interval.seconds));
        }
        self
    }
}

impl Speed {
    fn of(nanos: &Histogram<u64>, seconds: u64) -> Self {
        let micros = |quantile| tenths(Duration::from_nanos(nanos.value_at_quantile(quantile)).as_secs_f64() * 1e6);
        let operations = u32::try_from(nanos.len()).map_or(f64::INFINITY, f64::from);
        Self {
            ops_per_s: tenths(operations / Duration::from_secs(seconds).as_secs_f64()),
            p50_us: micros(0.5),
            p99_us: micros(0.99),
            p999_us: micros(0.999),
            max_us: micros(1.0),
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, NANOS_MAX, 3).expect("bounds that a histogram can have")
}

/// Rounds to one decimal.
pub(crate) fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Runs all drivers at once for the warm-up and this many seconds, and counts into the tally. Dropping the future stops
/// them.
pub(crate) async fn measure<D: Driver>(drivers: Vec<D>, seconds: u64, tally: Tally) -> Result<Tally, Failure> {
    let from = Instant::now() + WARM_UP;
    let window = Window { from, until: from + Duration::from_secs(seconds) };
    let tally = Arc::new(Mutex::new(tally));
    let mut running = JoinSet::new();
    for driver in drivers {
        running.spawn(drive(driver, window, tally.clone()));
    }
    while let Some(ended) = running.join_next().await {
        ended.map_err(|err| Failure::Io(err.into()))?;
    }
    // Every other clone ended with its task.
    let tally = Arc::into_inner(tally).map(|tally| tally.into_inner().unwrap_or_else(PoisonError::into_inner));
    tally.map(Tally::finish).ok_or_else(|| Failure::Io(std::io::Error::other("a client of the bench is still running")))
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
                    tally.record(time.end - time.start, time.end - self.from);
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
            tally.record(Duration::from_millis(millis), Duration::ZERO);
        }
        let speed = tally.speed(4);
        assert_eq!(speed.ops_per_s, 1.5);
        assert!((999.0..1002.0).contains(&speed.p50_us) && (1999.0..2003.0).contains(&speed.p99_us), "{speed:?}");
    }

    #[test]
    fn an_interval_has_what_ended_in_it() {
        let mut tally = Tally::with_intervals(2);
        for ended in [0, 1, 5] {
            tally.record(Duration::from_millis(1), Duration::from_secs(ended));
        }
        let speeds: Vec<f64> = tally.finish().intervals.iter().map(|speed| speed.ops_per_s).collect();
        assert_eq!(speeds, [1.0, 0.0, 0.5]);
    }
}
