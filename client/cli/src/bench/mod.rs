//! `enrollctl bench`: how fast the daemon does one thing, seen by its clients.
//!
//! Each client has a connection of its own and one operation outstanding. Every answer is checked; what is wrong is
//! counted as an error and not as an operation. The first half second is not counted, nor is what a workload prepares.

mod code;
mod enroll;
mod lookup;
mod random;
mod register;
mod token_use;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::{ArgMatches, Args, FromArgMatches, ValueEnum};
use enroll_client::Client;
use hdrhistogram::Histogram;
use serde::Serialize;

use self::random::Random;
use crate::failure::Failure;
use crate::options::Options;
use crate::output::Output;

const WARM_UP: Duration = Duration::from_millis(500);

/// What takes longer than a minute is counted as a minute.
const NANOS_MAX: u64 = 60_000_000_000;

/// Measure how fast the daemon does one thing
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  enrollctl bench token-use --clients 64 --seconds 5
  enrollctl bench code --clients 16 --json
  enrollctl bench lookup --records 100000")]
pub(crate) struct Bench {
    /// What to do
    #[arg(value_enum)]
    workload: Workload,
    /// Connections, each with one operation outstanding
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    clients: u64,
    /// How long to measure
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Records to make before measuring, where the workload looks something up; people, where it registers them
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    records: u64,
}

/// What can be measured. A new workload is a variant here and of `Ready`, and a file.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Workload {
    /// Use one-time tokens, each a new one
    TokenUse,
    /// Make a login code and exchange it for a JWT; both together count as one operation
    Code,
    /// Enroll callsigns by the invite code of a pool, each a new one
    Enroll,
    /// Find enrollments by their approve codes
    Lookup,
    /// Register people for one event of a million places, each a new one
    Register,
    /// Register ten times more people than there are places in five overlapping pools, of whom a fifth cancel again
    RegisterWaiting,
}

