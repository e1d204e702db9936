//! Why enrollctl did not do what it was asked to, as an exit code and as the one line it prints.

use std::io;
use std::process::ExitCode;

use enroll_client::Error;
use enroll_client::protocol::{Code, Refusal};

/// See the module.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line can not be carried out.
    Usage(String),
    /// The daemon refused, or there is none.
    Client(Error),
    /// Standard input or something of this process failed.
    Io(io::Error),
    /// Standard output failed: what was asked for is done, and the answer is lost.
    Lost(String),
    /// What enrollctl does by itself, the tour or a bench, can not be done.
    Own(String),
}

impl Failure {
    /// 1 refused, 2 usage, 3 unavailable, 4 done, but the answer could not be written.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Client(Error::Unavailable(_)) => ExitCode::from(3),
            Self::Lost(_) => ExitCode::from(4),
            Self::Client(_) | Self::Io(_) | Self::Own(_) => ExitCode::from(1),
        }
    }

    /// The line for people.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Usage(message) | Self::Own(message) | Self::Lost(message) => message.clone(),
            Self::Client(error) => match refusal_of(error) {
                Some(refusal) => format!("{} ({})", refusal.message, refusal.code),
                None => error.to_string(),
            },
            Self::Io(err) => err.to_string(),
        }
    }

    /// The form for programs, where the contract has one.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Client(error) => refusal_of(error),
            Self::Usage(message) => Some(Refusal::new(Code::INVALID_ARGUMENT, message.clone())),
            Self::Io(_) | Self::Own(_) | Self::Lost(_) => None,
        }
    }
}

impl Failure {
    /// The failure of an answer that could not be written to standard output.
    pub(crate) fn lost(err: &io::Error) -> Self {
        Self::Lost(format!("standard output: {err}; what was asked for is done, and its answer could not be written"))
    }

    /// The same of a file that goes to standard output, of which a part is worth nothing.
    pub(crate) fn of_part(self, what: &str) -> Self {
        match self {
            Self::Lost(why) => Self::Lost(format!("{why}; what was read is no {what}")),
            other => other,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Client(error)
    }
}

/// An error of the client as a refusal: `unavailable` is the client's own.
pub(crate) fn refusal_of(error: &Error) -> Option<Refusal> {
    match error {
        Error::Refused(refusal) => Some(refusal.clone()),
        Error::Unavailable(message) => Some(Refusal::new(Code::UNAVAILABLE, message.clone())),
        Error::Protocol(_) => None,
    }
}
