//! A refusal as it is told: in the words of the command line.

use axum::http::StatusCode;
use enroll_client::Error;
use enroll_client::protocol::Code;
use enrollctl::failure::Failure;

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

#[cfg(test)]
mod tests {
    use enroll_client::protocol::Refusal;

    use super::*;

    #[test]
    fn the_words_are_those_of_the_command_line() {
        let refused = Error::Refused(Refusal::new(Code::POOL_EXHAUSTED, "the pool is full"));
        let told = Told::of(&refused);
        assert_eq!(format!("{} ({})", told.message, told.code.expect("a code")), Failure::Client(refused).line());
        let away = Told::of(&Error::Unavailable("nobody listens".to_owned()));
        assert_eq!((away.code, away.status()), (Some(Code::UNAVAILABLE), StatusCode::SERVICE_UNAVAILABLE));
    }
}
