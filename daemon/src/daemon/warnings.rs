//! Standing warnings: findings of the daemon about itself, such as a trusted issuer without a usable key or an
//! authority that ends soon. They do not stop it and need an administrator.
//!
//! A warning is told once it has held for as long as the table of findings says, and is logged then. As long as it
//! holds `server.status` lists it and the metric `enrolld_warnings` counts it by topic, unless its cause holds too.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use enroll_protocol::finding::{self, Finding, Severity, TABLE};

pub use enroll_protocol::finding::Topic;

use crate::config::Warned;
use crate::metrics::{Level, Series};

/// The topic and the subject of the warning that a start doubts the clock.
pub const CLOCK_DOUBTED: (&str, &str) = (Topic::Clock.name(), "start");

/// The current warnings, by topic and subject.
#[derive(Debug)]
pub struct Warnings {
    held: Mutex<Held>,
    counts: Series<Level>,
}

type Held = BTreeMap<(Topic, String), Holding>;

/// A warning that holds.
#[derive(Debug)]
struct Holding {
    finding: Finding,
    since: Instant,
    is_told: bool,
}

impl Default for Warnings {
    fn default() -> Self {
        let counts = Series::of(TABLE.iter().map(|row| vec![("topic", row.topic.name())]), Level::default);
        for row in TABLE.iter().filter(|row| !row.topic.is_of_machine()) {
            counts.at(row.topic as usize).set(0);
        }
        Self { held: Mutex::default(), counts }
    }
}

impl Warnings {
    /// Replaces the warnings of a topic, each a subject and a sentence of its own. Logs the new ones and the ends of old
    /// ones.
    pub fn replace(&self, topic: Topic, warnings: impl IntoIterator<Item = Warned>) {
        let findings = warnings.into_iter().map(|(subject, message)| Finding::told(topic, &subject, &message));
        self.replace_findings(topic, findings);
    }

    /// Replaces the warnings of a topic, likewise.
    pub fn replace_findings(&self, topic: Topic, findings: impl IntoIterator<Item = Finding>) {
        self.replace_at(topic, findings, Instant::now());
    }

    fn replace_at(&self, topic: Topic, findings: impl IntoIterator<Item = Finding>, now: Instant) {
        let mut held = self.lock();
        let mut before = held.extract_if(.., |(of, _), _| *of == topic).collect::<Held>();
        for finding in findings {
            let key = (topic, finding.subject.clone());
            let holding = match before.remove(&key) {
                Some(same) if same.finding == finding => same,
                Some(other) => Holding { finding, is_told: false, ..other },
                None => Holding { finding, since: now, is_told: false },
            };
            held.insert(key, holding);
        }
        for ((_, subject), _) in before.iter().filter(|(key, holding)| holding.is_told && !held.contains_key(*key)) {
            tracing::info!(topic = topic.name(), subject, "this warning is over");
        }
        self.tell(&mut held, now);
    }

    /// True while a topic has a warning that is told.
    pub fn holds(&self, topic: Topic) -> bool {
        self.counts.at(topic as usize).get() > 0
    }

    /// The warnings to tell, the worst first.
    pub fn all(&self) -> Vec<Finding> {
        self.all_at(Instant::now())
    }

    fn all_at(&self, now: Instant) -> Vec<Finding> {
        let mut held = self.lock();
        self.tell(&mut held, now);
        let told = held.values().filter(|holding| holding.is_told).map(|holding| holding.finding.clone());
        finding::to_tell(told)
    }

    /// The number of current warnings by topic, for the metrics.
    pub fn counts(&self) -> &Series<Level> {
        &self.counts
    }

    /// Logs the warnings that have held for long enough by now, and counts those without a cause among them.
    fn tell(&self, held: &mut Held, now: Instant) {
        let mut counts = vec![0; TABLE.len()];
        for ((topic, _), holding) in held.iter_mut() {
            let after = Duration::from_secs(topic.row().after_seconds);
            if !holding.is_told && now.duration_since(holding.since) >= after {
                holding.is_told = true;
                log(&holding.finding);
            }
            counts[*topic as usize] += u64::from(holding.is_told);
        }
        for row in TABLE.iter().filter(|row| !row.topic.is_of_machine()) {
            let is_effect = row.causes.iter().any(|cause| counts[*cause as usize] > 0);
            self.counts.at(row.topic as usize).set(if is_effect { 0 } else { counts[row.topic as usize] });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log(finding: &Finding) {
    let Finding { topic, subject, message, mend, severity } = finding;
    match severity {
        Severity::Error => tracing::error!(topic, subject, mend, "{message}"),
        Severity::Warning | Severity::Notice => tracing::warn!(topic, subject, mend, "{message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_has_the_warnings_it_was_given_last() {
        let warnings = Warnings::default();
        let given = |subject: &str| (subject.to_owned(), format!("{subject} is odd"));
        warnings.replace(Topic::Issuers, [given("b"), given("a")]);
        warnings.replace(Topic::Grants, [given("c")]);
        warnings.replace(Topic::Issuers, [given("a")]);
        let subjects: Vec<_> = warnings.all().into_iter().map(|warning| (warning.topic, warning.subject)).collect();
        let expected =
            [("grants", "c"), ("issuers", "a")].map(|(topic, subject)| (topic.to_owned(), subject.to_owned()));
        assert_eq!(subjects, expected);
        assert_eq!(warnings.counts().at(Topic::Issuers as usize).get(), 1);
    }

    #[test]
    fn a_warning_is_told_when_it_has_held_for_long_enough_and_not_beside_its_cause() {
        let (warnings, start) = (Warnings::default(), Instant::now());
        let found = |topic: Topic| [Finding::of(topic, "", &[])];
        let told = |after| {
            let all = warnings.all_at(start + Duration::from_secs(after));
            all.into_iter().map(|finding| finding.topic).collect::<Vec<_>>()
        };
        warnings.replace_at(Topic::SlowDisk, found(Topic::SlowDisk), start);
        assert_eq!((told(59), warnings.holds(Topic::SlowDisk)), (vec![], false));
        warnings.replace_at(Topic::SlowDisk, found(Topic::SlowDisk), start + Duration::from_secs(30));
        assert_eq!((told(60), warnings.holds(Topic::SlowDisk)), (vec!["slow_disk".to_owned()], true));
        warnings.replace_at(Topic::DiskFull, found(Topic::DiskFull), start + Duration::from_secs(60));
        assert_eq!((told(60), warnings.holds(Topic::SlowDisk)), (vec!["disk_full".to_owned()], false));
        warnings.replace_at(Topic::DiskFull, [], start + Duration::from_secs(61));
        warnings.replace_at(Topic::SlowDisk, [], start + Duration::from_secs(61));
        assert_eq!(told(61), Vec::<String>::new());
    }
}
