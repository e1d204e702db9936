//! What is counted and measured: every metric with its name and its help, and their text in OpenMetrics.
//!
//! A request costs two readings of the clock and a few additions here: its series are found by position, and nothing
//! is allocated once a series has been counted in. The values of labels are words of our own tables, never what a peer
//! has sent, so there are only so many series, and nothing of a request is in them.
//!
//! Every name begins with `enrolld_`, the start time's too: the text may stand beside that of other programs.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use enroll_protocol::operations::TABLE;
use enroll_protocol::{Code, Time};
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Registry, Unit};

use enroll_core::model::record::{ChangesHead, Kind};

/// Bounds of what takes time, in seconds. A read is answered in some ten microseconds, a write in the milliseconds of
/// a commit, and whoever waits for more than two seconds is told that the daemon is busy. The steps are narrow enough
/// to tell a disk that became slower from one that did not.
const SECONDS: [f64; 16] =
    [0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];

/// Bounds of the requests in a batch, up to the most that the writer takes at once.
const REQUESTS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// What every name begins with.
const PREFIX: &str = "enrolld";

/// What an operation may come to. Only what went wrong inside has failed.
const OUTCOMES: [&str; 3] = ["done", "refused", "failed"];

/// The one word for every operation that the table does not have.
const UNKNOWN: &str = "unknown";

/// Something that goes up and down.
pub type Level = Gauge<u64, AtomicU64>;

/// What the journal counts, and the store tells.
#[derive(Debug, Clone, Default)]
pub struct JournalFigures {
    syncs: Counter,
    /// Bytes of all segments.
    pub bytes: Level,
    /// Bytes of memory that journaled writes take which are not on their way into the tree.
    pub memory: Level,
    flushes: Counter,
    flush_seconds: Seconds,
    flushed_keys: Counter,
    paced_seconds: Seconds,
}

type Seconds = Counter<f64, AtomicU64>;

impl JournalFigures {
    /// A batch was made durable; all segments take so many bytes now.
    pub fn synced(&self, bytes: u64) {
        self.syncs.inc();
        self.bytes.set(bytes);
    }

    /// So many writes were moved into the tree, in this time.
    pub fn flushed(&self, entries: usize, seconds: f64) {
        self.flushes.inc();
        self.flushed_keys.inc_by(entries as u64);
        self.flush_seconds.inc_by(seconds);
    }

    /// Somebody was held back for so long.
    pub fn paced(&self, seconds: f64) {
        self.paced_seconds.inc_by(seconds);
    }

    fn register(&self, all: &mut Registry) {
        all.register("journal_syncs", "Batches made durable by the journal", self.syncs.clone());
        all.register_with_unit("journal", "Size of the journal's files", Unit::Bytes, self.bytes.clone());
        all.register_with_unit(
            "memtable",
            "Memory taken by what is journaled and not on its way into the database's file",
            Unit::Bytes,
            self.memory.clone(),
        );
        all.register("flushes", "Moves of what was journaled into the database's file", self.flushes.clone());
        all.register_with_unit("flush", "Time that these moves took", Unit::Seconds, self.flush_seconds.clone());
        all.register("flushed_keys", "Writes moved into the database's file", self.flushed_keys.clone());
        all.register_with_unit(
            "paced",
            "Time for which batches were held back so that these moves keep up",
            Unit::Seconds,
            self.paced_seconds.clone(),
        );
    }
}

/// Every metric.
pub struct Metrics {
    registry: Registry,
    /// By operation and outcome, as [`place`] counts them.
    operations: Series<Counter>,
    operation_seconds: Series<Histogram>,
    /// By code, in the order of its table; so are those of connections.
    refusals: Series<Counter>,
    connections_refused: Series<Counter>,
    connections_accepted: Counter,
    batch: Histogram,
    commit: Histogram,
    streams: Level,
    /// Open connections.
    pub connections: Level,
    /// Requests that wait for the writer.
    pub queue: Level,
    /// Bytes of the database's file.
    pub database_bytes: Level,
    /// Items that streams have given.
    pub stream_items: Counter,
}

