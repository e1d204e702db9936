//! Alert rules and dashboard: they name metrics that there are and pages that there are, and promtool finds that every
//! alert fires on what it is for.

use std::collections::BTreeSet;
use std::process::Command;

use enroll_protocol::cluster::ClusterStatus;
use enroll_protocol::finding::TABLE;
use enroll_protocol::server::{Disk, Status, Waiting};
use enroll_protocol::{Code, Operation as _, Time};
use enroll_tests::openmetrics::Exposition;
use enroll_tests::pages;
use enroll_tests::skip::skipped;
use enrolld::daemon::abuse::{Abuse, AbuseLog};
use enrolld::daemon::warnings::Warnings;
use enrolld::metrics::{JournalFigures, Metrics, Standing};

const RULES: &str = include_str!("../../../docs/alerts/enrolld.rules.yml");
const TESTS: &str = include_str!("../../../docs/alerts/enrolld.rules.test.yml");
const DASHBOARD: &str = include_str!("../../../docs/alerts/enrolld.dashboard.json");

/// The runner of a hook, which names its metrics.
const HOOKS: &str = include_str!("../../../client/cli/src/hooks/textfile.rs");

/// The address of a page in the package.
const PAGES: &str = "file:///usr/share/doc/enrolld/docs/";

/// The words of a text that are names of our metrics, without the ends that counters and histograms add.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let names = words.filter(|word| word.starts_with("enrolld_") && !word.ends_with("_alerts"));
    let ends = ["_total", "_sum", "_count", "_bucket"];
    let base = |name: &str| ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned();
    names.map(base).collect()
}

/// A command with its arguments in capitals, as the pages have them.
fn capitals(mend: &str) -> String {
    let pieces = mend.split(['{', '}']).enumerate();
    pieces.map(|(at, piece)| if at % 2 == 1 { piece.to_uppercase() } else { piece.to_owned() }).collect()
}

/// A text with every metric: something waits, was issued, was refused, and there are a disk and a cluster.
fn everything() -> String {
    let (warnings, abuse) = (Warnings::default(), AbuseLog::default());
    abuse.note(Abuse::NoGrant, 7);
    let metrics = Metrics::new(Time::EPOCH).with_journal(&JournalFigures::default());
    let metrics = metrics.with_warnings(warnings.counts()).with_abuse(abuse.counts());
    metrics.answered(Status::ROW.number, Some(Code::BUSY), 1.0);
    let now = Some(Time::EPOCH);
    let standing = Standing {
        certificate_ends: now,
        last_backup: now,
        waiting: Waiting { oldest: now, ..Waiting::default() },
        disk: Disk { free_bytes: Some(0), ..Disk::default() },
        cluster: ClusterStatus { member: Some("a".to_owned()), ..ClusterStatus::default() },
        ..Standing::default()
    };
    metrics.text(&standing).expect("a text")
}

#[test]
fn rules_and_dashboard_name_metrics_that_there_are() {
    let mut there: BTreeSet<String> = Exposition::read(&everything()).metrics.into_keys().collect();
    there.extend(named(HOOKS));
    for (file, text) in [("rules", RULES), ("their tests", TESTS), ("the dashboard", DASHBOARD)] {
        let names = named(text);
        assert!(names.len() > 5, "{file}: {names:?}");
        for name in names {
            assert!(there.contains(&name), "{file}: there is no metric {name}");
        }
    }
    serde_json::from_str::<serde_json::Value>(DASHBOARD).expect("JSON");
}

#[test]
fn every_alert_leads_to_a_page_and_has_a_test() {
    let alerts: Vec<&str> = RULES.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let pages_of: Vec<&str> = RULES.lines().filter_map(|line| line.trim().strip_prefix("runbook_url: ")).collect();
    assert_eq!(alerts.len(), pages_of.len());
    for (alert, url) in alerts.iter().zip(pages_of) {
        let place = url.strip_prefix(PAGES).unwrap_or_else(|| panic!("{alert}: {url}"));
        let (file, anchor) = place.split_once('#').unwrap_or((place, ""));
        let page = pages::page(&format!("docs/{file}"));
        assert!(anchor.is_empty() || page.anchors().iter().any(|known| known == anchor), "{alert}: {url}");
        let of_alert = format!("alertname: {alert}\n");
        let fires = TESTS.split(&of_alert).skip(1);
        assert!(fires.into_iter().any(|rest| rest.trim_start().starts_with("exp_alerts:")), "{alert} has no test");
    }
}

#[test]
fn every_finding_has_a_page_and_no_page_is_without_one() {
    let page = pages::page("docs/findings.md");
    let headings: Vec<&str> = page.text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let topics: Vec<&str> = TABLE.iter().map(|row| row.topic.name()).collect();
    assert_eq!(headings, topics);
    for row in TABLE {
        let name = row.topic.name();
        let (_, rest) = page.text.split_once(&format!("## {name}\n")).expect("a heading");
        let section = rest.split("\n## ").next().unwrap_or_default();
        assert!(section.trim_start().starts_with(row.title), "{name}: {section}");
        let words = section.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_told = row.mend.starts_with('{') || words.contains(&format!("Mend: {}.", capitals(row.mend)));
        assert!(is_told, "{name} lacks its command: {words}");
    }
}

#[test]
fn promtool_takes_the_rules_and_their_tests() {
    let directory = pages::root().join("docs/alerts");
    for args in [["check", "rules", "enrolld.rules.yml"], ["test", "rules", "enrolld.rules.test.yml"]] {
        let Ok(output) = Command::new("promtool").args(args).current_dir(&directory).output() else {
            skipped("promtool_takes_the_rules_and_their_tests", "needs promtool (package prometheus)");
            return;
        };
        let printed = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {printed}");
    }
}
