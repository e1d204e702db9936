//! How a call can fail: three ways, because a caller does one of three things about it.

use enroll_protocol::Refusal;

/// Why a call has no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The daemon said no, to the request or to the connection. Asking again changes nothing, unless
    /// [`Code::is_passing`](enroll_protocol::Code::is_passing).
    #[error("{0}")]
    Refused(Refusal),
    /// No answer came within the client's bounds; the message names the socket. Whether a write was done is not known,
    /// and asking again under the same key is safe.
    #[error("{0}")]
    Unavailable(String),
    /// What answered does not speak the contract, or speaks another version of it.
    #[error("{0}")]
    Protocol(String),
}

impl Error {
    /// The refusal, if the daemon said no.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Unavailable(_) | Self::Protocol(_) => None,
        }
    }
}