impl Metrics {
    /// Nothing is counted yet, in a daemon that was started then.
    pub fn new(started: Time) -> Self {
        let operations = TABLE.iter().map(|row| row.name).chain([UNKNOWN]);
        let outcomes =
            operations.flat_map(|name| OUTCOMES.map(|outcome| vec![("operation", name), ("outcome", outcome)]));
        let codes = Code::TABLE.iter().map(|(_, name, _)| vec![("code", *name)]);
        let mut metrics = Self {
            registry: Registry::with_prefix(PREFIX),
            operations: Series::of(outcomes.clone(), Counter::default),
            operation_seconds: Series::of(outcomes, || Histogram::new(SECONDS)),
            refusals: Series::of(codes.clone(), Counter::default),
            connections_refused: Series::of(codes, Counter::default),
            connections_accepted: Counter::default(),
            batch: Histogram::new(REQUESTS),
            commit: Histogram::new(SECONDS),
            streams: Level::default(),
            connections: Level::default(),
            queue: Level::default(),
            database_bytes: Level::default(),
            stream_items: Counter::default(),
        };
        metrics.register(started);
        metrics
    }

    /// Tells of a journal as well.
    pub fn with_journal(mut self, journal: &JournalFigures) -> Self {
        journal.register(&mut self.registry);
        self
    }

    /// The same with the counts of standing warnings by topic.
    pub fn with_warnings(mut self, counts: &Series<Level>) -> Self {
        let count = counts.clone();
        self.registry.register("warnings", "Warnings that hold now, by topic; server.status tells them", count);
        self
    }

    /// Gives every metric its name and its help.
    fn register(&mut self, started: Time) {
        let requests = || Unit::Other("requests".to_owned());
        // Not of the type `info`, which readers of the older text format refuse.
        let build = Series::of([vec![("version", env!("CARGO_PKG_VERSION"))]], Level::default);
        build.at(0).set(1);
        let start = Gauge::<f64, AtomicU64>::default();
        start.set(started.micros() as f64 / 1e6);
        let all = &mut self.registry;
        all.register("build_info", "Always 1; the label tells the version", build);
        all.register_with_unit("start_time", "When the daemon was started, since 1970", Unit::Seconds, start);
        all.register(
            "operations",
            "Requests answered, by operation and outcome: done, refused by the domain, or failed inside; a stream counts \
             when it begins",
            self.operations.clone(),
        );
        all.register_with_unit(
            "operation",
            "Time from a request's arrival to its answer, waiting and commit included, by operation and outcome",
            Unit::Seconds,
            self.operation_seconds.clone(),
        );
        all.register("refusals", "Requests and streams refused or failed, by code", self.refusals.clone());
        all.register("streams", "Streams open now", self.streams.clone());
        all.register("stream_items", "Items that streams have given", self.stream_items.clone());
        all.register("connections", "Connections open now", self.connections.clone());
        all.register("connections_accepted", "Connections of peers with a grant", self.connections_accepted.clone());
        all.register(
            "connections_refused",
            "Connections refused, or ended with a reason, by its code",
            self.connections_refused.clone(),
        );
        all.register_with_unit("queue", "Requests that wait for the writer", requests(), self.queue.clone());
        all.register_with_unit("batch", "Requests that the writer served together", requests(), self.batch.clone());
        all.register_with_unit("commit", "Time to make a batch durable", Unit::Seconds, self.commit.clone());
        all.register_with_unit("database", "Size of the database's file", Unit::Bytes, self.database_bytes.clone());
    }

    /// Counts a request that was answered, and with which code where it was refused.
    pub fn answered(&self, operation: u16, refused: Option<Code>, seconds: f64) {
        let place = place(operation, refused);
        self.operations.at(place).inc();
        self.operation_seconds.at(place).observe(seconds);
        if let Some(code) = refused {
            self.refused(code);
        }
    }

    /// Counts a refusal, of a request or of the rest of a stream.
    pub fn refused(&self, code: Code) {
        self.refusals.count(code);
    }

