//! The outcomes of writes: kept for a while under the key of their form, so that the page after it shows them, also
//! when it is loaded again.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use enroll_client::Error;
use enroll_protocol::Key;
use maud::{Markup, html};

use crate::context::Context;
use crate::refusal::{self, Told};
use crate::shown::shown;

/// Forms whose outcomes are kept.
const FORMS_MAX: usize = 256;

/// The outcome of one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The record, by its name for people.
    pub(crate) subject: String,
    /// The address of the record, if it has one.
    pub(crate) address: Option<String>,
    /// What was done, such as `approved`, or the refusal.
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

/// The box at the top of the page: each outcome on a line, refusals first among equals by their mark in words.
pub(crate) fn markup(outcomes: &[Outcome], context: &Context) -> Markup {
    if outcomes.is_empty() {
        return html! {};
    }
    let refused = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
    let heading = match (outcomes.len(), refused) {
        (1, 0) => "Done".to_owned(),
        (1, _) => "Refused".to_owned(),
        (all, 0) => format!("All {all} are done"),
        (all, refused) => format!("{} of {all} are done, {refused} refused", all - refused),
    };
    let class = if refused > 0 { "outcomes bad" } else { "outcomes" };
    html! {
        section class=(class) tabindex="-1" autofocus aria-labelledby="outcomes" {
            h2 id="outcomes" { (heading) }
            ul {
                @for outcome in outcomes {
                    li {
                        @match &outcome.address {
                            Some(address) => (context.link(address, &outcome.subject)),
                            None => (shown(&outcome.subject)),
                        }
                        ": "
                        @match &outcome.result {
                            Ok(done) => (done),
                            Err(told) => (refusal::sentence(told, context)),
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use enroll_protocol::{Code, Refusal};

    use super::*;
    use crate::form;

    #[test]
    fn each_has_its_line_and_a_refusal_links_to_its_page() {
        let refused = Err::<(), _>(Error::Refused(Refusal::plain(Code::ALREADY_DECIDED)));
        let outcomes = [
            Outcome::of("<A>", Some("/a".to_owned()), "approved", Ok(())),
            Outcome::of("B", None, "approved", refused),
        ];
        let drawn = markup(&outcomes, &Context::for_tests()).into_string();
        for part in
            ["1 of 2 are done, 1 refused", "&lt;A&gt;", "href=\"/base/a\"", "href=\"/base/errors/already_decided\""]
        {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
        assert!(has_refusal(&outcomes) && !has_refusal(&outcomes[..1]));
    }

    #[test]
    fn only_the_latest_are_kept() {
        let (outcomes, first) = (Outcomes::default(), form::new_key());
        outcomes.keep(first, vec![Outcome::of("A", None, "done", Ok(()))]);
        assert_eq!(outcomes.of(first).len(), 1);
        for _ in 0..FORMS_MAX {
            outcomes.keep(form::new_key(), Vec::new());
        }
        assert_eq!(outcomes.of(first), []);
    }
}
