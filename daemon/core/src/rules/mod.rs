//! The domain. An operation is a pure function from a state, a call and its request to a reply or a refusal: no
//! clock, no randomness, no store, no socket, no log. What a rule needs of those is in its [`Context`].
//!
//! One file per area, with the names of the protocol. What a rule writes before it refuses is dropped with its overlay.
//!
//! The order of checks is part of the contract: shape and values of the arguments ([`WriteOp::check`]), idempotency
//! key (the writer), actor ([`Call::begin`]), references, permission ([`Call::permit`]), state.

mod access;
mod allowed_values;
pub mod authority;
mod backup;
pub mod bootstrap;
mod certificate;
pub mod changes;
pub mod check;
mod cluster;
mod code;
mod course;
mod enrollment;
mod erasure;
mod event;
pub mod expiry;
mod export;
mod extra;
pub mod fullest_pools;
pub mod health;
pub mod human_code;
mod import;
mod jwt;
pub mod make;
pub mod migration;
mod page;
mod permission;
mod person;
mod pool;
mod program;
pub mod rate_limit;
mod registration;
pub mod rekey;
mod role;
pub mod seating;
mod server;
mod snapshot;
mod stream;
mod supervisor;
mod token;
mod traces;
pub mod transaction;
pub mod uid_limits;

pub use access::{ActingPerson, admit, prove};
pub use stream::{Give, StreamOp, WalkOp};

use std::cell::Cell;
use std::collections::BTreeMap;

use enroll_protocol::{Code, ExternalKey, Operation, OperationRow, Pk, Refusal, Time};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::draft::Draft;
use crate::draft::Txn;
use crate::fault::Fault;
use crate::identity::{IdentityError, KeyRing};
use crate::model::change::{Change, ChangeEvent};
use crate::model::record::Kind;
use crate::state::{ReadTxn, Writes};

/// An operation that looks at a snapshot. What it is given has no `put`.
pub trait ReadOp: Operation {
    /// Takes the secrets out of a dry run's reply.
    const REDACT: Option<fn(&mut Self::Reply)> = None;

    /// True for a request that brings a code: it runs with the rate limit window of its source, and a wrong code counts.
    fn takes_code(&self) -> bool {
        false
    }

    /// The reply to a wrong code, where that is not refused.
    fn reply_to_guess(&self) -> Option<Self::Reply> {
        None
    }

    /// The rule.
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Self::Reply, Fault>;
}

/// An operation that may write.
pub trait WriteOp: Operation + Sync {
    /// Completes a reply after its commit, from what was stored and nothing else, so that it comes out the same when
    /// the kept answer is asked for. The writer has no part in it.
    const FINISH: Option<Finish<Self::Reply>> = None;

    /// Takes the secrets out of a dry run's reply.
    const REDACT: Option<fn(&mut Self::Reply)> = None;

    /// True if the rule may answer [`Fault::Needs`]. Such a write is a barrier on its connection: nothing sent after it
    /// begins before it is answered.
    fn may_need(&self) -> bool {
        false
    }

    /// True for a request that brings a code: it runs with the rate limit window of its source, and a wrong code counts.
    fn takes_code(&self) -> bool {
        false
    }

    /// Refuses arguments that their types accept and this operation does not.
    fn check(&self) -> Result<(), Refusal> {
        Ok(())
    }

    /// The rule.
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Self::Reply, Fault>;
}

/// A write of many units, each done whole or not at all. The writer runs some at a time and others' requests between
/// them, so a unit may find a state that is not what the one before it has left.
///
/// The permission and the state that all units share are read anew for each part. A refusal there ends the call; the units that
/// were done stay done.
pub trait BulkOp: Operation<Reply = Answers<<Self as BulkOp>::Answer>> + Sync {
    /// The answer to one unit.
    type Answer: Serialize + DeserializeOwned;

    /// One unit, as far as no state is needed to tell.
    type Unit: Send + Sync;

    /// The state that all units share.
    type Common;

    /// The units, in the order in which they are done. Refuses arguments that their types accept and this operation
    /// does not.
    fn units(&self) -> Result<Vec<Self::Unit>, Refusal>;

