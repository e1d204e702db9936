//! Forms that were sent: their token and key, their inputs, and the way back.

use std::str::FromStr;
use std::sync::Arc;

use axum::Form;
use axum::extract::{FromRequest, FromRequestParts as _, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use enroll_protocol::{Code, Key, Pk};

use crate::address;
use crate::console::Console;
pub(crate) use crate::field::{Field, Problem};
use crate::key::{self, BACK, KEY, OUTCOME, TOKEN};
use crate::outcome::Outcome;
use crate::told::Told;
use crate::visit::{Trouble, Visit};

/// A form that was sent by the session, with its token.
#[derive(Debug)]
pub(crate) struct Sent {
    /// The visit. Its `here` is the page that the form stood on.
    pub(crate) visit: Visit,
    /// The idempotency key of the write.
    pub(crate) key: Key,
    fields: Vec<(String, String)>,
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
        key::unit_key(self.key, record)
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
