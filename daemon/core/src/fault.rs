//! Faults: the errors of an operation, domain refusals and internal failures, and their one mapping to wire refusals.

use std::any::Any;
use std::collections::BTreeMap;

use enroll_protocol::{Code, Invalid, Json, OperationRow, Pk, Refusal};

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
    /// A unit of a transaction was refused, and with it the transaction.
    #[error("unit {}: {}", .0.at, .0.fault)]
    Unit(Box<UnitFault>),
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

/// The fault of a unit of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFault {
    /// The index of the unit, from 0.
    pub at: usize,
    /// The number of its operation.
    pub operation: u16,
    /// Its fault.
    pub fault: Fault,
    /// Codes that were right, of this unit and of those before it. Nothing tells of them but the refusal, so each counts
    /// as a guess.
    pub right_codes: u32,
}

/// A refused attempt on a code or a token.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The refusal for the caller.
    pub refusal: &'a Refusal,
    /// The code or token, where there is one.
    pub subject: Option<Pk>,
    /// True for a code that does not exist.
    pub guess: bool,
    /// The operation, where it is not that of the call: a unit of a transaction.
    pub operation: Option<u16>,
}

impl Fault {
    /// The refused attempt on a code or a token, if this is one.
    pub fn attempt(&self) -> Option<Attempt<'_>> {
        match self {
            Self::Attempt { refusal, subject, guess } => {
                Some(Attempt { refusal, subject: *subject, guess: *guess, operation: None })
            }
            Self::Unit(unit) => unit.fault.attempt().map(|of| Attempt { operation: Some(unit.operation), ..of }),
            _ => None,
        }
    }

    /// Right codes of a refused transaction, each of which counts as a guess.
    pub fn right_codes(&self) -> u32 {
        match self {
            Self::Unit(unit) => unit.right_codes,
            _ => 0,
        }
    }

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
            Self::Unit(unit) => unit.refusal(),
            _ => Refusal::plain(Code::INTERNAL),
        }
    }

    /// True for a failure of the daemon, false for a refusal by the domain.
    pub fn is_internal(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Attempt { .. } => false,
            Self::Unit(unit) => unit.fault.is_internal(),
            _ => true,
        }
    }
}

impl UnitFault {
    fn refusal(&self) -> Refusal {
        in_unit(self.at, self.operation, self.fault.refusal())
    }
}

/// The refusal of a unit as that of its transaction: its code, and the unit's index in message and details.
pub fn in_unit(at: usize, operation: u16, refusal: Refusal) -> Refusal {
    let name = OperationRow::by_number(operation).map_or("", |row| row.name);
    let details = refusal.details.as_ref().map(Json::members).transpose().ok().flatten().unwrap_or_default();
    let mut details: BTreeMap<&str, serde_json::Value> = details
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), serde_json::from_str(value.get()).ok()?)))
        .collect();
    details.insert("unit", at.into());
    let message = format!("units[{at}] {name}: {}; nothing was done", refusal.message);
    Refusal { details: Json::of(&details).ok(), ..Refusal::new(refusal.code, message) }
}

impl From<Invalid> for Fault {
    fn from(invalid: Invalid) -> Self {
        Self::Refused(invalid.into())
    }
}
