//! Jobs: decoded requests with their types erased, and how each kind of rule is run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use enroll_core::context::{Context, Peer};
use enroll_core::draft::{Draft, Txn};
use enroll_core::fault::Fault;
use enroll_core::rules::{self, Answers, BulkOp, Call, Give, Part, ReadOp, StreamOp, WalkOp, WriteOp};
use enroll_core::state::{ReadTxn, StoreError};
use enroll_protocol::grounds::OF_ALL;
use enroll_protocol::{Code, Envelope, Operation, OperationRow, Refusal, codec};
use serde::{Deserialize, Serialize};

/// A read with its types erased.
pub trait ReadJob: Send {
    /// Its line of the table.
    fn row(&self) -> &'static OperationRow;
    /// True for a request that brings a code.
    fn takes_code(&self) -> bool;
    /// The encoded reply to a wrong code, where that is not refused.
    fn reply_to_guess(&self) -> Option<Vec<u8>>;
    /// The encoded request.
    fn request(&self) -> Vec<u8>;
    /// Runs the rule; the encoded reply.
    fn run(&self, txn: &dyn ReadTxn, ctx: &Context) -> Result<Vec<u8>, Fault>;
}

/// A stream with its types erased.
pub trait StreamJob: Send {
    /// Finds the position where it begins; the encoded request that begins at the same position.
    fn start(&mut self, txn: &dyn ReadTxn, ctx: &Context) -> Result<Vec<u8>, Fault>;
    /// Moves on by one step; its items, encoded, none where there are none yet.
    fn next(&mut self, txn: &dyn ReadTxn, ctx: &Context) -> Result<Vec<Vec<u8>>, Fault>;
    /// The number of the last change that its reader was given, for a stream of changes.
    fn seq(&self) -> Option<u64>;
}

/// A walk with its types erased.
pub trait WalkJob: Send {
    /// The encoded request.
    fn request(&self) -> Vec<u8>;
    /// Runs the rule, which gives encoded items.
    fn run(&self, txn: &dyn ReadTxn, ctx: &Context, give: Give<'_, Vec<u8>>) -> Result<(), Fault>;
}

/// A write with its types erased.
pub trait WriteJob: Send + Sync {
    /// Its line of the table.
    fn row(&self) -> &'static OperationRow;
    /// The request's own bytes: encoded anew, because not every encoding of a value is the shortest one.
    fn request(&self) -> Vec<u8>;
    /// True for a request that brings a code.
    fn takes_code(&self) -> bool;
    /// True for a barrier: nothing sent after it on its connection begins before it is answered.
    fn is_barrier(&self) -> bool;
    /// Refuses arguments, before anything else is looked at.
    fn check(&self) -> Result<(), Refusal>;
    /// Refuses what the peer's grant does not allow.
    fn admit(&self, peer: &Peer, envelope: &Envelope) -> Result<(), Refusal> {
        rules::admit(self.row(), peer, envelope)
    }
    /// Runs the rule; of a bulk write, the units that follow this progress, at most `units` of them. Takes those that
    /// are done from `units`.
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>, progress: Progress, units: &mut usize) -> Result<Ran, Fault>;
    /// The encoded reply of a bulk write, from the encoded replies of all its parts.
    fn join(&self, parts: &[Vec<u8>]) -> Result<Vec<u8>, StoreError>;
}

/// The end of a run of a write, or of a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ran {
    /// All of it is done at once; the encoded reply, not yet finished.
    Whole(Vec<u8>),
    /// A part of it is done; the encoded reply of this part alone.
    Part(Vec<u8>, Progress),
    /// The last of several parts is done, and nothing is left; the same.
    LastPart(Vec<u8>, Progress),
}

/// The progress of a bulk write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Units that are done.
    pub units: u64,
    /// Answers that they gave.
    pub answers: u64,
}

/// A bulk write: its units are known before anything is looked at.
pub(super) struct Bulk<O: BulkOp> {
    operation: O,
    units: OnceLock<Vec<O::Unit>>,
}

/// A bulk write that is only tried: on a snapshot and whole, so that each unit finds what those before it have left.
pub(super) struct DryRun(pub(super) Arc<dyn WriteJob>);

