//! Refusals for people: the sentence of the command line, with a link to the page of its code.

use axum::http::StatusCode;
use enroll_client::Error;
use enroll_client::protocol::Code;
use enrollctl::failure::Failure;
use maud::{Markup, html};

use crate::context::Context;
use crate::shown::shown;

/// A refusal as it is told: its code, if it has one, and its sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// The code.
    pub(crate) code: Option<Code>,
    /// The sentence, without the code.
    pub(crate) message: String,
}

impl Told {
    /// An error of the client, in the words of the command line.
    pub(crate) fn of(error: &Error) -> Self {
        let failure = Failure::Client(error.clone());
        match failure.refusal() {
            Some(refusal) => Self { code: Some(refusal.code), message: refusal.message },
            None => Self { code: None, message: failure.line() },
        }
    }

    /// A sentence of the console's own, with the code that the command line has for it.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self { code: Some(Code::INVALID_ARGUMENT), message: message.into() }
    }

    /// The status of a page that says so.
    pub(crate) fn status(&self) -> StatusCode {
        match self.code {
            Some(Code::UNAVAILABLE | Code::SHUTTING_DOWN | Code::BUSY | Code::STORAGE) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Some(Code::NOT_FOUND | Code::DELETED) => StatusCode::NOT_FOUND,
            Some(Code::PERMISSION_DENIED | Code::FORBIDDEN_OPERATION) => StatusCode::FORBIDDEN,
            Some(Code::INTERNAL | Code::OUTCOME_UNKNOWN) | None => StatusCode::INTERNAL_SERVER_ERROR,
            Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

/// The sentence, and in parentheses the code as a link to its page.
pub(crate) fn sentence(told: &Told, context: &Context) -> Markup {
    html! {
        span .refusal {
            (shown(&told.message))
            (code(told, context))
        }
    }
}

/// The code in parentheses, as a link to its page; nothing where there is none.
pub(crate) fn code(told: &Told, context: &Context) -> Markup {
    html! {
        @if let Some(code) = told.code {
            " (" a href=(context.at(&format!("/errors/{code}"))) { (code) } ")"
        }
    }
}

#[cfg(test)]
mod tests {
    use enroll_client::protocol::Refusal;

    use super::*;

    #[test]
    fn the_words_are_those_of_the_command_line() {
        let refused = Error::Refused(Refusal::new(Code::POOL_EXHAUSTED, "pool <x> is full"));
        let told = Told::of(&refused);
        assert_eq!(format!("{} ({})", told.message, told.code.expect("a code")), Failure::Client(refused).line());
        let drawn = sentence(&told, &Context::for_tests()).into_string();
        assert!(drawn.contains("pool &lt;x&gt; is full") && drawn.contains("/base/errors/pool_exhausted"), "{drawn}");
        let away = Told::of(&Error::Unavailable("nobody listens".to_owned()));
        assert_eq!((away.code, away.status()), (Some(Code::UNAVAILABLE), StatusCode::SERVICE_UNAVAILABLE));
    }
}
