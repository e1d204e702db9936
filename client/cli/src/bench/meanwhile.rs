//! What the daemon did while it was measured: processor time, memory, commits, flushes of devices, growth.
//!
//! All of it is read twice from outside, when nothing of the bench is in flight: `server.metrics`, and what the system
//! shows of the process and of the devices. What can not be read, of another user's daemon for one, or what this daemon
//! does not count, is left out.

use std::path::Path;

use enroll_client::Client;
use enroll_client::protocol::server;
use nix::unistd::{SysconfVar, sysconf};
use serde_json::{Map, Value};

/// What the process of a daemon is called.
const PROGRAM: &str = "enrolld";

/// Where a reading comes from.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// A metric of the daemon, all its series together.
    Metric(&'static str),
    /// The processor time of its process, in seconds.
    Cpu,
    /// A line of its process's status that tells KiB, in bytes.
    Memory(&'static str),
    /// Flushes that the devices of this machine have completed; the system does not tell for whom.
    DeviceFlushes,
}

/// What comes of a reading before and one after.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Comes {
    /// By how much it has changed.
    Change,
    /// What it is in the end.
    End,
}

use Comes::{Change, End};
use Source::{Cpu, DeviceFlushes, Memory, Metric};

/// Every reading by its name. Those that are not in [`PRINTED`] are there for what is computed.
const READINGS: [(&str, Source, Comes); 16] = [
    ("cpu_s", Cpu, Change),
    ("resident_bytes", Memory("VmRSS:"), End),
    ("resident_peak_bytes", Memory("VmHWM:"), End),
    ("commits", Metric("enrolld_commit_seconds_count"), Change),
    ("batches", Metric("enrolld_batch_requests_count"), Change),
    ("batched_requests", Metric("enrolld_batch_requests_sum"), Change),
    ("device_flushes", DeviceFlushes, Change),
    ("database_grown_bytes", Metric("enrolld_database_bytes"), Change),
    ("journal_syncs", Metric("enrolld_journal_syncs_total"), Change),
    ("journal_written_bytes", Metric("enrolld_journal_bytes_total"), Change),
    ("journal_bytes", Metric("enrolld_journal_bytes"), End),
    ("flushes", Metric("enrolld_flushes_total"), Change),
    ("flush_s", Metric("enrolld_flush_seconds_total"), Change),
    ("flushed_keys", Metric("enrolld_flushed_keys_total"), Change),
    ("paced_s", Metric("enrolld_paced_seconds_total"), Change),
    ("memtable_bytes", Metric("enrolld_memtable_bytes"), End),
];

/// What is printed, in this order, with so many decimals.
const PRINTED: [(&str, usize); 16] = [
    ("cpu_s", 2),
    ("cpu_us_per_op", 1),
    ("resident_bytes", 0),
    ("resident_peak_bytes", 0),
    ("commits", 0),
    ("batch_mean", 1),
    ("device_flushes", 0),
    ("database_grown_bytes", 0),
    ("journal_syncs", 0),
    ("journal_written_bytes", 0),
    ("journal_bytes", 0),
    ("flushes", 0),
    ("flush_s", 3),
    ("flushed_keys", 0),
    ("paced_s", 3),
    ("memtable_bytes", 0),
];

/// One value for each of [`READINGS`]; `None` where there is none.
type Values = [Option<f64>; READINGS.len()];

/// Looks at a daemon.
#[derive(Debug)]
pub(super) struct Watch {
    client: Client,
    /// `None` where the process is not to be known.
    pid: Option<u32>,
}

impl Watch {
    /// Of the daemon that this client asks.
    pub(super) async fn of(client: Client) -> Self {
        let pid = client.listener_pid().await.ok().flatten();
        // A socket that systemd made is systemd's, whoever serves it.
        let is_daemon = |pid: &u32| proc_file(*pid, "comm").is_some_and(|name| name.trim_end() == PROGRAM);
        Self { pid: pid.filter(is_daemon), client }
    }

    /// Reads everything there is to read.
    pub(super) async fn look(&self) -> Readings {
        let metrics = self.client.call(server::Metrics {}).await.unwrap_or_default();
        let process = |file| self.pid.and_then(|pid| proc_file(pid, file)).unwrap_or_default();
        let (stat, status) = (process("stat"), process("status"));
        let disks = std::fs::read_to_string("/proc/diskstats").unwrap_or_default();
        Readings(READINGS.map(|(_, source, _)| match source {
            Metric(name) => metric(&metrics, name),
            Cpu => cpu_seconds(&stat, ticks_per_second()?),
            Memory(name) => status_bytes(&status, name),
            DeviceFlushes => device_flushes(&disks),
        }))
    }
}

