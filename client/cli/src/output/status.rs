//! The screen of `server status`: what is wrong first, then who waits for a decision, then sizes, rates and places.

use enroll_client::protocol::Time;
use enroll_client::protocol::server::{DaemonStatus, WrittenBytes};
use jiff::Timestamp;
use serde_json::Value;

use super::{Summary, findings, time};

/// Uids whose written bytes are shown.
const WRITTEN_MAX: usize = 3;

/// The three forms of a status; `None` for the replies of other operations.
pub(super) fn summary(operation: &str, json: &str) -> Option<Summary> {
    if !["server.status", "server.accept_clock"].contains(&operation) {
        return None;
    }
    let status: DaemonStatus = serde_json::from_str(json).ok()?;
    let people = Value::String(drawn(&status, Timestamp::now())).to_string();
    Some(Summary { json: json.to_owned(), people, scripts: json.to_owned() })
}

/// True for a status that says that something is wrong.
pub(crate) fn is_wrong(json: &str) -> bool {
    let status = serde_json::from_str::<DaemonStatus>(json);
    status.is_ok_and(|status| status.warnings.iter().any(|finding| finding.is_wrong()))
}

/// The screen at this time.
fn drawn(status: &DaemonStatus, now: Timestamp) -> String {
    let up = seconds(status.uptime_seconds);
    let mut lines = vec![format!("enrolld {}, up for {up}: {}", status.version, findings::sum(&status.warnings))];
    lines.push(String::new());
    lines.extend(findings::lines(&status.warnings));
    if !status.warnings.is_empty() {
        lines.push(String::new());
    }
    for (name, text) in fields(status, now) {
        lines.push(format!("{name:13}{text}"));
    }
    lines.join("\n")
}

fn fields(status: &DaemonStatus, now: Timestamp) -> Vec<(&'static str, String)> {
    let ends = |at: Time| format!("{} ({})", relative(at, now), day(at));
    vec![
        ("waiting", waiting(status, now)),
        ("records", records(status)),
        ("requests", requests(status)),
        ("now", now_open(status)),
        ("disk", disk(status)),
        ("written", written(&status.written)),
        ("authority", format!("ends {}", ends(status.authority_ends))),
        ("certificates", status.certificate_ends.map_or("none".to_owned(), |at| format!("the next ends {}", ends(at)))),
        ("backup", backup(status, now)),
        ("clock", clock(status, now)),
        ("registry", format!("made {}, {}", ends(status.registry_created), changes(status.changes_head))),
        ("state", status.state_dir.clone()),
    ]
}

/// The people who wait for a decision, and the command that lists them.
fn waiting(status: &DaemonStatus, now: Timestamp) -> String {
    let waiting = &status.waiting;
    let oldest = waiting.oldest.and_then(instant).map(|oldest| time::length(oldest, now));
    let oldest = oldest.map_or_else(String::new, |length| format!(", the oldest for {length}"));
    let who = match (waiting.enrollments, waiting.more) {
        (0, _) => return "nobody for a decision".to_owned(),
        (1, _) => "1 enrollment".to_owned(),
        (count, false) => format!("{} enrollments", number(count)),
        (count, true) => format!("more than {} enrollments", number(count)),
    };
    format!("{who} for a decision{oldest}: enrollctl enrollment list --state pending")
}

