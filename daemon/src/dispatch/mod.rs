//! Dispatch: from an operation's number to its rule, the daemon's side of the table of operations.
//!
//! Each line of the table becomes one handler, by the word in its second column. A line whose request has no rule, or
//! a rule of another kind, does not compile.

mod job;
mod transaction;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use enroll_protocol::encoding::{self, Asked, Encoding};
use enroll_protocol::envelope::Envelope;
use enroll_protocol::frame::{Frame, FrameKind};
use enroll_protocol::{Code, Invalid, Kind, OperationRow, Refusal, codec, operations};

use crate::daemon::Daemon;
use enroll_core::context::{Context, Peer};
use enroll_core::fault::Fault;
use enroll_core::identity::KeyRing;
use enroll_core::needs::{Made, Needed};
use enroll_core::rules::{self, BulkOp, Give, ReadOp, StreamOp, WalkOp, WriteOp};
use enroll_core::state::{ReadTxn, StoreError};
use enroll_protocol::Operation;
use enroll_protocol::transaction::{Reply, Run};
use job::{Bulk, DryRun};
pub use job::{Progress, Ran, ReadJob, StreamJob, WalkJob, WriteJob};
use transaction::Transaction;

/// One operation: its decoder and how its reply is completed.
pub struct Handler {
    /// Its line of the table.
    pub row: &'static OperationRow,
    /// Decodes a request.
    pub job: fn(&[u8]) -> Result<Job, Invalid>,
    /// Completes the encoded reply of a write after its commit; `None` where there is nothing to complete.
    pub finish: Option<FinishJob>,
}

/// Completes an encoded reply.
pub type FinishJob = fn(&[u8], &KeyRing) -> Result<Vec<u8>, Fault>;

/// A decoded request.
pub enum Job {
    /// To be run on a snapshot.
    Look(Look),
    /// To be run by the writer.
    Write(Arc<dyn WriteJob>),
}

/// A decoded request that only looks.
pub enum Look {
    /// At once.
    Read(Box<dyn ReadJob>),
    /// On a thread of its own.
    Scan(Box<dyn ReadJob>),
    /// For one item after another.
    Items(Items),
}

/// A request that is answered with one item after another.
pub enum Items {
    /// It is asked for them, again after every commit.
    Stream(Box<dyn StreamJob>),
    /// It gives them, on a thread of its own.
    Walk(Box<dyn WalkJob>),
}

/// The handler of an operation.
pub fn handler(number: u16) -> Option<&'static Handler> {
    let at = HANDLERS.binary_search_by_key(&number, |handler| handler.row.number).ok()?;
    HANDLERS.get(at)
}

/// Decodes a request and refuses what needs no state to be refused: its shape, its values, and what the peer's grant
/// does not allow.
pub fn request(
    frame: &Frame<'_>,
    encoding: Encoding,
    peer: &Peer,
) -> Result<(&'static Handler, Envelope, Job), Refusal> {
    if frame.kind != FrameKind::Request {
        return Err(Refusal::new(Code::INVALID_ARGUMENT, "after the hello a client sends requests only"));
    }
    let unknown = |number: u16| encoding::unknown(&number.to_string());
    if encoding == Encoding::Binary && handler(frame.operation).is_none() {
        return Err(unknown(frame.operation));
    }
    let Asked { operation, envelope, request } = encoding.request(frame)?;
    let handler = handler(operation).ok_or_else(|| unknown(operation))?;
    let job = (handler.job)(&request)?;
    match &job {
        Job::Write(job) => {
            job.check()?;
            job.admit(peer, &envelope)?;
        }
        Job::Look(_) => rules::admit(handler.row, peer, &envelope)?,
    }
    let job = match job {
        Job::Write(job) if handler.row.kind == Kind::Bulk && envelope.dry_run => {
            Job::Look(Look::Scan(Box::new(DryRun(job))))
        }
        job => job,
    };
    Ok((handler, envelope, job))
}

/// Runs a read to its reply, again with each thing that its rule needs. A wrong code counts before it is answered.
pub fn run_read(job: &dyn ReadJob, daemon: &Daemon, txn: &dyn ReadTxn, mut ctx: Context) -> Result<Vec<u8>, Fault> {
    if job.takes_code() {
        return match daemon.counted(job.row(), txn, &mut ctx, |ctx| job.run_caught(txn, ctx)) {
            Err(wrong @ Fault::Attempt { guess: true, .. }) => job.reply_to_guess().ok_or(wrong),
            ended => ended,
        };
    }
    loop {
        match job.run_caught(txn, &ctx) {
            Err(Fault::Needs(needed)) => ctx.made = Some(make(&needed, daemon, txn, &ctx)?),
            ended => return ended,
        }
    }
}