/// What was read at one moment.
#[derive(Debug)]
pub(super) struct Readings(Values);

impl Readings {
    /// What came of these until those were read, after so many operations.
    pub(super) fn until(&self, after: &Self, operations: u64) -> Spent {
        let mut values = after.0;
        for ((value, before), (_, _, comes)) in values.iter_mut().zip(self.0).zip(READINGS) {
            if comes == Change {
                *value = value.zip(before).map(|(after, before)| after - before);
            }
        }
        Spent { values, operations }
    }
}

/// What came of the readings in the time of so many operations.
#[derive(Debug, Clone, Default)]
pub(super) struct Spent {
    values: Values,
    operations: u64,
}

impl Spent {
    /// With what came of them in a later time.
    pub(super) fn and(self, later: Self) -> Self {
        let mut values = later.values;
        for ((value, before), (_, _, comes)) in values.iter_mut().zip(self.values).zip(READINGS) {
            if comes == Change {
                *value = value.map(|later| before.unwrap_or(0.0) + later);
            }
        }
        Self { values, operations: self.operations + later.operations }
    }

    /// What is printed of it.
    pub(super) fn report(&self) -> Map<String, Value> {
        let operations = u32::try_from(self.operations).map_or(f64::INFINITY, f64::from);
        let mut report = Map::new();
        for (name, decimals) in PRINTED {
            let value = match name {
                "cpu_us_per_op" => self.of("cpu_s").map(|seconds| seconds * 1e6 / operations),
                "batch_mean" => self.of("batched_requests").zip(self.of("batches")).map(|(all, batches)| all / batches),
                name => self.of(name),
            };
            // What was divided by nothing says nothing. A zero has no sign.
            let value = value.filter(|value| value.is_finite()).map(|value| format!("{:.decimals$}", value + 0.0));
            if let Some(value) = value.and_then(|value| serde_json::from_str(&value).ok()) {
                report.insert(name.to_owned(), value);
            }
        }
        report
    }

    fn of(&self, name: &str) -> Option<f64> {
        READINGS.iter().position(|(known, ..)| *known == name).and_then(|place| self.values[place])
    }
}

fn proc_file(pid: u32, name: &str) -> Option<String> {
    std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join(name)).ok()
}

fn ticks_per_second() -> Option<f64> {
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten()?;
    u32::try_from(ticks).ok().map(f64::from)
}

/// The sum of all series of this name in a text of OpenMetrics.
fn metric(text: &str, name: &str) -> Option<f64> {
    let value = |line: &str| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once("} ")?.1,
            None => rest.strip_prefix(' ')?,
        };
        value.parse::<f64>().ok()
    };
    text.lines().filter_map(value).reduce(|sum, value| sum + value)
}

/// User and system time of `/proc/PID/stat`. The name in front of the numbers may hold anything, brackets and blanks too.
fn cpu_seconds(stat: &str, ticks_per_second: f64) -> Option<f64> {
    let numbers = stat.rsplit_once(") ")?.1;
    let mut times = numbers.split(' ').skip(11).map(str::parse::<u32>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some((f64::from(user) + f64::from(system)) / ticks_per_second)
}

/// A line of `/proc/PID/status` that tells KiB.
fn status_bytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u32 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(f64::from(kib) * 1024.0)
}