impl Workload {
    /// Makes what it needs, over one connection.
    async fn prepare(self, client: &Client, records: u64) -> Result<Ready, String> {
        Ok(match self {
            Self::TokenUse => Ready::TokenUse,
            Self::Code => Ready::Code,
            Self::Enroll => Ready::Enroll(enroll::prepare(client).await?),
            Self::Lookup => Ready::Lookup(lookup::prepare(client, records).await?),
            Self::Register => Ready::Register(register::prepare(client, records, false).await?),
            Self::RegisterWaiting => Ready::Register(register::prepare(client, records, true).await?),
        })
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// A workload with what it needs; every client has a copy.
#[derive(Debug, Clone)]
enum Ready {
    TokenUse,
    Code,
    Enroll(enroll::Invitation),
    Lookup(lookup::Known),
    Register(register::Crowd),
}

impl Ready {
    async fn run_once(&self, client: &Client, random: &mut Random) -> Result<(), String> {
        match self {
            Self::TokenUse => token_use::run_once(client, random).await,
            Self::Code => code::run_once(client).await,
            Self::Enroll(invitation) => enroll::run_once(invitation, client, random).await,
            Self::Lookup(known) => lookup::run_once(known, client, random).await,
            Self::Register(crowd) => register::run_once(crowd, client).await,
        }
    }
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    workload: String,
    clients: u64,
    seconds: u64,
    ops_per_s: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    errors: u64,
}

/// What the clients count together.
struct Tally {
    nanos: Histogram<u64>,
    errors: u64,
    first_error: Option<String>,
}

impl Tally {
    fn new() -> Self {
        let nanos = Histogram::new_with_bounds(1, NANOS_MAX, 3).expect("bounds that a histogram can have");
        Self { nanos, errors: 0, first_error: None }
    }
}

/// When to count.
#[derive(Debug, Clone, Copy)]
struct Window {
    from: Instant,
    until: Instant,
}

/// Runs a workload and shows its report.
pub(crate) async fn run(options: &Options, matches: &ArgMatches, output: &Output) -> Result<ExitCode, Failure> {
    let bench = Bench::from_arg_matches(matches).map_err(|err| Failure::Usage(err.to_string()))?;
    let mut clients = Vec::new();
    for _ in 0..bench.clients {
        clients.push(options.connect().await?);
    }
    let prepared = bench.workload.prepare(&options.connect().await?, bench.records).await;
    let ready = prepared.map_err(|why| Failure::Own(format!("the bench can not be prepared: {why}")))?;
    let tally = measure(&bench, &ready, clients).await?;
    if let Some(error) = &tally.first_error {
        output.note(&format!("enrollctl: the first error: {error}"));
    }
    let report = serde_json::to_string(&report(&bench, &tally)).map_err(|err| Failure::Io(err.into()))?;
    output.reply("bench", &report)?;
    Ok(if tally.errors == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

async fn measure(bench: &Bench, ready: &Ready, clients: Vec<Client>) -> Result<Tally, Failure> {
    let from = Instant::now() + WARM_UP;
    let window = Window { from, until: from + Duration::from_secs(bench.seconds) };
    let tally = Arc::new(Mutex::new(Tally::new()));
    let mut running = Vec::new();
    for client in clients {
        running.push(tokio::spawn(drive(ready.clone(), client, window, tally.clone())));
    }
    for client in running {
        client.await.map_err(|err| Failure::Io(err.into()))?;
    }
    // Every clone went with its task.
    let tally = Arc::into_inner(tally).map(|tally| tally.into_inner().unwrap_or_else(PoisonError::into_inner));
    tally.ok_or_else(|| Failure::Io(std::io::Error::other("a client of the bench is still running")))
}

async fn drive(ready: Ready, client: Client, window: Window, tally: Arc<Mutex<Tally>>) {
    let mut random = Random::new();
    loop {
        let begun = Instant::now();
        if begun >= window.until {
            return;
        }
        let outcome = ready.run_once(&client, &mut random).await;
        let ended = Instant::now();
        if begun < window.from || (outcome.is_ok() && ended > window.until) {
            continue;
        }
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(()) => tally.nanos.saturating_record(u64::try_from((ended - begun).as_nanos()).unwrap_or(u64::MAX)),
            Err(error) => {
                tally.errors += 1;
                tally.first_error.get_or_insert(error);
            }
        }
    }
}

fn report(bench: &Bench, tally: &Tally) -> Report {
    let tenths = |value: f64| (value * 10.0).round() / 10.0;
    let micros = |quantile| tenths(Duration::from_nanos(tally.nanos.value_at_quantile(quantile)).as_secs_f64() * 1e6);
    let operations = u32::try_from(tally.nanos.len()).map_or(f64::INFINITY, f64::from);
    Report {
        workload: bench.workload.name(),
        clients: bench.clients,
        seconds: bench.seconds,
        ops_per_s: tenths(operations / Duration::from_secs(bench.seconds).as_secs_f64()),
        p50_us: micros(0.5),
        p99_us: micros(0.99),
        p999_us: micros(0.999),
        errors: tally.errors,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_has_the_promised_fields() {
        let bench = Bench { workload: Workload::TokenUse, clients: 2, seconds: 4, records: 1 };
        let mut tally = Tally::new();
        tally.errors = 1;
        for nanos in [1_000_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000, 2_000_000] {
            tally.nanos.saturating_record(nanos);
        }
        let report = serde_json::to_value(report(&bench, &tally)).expect("json");
        let names: Vec<&str> = report.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(names, ["workload", "clients", "seconds", "ops_per_s", "p50_us", "p99_us", "p999_us", "errors"]);
        assert_eq!((&report["workload"], &report["ops_per_s"]), (&"token-use".into(), &1.5.into()));
        let p50 = report["p50_us"].as_f64().expect("a number");
        assert!((999.0..1002.0).contains(&p50), "{p50}");
    }
}