    /// The checks before any unit: references of the whole call, and the permission.
    fn begin(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Self::Common, Fault>;

    /// One unit, which adds its answer to those of its part.
    fn run(
        &self,
        txn: &mut dyn Txn,
        call: &Call<'_>,
        ground: &Self::Common,
        unit: &Self::Unit,
        part: &mut Part<Self::Answer>,
    ) -> Result<(), Fault>;
}

/// The reply of a bulk write: the answers to its units, by external key in the caller's spelling.
pub type Answers<A> = BTreeMap<ExternalKey, A>;

/// The reply of one part of a bulk write. The replies of all parts make up that of the call.
pub struct Part<A> {
    /// The number of answers that the parts before it gave.
    pub earlier: u64,
    /// Its own answers.
    pub answers: Answers<A>,
}

/// Does something whole or not at all: what it wrote before it was refused is dropped.
fn whole<T>(
    txn: &mut dyn Txn,
    run: impl FnOnce(&mut dyn Txn) -> Result<T, Fault>,
) -> Result<Result<T, Refusal>, Fault> {
    let mut draft = Draft::new(txn.as_read());
    match run(&mut draft) {
        Ok(done) => {
            let (writes, events) = draft.into_parts();
            absorb(txn, writes, events);
            Ok(Ok(done))
        }
        Err(Fault::Refused(refusal)) => Ok(Err(refusal)),
        Err(fault) => Err(fault),
    }
}

/// Takes over what a draft has written.
fn absorb(txn: &mut dyn Txn, writes: Writes, events: Vec<ChangeEvent>) {
    for (place, value) in writes {
        match value {
            Some(value) => txn.put(place, value),
            None => txn.delete(place),
        }
    }
    events.into_iter().for_each(|event| txn.emit(event));
}

/// Completes a reply.
pub type Finish<R> = fn(R, &KeyRing) -> Result<R, IdentityError>;

/// One call of one operation: who asks, and what the table says of it.
pub struct Call<'a> {
    /// Time, randomness, peer, configuration.
    pub ctx: &'a Context,
    /// The operation's line of the table.
    pub row: &'static OperationRow,
    /// The person on whose behalf the peer asks.
    pub actor: Option<ActingPerson>,
    /// Codes that were brought and were right.
    pub right_codes: Cell<u32>,
}

impl<'a> Call<'a> {
    /// Finds the actor, who must be a person that is not deleted and for whom the peer may act.
    pub fn begin(txn: &dyn ReadTxn, ctx: &'a Context, row: &'static OperationRow) -> Result<Self, Fault> {
        let actor = ActingPerson::find(txn, ctx)?;
        Ok(Self { ctx, row, actor, right_codes: Cell::new(0) })
    }

    /// Notes a code that was right.
    fn note_right_code(&self) {
        self.right_codes.set(self.right_codes.get() + 1);
    }

    /// Refuses an expiry that has passed. Behind the idempotency key, unlike other arguments: a call that is sent again
    /// later must get its first answer.
    fn expect_to_come(&self, expires: Option<Time>) -> Result<(), Refusal> {
        match expires {
            Some(expires) if expires <= self.ctx.now => {
                let why = format!("expires: {expires} has passed; give a time to come");
                Err(Refusal::new(Code::INVALID_ARGUMENT, why))
            }
            _ => Ok(()),
        }
    }

    /// Adds this call to the change feed.
    pub fn emit(&self, txn: &mut dyn Txn, subjects: Vec<Pk>, made: Option<Kind>) {
        let change = self.change(subjects);
        txn.emit(ChangeEvent::Change(change, made));
    }

    /// Adds what follows from the change that was emitted before it.
    fn emit_derived(&self, txn: &mut dyn Txn, what: u16, subjects: Vec<Pk>) {
        let change = self.change(subjects);
        txn.emit(ChangeEvent::Consequence(Change { what, ..change }));
    }

    /// The same for something that was refused, and undid nothing.
    fn emit_failure(&self, txn: &mut dyn Txn, what: u16, subjects: Vec<Pk>, code: Code) {
        let change = self.change(subjects);
        txn.emit(ChangeEvent::Consequence(Change { what, refused: Some(code), ..change }));
    }

    fn change(&self, subjects: Vec<Pk>) -> Change {
        Change {
            at: self.ctx.now,
            what: self.row.number,
            subjects,
            actor: self.actor.as_ref().map(|actor| actor.pk),
            peer: self.ctx.peer.id(),
            origin: self.ctx.envelope.origin.clone(),
            cause: None,
            refused: None,
        }
    }
}