    /// Counts a connection that is told why it ends.
    pub fn connection_refused(&self, code: Code) {
        self.connections_refused.count(code);
    }

    /// Counts a connection as accepted, and as open for as long as what is returned is kept.
    pub fn connection(&self) -> Open {
        self.connections_accepted.inc();
        Open::on(&self.connections)
    }

    /// Counts a stream as open for as long as what is returned is kept.
    pub fn stream(&self) -> Open {
        Open::on(&self.streams)
    }

    /// Counts a batch of so many requests.
    pub fn batch(&self, requests: usize) {
        self.batch.observe(requests as f64);
    }

    /// Counts a commit that took so long.
    pub fn commit(&self, seconds: f64) {
        self.commit.observe(seconds);
    }

    /// All of it in OpenMetrics, with what the head of the changes tells of the registry, and when the authority ends.
    pub fn text(&self, head: &ChangesHead, authority_ends: Time) -> Result<String, fmt::Error> {
        let records = Series::of(Kind::ALL.map(|(_, name)| vec![("kind", name)]), Level::default);
        for (at, (kind, _)) in Kind::ALL.iter().enumerate() {
            records.at(at).set(head.records.get(kind).copied().unwrap_or(0));
        }
        let latest = Level::default();
        latest.set(head.seq);
        let ends = Gauge::<f64, AtomicU64>::default();
        ends.set(authority_ends.micros() as f64 / 1e6);
        let mut state = Registry::with_prefix(PREFIX);
        let help = "When the certificate of the authority ends, since 1970";
        state.register_with_unit("authority_ends", help, Unit::Seconds, ends);
        state.register("records", "Records, by kind", records);
        state.register("changes_head", "The number of the latest change", latest);
        let mut text = String::new();
        text::encode_registry(&mut text, &self.registry)?;
        text::encode_registry(&mut text, &state)?;
        text::encode_eof(&mut text)?;
        Ok(text)
    }
}

/// Where an operation's outcome is counted.
fn place(operation: u16, refused: Option<Code>) -> usize {
    let row = TABLE.binary_search_by_key(&operation, |row| row.number).unwrap_or(TABLE.len());
    let outcome = match refused {
        None => 0,
        Some(Code::STORAGE | Code::OUTCOME_UNKNOWN | Code::INTERNAL) => 2,
        Some(_) => 1,
    };
    row * OUTCOMES.len() + outcome
}

/// Something that is counted as open until this is dropped.
#[derive(Debug)]
pub struct Open(Level);

impl Open {
    fn on(level: &Level) -> Self {
        level.inc();
        Self(level.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The names of labels and their values.
type Labels = Vec<(&'static str, &'static str)>;

/// A metric with labels: one series for each of their values, in an order of its own. A series that was never counted
/// in takes no room and is not in the text.
#[derive(Debug, Clone)]
pub struct Series<M> {
    series: Arc<[(Labels, OnceLock<M>)]>,
    new: fn() -> M,
}

impl<M> Series<M> {
    pub(crate) fn of(labels: impl IntoIterator<Item = Labels>, new: fn() -> M) -> Self {
        Self { series: labels.into_iter().map(|labels| (labels, OnceLock::new())).collect(), new }
    }

    pub(crate) fn at(&self, place: usize) -> &M {
        self.series[place].1.get_or_init(self.new)
    }
}

impl Series<Counter> {
    /// Of series by code.
    fn count(&self, code: Code) {
        if let Some(place) = Code::TABLE.iter().position(|(known, ..)| *known == code) {
            self.at(place).inc();
        }
    }
}

impl<M: EncodeMetric + TypedMetric> EncodeMetric for Series<M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let counted = self.series.iter().filter_map(|(labels, series)| Some((labels, series.get()?)));
        for (labels, series) in counted {
            series.encode(encoder.encode_family(labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }

    fn is_empty(&self) -> bool {
        self.series.iter().all(|(_, series)| series.get().is_none())
    }
}
