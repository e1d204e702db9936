//! Faults: the errors of an operation, domain refusals and internal failures, and their one mapping to wire refusals.

use std::any::Any;

use enroll_protocol::{Code, Invalid, Pk, Refusal};

use crate::identity::IdentityError;
use crate::needs::Needed;
use crate::state::StoreError;

/// An operation's error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A refusal by the domain.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A refusal of a code or a token. The attempt is recorded.
    #[error("{refusal}")]
    Attempt {
        /// The refusal for the caller.
        refusal: Refusal,
        /// The code or token, where there is one.
        subject: Option<Pk>,
        /// True for a code that does not exist, which the rate limit counts as a guess.
        guess: bool,
    },
    /// A read from the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key can not be used, or a seal does not open.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The daemon did not keep to what rules rely on: what one needed was not made, or a run ended too early.
    #[error("{0}")]
    Broken(String),
    /// The rule needs this made outside, and runs again with it.
    #[error("something must be made first: {0:?}")]
    Needs(Needed),
    /// The rule panicked, with this message.
    #[error("a rule panicked: {0}")]
    Panic(String),
}

impl Fault {
    /// The fault of a panic in a rule.
    pub fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Self::Panic(text.unwrap_or_else(|| "without a text".to_owned()))
    }

    /// Turns a refusal into a refused attempt on a code or token, which is recorded; other faults stay as they are.
    pub fn into_attempt(self, subject: Option<Pk>) -> Self {
        match self {
            Self::Refused(refusal) => Self::Attempt { refusal, subject, guess: false },
            other => other,
        }
    }

    /// The refusal for the caller. Internal causes become a plain `internal`: they belong in the log.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Refused(refusal) | Self::Attempt { refusal, .. } => refusal.clone(),
            _ => Refusal::plain(Code::INTERNAL),
        }
    }

    /// True for a failure of the daemon, false for a refusal by the domain.
    pub fn is_internal(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::Attempt { .. })
    }
}

impl From<Invalid> for Fault {
    fn from(invalid: Invalid) -> Self {
        Self::Refused(invalid.into())
    }
}
