//! Why an operation has no reply, and what of that the caller is told.

use std::any::Any;

use enroll_protocol::{Code, Invalid, Pk, Refusal};

use crate::identity::IdentityError;
use crate::needs::Needed;
use crate::state::StoreError;

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
    /// What a rule needed could not be made.
    #[error("what a rule needed can not be made: {0}")]
    Unmade(String),
    /// Something must be made outside before the rule can run.
    #[error("something must be made first: {0:?}")]
    Needs(Needed),
    /// The rule panicked.
    #[error("a rule panicked: {0}")]
    Panic(String),
}

impl Fault {
    /// What a panicking rule comes to.
    pub fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Self::Panic(text.unwrap_or_else(|| "without a text".to_owned()))
    }

    /// A refusal as a refused attempt on a code or token, which is remembered.
    pub fn into_attempt(self, subject: Option<Pk>) -> Self {
        match self {
            Self::Refused(refusal) => Self::Attempt { refusal, subject, guess: false },
            other => other,
        }
    }

    /// The refusal that the caller gets. Internal causes stay inside: they belong in the log.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Refused(refusal) | Self::Attempt { refusal, .. } => refusal.clone(),
            _ => Refusal::plain(Code::INTERNAL),
        }
    }

    /// Whether this is a failure of the daemon rather than an answer of the domain.
    pub fn is_internal(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::Attempt { .. })
    }
}

impl From<Invalid> for Fault {
    fn from(invalid: Invalid) -> Self {
        Self::Refused(invalid.into())
    }
}