/// The sixteenth number behind each device's name in `/proc/diskstats`; older systems do not count them.
fn device_flushes(disks: &str) -> Option<f64> {
    let flushes = |line: &str| line.split_whitespace().nth(18)?.parse::<u32>().ok().map(f64::from);
    disks.lines().filter_map(flushes).reduce(|sum, flushes| sum + flushes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = "\
# HELP enrolld_commit_seconds Time to make a batch durable.
# TYPE enrolld_commit_seconds histogram
enrolld_commit_seconds_sum 1.25
enrolld_commit_seconds_count 40
enrolld_database_bytes 1052672
enrolld_operations_total{operation=\"token.use\",outcome=\"done\"} 5
enrolld_operations_total{operation=\"token.use\",outcome=\"refused\"} 2
enrolld_flush_seconds_total 0.5
# EOF
";

    #[test]
    fn a_metric_is_the_sum_of_its_series_and_nothing_where_there_is_none() {
        for (name, expected) in [
            ("enrolld_commit_seconds_count", Some(40.0)),
            ("enrolld_commit_seconds", None),
            ("enrolld_operations_total", Some(7.0)),
            ("enrolld_flush_seconds_total", Some(0.5)),
            ("enrolld_flushes_total", None),
            ("", None),
        ] {
            assert_eq!(metric(METRICS, name), expected, "{name}");
        }
    }

    #[test]
    fn what_the_system_shows_of_a_process_is_read() {
        let stat = "77 (a) b) S 1 77 77 0 -1 4194560 900 0 0 0 150 50 0 0 20 0 4 0 100 1 2";
        assert_eq!(cpu_seconds(stat, 100.0), Some(2.0));
        let status = "Name:\tenrolld\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(status_bytes(status, "VmRSS:"), Some(1048576.0));
        assert_eq!(status_bytes(status, "VmHWM:"), Some(2097152.0));
        for nothing in ["", "77 (x", "77 (x) S 1"] {
            assert_eq!((cpu_seconds(nothing, 100.0), status_bytes(nothing, "VmRSS:")), (None, None), "{nothing}");
        }
    }

    #[test]
    fn the_flushes_are_those_of_all_devices() {
        let disks = "   7  0 loop0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 250 17\n 254  0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 5 17\n";
        assert_eq!(device_flushes(disks), Some(255.0));
        assert_eq!(device_flushes("   8  0 sda 1 2 3 4 5 6 7 8 9 10 11\n"), None, "an older system");
        assert_eq!(device_flushes(""), None);
    }

    /// Readings of which all are this value but those named.
    fn readings(all: Option<f64>, named: &[(&str, f64)]) -> Readings {
        let of = |name| named.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        Readings(READINGS.map(|(name, ..)| of(name).or(all)))
    }

    #[test]
    fn the_report_tells_changes_and_ends_in_its_order() {
        let before = readings(Some(10.0), &[("cpu_s", 1.0)]);
        let after = [
            ("cpu_s", 3.0),
            ("commits", 60.0),
            ("batches", 20.0),
            ("batched_requests", 35.0),
            ("resident_bytes", 4096.0),
            ("database_grown_bytes", 2.0),
        ];
        let spent = before.until(&readings(Some(10.0), &after), 40_000);
        let report = Value::Object(spent.report()).to_string();
        let expected = concat!(
            r#"{"cpu_s":2.00,"cpu_us_per_op":50.0,"resident_bytes":4096,"resident_peak_bytes":10,"commits":50,"#,
            r#""batch_mean":2.5,"device_flushes":0,"database_grown_bytes":-8,"journal_syncs":0,"journal_written_bytes":0,"#,
            r#""journal_bytes":10,"flushes":0,"flush_s":0.000,"flushed_keys":0,"paced_s":0.000,"memtable_bytes":10}"#
        );
        let (report, expected): (Value, Value) =
            (serde_json::from_str(&report).expect("JSON"), serde_json::from_str(expected).expect("JSON"));
        assert_eq!(report.to_string(), expected.to_string());
    }

    #[test]
    fn what_can_not_be_read_is_left_out() {
        let nothing = readings(None, &[]);
        assert_eq!(nothing.until(&nothing, 1).report(), Map::new());
        let only = |value| readings(None, &[("journal_syncs", value), ("cpu_s", value)]);
        let report = only(1.0).until(&only(3.0), 0).report();
        assert_eq!(Value::Object(report).to_string(), r#"{"cpu_s":2.0,"journal_syncs":2}"#, "no operation was done");
        assert_eq!(nothing.until(&only(3.0), 1).report(), Map::new(), "there is nothing to compare with");
    }

    #[test]
    fn several_times_add_up() {
        let at = |value: f64| readings(None, &[("commits", value), ("resident_bytes", value)]);
        let both = Spent::default().and(at(1.0).until(&at(3.0), 1)).and(at(10.0).until(&at(14.0), 1));
        assert_eq!(Value::Object(both.report()).to_string(), r#"{"resident_bytes":14,"commits":6}"#);
    }
}
