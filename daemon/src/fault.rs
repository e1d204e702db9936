//! Why an operation has no reply, and what of that the caller is told.

use enroll_protocol::{Code, Invalid, Pk, Refusal};

use crate::identity::IdentityError;
use crate::store::StoreError;

/// Why an operation has no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The domain said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The domain said no to a code or a token, and remembers that somebody tried.
    #[error("{refusal}")]
    Attempt {
        /// What is answered.
        refusal: Refusal,
        /// The code or token, where there is one.
        subject: Option<Pk>,
        /// Whether it counts as a guess: a code that does not exist.
        guess: bool,
    },
    /// The store could not read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key or a seal is not what it should be.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The rule panicked.
    #[error("a rule panicked: {0}")]
    Panic(String),
}

impl Fault {
    /// What the caller is told. The inside stays inside: it belongs in the log, with the request's id.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Refused(refusal) | Self::Attempt { refusal, .. } => refusal.clone(),
            Self::Store(_) | Self::Identity(_) | Self::Panic(_) => Refusal::plain(Code::INTERNAL),
        }
    }

    /// Whether this is a failure of the daemon rather than an answer of the domain.
    pub fn is_internal(&self) -> bool {
        matches!(self, Self::Store(_) | Self::Identity(_) | Self::Panic(_))
    }
}

impl From<Invalid> for Fault {
    fn from(invalid: Invalid) -> Self {
        Self::Refused(invalid.into())
    }
}