/// Runs a walk to its end, again with each thing that its rule needs, which it does before it gives.
pub fn run_walk(
    job: &dyn WalkJob,
    daemon: &Daemon,
    txn: &dyn ReadTxn,
    mut ctx: Context,
    give: Give<'_, Vec<u8>>,
) -> Result<(), Fault> {
    loop {
        match job.run_caught(txn, &ctx, give) {
            Err(Fault::Needs(needed)) => ctx.made = Some(make(&needed, daemon, txn, &ctx)?),
            ended => return ended,
        }
    }
}

/// Makes what a rule needs, from a snapshot; a panic in it is a fault like others.
pub fn make(needed: &Needed, daemon: &Daemon, txn: &dyn ReadTxn, ctx: &Context) -> Result<Made, Fault> {
    let made = catch_unwind(AssertUnwindSafe(|| daemon.make(needed, txn, ctx)));
    made.unwrap_or_else(|panic| Err(Fault::of_panic(&*panic)))
}

/// Completes the reply of a write before it is kept under its idempotency key, if completing it twice would give two
/// replies: a repetition gets the first one. It signs, so no lock is held meanwhile; a panic in it is a fault like
/// others.
pub fn finish_before_kept(ran: Ran, row: &OperationRow, ctx: &Context) -> Result<Ran, Fault> {
    let keys = &ctx.identity.keys;
    let is_kept = ctx.envelope.key.is_some() && !ctx.envelope.dry_run;
    match (ran, handler(row.number).and_then(|handler| handler.finish)) {
        (Ran::Whole(reply), Some(finish)) if is_kept && !keys.signs_alike() => {
            let finished = catch_unwind(AssertUnwindSafe(|| finish(&reply, keys)));
            finished.unwrap_or_else(|panic| Err(Fault::of_panic(&*panic))).map(Ran::Whole)
        }
        (ran, _) => Ok(ran),
    }
}

macro_rules! handlers {
    ($($number:literal $kind:ident $access:ident $permission:literal $name:literal
       $area:ident::$request:ident => $reply:ty;)*) => {
        static HANDLERS: &[Handler] = &[$($kind::<enroll_protocol::$area::$request>()),*];
    };
}

operations!(handlers);

const fn read<O: ReadOp>() -> Handler {
    Handler { row: O::ROW, job: |body| Ok(Job::Look(Look::Read(Box::new(codec::decode::<O>(body)?)))), finish: None }
}

const fn scan<O: ReadOp>() -> Handler {
    Handler { row: O::ROW, job: |body| Ok(Job::Look(Look::Scan(Box::new(codec::decode::<O>(body)?)))), finish: None }
}

const fn lookup<O: ReadOp>() -> Handler {
    read::<O>()
}

const fn write<O: WriteOp>() -> Handler {
    let finish: Option<FinishJob> = match O::FINISH {
        Some(_) => Some(finish::<O>),
        None => None,
    };
    Handler { row: O::ROW, job: |body| Ok(Job::Write(Arc::new(codec::decode::<O>(body)?))), finish }
}

const fn bulk<O: BulkOp>() -> Handler {
    let job: fn(&[u8]) -> Result<Job, Invalid> = |body| Ok(Job::Write(Arc::new(Bulk::new(codec::decode::<O>(body)?))));
    Handler { row: O::ROW, job, finish: None }
}

const fn transaction<O: Operation<Reply = Vec<Reply>> + Into<Run>>() -> Handler {
    let job: fn(&[u8]) -> Result<Job, Invalid> =
        |body| Ok(Job::Write(Arc::new(Transaction::new(codec::decode::<O>(body)?.into()))));
    Handler { row: O::ROW, job, finish: None }
}

const fn stream<O: StreamOp>() -> Handler {
    Handler {
        row: O::ROW,
        job: |body| Ok(Job::Look(Look::Items(Items::Stream(Box::new(codec::decode::<O>(body)?))))),
        finish: None,
    }
}

const fn walk<O: WalkOp>() -> Handler {
    Handler {
        row: O::ROW,
        job: |body| Ok(Job::Look(Look::Items(Items::Walk(Box::new(codec::decode::<O>(body)?))))),
        finish: None,
    }
}

fn finish<O: WriteOp>(reply: &[u8], keys: &KeyRing) -> Result<Vec<u8>, Fault> {
    let reply =
        codec::decode::<O::Reply>(reply).map_err(|err| StoreError::Corrupt(format!("a reply is damaged: {err}")))?;
    Ok(codec::encode(&match O::FINISH {
        Some(finish) => finish(reply, keys)?,
        None => reply,
    }))
}