/// The end of a rule, held to the grounds of its operation.
fn grounded<T>(row: &OperationRow, ran: Result<T, Fault>) -> Result<T, Fault> {
    if let Err(Fault::Refused(refusal) | Fault::Attempt { refusal, .. }) = &ran {
        expect_ground(row, refusal.code);
    }
    ran
}

/// Panics in a debug build at a code that the operation is not said to answer, so that a test which meets it fails.
fn expect_ground(row: &OperationRow, code: Code) {
    debug_assert!(
        OF_ALL.contains(&code) || row.grounds().contains(&code),
        "{} is refused as {code}, which its row in protocol/src/grounds.rs does not have",
        row.name
    );
}

impl dyn ReadJob + '_ {
    /// Runs the rule; a panic in it is a fault like others.
    pub fn run_caught(&self, txn: &dyn ReadTxn, ctx: &Context) -> Result<Vec<u8>, Fault> {
        let ran = catch_unwind(AssertUnwindSafe(|| self.run(txn, ctx)));
        ran.unwrap_or_else(|panic| Err(Fault::of_panic(&*panic)))
    }
}

impl dyn WalkJob + '_ {
    /// Runs the rule; a panic in it is a fault like others.
    pub fn run_caught(&self, txn: &dyn ReadTxn, ctx: &Context, give: Give<'_, Vec<u8>>) -> Result<(), Fault> {
        let ran = catch_unwind(AssertUnwindSafe(|| self.run(txn, ctx, give)));
        ran.unwrap_or_else(|panic| Err(Fault::of_panic(&*panic)))
    }
}

impl<O: ReadOp> ReadJob for O {
    fn row(&self) -> &'static OperationRow {
        <O as Operation>::ROW
    }

    fn takes_code(&self) -> bool {
        ReadOp::takes_code(self)
    }

    fn reply_to_guess(&self) -> Option<Vec<u8>> {
        ReadOp::reply_to_guess(self).as_ref().map(codec::encode)
    }

    fn request(&self) -> Vec<u8> {
        codec::encode(self)
    }

    fn run(&self, txn: &dyn ReadTxn, ctx: &Context) -> Result<Vec<u8>, Fault> {
        let call = Call::begin(txn, ctx, O::ROW)?;
        let ran = ReadOp::run(self, txn, &call);
        let is_answered = matches!(ran, Err(Fault::Attempt { guess: true, .. })) && self.reply_to_guess().is_some();
        let mut reply = if is_answered { ran } else { grounded(O::ROW, ran) }?;
        if let (true, Some(redact)) = (ctx.envelope.dry_run, O::REDACT) {
            redact(&mut reply);
        }
        Ok(codec::encode(&reply))
    }
}

impl<O: StreamOp> StreamJob for O {
    fn start(&mut self, txn: &dyn ReadTxn, ctx: &Context) -> Result<Vec<u8>, Fault> {
        let call = Call::begin(txn, ctx, O::ROW)?;
        *self = grounded(O::ROW, StreamOp::start(self, txn, &call))?;
        Ok(codec::encode(self))
    }

    fn next(&mut self, txn: &dyn ReadTxn, ctx: &Context) -> Result<Vec<Vec<u8>>, Fault> {
        let call = Call::begin(txn, ctx, O::ROW)?;
        let items = grounded(O::ROW, StreamOp::next(self, txn, &call))?;
        if let Some(last) = items.last() {
            *self = self.resume_after(last);
        }
        Ok(items.iter().map(codec::encode).collect())
    }

    fn seq(&self) -> Option<u64> {
        StreamOp::seq(self)
    }
}

impl<O: WalkOp> WalkJob for O {
    fn request(&self) -> Vec<u8> {
        codec::encode(self)
    }

    fn run(&self, txn: &dyn ReadTxn, ctx: &Context, give: Give<'_, Vec<u8>>) -> Result<(), Fault> {
        let call = Call::begin(txn, ctx, O::ROW)?;
        grounded(O::ROW, WalkOp::run(self, txn, &call, &mut |item| give(codec::encode(&item))))
    }
}

