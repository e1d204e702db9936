//! A histogram whose counts can be read: for the text of the metrics, and for snapshots, which tell the same counts.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// A histogram. Clones count together.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    /// The upper bounds, in ascending order.
    bounds: &'static [f64],
    /// A count for each bound, and one for what is above the last of them.
    counts: Box<[AtomicU64]>,
    /// The bits of the sum.
    sum: AtomicU64,
}

impl Histogram {
    /// An empty histogram of these upper bounds, in ascending order.
    pub fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Buckets { bounds, counts, sum: AtomicU64::new(0.0_f64.to_bits()) }))
    }

    /// Counts a value.
    pub fn observe(&self, value: f64) {
        let Buckets { bounds, counts, sum } = &*self.0;
        let above = bounds.partition_point(|bound| *bound < value);
        counts[above].fetch_add(1, Ordering::Relaxed);
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // It never answers None, so it succeeds in the end.
        let _ = sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// The count of each bucket; the last one has what is above all bounds.
    pub fn counts(&self) -> Vec<u64> {
        self.0.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// The sum of the values.
    pub fn sum(&self) -> f64 {
        f64::from_bits(self.0.sum.load(Ordering::Relaxed))
    }

    /// The sum of values that are seconds, in microseconds.
    pub fn micros(&self) -> u64 {
        micros(self.sum())
    }
}

/// Seconds in microseconds.
pub(super) fn micros(seconds: f64) -> u64 {
    Duration::try_from_secs_f64(seconds).map_or(0, |sum| u64::try_from(sum.as_micros()).unwrap_or(u64::MAX))
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let counts = self.counts();
        let bounds = self.0.bounds.iter().copied().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).collect();
        encoder.encode_histogram::<NoLabelSet>(self.sum(), counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_in_the_first_bucket_that_is_not_below_it() {
        let histogram = Histogram::new(&[1.0, 2.0, 4.0]);
        for value in [0.5, 1.0, 1.5, 4.0, 4.5] {
            histogram.observe(value);
        }
        assert_eq!((histogram.counts(), histogram.sum()), (vec![2, 1, 1, 1], 11.5));
        assert_eq!(Histogram::new(&[]).counts(), [0]);
    }
}
