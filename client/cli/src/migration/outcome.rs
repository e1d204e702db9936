//! The outcome of a row, and the calls that it takes: a refusal is an outcome, and an absent daemon ends the import.

use std::sync::Arc;

use enroll_client::protocol::{Code, Envelope, Key, Operation, Refusal, codec};
use enroll_client::{Client, Error, Transaction};
use serde_json::{Map, Value};

use super::fields::IMPORTED;
use super::pool::KnownPools;

/// The outcome of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is in the registry now, with the new code if one was drawn for it.
    Carried(Option<String>),
    /// It was in the registry already.
    There(String),
    /// The daemon or the row itself says no, and why.
    Refused(Refusal),
    /// No registry can take it over, and why.
    NotCarried(String),
}

/// The parts of a row that its outcome is told with.
pub(super) struct Told<'a> {
    pub(super) result: &'static str,
    pub(super) code: String,
    pub(super) message: &'a str,
    pub(super) new: &'a str,
}

/// The results that need no other run.
pub(super) const SETTLED: [&str; 2] = ["carried", "there"];

impl Outcome {
    /// The refusal of a row that can not be read.
    pub(super) fn unreadable(why: impl Into<String>) -> Self {
        Self::Refused(Refusal::new(Code::INVALID_ARGUMENT, why))
    }

    /// The refusal of a row whose record is there with other values.
    pub(super) fn differs(what: &str) -> Self {
        Self::Refused(Refusal::new(Code::CONFLICT, format!("it is there already, and {what}")))
    }

    pub(super) fn told(&self) -> Told<'_> {
        let none = String::new;
        match self {
            Self::Carried(new) => {
                Told { result: "carried", code: none(), message: "", new: new.as_deref().unwrap_or_default() }
            }
            Self::There(message) => Told { result: "there", code: none(), message, new: "" },
            Self::Refused(refusal) => {
                Told { result: "refused", code: refusal.code.to_string(), message: &refusal.message, new: "" }
            }
            Self::NotCarried(message) => Told { result: "not_carried", code: none(), message, new: "" },
        }
    }
}

/// The caller of one import.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) client: Client,
    pub(super) is_dry_run: bool,
    pub(super) pools: Arc<KnownPools>,
}

impl Caller {
    /// Asks. A refusal is an answer.
    pub(super) async fn ask<O: Operation>(&self, operation: &O) -> Result<Result<O::Reply, Refusal>, Error> {
        self.ask_under(operation, None).await
    }

    /// The same under an idempotency key.
    pub(super) async fn ask_under<O: Operation>(
        &self,
        operation: &O,
        key: Option<Key>,
    ) -> Result<Result<O::Reply, Refusal>, Error> {
        let envelope = Envelope { key, dry_run: self.is_dry_run && O::ROW.kind.is_write(), ..Envelope::default() };
        match self.client.call_raw(O::ROW, envelope, &codec::encode(operation)).await {
            Ok(reply) => codec::decode(&reply).map(Ok).map_err(|err| Error::Protocol(err.0)),
            Err(Error::Refused(refusal)) => Ok(Err(refusal)),
            Err(err) => Err(err),
        }
    }

    /// Writes, and answers the outcome of that.
    pub(super) async fn write<O: Operation>(&self, operation: &O) -> Result<Outcome, Error> {
        Ok(self.ask(operation).await?.map_or_else(Outcome::Refused, |_| Outcome::Carried(None)))
    }

    /// Does the writes of a transaction; only one of them needs none.
    pub(super) async fn run(&self, transaction: Transaction) -> Result<Result<(), Refusal>, Error> {
        Ok(self.ask(&transaction.run()).await?.map(|_| ()))
    }
}

/// True if two objects are the same but for what is kept of the other system, whatever the order of their members.
pub(super) fn are_same(one: &str, other: &str) -> bool {
    let read = |text: &str| {
        let mut object = serde_json::from_str::<Map<String, Value>>(text).ok()?;
        object.remove(IMPORTED);
        Some(object)
    };
    read(one) == read(other)
}
