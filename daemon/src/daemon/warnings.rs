//! Standing warnings: conditions that do not stop the daemon and need an administrator, such as a trusted issuer
//! without a usable key or an authority that ends soon.
//!
//! A warning is logged once, when it begins to hold. As long as it holds `server.status` lists it and the metric
//! `enrolld_warnings` counts it by topic.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use enroll_protocol::server::Warning;

use crate::config::Warned;
use crate::metrics::{Level, Series};

/// The part of the daemon that a warning is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// A line of the grants.
    Grants,
    /// A trusted issuer of JWTs.
    Issuers,
    /// The certificate authority.
    Authority,
    /// The system's clock.
    Clock,
    /// The registry itself.
    Registry,
    /// Users whose wrong codes are to be counted together.
    Guesses,
    /// Rate limits of wrong codes and refused calls.
    RateLimits,
    /// The memory limit of the process.
    Memory,
    /// Variables of the environment that look like keys of the configuration and are none.
    Environment,
}

impl Topic {
    /// Every topic, in the order of its discriminants.
    const ALL: [Self; 9] = [
        Self::Grants,
        Self::Issuers,
        Self::Authority,
        Self::Clock,
        Self::Registry,
        Self::Guesses,
        Self::RateLimits,
        Self::Memory,
        Self::Environment,
    ];

    /// The topic's name in status and metrics.
    const fn name(self) -> &'static str {
        match self {
            Self::Grants => "grants",
            Self::Issuers => "issuers",
            Self::Authority => "authority",
            Self::Clock => "clock",
            Self::Registry => "registry",
            Self::Guesses => "guesses",
            Self::RateLimits => "rate_limits",
            Self::Memory => "memory",
            Self::Environment => "environment",
        }
    }
}

/// The topic and the subject of the warning that a start doubts the clock.
pub const CLOCK_DOUBTED: (&str, &str) = (Topic::Clock.name(), "start");

/// The current warnings: the message of each topic and subject.
#[derive(Debug)]
pub struct Warnings {
    held: Mutex<BTreeMap<(Topic, String), String>>,
    counts: Series<Level>,
}

impl Default for Warnings {
    fn default() -> Self {
        let labels = Topic::ALL.map(|topic| vec![("topic", topic.name())]);
        let counts = Series::of(labels, Level::default);
        for at in 0..Topic::ALL.len() {
            counts.at(at).set(0);
        }
        Self { held: Mutex::default(), counts }
    }
}

impl Warnings {
    /// Replaces the warnings of a topic, each a subject and a message. Logs the new ones and the ends of old ones.
    pub fn replace(&self, topic: Topic, warnings: impl IntoIterator<Item = Warned>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = held.extract_if(.., |(of, _), _| *of == topic).collect::<BTreeMap<_, _>>();
        let mut count = 0;
        for (subject, message) in warnings {
            let key = (topic, subject);
            if before.remove(&key).as_ref() != Some(&message) {
                tracing::warn!(topic = topic.name(), subject = key.1, "{message}");
            }
            held.insert(key, message);
            count += 1;
        }
        for (_, subject) in before.keys().filter(|key| !held.contains_key(*key)) {
            tracing::info!(topic = topic.name(), subject, "this warning is over");
        }
        self.counts.at(topic as usize).set(count);
    }

    /// True while a topic has a warning.
    pub fn holds(&self, topic: Topic) -> bool {
        self.counts.at(topic as usize).get() > 0
    }

    /// All current warnings, by topic and subject.
    pub fn all(&self) -> Vec<Warning> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let warning = |((topic, subject), message): (&(Topic, String), &String)| Warning {
            topic: topic.name().to_owned(),
            subject: subject.clone(),
            message: message.clone(),
        };
        held.iter().map(warning).collect()
    }

    /// The number of current warnings by topic, for the metrics.
    pub fn counts(&self) -> &Series<Level> {
        &self.counts
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
}
