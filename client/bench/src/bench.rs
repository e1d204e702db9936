//! One run of the benchmark: its options, the measurement of the daemon, and its report.
//!
//! Each connection has so many operations in flight; a connection of one is a client of its own. Every answer is
//! checked. Making the records of a workload is not measured. With `--vs` the run is a comparison, which is in `versus`.

use std::process::ExitCode;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use enroll_client::Client;
use enrollctl::failure::Failure;
use enrollctl::options::Options;
use enrollctl::output::{Output, Summary};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::measure::{Speed, Tally, measure};
use crate::resources::{Probe, Usage};
use crate::versus::{self, PeerName};
use crate::workload::{Prepared, Workload};

/// Measure how fast the daemon does one thing, and what it takes to do it
///
/// Beside its speed it reports what the daemon used meanwhile, from before the first operation to after the last:
/// processor time, memory, commits and the requests in one batch, flushes of all devices of this machine, and how much
/// its database has grown. What can not be read, such as the memory of another user's process, is left out.
///
/// With --vs another server does equal work in turn with the daemon: it is started in a temporary directory (TMPDIR
/// says where), as durable as it can be, begins with as many records as the daemon has, and is gone in the end.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  enroll-bench token-use --connections 64 --seconds 5
  enroll-bench token-use --connections 1 --in-flight 64 --vs redis
  enroll-bench code --connections 16 --json
  enroll-bench lookup --records 100000
  enroll-bench token-use --fill 1000000 --vs redis --vs postgres")]
pub(crate) struct Bench {
    /// The workload to run
    #[arg(value_enum)]
    pub(crate) workload: Workload,
    /// Connections to the server
    #[arg(long, alias = "clients", value_name = "C", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) connections: u64,
    /// Operations in flight on each connection, each of a caller that waits for its answer before the next
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) in_flight: u64,
    /// How long to measure
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
    /// Report each so many seconds by themselves too, in JSON as `intervals`
    #[arg(long, value_name = "S", conflicts_with = "vs", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) every: Option<u64>,
    /// Records to make before measuring, where the workload looks something up; people, where it registers them
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) records: u64,
    /// Records to make before that, so that the registry is not measured empty: tokens, or enrollments where the
    /// workload is about people
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=10_000_000))]
    pub(crate) fill: u64,
    /// Compare with another server that does equal work; may be given for each
    #[arg(long, value_name = "PEER", value_enum)]
    pub(crate) vs: Vec<PeerName>,
    /// How often each of those that are compared has its turn
    #[arg(long, value_name = "N", default_value_t = 5, requires = "vs", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) rounds: u64,
}

/// The report of a run without `--vs`.
#[derive(Debug, Serialize)]
struct Report {
    workload: String,
    connections: u64,
    in_flight: u64,
    seconds: u64,
    #[serde(flatten)]
    speed: Speed,
    errors: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    intervals: Vec<Speed>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    daemon: Map<String, Value>,
}

/// The command line.
pub(crate) fn command() -> Command {
    let command = Options::augment_args(Command::new("enroll-bench"));
    Bench::augment_args(command).version(env!("CARGO_PKG_VERSION"))
}

/// Runs a workload, or a comparison, and shows its report. The exit code is 1 if an operation failed.
pub(crate) async fn run(matches: &ArgMatches, options: &Options, output: &Output) -> Result<ExitCode, Failure> {
    options.expect_no_request("a bench")?;
    options.expect_no_jwt("a bench")?;
    options.expect_socket()?;
    let bench = Bench::from_arg_matches(matches).map_err(|err| Failure::Usage(err.to_string()))?;
    if !bench.vs.is_empty() {
        return versus::run(&bench, options, output).await;
    }
    let client = options.connect().await?;
    bench.fill(&client).await?;
    let prepared = bench.prepare(&client).await?;
    let (tally, usage) = bench.measure(&prepared, &Probe::of(client).await, options).await?;
    if let Some(error) = &tally.first_error {
        output.note(&format!("enroll-bench: the first error: {error}"));
    }
    show(&bench.report(&tally, &usage), None, output)?;
    Ok(if tally.errors == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Shows a report. In a pipe each member of a nested object has a line of its own, with both names. On a terminal
/// `text` is shown instead, if there is one.
pub(crate) fn show(report: &impl Serialize, text: Option<&str>, output: &Output) -> Result<(), Failure> {
    let report = serde_json::to_value(report).map_err(|err| Failure::Io(err.into()))?;
    let (json, scripts) = (report.to_string(), Value::Object(flat(&report)).to_string());
    let people = text.map_or_else(|| json.clone(), |text| Value::from(text).to_string());
    output.summary("bench", &Summary { json, people, scripts })
}

/// The members of an object; those of nested objects bear both names.
fn flat(report: &Value) -> Map<String, Value> {
    let mut members = Map::new();
    for (name, value) in report.as_object().into_iter().flatten() {
        if value.is_object() {
            members.extend(flat(value).into_iter().map(|(below, value)| (format!("{name}.{below}"), value)));
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    members
}

impl Bench {
    /// Makes the records of `--fill`.
    pub(crate) async fn fill(&self, client: &Client) -> Result<(), Failure> {
        let filled = self.workload.filling().make(client, self.fill).await;
        filled.map_err(|why| Failure::Own(format!("the registry can not be filled: {why}")))
    }

    /// Makes the records that the workload needs.
    pub(crate) async fn prepare(&self, client: &Client) -> Result<Prepared, Failure> {
        let prepared = self.workload.prepare(client, self.records).await;
        prepared.map_err(|why| Failure::Own(format!("the bench can not be prepared: {why}")))
    }

    /// Measures the daemon once, with the resources that it used.
    pub(crate) async fn measure(
        &self,
        prepared: &Prepared,
        probe: &Probe,
        options: &Options,
    ) -> Result<(Tally, Usage), Failure> {
        let mut drivers = Vec::new();
        for _ in 0..self.connections {
            let client = options.connect().await?;
            drivers.extend((0..self.in_flight).map(|_| prepared.driver(client.clone())));
        }
        let before = probe.read().await;
        let tally = self.every.map_or_else(Tally::new, Tally::with_intervals);
        let tally = measure(drivers, self.seconds, tally).await?;
        let usage = before.until(&probe.read().await, tally.done);
        Ok((tally, usage))
    }

    fn report(&self, tally: &Tally, usage: &Usage) -> Report {
        Report {
            workload: self.workload.name(),
            connections: self.connections,
            in_flight: self.in_flight,
            seconds: self.seconds,
            speed: tally.speed(self.seconds),
            errors: tally.errors,
            intervals: tally.intervals.clone(),
            daemon: usage.report(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn the_report_has_the_promised_fields() {
        let mut tally = Tally::new();
        tally.errors = 1;
        let daemon = Map::from_iter([("cpu_s".to_owned(), 1.into())]);
        let mut report = Report {
            workload: "code".to_owned(),
            connections: 2,
            in_flight: 1,
            seconds: 4,
            speed: tally.speed(4),
            errors: 1,
            intervals: Vec::new(),
            daemon,
        };
        let names = |report: &Report| {
            let report = serde_json::to_value(report).expect("json");
            flat(&report).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        let always = [
            "workload",
            "connections",
            "in_flight",
            "seconds",
            "ops_per_s",
            "p50_us",
            "p99_us",
            "p999_us",
            "max_us",
            "errors",
        ];
        assert_eq!(names(&report), [&always[..], &["daemon.cpu_s"]].concat());
        report.daemon.clear();
        assert_eq!(names(&report), always);
    }
}
