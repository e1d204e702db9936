//! The report of a comparison: the medians of each side, and quartiles of the daemon's ratios to a peer in each round.

use std::process::ExitCode;

use enrollctl::failure::Failure;
use enrollctl::output::Output;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::bench::{self, Bench};
use crate::disk;
use crate::measure::{Speed, Tally, tenths};
use crate::resources::Usage;

/// A compared server, the daemon or a peer, with its speed in each round.
#[derive(Debug)]
pub(super) struct Side {
    name: String,
    version: String,
    speeds: Vec<Speed>,
    /// Bytes that its files grew by in all rounds, and the operations that made them grow.
    growth: Option<(u64, u64)>,
}

impl Side {
    /// A side without rounds.
    pub(super) fn new(name: String, version: String) -> Self {
        Self { name, version, speeds: Vec::new(), growth: None }
    }

    /// Adds a round. Fails if an operation failed or none ended, because then nothing can be compared.
    pub(super) fn add(&mut self, tally: &Tally, seconds: u64) -> Result<(), Failure> {
        if let Some(error) = &tally.first_error {
            return Err(self.failed(&format!("{} errors, the first one: {error}", tally.errors)));
        }
        let speed = tally.speed(seconds);
        if speed.ops_per_s == 0.0 {
            return Err(self.failed("no operation ended in the time there was; more --seconds may help"));
        }
        self.speeds.push(speed);
        Ok(())
    }

    /// Adds what the files of a round grew by, with the operations that it did.
    pub(super) fn add_growth(&mut self, before_and_after: Option<(u64, u64)>, operations: u64) {
        let (bytes, done) = self.growth.unwrap_or_default();
        self.growth = before_and_after
            .map(|(before, after)| (bytes + after.saturating_sub(before), done + operations))
            .or(self.growth);
    }

    /// Bytes of its files for one operation.
    fn disk_bytes_per_op(&self) -> Option<f64> {
        let (bytes, operations) = self.growth?;
        let operations = u32::try_from(operations).ok().filter(|operations| *operations > 0)?;
        disk::exact(bytes).map(|bytes| tenths(bytes / f64::from(operations)))
    }

    /// A failure that names this side.
    pub(super) fn failed(&self, why: &str) -> Failure {
        Failure::Own(format!("{}: {why}", self.name))
    }

    fn median(&self) -> Speed {
        let median = |figure: fn(&Speed) -> f64| {
            let figures: Vec<f64> = self.speeds.iter().map(figure).collect();
            tenths(quantile(&figures, 0.5))
        };
        Speed {
            ops_per_s: median(|speed| speed.ops_per_s),
            p50_us: median(|speed| speed.p50_us),
            p99_us: median(|speed| speed.p99_us),
            p999_us: median(|speed| speed.p999_us),
            max_us: median(|speed| speed.max_us),
        }
    }

    fn title(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

/// The progress line of a round: the throughput of each side.
pub(super) fn round_line<'a>(round: u64, ours: &'a Side, theirs: impl Iterator<Item = &'a Side>) -> String {
    let latest = |side: &Side| side.speeds.last().map_or(0.0, |speed| speed.ops_per_s);
    let sides = [ours].into_iter().chain(theirs);
    let speeds: Vec<String> = sides.map(|side| format!("{} {:.0}/s", side.name, latest(side))).collect();
    format!("round {round}: {}", speeds.join(", "))
}

/// The daemon's figure divided by the peer's, over all rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Ratio {
    lower_quartile: f64,
    median: f64,
    min: f64,
    max: f64,
}

impl Ratio {
    fn of(ours: &Side, theirs: &Side, figure: fn(&Speed) -> f64) -> Self {
        let pairs = ours.speeds.iter().zip(&theirs.speeds);
        let ratios: Vec<f64> = pairs.map(|(ours, theirs)| figure(ours) / figure(theirs)).collect();
        let at = |share| (quantile(&ratios, share) * 1000.0).round() / 1000.0;
        Self { lower_quartile: at(0.25), median: at(0.5), min: at(0.0), max: at(1.0) }
    }
}

/// The quantile of the figures at this share, with linear interpolation; 0 of no figures.
fn quantile(figures: &[f64], share: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let steps = u32::try_from(sorted.len().saturating_sub(1)).map_or(0.0, f64::from);
    let position = share * steps;
    // The two figures around the position are weighted by their nearness to it.
    let weight = |at: u32| (1.0 - (f64::from(at) - position).abs()).max(0.0);
    (0..).zip(&sorted).map(|(at, figure)| weight(at) * figure).sum()
}

