//! The report at the top of the page that comes after a form: the outcome of each of its writes.

use maud::{Markup, html};

use crate::context::Context;
use crate::outcome::Outcome;
use crate::refusal;
use crate::shown::shown;

/// Each outcome on a line; the box has the focus, so that a screen reader begins with it.
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
                            Err(told) => { "refused: " (refusal::sentence(told, context)) },
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use enroll_client::Error;
    use enroll_protocol::{Code, Refusal};

    use super::*;
    use crate::outcome::has_refusal;

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
}
