//! Rates and percentiles: what happened between two snapshots of one run, or since its start.

use enroll_client::protocol::server::{DaemonSnapshot, Journal};

/// The counts of a period.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rates {
    /// The length of the period.
    pub(crate) seconds: f64,
    /// True if the period began with the daemon.
    pub(crate) is_since_start: bool,
    /// Calls of all operations.
    pub(crate) calls: Calls,
    /// Calls by operation, in the order of the snapshot.
    pub(crate) operations: Vec<(String, Calls)>,
    /// Refusals by code.
    pub(crate) refusals: Vec<Refusals>,
    /// Commits of batches.
    pub(crate) commits: Commits,
    /// The journal and the flusher, where there is a journal.
    pub(crate) flusher: Option<Flusher>,
}

/// Calls in the period, and their outcomes since the start.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Calls {
    pub(crate) per_second: f64,
    pub(crate) refused_per_second: f64,
    pub(crate) p50: Option<Percentile>,
    pub(crate) p99: Option<Percentile>,
    /// Done, refused and failed since the start.
    pub(crate) outcomes: [u64; 3],
}

/// Refusals with a code.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Refusals {
    pub(crate) code: String,
    pub(crate) per_second: f64,
    /// Since the start.
    pub(crate) total: u64,
}

/// Commits in the period.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Commits {
    pub(crate) per_second: f64,
    pub(crate) p50: Option<Percentile>,
    pub(crate) p99: Option<Percentile>,
    /// The mean number of requests in a batch; none where there was no batch.
    pub(crate) batch: Option<f64>,
}

/// The flusher's work in the period.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Flusher {
    pub(crate) flushes_per_second: f64,
    pub(crate) keys_per_second: f64,
    /// The share of the time in which it moved writes; 0 to 1.
    pub(crate) busy: f64,
    /// The share of the time for which batches were held back.
    pub(crate) paced: f64,
}

/// A percentile of durations, as exact as the buckets are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Percentile {
    pub(crate) micros: f64,
    /// True if it lies above the last bound, which `micros` is then.
    pub(crate) is_more: bool,
}

impl Rates {
    /// The counts since this earlier snapshot; since the start where there is none, or where it is of another run.
    pub(crate) fn between(before: Option<&DaemonSnapshot>, now: &DaemonSnapshot) -> Self {
        let none = DaemonSnapshot::default();
        let is_of_this_run =
            |before: &&DaemonSnapshot| before.started == now.started && before.uptime_micros < now.uptime_micros;
        let before = before.filter(is_of_this_run);
        let (is_since_start, before) = (before.is_none(), before.unwrap_or(&none));
        // A daemon that was asked at once has no period to divide by.
        let seconds = (now.uptime_micros.saturating_sub(before.uptime_micros) as f64 / 1e6).max(1e-3);
        let bounds = &now.duration_bounds_micros;
        let commits = differences(&before.writer.commits, &now.writer.commits);
        let batches = sum(&differences(&before.writer.batches, &now.writer.batches));
        let batched = now.writer.batched.saturating_sub(before.writer.batched);
        let mut rates = Self {
            seconds,
            is_since_start,
            commits: Commits {
                per_second: sum(&commits) as f64 / seconds,
                p50: percentile(&commits, bounds, 0.50),
                p99: percentile(&commits, bounds, 0.99),
                batch: (batches > 0).then(|| batched as f64 / batches as f64),
            },
            flusher: now.journal.map(|journal| flusher(before.journal.unwrap_or_default(), journal, seconds)),
            ..Self::default()
        };
        rates.count_calls(before, now);
        rates.refusals = now
            .refusals
            .iter()
            .map(|row| {
                let earlier = before.refusals.iter().find(|earlier| earlier.code == row.code);
                let count = row.count.saturating_sub(earlier.map_or(0, |earlier| earlier.count));
                Refusals { code: row.code.clone(), per_second: count as f64 / seconds, total: row.count }
            })
            .collect();
        rates
    }

    fn count_calls(&mut self, before: &DaemonSnapshot, now: &DaemonSnapshot) {
        let bounds = &now.duration_bounds_micros;
        let mut all = vec![0; bounds.len() + 1];
        for row in &now.operations {
            let earlier = before.operations.iter().find(|earlier| earlier.operation == row.operation);
            let durations = differences(earlier.map_or(&[], |earlier| &earlier.durations), &row.durations);
            let refused = row.refused.saturating_sub(earlier.map_or(0, |earlier| earlier.refused));
            let calls = Calls {
                per_second: sum(&durations) as f64 / self.seconds,
                refused_per_second: refused as f64 / self.seconds,
                p50: percentile(&durations, bounds, 0.50),
                p99: percentile(&durations, bounds, 0.99),
                outcomes: [row.done, row.refused, row.failed],
            };
            all.iter_mut().zip(&durations).for_each(|(sum, count)| *sum += count);
            self.calls.per_second += calls.per_second;
            self.calls.refused_per_second += calls.refused_per_second;
            self.calls.outcomes.iter_mut().zip(calls.outcomes).for_each(|(sum, count)| *sum += count);
            self.operations.push((row.operation.clone(), calls));
        }
        self.calls.p50 = percentile(&all, bounds, 0.50);
        self.calls.p99 = percentile(&all, bounds, 0.99);
    }
}

