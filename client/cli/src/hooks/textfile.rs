//! The metrics of a runner, as a file for node_exporter's textfile collector.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use enroll_client::Client;
use enroll_client::protocol::server;
use jiff::Timestamp;

use super::position::Record;
use crate::files::metrics;

/// Between two writes.
const EVERY: Duration = Duration::from_secs(15);

/// The counts of a runner since it began, and the file that tells them.
#[derive(Debug)]
pub(super) struct Textfile {
    path: PathBuf,
    /// The runner's name: that of its directory where the file is called `position`, else the file's.
    name: String,
    /// The number of the latest change; 0 before the daemon has told it.
    head: Arc<AtomicU64>,
    written: Option<Instant>,
    /// Commands that succeeded.
    pub(super) done: u64,
    /// Commands that failed.
    pub(super) failed: u64,
    /// Changes that were given up.
    pub(super) dead_letters: u64,
    /// Changes that were skipped by hand.
    pub(super) skipped: u64,
}

impl Textfile {
    /// Begins with zeros, and asks the daemon from time to time how long the feed is.
    pub(super) fn begin(path: &Path, position: &Path, client: Client) -> Self {
        let head = Arc::new(AtomicU64::new(0));
        let latest = Arc::clone(&head);
        tokio::spawn(async move {
            loop {
                // A daemon that is away is told by its own metrics.
                if let Ok(status) = client.call(server::Status {}).await {
                    latest.store(status.changes_head, Ordering::Relaxed);
                }
                tokio::time::sleep(EVERY).await;
            }
        });
        let (path, name) = (path.to_owned(), name_of(position));
        Self { path, name, head, written: None, done: 0, failed: 0, dead_letters: 0, skipped: 0 }
    }

    /// Writes the file, if it is time or for the last time. An error says why it was not written.
    pub(super) fn publish(&mut self, record: &Record, is_last: bool) -> Result<(), String> {
        let is_known = self.head.load(Ordering::Relaxed) > 0;
        let is_due = self.written.map_or(is_known, |written| written.elapsed() >= EVERY);
        if !is_due && !is_last {
            return Ok(());
        }
        self.written = Some(Instant::now());
        let text = self.text(record, Timestamp::now());
        metrics::write(&self.path, &text).map_err(|err| format!("{}: {err}", self.path.display()))
    }

    fn text(&self, record: &Record, now: Timestamp) -> String {
        let upto = record.passed.upto;
        let lag = self.head.load(Ordering::Relaxed).saturating_sub(upto);
        let stuck = record.stuck.first();
        let since = stuck.and_then(|stuck| stuck.since.parse::<Timestamp>().ok()).map_or(0, Timestamp::as_second);
        let gauges = [
            ("enrolld_hook_position", "The number up to which every change is passed.", upto.to_string()),
            ("enrolld_hook_lag_changes", "Changes after the position.", lag.to_string()),
            ("enrolld_hook_stuck_changes", "Commands that fail and are tried again.", record.stuck.len().to_string()),
            (
                "enrolld_hook_stuck_seq",
                "The oldest change that fails; 0 for none.",
                stuck.map_or(0, |stuck| stuck.seq).to_string(),
            ),
            ("enrolld_hook_stuck_since_timestamp_seconds", "Its first failure; 0 for none.", since.to_string()),
            ("enrolld_hook_written_timestamp_seconds", "The time of this file.", now.as_second().to_string()),
        ];
        let counters = [
            ("enrolld_hook_done_total", "Commands that succeeded.", self.done),
            ("enrolld_hook_failed_total", "Commands that failed.", self.failed),
            ("enrolld_hook_dead_letters_total", "Changes that were given up.", self.dead_letters),
            ("enrolld_hook_skipped_total", "Changes that were skipped by hand.", self.skipped),
        ];
        let gauges = gauges.map(|(name, help, value)| (name, "gauge", help, value));
        let counters = counters.map(|(name, help, value)| (name, "counter", help, value.to_string()));
        let label = self.name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let metric = |(name, kind, help, value): &(&str, &str, &str, String)| {
            format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{{hook=\"{label}\"}} {value}\n")
        };
        gauges.iter().chain(&counters).map(metric).collect()
    }
}

/// The name of the runner with this position.
fn name_of(position: &Path) -> String {
    let stem = position.file_stem().unwrap_or_default();
    let above = position.parent().and_then(Path::file_name);
    let name = above.filter(|_| stem == "position").unwrap_or(stem);
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::position::Stuck;
    use super::*;

    #[test]
    fn a_runner_has_the_name_of_its_place() {
        for (position, name) in [
            ("/var/lib/enrolld-changes/mail/position", "mail"),
            ("/srv/seats.position", "seats"),
            ("position", "position"),
        ] {
            assert_eq!(name_of(Path::new(position)), name);
        }
    }

    #[test]
    fn the_text_has_position_lag_and_what_it_is_stuck_at() {
        let mut record = Record::default();
        record.passed.upto = 1200;
        let since = "2026-01-31T18:00:00.000000Z".to_owned();
        record.stuck = vec![Stuck { seq: 1201, last: 1201, tries: 3, since, why: "exit status: 1".to_owned() }];
        let textfile = Textfile {
            path: PathBuf::new(),
            name: "a\"b".to_owned(),
            head: Arc::new(AtomicU64::new(1300)),
            written: None,
            done: 7,
            failed: 3,
            dead_letters: 0,
            skipped: 1,
        };
        let text = textfile.text(&record, Timestamp::UNIX_EPOCH);
        for line in [
            "# TYPE enrolld_hook_done_total counter",
            "enrolld_hook_done_total{hook=\"a\\\"b\"} 7",
            "enrolld_hook_position{hook=\"a\\\"b\"} 1200",
            "enrolld_hook_lag_changes{hook=\"a\\\"b\"} 100",
            "enrolld_hook_stuck_seq{hook=\"a\\\"b\"} 1201",
            "enrolld_hook_stuck_since_timestamp_seconds{hook=\"a\\\"b\"} 1769882400",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
    }
}
