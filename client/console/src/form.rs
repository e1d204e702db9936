//! Forms: the hidden fields that each one carries, a form that was sent, and fields with their problems.

use std::str::FromStr;
use std::sync::Arc;

use axum::Form;
use axum::extract::{FromRequest, FromRequestParts as _, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use enroll_protocol::{Code, Key, Pk};
use maud::{Markup, html};

use crate::address;
use crate::console::Console;
use crate::context::{Context, unit_key};
use crate::outcome::Outcome;
use crate::refusal::{self, Told};
use crate::secret;
use crate::shown::shown;
use crate::visit::{Trouble, Visit};
use crate::when;

/// The hidden field with the session's token.
pub(crate) const TOKEN: &str = "token";

/// The hidden field with the idempotency key of the write.
pub(crate) const KEY: &str = "key";

/// The hidden field with the address to come back to.
pub(crate) const BACK: &str = "back";

/// The parameter of an address that names the form whose outcomes its page shows.
pub(crate) const OUTCOME: &str = "outcome";

/// A new idempotency key.
pub(crate) fn new_key() -> Key {
    Key(Pk::v7(when::now().micros(), secret::random()))
}

/// A form that was sent by the session, with its token.
#[derive(Debug)]
pub(crate) struct Sent {
    /// The visit. Its `here` is the page that the form stood on.
    pub(crate) visit: Visit,
    /// The idempotency key of the write.
    pub(crate) key: Key,
    fields: Vec<(String, String)>,
}

/// A problem with an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The id of the field.
    pub(crate) field: &'static str,
    /// The refusal.
    pub(crate) told: Told,
}

/// A text field of a form.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Field<'a> {
    /// Its name and id; it is unique on the page.
    pub(crate) name: &'a str,
    /// Its label.
    pub(crate) label: &'a str,
    /// A sentence below the label; empty for none.
    pub(crate) hint: &'a str,
    /// The input so far.
    pub(crate) value: &'a str,
    /// True if a password manager should not fill it and a code is typed here.
    pub(crate) is_code: bool,
}

impl Sent {
    /// The input of this field; empty where there is none. White space around it is not meant.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim())
    }

    /// The inputs of a field that there may be several of, such as boxes that were ticked.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a field that must be given.
    pub(crate) fn value<T: FromStr<Err: ToString>>(&self, name: &'static str) -> Result<T, Problem> {
        let invalid = |err: T::Err| Problem { field: name, told: Told::invalid(err.to_string()) };
        self.text(name).parse().map_err(invalid)
    }

    /// The value of a field that may be empty.
    pub(crate) fn value_if_any<T: FromStr<Err: ToString>>(&self, name: &'static str) -> Result<Option<T>, Problem> {
        if self.text(name).is_empty() { Ok(None) } else { self.value(name).map(Some) }
    }

    /// The key of one of several writes of this form.
    pub(crate) fn unit_key(&self, record: Pk) -> Key {
        unit_key(self.key, record)
    }

    /// Keeps the outcomes and leads back to the page that the form stood on, which shows them.
    pub(crate) fn done(&self, outcomes: Vec<Outcome>) -> Response {
        self.done_at(&self.visit.here.clone(), outcomes)
    }

    /// The same, leading to another address, such as the page of what was made.
    pub(crate) fn done_at(&self, to: &str, outcomes: Vec<Outcome>) -> Response {
        self.visit.console().outcomes.keep(self.key, outcomes);
        let to = address::with_query(&address::without(to, OUTCOME), &[(OUTCOME, &self.key.0.to_string())]);
        see_other(&self.visit.at(&to))
    }
}

/// A 303 to this path.
pub(crate) fn see_other(path: &str) -> Response {
    let to = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}

impl FromRequest<Arc<Console>> for Sent {
    type Rejection = Trouble;

    async fn from_request(request: Request, console: &Arc<Console>) -> Result<Self, Trouble> {
        let (mut parts, body) = request.into_parts();
        let visit = Visit::from_request_parts(&mut parts, console).await.unwrap_or_else(|never| match never {});
        let visit = visit.back_at("/");
        let refuse = |code, message: &str| visit.refused(&Told { code: Some(code), message: message.to_owned() });
        if console.is_read_only {
            return Err(refuse(Code::PERMISSION_DENIED, "this console only reads; start it without --read-only"));
        }
        let read = Form::<Vec<(String, String)>>::from_request(Request::from_parts(parts, body), console).await;
        let Form(fields) = read.map_err(|err| refuse(Code::INVALID_ARGUMENT, &err.body_text()))?;
        let field = |name: &str| fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());
        if !console.session.token().is(field(TOKEN)) {
            return Err(refuse(Code::PERMISSION_DENIED, "the form is not one of this session; load its page again"));
        }
        let key = field(KEY).parse();
        let key = key.map_err(|_| refuse(Code::INVALID_ARGUMENT, "the form has no key; load its page again"))?;
        let here = address::local(field(BACK)).to_owned();
        Ok(Self { visit: visit.back_at(&here), key, fields })
    }
}

impl Field<'_> {
    /// The field with its label, its hint and its problem.
    pub(crate) fn markup(&self, problems: &[Problem], context: &Context) -> Markup {
        let problem = problems.iter().find(|problem| problem.field == self.name);
        let described = [(!self.hint.is_empty(), "hint"), (problem.is_some(), "problem")];
        let described = described.iter().filter(|(is_there, _)| *is_there);
        let described: Vec<String> = described.map(|(_, part)| format!("{}-{part}", self.name)).collect();
        let described = (!described.is_empty()).then(|| described.join(" "));
        html! {
            div .field {
                label for=(self.name) { (self.label) }
                @if !self.hint.is_empty() { p .hint id={ (self.name) "-hint" } { (self.hint) } }
                @if let Some(problem) = problem {
                    p .problem id={ (self.name) "-problem" } { "Error: " (refusal::sentence(&problem.told, context)) }
                }
                input type="text" id=(self.name) name=(self.name) value=(self.value) dir="auto"
                    aria-describedby=[described] aria-invalid=[problem.map(|_| "true")]
                    autocomplete="off" spellcheck="false" autocapitalize=[self.is_code.then_some("characters")];
            }
        }
    }
}

/// The summary of problems at the top of a page. It has the focus, and each line leads to its field.
pub(crate) fn summary(problems: &[Problem], context: &Context) -> Markup {
    if problems.is_empty() {
        return html! {};
    }
    html! {
        section .outcomes .bad tabindex="-1" autofocus aria-labelledby="problems" {
            h2 id="problems" { "There is a problem" }
            ul {
                @for problem in problems {
                    li {
                        a href={ "#" (problem.field) } { (shown(&problem.told.message)) }
                        (refusal::code(&problem.told, context))
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_stands_at_its_field_and_in_the_summary_with_the_input_kept() {
        let context = Context::for_tests();
        let problems = [Problem { field: "reason", told: Told::invalid("a reason is <short>") }];
        let field = Field { name: "reason", label: "Reason", hint: "for people", value: "a\"b", is_code: false };
        let drawn = field.markup(&problems, &context).into_string();
        for part in [
            "value=\"a&quot;b\"",
            "aria-invalid=\"true\"",
            "aria-describedby=\"reason-hint reason-problem\"",
            "a reason is &lt;short&gt;",
        ] {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
        let drawn = summary(&problems, &context).into_string();
        assert!(drawn.contains("href=\"#reason\"") && drawn.contains("autofocus"), "{drawn}");
        assert!(!field.markup(&[], &context).into_string().contains("aria-invalid"));
    }
}
