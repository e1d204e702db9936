//! Series of a metric by labels, found by index, and the guard that counts something as open.

use std::fmt;
use std::sync::{Arc, OnceLock};

use enroll_protocol::Code;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::{MetricType, TypedMetric};

use super::Level;

/// The names of labels and their values.
pub(super) type Labels = Vec<(&'static str, &'static str)>;

/// A metric with labels: one series for each of their values, found by index. A series without a count takes no memory
/// and is not in the text.
#[derive(Debug, Clone)]
pub struct Series<M> {
    series: Arc<[(Labels, OnceLock<M>)]>,
    new: fn() -> M,
}

impl<M> Series<M> {
    pub(crate) fn of(labels: impl IntoIterator<Item = Labels>, new: fn() -> M) -> Self {
        Self { series: labels.into_iter().map(|labels| (labels, OnceLock::new())).collect(), new }
    }

    pub(crate) fn at(&self, index: usize) -> &M {
        self.series[index].1.get_or_init(self.new)
    }

    /// The series that have a count, each with its index and its labels.
    pub(super) fn counted(&self) -> impl Iterator<Item = (usize, &Labels, &M)> {
        let all = self.series.iter().enumerate();
        all.filter_map(|(index, (labels, series))| Some((index, labels, series.get()?)))
    }
}

impl Series<Counter> {
    /// Series by code.
    pub(super) fn count(&self, code: Code) {
        if let Some(index) = Code::TABLE.iter().position(|(known, ..)| *known == code) {
            self.at(index).inc();
        }
    }

    /// The sum of every `step`th series from `first` on.
    pub(super) fn sum(&self, first: usize, step: usize) -> u64 {
        let counted = self.series.iter().skip(first).step_by(step).filter_map(|(_, series)| series.get());
        counted.map(Counter::get).sum()
    }
}

impl<M: EncodeMetric + TypedMetric> EncodeMetric for Series<M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (_, labels, series) in self.counted() {
            series.encode(encoder.encode_family(labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }

    fn is_empty(&self) -> bool {
        self.counted().next().is_none()
    }
}

/// A guard that counts a connection or stream as open until it is dropped.
#[derive(Debug)]
pub struct Open(Level);

impl Open {
    pub(super) fn on(level: &Level) -> Self {
        level.inc();
        Self(level.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
