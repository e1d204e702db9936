//! A visit: one request of the session, with what a page needs to answer it.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use enroll_client::{Client, Error};
use maud::{Markup, html};

use crate::address;
use crate::console::Console;
use crate::context::Context;
use crate::field::Problem;
use crate::key::OUTCOME;
use crate::layout;
use crate::refusal;
use crate::told::Told;
use crate::when;

/// The answer of a handler. Both are pages.
pub(crate) type Answer = Result<Response, Trouble>;

/// The page of an error.
#[derive(Debug)]
pub(crate) struct Trouble(Box<Response>);

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// A request of the session. It is its [`Context`] too.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    console: Arc<Console>,
    context: Context,
}

impl Deref for Visit {
    type Target = Context;
    fn deref(&self) -> &Context {
        &self.context
    }
}

impl FromRequestParts<Arc<Console>> for Visit {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Self::Rejection> {
        let asked = parts.uri.path_and_query().map_or("/", |asked| asked.as_str());
        let query = asked.split_once('?').map_or("", |(_, query)| query);
        let shown = query.split('&').find_map(|pair| pair.strip_prefix(OUTCOME)?.strip_prefix('='));
        let shown = shown.and_then(|key| key.parse().ok()).map(|key| console.outcomes.of(key));
        let context = Context {
            base: console.base.clone(),
            here: address::without(asked, OUTCOME),
            token: console.session.token().text().to_owned(),
            actor: console.actor.clone(),
            is_read_only: console.is_read_only,
            now: when::now(),
            outcomes: shown.unwrap_or_default(),
        };
        Ok(Self { console: console.clone(), context })
    }
}

impl Visit {
    /// The client, which acts for the person of `--as`.
    pub(crate) fn client(&self) -> &Client {
        &self.console.client
    }

    /// The console.
    pub(crate) fn console(&self) -> &Console {
        &self.console
    }

    /// The same visit, drawn as a page of this address: after a form was sent that could not be done.
    pub(crate) fn back_at(mut self, here: &str) -> Self {
        here.clone_into(&mut self.context.here);
        self
    }

    /// A page of this section of the navigation, `""` for none.
    pub(crate) fn page(&self, section: &str, title: &str, main: Markup) -> Response {
        layout::page(&self.context, section, title, &[], main).into_response()
    }

    /// A page drawn again because an input is wrong: with a summary of the problems, each of which is a link to its
    /// field. The status is 422.
    pub(crate) fn page_with(&self, section: &str, title: &str, main: Markup, problems: &[Problem]) -> Response {
        let page = layout::page(&self.context, section, title, problems, main);
        (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
    }

    /// The page of an error of the client: the sentence of the command line.
    pub(crate) fn failed(&self, error: Error) -> Trouble {
        self.refused(&Told::of(&error))
    }

    /// The page of a refusal.
    pub(crate) fn refused(&self, told: &Told) -> Trouble {
        let main = html! {
            h1 { "This can not be shown or done" }
            p { (refusal::sentence(told, &self.context)) }
            p { a href=(self.at(&self.context.here)) { "Try again" } }
        };
        let page = layout::page(&self.context, "", "Error: this can not be shown or done", &[], main);
        Trouble(Box::new((told.status(), page).into_response()))
    }
}
