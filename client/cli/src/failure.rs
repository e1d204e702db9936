//! The errors of a command: each is an exit code and one line on standard error.

use std::io;
use std::process::ExitCode;

use enroll_client::Error;
use enroll_client::protocol::{Code, Refusal};

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// The daemon refused, does not answer, or does not speak the protocol.
    Client(Error),
    /// I/O of this process failed, such as reading standard input.
    Io(io::Error),
    /// Writing standard output failed: the request is done, and its answer is lost.
    Lost(String),
    /// Work of the program itself failed, such as writing a file or starting a server.
    Own(String),
}

impl Failure {
    /// 1 refused or failed, 2 usage, 3 unavailable, 4 done, but the answer could not be written.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Client(Error::Unavailable(_)) => ExitCode::from(3),
            Self::Lost(_) => ExitCode::from(4),
            Self::Client(_) | Self::Io(_) | Self::Own(_) => ExitCode::from(1),
        }
    }

    /// The line for people.
    pub fn line(&self) -> String {
        match self {
            Self::Usage(message) | Self::Own(message) | Self::Lost(message) => message.clone(),
            Self::Client(error) => match refusal_of(error) {
                Some(refusal) => format!("{} ({})", refusal.message, refusal.code),
                None => error.to_string(),
            },
            Self::Io(err) => err.to_string(),
        }
    }

    /// The refusal for programs that read JSON, if the failure has such a form.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Client(error) => refusal_of(error),
            Self::Usage(message) => Some(Refusal::new(Code::INVALID_ARGUMENT, message.clone())),
            Self::Io(_) | Self::Own(_) | Self::Lost(_) => None,
        }
    }

    /// The failure of writing an answer to standard output.
    pub(crate) fn lost(err: &io::Error) -> Self {
        Self::Lost(format!("standard output: {err}; what was asked for is done, and its answer could not be written"))
    }

    /// Adds to a lost answer that the part which was written is no complete `what`, such as a backup.
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

/// The refusal of a client's error; `unavailable` is a code that only the client makes.
pub(crate) fn refusal_of(error: &Error) -> Option<Refusal> {
    match error {
        Error::Refused(refusal) => Some(refusal.clone()),
        Error::Unavailable(message) => Some(Refusal::new(Code::UNAVAILABLE, message.clone())),
        Error::Protocol(_) => None,
    }
}
