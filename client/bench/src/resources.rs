//! The resources that the daemon used while it was measured: processor time, memory, commits, device flushes, disk.
//!
//! They are read before and after, when no request is in flight, from `server.metrics` and `/proc`. A value that can
//! not be read, such as the memory of another user's process, or that this daemon does not count, is left out.

use std::path::{Path, PathBuf};

use enroll_client::Client;
use enroll_client::protocol::server;
use nix::unistd::{SysconfVar, sysconf};
use serde_json::{Map, Value};

use crate::disk;

/// The process name of the daemon.
const PROGRAM: &str = "enrolld";

/// The source of a reading.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// A metric of the daemon, the sum of all its series.
    Metric(&'static str),
    /// The processor time of the process, in seconds.
    Cpu,
    /// A line of the process's status in KiB, read as bytes.
    Memory(&'static str),
    /// The space of its state directory on the disk.
    Disk,
    /// Flushes completed by all devices of this machine; the kernel does not count them per process.
    DeviceFlushes,
}

/// The rule that makes a value of the readings before and after.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Reported {
    /// The difference.
    Change,
    /// The later one.
    End,
}

use Reported::{Change, End};
use Source::{Cpu, DeviceFlushes, Disk, Memory, Metric};

/// All readings by name. Those that are not in [`PRINTED`] are used in computed values.
const READINGS: [(&str, Source, Reported); 17] = [
    ("cpu_s", Cpu, Change),
    ("resident_bytes", Memory("VmRSS:"), End),
    ("resident_peak_bytes", Memory("VmHWM:"), End),
    ("commits", Metric("enrolld_commit_seconds_count"), Change),
    ("batches", Metric("enrolld_batch_requests_count"), Change),
    ("batched_requests", Metric("enrolld_batch_requests_sum"), Change),
    ("device_flushes", DeviceFlushes, Change),
    ("disk_grown_bytes", Disk, Change),
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

/// The printed values in their order, and their decimals.
const PRINTED: [(&str, usize); 18] = [
    ("cpu_s", 2),
    ("cpu_us_per_op", 1),
    ("resident_bytes", 0),
    ("resident_peak_bytes", 0),
    ("commits", 0),
    ("batch_mean", 1),
    ("device_flushes", 0),
    ("disk_grown_bytes", 0),
    ("disk_bytes_per_op", 0),
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

/// One value for each of [`READINGS`]; `None` where it could not be read.
type Values = [Option<f64>; READINGS.len()];

/// Reads the resources of one daemon.
#[derive(Debug)]
pub(crate) struct Probe {
    client: Client,
    /// `None` where the process can not be seen.
    pid: Option<u32>,
    /// `None` where it is not told.
    state_dir: Option<PathBuf>,
}

impl Probe {
    /// A probe of the daemon that this client is connected to.
    pub(crate) async fn of(client: Client) -> Self {
        let pid = client.listener_pid().await.ok().flatten();
        // The listener of a socket that systemd made is systemd itself.
        let is_daemon = |pid: &u32| proc_file(*pid, "comm").is_some_and(|name| name.trim_end() == PROGRAM);
        let state_dir = client.call(server::Status {}).await.ok().map(|status| status.state_dir.into());
        Self { pid: pid.filter(is_daemon), state_dir, client }
    }

    /// Reads every value that can be read.
    pub(crate) async fn read(&self) -> Readings {
        let metrics = self.client.call(server::Metrics {}).await.unwrap_or_default();
        let process = |file| self.pid.and_then(|pid| proc_file(pid, file)).unwrap_or_default();
        let (stat, status) = (process("stat"), process("status"));
        let disks = std::fs::read_to_string("/proc/diskstats").unwrap_or_default();
        Readings(READINGS.map(|(_, source, _)| match source {
            Metric(name) => metric(&metrics, name),
            Cpu => cpu_seconds(&stat, ticks_per_second()?),
            Memory(name) => status_bytes(&status, name),
            Disk => self.state_dir.as_deref().and_then(disk_bytes),
            DeviceFlushes => device_flushes(&disks),
        }))
    }
}

/// The values of one moment.
#[derive(Debug)]
pub(crate) struct Readings(Values);

impl Readings {
    /// The resources used between these readings and those of `after`, by this many operations.
    pub(crate) fn until(&self, after: &Self, operations: u64) -> Usage {
        let mut values = after.0;
        for ((value, before), (_, _, reported)) in values.iter_mut().zip(self.0).zip(READINGS) {
            if reported == Change {
                *value = value.zip(before).map(|(after, before)| after - before);
            }
        }
        Usage { values, operations }
    }
}

/// Resources used by a number of operations.
#[derive(Debug, Clone, Default)]
pub(crate) struct Usage {
    values: Values,
    operations: u64,
}

impl Usage {
    /// The sum with the resources of a later time.
    pub(crate) fn plus(self, later: Self) -> Self {
        let mut values = later.values;
        for ((value, before), (_, _, reported)) in values.iter_mut().zip(self.values).zip(READINGS) {
            if reported == Change {
                *value = value.map(|later| before.unwrap_or(0.0) + later);
            }
        }
        Self { values, operations: self.operations + later.operations }
    }

    /// The printed values by name.
    pub(crate) fn report(&self) -> Map<String, Value> {
        let operations = u32::try_from(self.operations).map_or(f64::INFINITY, f64::from);
        let mut report = Map::new();
        for (name, decimals) in PRINTED {
            let value = match name {
                "cpu_us_per_op" => self.of("cpu_s").map(|seconds| seconds * 1e6 / operations),
                "disk_bytes_per_op" => self.of("disk_grown_bytes").map(|bytes| bytes / operations),
                "batch_mean" => self.of("batched_requests").zip(self.of("batches")).map(|(all, batches)| all / batches),
                name => self.of(name),
            };
            // A division by zero is left out, and a negative zero loses its sign.
            let value = value.filter(|value| value.is_finite()).map(|value| format!("{:.decimals$}", value + 0.0));
            if let Some(value) = value.and_then(|value| serde_json::from_str(&value).ok()) {
                report.insert(name.to_owned(), value);
            }
        }
        report
    }

    fn of(&self, name: &str) -> Option<f64> {
        READINGS.iter().position(|(known, ..)| *known == name).and_then(|index| self.values[index])
    }
}

fn proc_file(pid: u32, name: &str) -> Option<String> {
    std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join(name)).ok()
}

fn ticks_per_second() -> Option<f64> {
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten()?;
    u32::try_from(ticks).ok().map(f64::from)
}

/// The sum of all series of this name in an OpenMetrics text.
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

/// The space of a directory; `None` where this user may not look.
fn disk_bytes(directory: &Path) -> Option<f64> {
    disk::bytes_below(directory).ok().and_then(disk::exact)
}

/// User and system time of `/proc/PID/stat`. The process name before the numbers may contain brackets and blanks.
fn cpu_seconds(stat: &str, ticks_per_second: f64) -> Option<f64> {
    let numbers = stat.rsplit_once(") ")?.1;
    let mut times = numbers.split(' ').skip(11).map(str::parse::<u32>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some((f64::from(user) + f64::from(system)) / ticks_per_second)
}

/// A line of `/proc/PID/status` in KiB, as bytes.
fn status_bytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u32 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(f64::from(kib) * 1024.0)
}

/// The sum of the sixteenth number after each device's name in `/proc/diskstats`; older kernels do not have it.
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
    fn processor_time_and_memory_of_a_process_are_read() {
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

    /// Readings that are all this value, except those named.
    fn readings(all: Option<f64>, named: &[(&str, f64)]) -> Readings {
        let of = |name| named.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        Readings(READINGS.map(|(name, ..)| of(name).or(all)))
    }

    #[test]
    fn the_report_has_changes_and_ends_in_its_order() {
        let before = readings(Some(10.0), &[("cpu_s", 1.0)]);
        let after = [
            ("cpu_s", 3.0),
            ("commits", 60.0),
            ("batches", 20.0),
            ("batched_requests", 35.0),
            ("resident_bytes", 4096.0),
            ("database_grown_bytes", 2.0),
        ];
        let usage = before.until(&readings(Some(10.0), &after), 40_000);
        let report = Value::Object(usage.report()).to_string();
        let expected = concat!(
            r#"{"cpu_s":2.00,"cpu_us_per_op":50.0,"resident_bytes":4096,"resident_peak_bytes":10,"commits":50,"#,
            r#""batch_mean":2.5,"device_flushes":0,"disk_grown_bytes":0,"disk_bytes_per_op":0,"database_grown_bytes":-8,"journal_syncs":0,"journal_written_bytes":0,"#,
            r#""journal_bytes":10,"flushes":0,"flush_s":0.000,"flushed_keys":0,"paced_s":0.000,"memtable_bytes":10}"#
        );
        let (report, expected): (Value, Value) =
            (serde_json::from_str(&report).expect("JSON"), serde_json::from_str(expected).expect("JSON"));
        assert_eq!(report.to_string(), expected.to_string());
    }

    #[test]
    fn a_value_that_can_not_be_read_is_left_out() {
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
        let both = Usage::default().plus(at(1.0).until(&at(3.0), 1)).plus(at(10.0).until(&at(14.0), 1));
        assert_eq!(Value::Object(both.report()).to_string(), r#"{"resident_bytes":14,"commits":6}"#);
    }
}
