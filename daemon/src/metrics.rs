//! Metrics: counters, gauges and histograms with their names and help, and their text in OpenMetrics.
//!
//! A request costs two readings of the clock and a few additions here: its series are found by index, and nothing is
//! allocated after the first use of a series. The values of labels are words of our own tables and a few uids, never text
//! of a peer, so the number of series is bounded, and no part of a request is in them.
//!
//! Every name begins with `enrolld_`, the start time's too: the text may stand beside that of other programs.

mod cluster;
mod commit_time;
mod followers;
mod histogram;
mod series;
mod snapshot;
mod standing;

use std::fmt;
use std::sync::atomic::AtomicU64;

use enroll_protocol::operations::TABLE;
use enroll_protocol::server::Requests;
use enroll_protocol::{Code, Time};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

pub use commit_time::CommitTime;
pub use followers::{Follower, Followers};
pub use histogram::Histogram;
pub use series::{Open, Series};
pub use standing::Standing;

/// Histogram bounds of durations, in microseconds. A read is answered in some ten microseconds, a write in the milliseconds
/// of a commit, and a write that waits for more than two seconds is refused as `busy`. The steps are narrow enough to
/// show that a disk became slower.
const DURATION_MICROS: [u64; 16] = [
    50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000,
    5_000_000,
];

/// The same in seconds.
static SECONDS: [f64; 16] = scaled(DURATION_MICROS, 1e6);

/// Histogram bounds of the requests in a batch, up to the writer's limit.
const BATCH_REQUESTS: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

static REQUESTS: [f64; 9] = scaled(BATCH_REQUESTS, 1.0);

/// The prefix of every name.
const PREFIX: &str = "enrolld";

/// The outcomes of an operation. `failed` is for internal errors only.
const OUTCOMES: [&str; 3] = ["done", "refused", "failed"];

/// The label of all operations that the table does not have.
const UNKNOWN: &str = "unknown";

/// A value that goes up and down.
pub type Level = Gauge<u64, AtomicU64>;

/// A time, in seconds since 1970.
type Timestamp = Gauge<f64, AtomicU64>;

/// Figures of the journal, which the store reports.
#[derive(Debug, Clone, Default)]
pub struct JournalFigures {
    syncs: Counter,
    /// Bytes of all segments.
    pub bytes: Level,
    /// Bytes of memory of journaled writes that are not being flushed.
    pub memory: Level,
    flushes: Counter,
    flush_seconds: Seconds,
    flushed_keys: Counter,
    paced_seconds: Seconds,
}

type Seconds = Counter<f64, AtomicU64>;

impl JournalFigures {
    /// Counts a durable batch, after which all segments take this many bytes.
    pub fn synced(&self, bytes: u64) {
        self.syncs.inc();
        self.bytes.set(bytes);
    }

    /// Counts a flush of this many writes into the tree, in this time.
    pub fn flushed(&self, entries: usize, seconds: f64) {
        self.flushes.inc();
        self.flushed_keys.inc_by(entries as u64);
        self.flush_seconds.inc_by(seconds);
    }

    /// Counts a commit that was throttled for this time.
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
    /// The time of the start, as it was measured then.
    started: Time,
    /// The figures of the journal, where there is one.
    journal: Option<JournalFigures>,
    /// By operation and outcome, at [`index`].
    operations: Series<Counter>,
    operation_seconds: Series<Histogram>,
    /// By code, in the order of its table, like those of connections.
    refusals: Series<Counter>,
    connections_refused: Series<Counter>,
    connections_accepted: Counter,
    batch: Histogram,
    commit: Histogram,
    streams: Level,
    /// Open connections.
    pub connections: Level,
    /// Writes in the writer's queue.
    pub queue: Level,
    /// Bytes of the database's file.
    pub database_bytes: Level,
    /// Items that streams have sent.
    pub stream_items: Counter,
    /// Wrong codes that the rate limit counted.
    pub wrong_codes: Counter,
    /// Alarms of too many wrong codes or refused calls.
    pub guess_alarms: Counter,
    /// Steps of the system's clock.
    pub clock_steps: Counter,
    /// The time that the latest batches took to become durable.
    pub commit_time: CommitTime,
    /// Followers of the change feed.
    pub followers: Followers,
    /// The times of looks at etcd.
    pub looks: Histogram,
}

impl Metrics {
    /// Metrics at zero, for a daemon that was started at this time.
    pub fn new(started: Time) -> Self {
        let operations = TABLE.iter().map(|row| row.name).chain([UNKNOWN]);
        let outcomes =
            operations.flat_map(|name| OUTCOMES.map(|outcome| vec![("operation", name), ("outcome", outcome)]));
        let codes = Code::TABLE.iter().map(|(_, name, _)| vec![("code", *name)]);
        let mut metrics = Self {
            registry: Registry::with_prefix(PREFIX),
            started,
            journal: None,
            operations: Series::of(outcomes.clone(), Counter::default),
            operation_seconds: Series::of(outcomes, || Histogram::new(&SECONDS)),
            refusals: Series::of(codes.clone(), Counter::default),
            connections_refused: Series::of(codes, Counter::default),
            connections_accepted: Counter::default(),
            batch: Histogram::new(&REQUESTS),
            commit: Histogram::new(&SECONDS),
            streams: Level::default(),
            connections: Level::default(),
            queue: Level::default(),
            database_bytes: Level::default(),
            stream_items: Counter::default(),
            wrong_codes: Counter::default(),
            guess_alarms: Counter::default(),
            clock_steps: Counter::default(),
            commit_time: CommitTime::default(),
            followers: Followers::default(),
            looks: Histogram::new(&SECONDS),
        };
        metrics.register();
        metrics
    }

