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
    /// Standard input or output failed.
    Io(io::Error),
    /// What enrollctl does by itself, the tour or a bench, can not be done.
    Own(String),
}

impl Failure {
    /// 1 refused, 2 usage, 3 unavailable. Who closed the pipe has read enough, which is no failure.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Client(Error::Unavailable(_)) => ExitCode::from(3),
            Self::Io(err) if err.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Client(_) | Self::Io(_) | Self::Own(_) => ExitCode::from(1),
        }
    }

    /// The line for people; `None` if nobody is there to read it.
    pub(crate) fn line(&self) -> Option<String> {
        match self {
            Self::Usage(message) | Self::Own(message) => Some(message.clone()),
            Self::Client(Error::Unavailable(message)) => Some(format!(
                "{message}; start the daemon with `enrolld`, or name another socket with --socket (unavailable)"
            )),
            Self::Client(error) => Some(match refusal_of(error) {
                Some(refusal) => format!("{} ({})", refusal.message, refusal.code),
                None => error.to_string(),
            }),
            Self::Io(err) if err.kind() == io::ErrorKind::BrokenPipe => None,
            Self::Io(err) => Some(err.to_string()),
        }
    }

    /// The form for programs, where the contract has one.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Client(error) => refusal_of(error),
            Self::Usage(message) => Some(Refusal::new(Code::INVALID_ARGUMENT, message.clone())),
            Self::Io(_) | Self::Own(_) => None,
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
