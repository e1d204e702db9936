//! Transactions of several writes: units on one overlay, all of them accepted or none. Each unit is admitted, permitted
//! and told of in the change feed as if it were a call of its own.

use enroll_protocol::transaction::{Reply, Run};
use enroll_protocol::{Code, OperationRow, Refusal, limits};

use super::{Call, seating};
use crate::context::Context;
use crate::draft::{Draft, Txn};
use crate::fault::{Fault, UnitFault};

/// The bytes of a reply that are not the operation's own, and more.
const REPLY_HEAD_BYTES: usize = 64;

/// A unit of a transaction, with its types erased.
pub trait Unit {
    /// Its operation's line of the table.
    fn row(&self) -> &'static OperationRow;
    /// Runs its rule; the encoded reply.
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Vec<u8>, Fault>;
}

/// Refuses a number of units that a transaction can not have.
pub fn check(run: &Run) -> Result<(), Refusal> {
    match run.units.len() {
        1..=limits::TRANSACTION_UNITS_MAX => Ok(()),
        many => {
            let most = limits::TRANSACTION_UNITS_MAX;
            Err(Refusal::new(Code::INVALID_ARGUMENT, format!("units: give 1 to {most} of them; these are {many}")))
        }
    }
}

/// Refuses an operation that can not be a unit.
pub fn expect_unit(row: &OperationRow) -> Result<(), Refusal> {
    if row.may_be_unit() {
        return Ok(());
    }
    let why = "it can not be a unit of a transaction, which takes plain writes; call it by itself";
    Err(Refusal::new(Code::INVALID_ARGUMENT, why))
}

/// Runs the units in their order, each on what those before it have left, and fills the events that they touched. What
/// they wrote is dropped when one of them is refused.
pub fn run(txn: &mut dyn Txn, ctx: &Context, units: &[&dyn Unit]) -> Result<Vec<Reply>, Fault> {
    let mut draft = Draft::deferring(txn.as_read());
    let mut ctx = Context { made: None, ..ctx.clone() };
    let (mut replies, mut right_codes, mut bytes) = (Vec::new(), 0, REPLY_HEAD_BYTES);
    for (at, unit) in units.iter().enumerate() {
        // Each draws random bytes of its own.
        ctx.advance_seed();
        let ran = run_unit(&mut draft, &ctx, *unit, &mut right_codes);
        let operation = unit.row().number;
        let refused = |fault| Fault::Unit(Box::new(UnitFault { at, operation, fault, right_codes }));
        let reply = ran.map_err(refused)?;
        bytes += reply.len() + REPLY_HEAD_BYTES;
        // Before anything is committed, and before more than one reply past it is held.
        expect_to_fit(bytes, ctx.settings.frame_bytes_max).map_err(|refusal| refused(refusal.into()))?;
        replies.push(Reply { number: operation, reply });
    }
    if let Some(last) = units.last() {
        let deferred = draft.take_deferred();
        let call = Call::begin(txn.as_read(), &ctx, last.row())?;
        for event in deferred {
            seating::settle_after(&mut draft, &call, event)?;
        }
    }
    let (writes, events) = draft.into_parts();
    super::absorb(txn, writes, events);
    Ok(replies)
}

/// Refuses replies that fit no frame together.
fn expect_to_fit(bytes: usize, frame_bytes_max: usize) -> Result<(), Refusal> {
    if bytes <= frame_bytes_max {
        return Ok(());
    }
    let kib = frame_bytes_max >> 10;
    let why = format!("the replies up to this unit do not fit a frame of {kib} KiB together; give fewer units at once");
    Err(Refusal::new(Code::TOO_LARGE, why))
}

fn run_unit(draft: &mut Draft<'_>, ctx: &Context, unit: &dyn Unit, right_codes: &mut u32) -> Result<Vec<u8>, Fault> {
    let call = Call::begin(&*draft, ctx, unit.row())?;
    let ran = unit.run(draft, &call);
    *right_codes += call.right_codes.get();
    match ran {
        Err(Fault::Needs(_)) => {
            let why = "a certificate must be made for it, which no unit of a transaction may have; call it by itself";
            Err(Refusal::new(Code::INVALID_ARGUMENT, why).into())
        }
        ran => ran,
    }
}