fn flusher(before: Journal, now: Journal, seconds: f64) -> Flusher {
    let grown = |before: u64, now: u64| now.saturating_sub(before) as f64 / seconds;
    Flusher {
        flushes_per_second: grown(before.flushes, now.flushes),
        keys_per_second: grown(before.flushed_keys, now.flushed_keys),
        busy: grown(before.flush_micros, now.flush_micros) / 1e6,
        paced: grown(before.paced_micros, now.paced_micros) / 1e6,
    }
}

/// The growth of each count.
fn differences(before: &[u64], now: &[u64]) -> Vec<u64> {
    let before = before.iter().copied().chain(std::iter::repeat(0));
    now.iter().zip(before).map(|(now, before)| now.saturating_sub(before)).collect()
}

fn sum(counts: &[u64]) -> u64 {
    counts.iter().sum()
}

/// The value below which this share of the counted durations lies, in a straight line through its bucket. None where
/// nothing was counted.
fn percentile(counts: &[u64], bounds: &[u64], share: f64) -> Option<Percentile> {
    let wanted = sum(counts) as f64 * share;
    let mut below = 0.0;
    for (at, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let (count, lower) = (*count as f64, at.checked_sub(1).and_then(|at| bounds.get(at)).copied().unwrap_or(0));
        if below + count >= wanted {
            return Some(match bounds.get(at) {
                Some(upper) => {
                    let within = (upper - lower) as f64 * ((wanted - below) / count);
                    Percentile { micros: lower as f64 + within, is_more: false }
                }
                None => Percentile { micros: lower as f64, is_more: true },
            });
        }
        below += count;
    }
    None
}

#[cfg(test)]
mod tests {
    use enroll_client::protocol::Time;
    use enroll_client::protocol::server::{OperationFigures, RefusalCount};

    use super::*;

    fn snapshot(uptime_seconds: u64, calls: [u64; 3], refused: u64) -> DaemonSnapshot {
        let operation = OperationFigures {
            operation: "token.use".to_owned(),
            done: sum(&calls) - refused,
            refused,
            durations: calls.to_vec(),
            ..OperationFigures::default()
        };
        DaemonSnapshot {
            uptime_micros: uptime_seconds * 1_000_000,
            duration_bounds_micros: vec![100, 200],
            operations: vec![operation],
            refusals: vec![RefusalCount { code: "token_reuse".to_owned(), count: refused }],
            ..DaemonSnapshot::default()
        }
    }

    #[test]
    fn rates_are_of_the_time_between_two_snapshots() {
        let (before, now) = (snapshot(10, [100, 0, 0], 0), snapshot(12, [104, 4, 0], 2));
        let rates = Rates::between(Some(&before), &now);
        assert_eq!((rates.seconds, rates.is_since_start, rates.calls.per_second), (2.0, false, 4.0));
        assert_eq!((rates.calls.refused_per_second, rates.calls.outcomes), (1.0, [106, 2, 0]));
        assert_eq!(rates.calls.p50, Some(Percentile { micros: 100.0, is_more: false }));
        assert!(rates.calls.p99.is_some_and(|p99| p99.micros > 190.0 && p99.micros < 200.0));
        assert_eq!((rates.refusals[0].per_second, rates.refusals[0].total), (1.0, 2));
        assert_eq!((rates.commits.batch, rates.flusher), (None, None));
    }

    #[test]
    fn a_run_that_began_anew_counts_from_its_start() {
        let (before, now) = (snapshot(10, [100, 0, 0], 9), snapshot(4, [8, 0, 0], 0));
        let rates = Rates::between(Some(&before), &now);
        assert_eq!((rates.is_since_start, rates.calls.per_second), (true, 2.0));
        // It ran for longer than the other one had when it was last seen.
        let now = DaemonSnapshot { started: Time::EPOCH.plus_seconds(60), ..snapshot(20, [40, 0, 0], 0) };
        let rates = Rates::between(Some(&before), &now);
        assert_eq!((rates.is_since_start, rates.calls.per_second), (true, 2.0));
        assert!(Rates::between(None, &snapshot(0, [1, 0, 0], 0)).calls.per_second.is_finite());
    }

    #[test]
    fn percentiles_are_those_of_the_buckets() {
        let of = |counts: [u64; 3], share| percentile(&counts, &[100, 200], share).map(|p| (p.micros, p.is_more));
        assert_eq!(of([0, 0, 0], 0.5), None);
        assert_eq!(of([1, 0, 0], 0.5), Some((50.0, false)));
        assert_eq!(of([50, 50, 0], 0.5), Some((100.0, false)));
        assert_eq!(of([98, 0, 2], 0.99), Some((200.0, true)));
    }
}
