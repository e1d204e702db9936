//! The outcomes of writes: kept for a while under the key of their form, so that the page after it shows them, also
//! when it is loaded again.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use enroll_client::Error;
use enroll_protocol::Key;

use crate::told::Told;

/// Forms whose outcomes are kept.
const FORMS_MAX: usize = 256;

/// The outcome of one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The record, by its name for people.
    pub(crate) subject: String,
    /// The address of the record, if it has one.
    pub(crate) address: Option<String>,
    /// The act that was done, such as `approved`, or the refusal.
    pub(crate) result: Result<String, Told>,
}

impl Outcome {
    /// The outcome of a call: `done` says what was done.
    pub(crate) fn of<T>(
        subject: impl Into<String>,
        address: Option<String>,
        done: &str,
        reply: Result<T, Error>,
    ) -> Self {
        let result = reply.map(|_| done.to_owned()).map_err(|error| Told::of(&error));
        Self { subject: subject.into(), address, result }
    }
}

/// The outcomes of the latest forms.
#[derive(Debug, Default)]
pub(crate) struct Outcomes(Mutex<VecDeque<(Key, Vec<Outcome>)>>);

impl Outcomes {
    /// Keeps the outcomes of a form.
    pub(crate) fn keep(&self, form: Key, outcomes: Vec<Outcome>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(key, _)| *key != form);
        kept.push_back((form, outcomes));
        if kept.len() > FORMS_MAX {
            kept.pop_front();
        }
    }

    /// The outcomes of a form; none for one that is not known.
    pub(crate) fn of(&self, form: Key) -> Vec<Outcome> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(key, _)| *key == form).map(|(_, outcomes)| outcomes.clone()).unwrap_or_default()
    }
}

/// True if one of them is a refusal.
pub(crate) fn has_refusal(outcomes: &[Outcome]) -> bool {
    outcomes.iter().any(|outcome| outcome.result.is_err())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key;

    #[test]
    fn only_the_latest_are_kept() {
        let (outcomes, first) = (Outcomes::default(), key::new_key());
        outcomes.keep(first, vec![Outcome::of("A", None, "done", Ok(()))]);
        assert_eq!(outcomes.of(first).len(), 1);
        for _ in 0..FORMS_MAX {
            outcomes.keep(key::new_key(), Vec::new());
        }
        assert_eq!(outcomes.of(first), []);
    }
}