/// All sides after the last round.
#[derive(Debug)]
pub(super) struct Comparison<'a> {
    pub(super) bench: &'a Bench,
    /// Records of each side in the beginning.
    pub(super) records: u64,
    pub(super) ours: Side,
    pub(super) theirs: Vec<Side>,
    /// Resources that the daemon used in all its turns.
    pub(super) usage: Usage,
}

/// The printed report.
#[derive(Debug, Serialize)]
struct Report {
    workload: String,
    connections: u64,
    in_flight: u64,
    seconds: u64,
    rounds: u64,
    records: u64,
    enrolld: Figures,
    /// Figures of each peer by its name.
    #[serde(flatten)]
    peers: Map<String, Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    daemon: Map<String, Value>,
}

#[derive(Debug, Serialize)]
struct Figures {
    version: String,
    #[serde(flatten)]
    median: Speed,
    /// Disk bytes of a peer for one operation; those of the daemon are among its resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_bytes_per_op: Option<f64>,
    #[serde(flatten)]
    ratios: Option<Ratios>,
}

/// The daemon's figures divided by those of a peer.
#[derive(Debug, Clone, Copy, Serialize)]
struct Ratios {
    ops_ratio: Ratio,
    p99_ratio: Ratio,
}

impl Comparison<'_> {
    /// Shows the report.
    pub(super) fn show(&self, output: &Output) -> Result<ExitCode, Failure> {
        bench::show(&self.report(), Some(&self.table()), output)?;
        Ok(ExitCode::SUCCESS)
    }

    fn report(&self) -> Report {
        let figures = |side: &Side, ratios| Figures {
            version: side.version.clone(),
            median: side.median(),
            disk_bytes_per_op: side.disk_bytes_per_op(),
            ratios,
        };
        let peer = |side: &Side| {
            let figures = figures(side, Some(self.ratios(side)));
            (side.name.clone(), serde_json::to_value(figures).unwrap_or_default())
        };
        Report {
            workload: self.bench.workload.name(),
            connections: self.bench.connections,
            in_flight: self.bench.in_flight,
            seconds: self.bench.seconds,
            rounds: self.bench.rounds,
            records: self.records,
            enrolld: figures(&self.ours, None),
            peers: self.theirs.iter().map(peer).collect(),
            daemon: self.usage.report(),
        }
    }

    fn ratios(&self, theirs: &Side) -> Ratios {
        let ratio = |figure| Ratio::of(&self.ours, theirs, figure);
        Ratios { ops_ratio: ratio(|speed| speed.ops_per_s), p99_ratio: ratio(|speed| speed.p99_us) }
    }

    /// The report for people.
    fn table(&self) -> String {
        let Bench { workload, connections, in_flight, seconds, rounds, .. } = self.bench;
        let (name, records) = (workload.name(), self.records);
        let mut lines = vec![format!(
            "{name}: {connections} connections, {in_flight} in flight on each, {rounds} rounds of {seconds} s, \
             {records} records to begin with; medians"
        )];
        let sides = || [&self.ours].into_iter().chain(&self.theirs);
        let width = sides().map(|side| side.title().chars().count()).max().unwrap_or_default();
        let heads = ["ops/s", "p50 us", "p99 us", "longest us", "disk B/op"].map(|head| format!("{head:>12}"));
        lines.push(format!("{:width$} {}", "", heads.join(" ")));
        let usage = self.usage.report();
        for side in sides() {
            let Speed { ops_per_s, p50_us, p99_us, max_us, .. } = side.median();
            let of_daemon = || usage.get("disk_bytes_per_op").and_then(Value::as_f64);
            let grown =
                side.disk_bytes_per_op().or_else(of_daemon).map_or("-".to_owned(), |bytes| format!("{bytes:.1}"));
            let speeds = [ops_per_s, p50_us, p99_us, max_us].map(|figure| format!("{figure:>12.1}"));
            lines.push(format!("{:width$} {} {grown:>12}", side.title(), speeds.join(" ")));
        }
        for side in &self.theirs {
            let Ratios { ops_ratio, p99_ratio } = self.ratios(side);
            lines.push(format!("{} by {}", self.ours.name, side.name));
            for (figure, ratio) in [("ops/s", ops_ratio), ("p99", p99_ratio)] {
                let Ratio { lower_quartile, median, min, max } = ratio;
                lines.push(format!(
                    "  {figure:5}  {median:.3} in the median, {lower_quartile:.3} in the lower quartile, {min:.3}..{max:.3}"
                ));
            }
        }
        lines.push("the daemon".to_owned());
        lines.extend(usage.iter().map(|(name, value)| format!("  {name:20}  {value}")));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Workload;

    #[test]
    fn a_quantile_lies_between_the_figures_around_it() {
        for (figures, share, expected) in [
            (&[5.0, 1.0, 4.0, 2.0, 3.0][..], 0.25, 2.0),
            (&[5.0, 1.0, 4.0, 2.0, 3.0], 0.5, 3.0),
            (&[4.0, 1.0, 2.0, 3.0], 0.5, 2.5),
            (&[4.0, 1.0, 2.0, 3.0], 0.25, 1.75),
            (&[1.0, 2.0], 0.25, 1.25),
            (&[1.0, 2.0], 0.0, 1.0),
            (&[1.0, 2.0], 1.0, 2.0),
            (&[7.0], 0.25, 7.0),
            (&[], 0.5, 0.0),
        ] {
            assert_eq!(quantile(figures, share), expected, "{figures:?} at {share}");
        }
    }

    /// A side with these operations per second and this p99 in microseconds in each round.
    fn side(name: &str, rounds: &[(f64, f64)]) -> Side {
        let speed = |(ops_per_s, us): &(f64, f64)| Speed {
            ops_per_s: *ops_per_s,
            p50_us: 1.0,
            p99_us: *us,
            p999_us: 9.0,
            max_us: 12.0,
        };
        Side {
            name: name.to_owned(),
            version: "1".to_owned(),
            speeds: rounds.iter().map(speed).collect(),
            growth: None,
        }
    }

    fn comparison(bench: &Bench) -> Comparison<'_> {
        let mut redis = side("redis", &[(200.0, 10.0), (100.0, 10.0), (200.0, 40.0)]);
        redis.add_growth(Some((1024, 2048)), 1);
        redis.add_growth(None, 5);
        redis.add_growth(Some((4096, 4096)), 1);
        Comparison {
            bench,
            records: 10,
            ours: side("enrolld", &[(100.0, 10.0), (300.0, 30.0), (200.0, 20.0)]),
            theirs: vec![redis],
            usage: Usage::default(),
        }
    }

    fn bench() -> Bench {
        let workload = Workload::TokenUse;
        let (connections, in_flight, every, vs) = (4, 2, None, Vec::new());
        Bench { workload, connections, in_flight, seconds: 1, every, records: 1, fill: 0, vs, rounds: 3 }
    }

    #[test]
    fn ratios_are_of_each_round() {
        let report = serde_json::to_value(comparison(&bench()).report()).expect("JSON").to_string();
        let expected = concat!(
            r#"{"workload":"token-use","connections":4,"in_flight":2,"seconds":1,"rounds":3,"records":10,"#,
            r#""enrolld":{"version":"1","ops_per_s":200.0,"p50_us":1.0,"p99_us":20.0,"p999_us":9.0,"max_us":12.0},"#,
            r#""redis":{"version":"1","ops_per_s":200.0,"p50_us":1.0,"p99_us":10.0,"p999_us":9.0,"max_us":12.0,"disk_bytes_per_op":512.0,"#,
            r#""ops_ratio":{"lower_quartile":0.75,"median":1.0,"min":0.5,"max":3.0},"#,
            r#""p99_ratio":{"lower_quartile":0.75,"median":1.0,"min":0.5,"max":3.0}}}"#,
        );
        assert_eq!(report, expected);
    }

    #[test]
    fn the_table_is_for_people() {
        let expected = "\
token-use: 4 connections, 2 in flight on each, 3 rounds of 1 s, 10 records to begin with; medians
                 ops/s       p50 us       p99 us   longest us    disk B/op
enrolld 1        200.0          1.0         20.0         12.0            -
redis 1          200.0          1.0         10.0         12.0        512.0
enrolld by redis
  ops/s  1.000 in the median, 0.750 in the lower quartile, 0.500..3.000
  p99    1.000 in the median, 0.750 in the lower quartile, 0.500..3.000
the daemon";
        let bench = bench();
        let comparison = comparison(&bench);
        assert_eq!(comparison.table(), expected);
        let line = round_line(3, &comparison.ours, comparison.theirs.iter());
        assert_eq!(line, "round 3: enrolld 200/s, redis 200/s");
    }

    #[test]
    fn a_round_with_an_error_is_not_compared() {
        let mut tally = Tally::new();
        let mut side = side("redis", &[]);
        let refused = |failed: Result<(), Failure>| failed.expect_err("a failure").line();
        assert!(refused(side.add(&tally, 1)).starts_with("redis: no operation ended in the time"));
        (tally.errors, tally.first_error) = (2, Some("it did not".to_owned()));
        assert_eq!(refused(side.add(&tally, 1)), "redis: 2 errors, the first one: it did not");
    }
}