impl<O: WriteOp> WriteJob for O {
    fn row(&self) -> &'static OperationRow {
        <O as Operation>::ROW
    }

    fn request(&self) -> Vec<u8> {
        codec::encode(self)
    }

    fn takes_code(&self) -> bool {
        WriteOp::takes_code(self)
    }

    fn is_barrier(&self) -> bool {
        self.may_need()
    }

    fn check(&self) -> Result<(), Refusal> {
        WriteOp::check(self).inspect_err(|refusal| expect_ground(<O as Operation>::ROW, refusal.code))
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>, _: Progress, _: &mut usize) -> Result<Ran, Fault> {
        let mut reply = grounded(<O as Operation>::ROW, WriteOp::run(self, txn, call))?;
        if let (true, Some(redact)) = (call.ctx.envelope.dry_run, O::REDACT) {
            redact(&mut reply);
        }
        Ok(Ran::Whole(codec::encode(&reply)))
    }

    fn join(&self, _: &[Vec<u8>]) -> Result<Vec<u8>, StoreError> {
        Err(StoreError::Corrupt("a write that has no units was answered in parts".to_owned()))
    }
}

impl<O: BulkOp> Bulk<O> {
    /// A bulk write whose units are not known yet.
    pub(super) fn new(operation: O) -> Self {
        Self { operation, units: OnceLock::new() }
    }
}

impl<O: BulkOp> WriteJob for Bulk<O> {
    fn row(&self) -> &'static OperationRow {
        <O as Operation>::ROW
    }

    fn request(&self) -> Vec<u8> {
        codec::encode(&self.operation)
    }

    fn takes_code(&self) -> bool {
        false
    }

    fn is_barrier(&self) -> bool {
        true
    }

    fn check(&self) -> Result<(), Refusal> {
        let units = self.operation.units()?;
        // They are always the same.
        self.units.get_or_init(|| units);
        Ok(())
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>, before: Progress, units: &mut usize) -> Result<Ran, Fault> {
        let ground = grounded(O::ROW, self.operation.begin(txn.as_read(), call))?;
        let all = self.units.get().map_or(&[][..], Vec::as_slice);
        let rest = all.iter().skip(usize::try_from(before.units).unwrap_or(usize::MAX));
        let mut part = Part { earlier: before.answers, answers: Answers::new() };
        let mut progress = before;
        for unit in rest.take(*units) {
            grounded(O::ROW, self.operation.run(txn, call, &ground, unit, &mut part))?;
            progress.units += 1;
            *units -= 1;
        }
        progress.answers += part.answers.len() as u64;
        let reply = codec::encode(&part.answers);
        Ok(match progress.units >= all.len() as u64 {
            true if before.units == 0 => Ran::Whole(reply),
            true => Ran::LastPart(reply, progress),
            false => Ran::Part(reply, progress),
        })
    }

    fn join(&self, parts: &[Vec<u8>]) -> Result<Vec<u8>, StoreError> {
        let mut reply = O::Reply::default();
        for part in parts {
            let damaged = |err| StoreError::Corrupt(format!("the reply of a part of a bulk write is damaged: {err}"));
            reply.extend(codec::decode::<O::Reply>(part).map_err(damaged)?);
        }
        Ok(codec::encode(&reply))
    }
}

impl ReadJob for DryRun {
    fn row(&self) -> &'static OperationRow {
        self.0.row()
    }

    fn takes_code(&self) -> bool {
        false
    }

    fn reply_to_guess(&self) -> Option<Vec<u8>> {
        None
    }

    fn request(&self) -> Vec<u8> {
        self.0.request()
    }

    fn run(&self, txn: &dyn ReadTxn, ctx: &Context) -> Result<Vec<u8>, Fault> {
        let mut draft = Draft::new(txn);
        let call = Call::begin(txn, ctx, self.0.row())?;
        match self.0.run(&mut draft, &call, Progress::default(), &mut usize::MAX.clone())? {
            Ran::Whole(reply) => Ok(reply),
            Ran::Part(..) | Ran::LastPart(..) => Err(Fault::Broken("a bulk write was not run whole".to_owned())),
        }
    }
}