    /// Adds the figures of a journal.
    pub fn with_journal(mut self, journal: &JournalFigures) -> Self {
        journal.register(&mut self.registry);
        self.journal = Some(journal.clone());
        self
    }

    /// Adds the counts of current warnings by topic.
    pub fn with_warnings(mut self, counts: &Series<Level>) -> Self {
        let count = counts.clone();
        self.registry.register("warnings", "Warnings that hold now, by topic; server.status tells them", count);
        self
    }

    /// Adds the counts of refusals for abuse by kind.
    pub fn with_abuse(mut self, counts: &Series<Counter>) -> Self {
        self.registry.register("abuse", "Refusals for abuse, by kind; the log has their uids", counts.clone());
        self
    }

    /// Registers every metric with its name and help.
    fn register(&mut self) {
        let requests = || Unit::Other("requests".to_owned());
        // Not of the type `info`, which readers of the older text format refuse.
        let build = Series::of([vec![("version", env!("CARGO_PKG_VERSION"))]], Level::default);
        build.at(0).set(1);
        let start = Timestamp::default();
        start.set(self.started.micros() as f64 / 1e6);
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
        all.register("wrong_codes", "Wrong codes, which the rate limit counts", self.wrong_codes.clone());
        all.register(
            "guess_alarms",
            "Windows in which more codes were wrong, or more calls refused, than [guesses] has for an alarm",
            self.guess_alarms.clone(),
        );
        all.register("clock_steps", "Steps of the system's clock of more than 5 seconds", self.clock_steps.clone());
        all.register_with_unit("queue", "Requests that wait for the writer", requests(), self.queue.clone());
        all.register_with_unit("batch", "Requests that the writer served together", requests(), self.batch.clone());
        all.register_with_unit("commit", "Time to make a batch durable", Unit::Seconds, self.commit.clone());
        all.register_with_unit("database", "Size of the database's file", Unit::Bytes, self.database_bytes.clone());
    }

    /// Counts an answered request with its duration, and with the code of a refusal.
    pub fn answered(&self, operation: u16, refused: Option<Code>, seconds: f64) {
        let index = index(operation, refused);
        self.operations.at(index).inc();
        self.operation_seconds.at(index).observe(seconds);
        if let Some(code) = refused {
            self.refused(code);
        }
    }

    /// Counts a refusal, of a request or of the rest of a stream.
    pub fn refused(&self, code: Code) {
        self.refusals.count(code);
    }

    /// Counts a connection that the daemon ends, by the code of the reason.
    pub fn connection_refused(&self, code: Code) {
        self.connections_refused.count(code);
    }

    /// Counts a connection as accepted, and as open until the guard is dropped.
    pub fn connection(&self) -> Open {
        self.connections_accepted.inc();
        Open::on(&self.connections)
    }

    /// Counts a stream as open until the guard is dropped.
    pub fn stream(&self) -> Open {
        Open::on(&self.streams)
    }

    /// Counts a batch of this many requests.
    pub fn batch(&self, requests: usize) {
        self.batch.observe(requests as f64);
    }

    /// Counts a commit that took this time.
    pub fn commit(&self, seconds: f64) {
        self.commit.observe(seconds);
        self.commit_time.add(seconds);
    }

    /// Requests since the start.
    pub fn requests(&self) -> Requests {
        let [done, refused, failed] = [0, 1, 2].map(|outcome| self.operations.sum(outcome, OUTCOMES.len()));
        Requests { done, refused, failed }
    }

    /// The text of all metrics in OpenMetrics, with the figures of this moment.
    pub fn text(&self, standing: &Standing) -> Result<String, fmt::Error> {
        let mut now = Registry::with_prefix(PREFIX);
        standing.register(&mut now);
        cluster::register(&standing.cluster, &self.looks, &mut now);
        let mut text = String::new();
        text::encode_registry(&mut text, &self.registry)?;
        text::encode_registry(&mut text, &now)?;
        text::encode_eof(&mut text)?;
        Ok(text)
    }
}

/// Each bound in a unit that has so many of theirs.
const fn scaled<const N: usize>(bounds: [u64; N], unit: f64) -> [f64; N] {
    let mut scaled = [0.0; N];
    let mut at = 0;
    while at < N {
        scaled[at] = bounds[at] as f64 / unit;
        at += 1;
    }
    scaled
}

/// The index of the series of an operation's outcome.
fn index(operation: u16, refused: Option<Code>) -> usize {
    let row = TABLE.binary_search_by_key(&operation, |row| row.number).unwrap_or(TABLE.len());
    let outcome = match refused {
        None => 0,
        Some(Code::STORAGE | Code::OUTCOME_UNKNOWN | Code::INTERNAL) => 2,
        Some(_) => 1,
    };
    row * OUTCOMES.len() + outcome
}