/// Records by kind, without the kinds that have none.
fn records(status: &DaemonStatus) -> String {
    let there = status.records.iter().filter(|(_, count)| **count > 0);
    let all: Vec<String> =
        there.map(|(kind, count)| format!("{} {}", kind.replace('_', " "), number(*count))).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

fn requests(status: &DaemonStatus) -> String {
    let requests = &status.requests;
    let all = requests.done + requests.refused + requests.failed;
    let rate = all as f64 / status.uptime_seconds.max(1) as f64;
    format!(
        "{} since the start ({rate:.1} a second): {} refused, {} failed inside",
        number(all),
        number(requests.refused),
        number(requests.failed)
    )
}

fn now_open(status: &DaemonStatus) -> String {
    let connections = match status.connections {
        1 => "1 connection".to_owned(),
        count => format!("{} connections", number(count)),
    };
    format!("{connections}, {} writes in the queue", number(status.queue))
}

fn disk(status: &DaemonStatus) -> String {
    let free = status.disk.free_bytes.map_or_else(String::new, |free| format!(", {} free", bytes(free)));
    let commit = match status.disk.commit_micros {
        0 => String::new(),
        micros => format!(", a write is durable in {:.1} ms", micros as f64 / 1e3),
    };
    format!("database {}{free}{commit}", bytes(status.database.bytes))
}

/// The uids that caused most of what was written.
fn written(written: &[WrittenBytes]) -> String {
    let who = |row: &WrittenBytes| row.uid.map_or_else(|| "others".to_owned(), |uid| format!("uid {uid}"));
    let of = |row: &WrittenBytes| {
        format!("{}: {} this hour, {} in the last", who(row), bytes(row.bytes_this_hour), bytes(row.bytes_last_hour))
    };
    let most: Vec<String> = written.iter().take(WRITTEN_MAX).map(of).collect();
    if most.is_empty() { "nothing in this hour and the last".to_owned() } else { most.join("; ") }
}

fn backup(status: &DaemonStatus, now: Timestamp) -> String {
    match (&status.backup_directory, status.last_backup) {
        (Some(directory), Some(at)) => format!("{}, in {directory}", relative(at, now)),
        (Some(directory), None) => format!("none yet, into {directory}"),
        (None, Some(at)) => format!("{}; none are scheduled now", relative(at, now)),
        (None, None) => "none are scheduled: [backup] in enrolld.toml".to_owned(),
    }
}

fn clock(status: &DaemonStatus, now: Timestamp) -> String {
    let synchronised = if status.clock_synchronised { "synchronised" } else { "not synchronised" };
    let step = status.clock.map(|step| {
        let direction = if step.last_step_seconds < 0 { "back" } else { "forward" };
        let length = seconds(step.last_step_seconds.unsigned_abs());
        format!(", set {direction} by {length} {}", relative(step.last_step_at, now))
    });
    format!("{synchronised}{}", step.unwrap_or_default())
}

fn changes(head: u64) -> String {
    if head == 1 { "1 change".to_owned() } else { format!("{} changes", number(head)) }
}

fn instant(at: Time) -> Option<Timestamp> {
    time::instant(&at.to_string())
}

fn relative(at: Time, now: Timestamp) -> String {
    instant(at).map_or_else(|| at.to_string(), |at| time::relative(at, now))
}

fn day(at: Time) -> String {
    instant(at).map_or_else(|| at.to_string(), |at| at.strftime("%Y-%m-%d").to_string())
}

/// A length of time in its largest unit.
fn seconds(seconds: u64) -> String {
    let end = Timestamp::from_second(i64::try_from(seconds).unwrap_or(i64::MAX));
    end.map_or_else(|_| format!("{seconds} seconds"), |end| time::length(Timestamp::UNIX_EPOCH, end))
}

/// A number with commas between its thousands.
fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A size in the largest unit that fits at least once.
pub(crate) fn bytes(bytes: u64) -> String {
    let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use enroll_client::protocol::finding::{Finding, Topic};
    use enroll_client::protocol::server::{ClockStep, Database, Disk, Requests, Waiting};

    use super::*;

    fn time(text: &str) -> Time {
        text.parse().expect("a time")
    }

    fn status() -> DaemonStatus {
        DaemonStatus {
            version: "0.1.0".to_owned(),
            uptime_seconds: 180_000,
            state_dir: "/var/lib/enrolld".to_owned(),
            database: Database { bytes: 12 << 20, cache_bytes: 64 << 20, schema: 1 },
            registry_created: time("2025-01-31T18:00:00Z"),
            records: [("person".to_owned(), 1_234_567), ("pool".to_owned(), 0), ("token".to_owned(), 3)].into(),
            connections: 1,
            queue: 0,
            changes_head: 1_300_000,
            clock: None,
            warnings: Vec::new(),
            written: Vec::new(),
            last_backup: None,
            backup_directory: None,
            waiting: Waiting::default(),
            requests: Requests { done: 350_000, refused: 9_999, failed: 1 },
            disk: Disk { free_bytes: Some(3 << 30), needed_bytes: 64 << 20, commit_micros: 1_240 },
            clock_synchronised: true,
            authority_ends: time("2035-01-31T18:00:00Z"),
            certificate_ends: None,
        }
    }

    fn drawn_at(status: &DaemonStatus) -> String {
        drawn(status, "2026-01-31T18:00:00Z".parse().expect("an instant"))
    }

    #[test]
    fn a_sound_daemon_is_a_few_lines() {
        let expected = "\
enrolld 0.1.0, up for 2 days: all is well

waiting      nobody for a decision
records      person 1,234,567, token 3
requests     360,000 since the start (2.0 a second): 9,999 refused, 1 failed inside
now          1 connection, 0 writes in the queue
disk         database 12.0 MiB, 3.0 GiB free, a write is durable in 1.2 ms
written      nothing in this hour and the last
authority    ends in 8 years (2035-01-31)
certificates none
backup       none are scheduled: [backup] in enrolld.toml
clock        synchronised
registry     made 11 months ago (2025-01-31), 1,300,000 changes
state        /var/lib/enrolld";
        assert_eq!(drawn_at(&status()), expected);
    }

    #[test]
    fn what_is_wrong_comes_first_and_who_waits_after_it() {
        let mut status = status();
        status.warnings = vec![Finding::of(Topic::DiskLow, "", &[("state_dir", "/s"), ("low", "256 MiB")])];
        status.waiting = Waiting { enrollments: 1_000, more: true, oldest: Some(time("2026-01-29T17:00:00Z")) };
        status.clock = Some(ClockStep { last_step_seconds: -7_200, last_step_at: time("2026-01-31T17:00:00Z") });
        status.written = vec![
            WrittenBytes { uid: Some(1000), bytes_this_hour: 300, bytes_last_hour: 70 << 10 },
            WrittenBytes { uid: None, bytes_this_hour: 0, bytes_last_hour: 1 },
        ];
        let screen = drawn_at(&status);
        let lines: Vec<&str> = screen.lines().collect();
        assert_eq!(lines[0], "enrolld 0.1.0, up for 2 days: 1 thing is wrong");
        assert_eq!(lines[2], "warning  The disk is nearly full");
        assert_eq!(
            lines[6],
            "waiting      more than 1,000 enrollments for a decision, the oldest for 2 days: \
             enrollctl enrollment list --state pending"
        );
        assert!(screen.contains("uid 1000: 300 bytes this hour, 70.0 KiB in the last; others: 0 bytes"), "{screen}");
        status.backup_directory = Some("/b".to_owned());
        status.last_backup = Some(time("2026-01-30T17:00:00Z"));
        assert!(drawn_at(&status).contains("backup       1 day ago, in /b\n"), "{screen}");
        assert!(screen.contains("clock        synchronised, set back by 2 hours 1 hour ago"), "{screen}");
    }

    #[test]
    fn a_status_is_wrong_by_its_errors_and_warnings() {
        for (topic, expected) in [(Topic::Registry, false), (Topic::Memory, true), (Topic::DiskFull, true)] {
            let status = DaemonStatus { warnings: vec![Finding::told(topic, "", "so")], ..status() };
            let json = serde_json::to_string(&status).expect("JSON");
            assert_eq!(is_wrong(&json), expected, "{topic:?}");
        }
    }
}
