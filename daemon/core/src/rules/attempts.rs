//! What is remembered of refused attempts on codes and tokens: a change for each, and how many codes a source guessed.
//!
//! A source is the origin that the service names, or the peer's uid where it names none. Within a window of a minute a
//! source has so many wrong codes; past that it is refused until the window ends, and of all those refusals one is
//! recorded. All wrong codes together are counted too, and past their rate one alarm a window is recorded, but nobody
//! is refused for it: one attacker must not lock everybody out.

use enroll_protocol::{Code, Pk, Refusal, Time};
use serde_json::json;

use super::{Call, expiry};
use crate::context::Context;
use crate::draft::Txn;
use crate::fault::Fault;
use crate::identity::Hash;
use crate::model::change::{ALARM, Told};
use crate::model::key::{self, Due};
use crate::model::record::{self, Guesses};
use crate::state::{ReadTxn, StoreError};

const WINDOW_SECONDS: u64 = 60;

/// Refuses a source that has guessed too often, whatever code it brings.
pub(super) fn expect_under_limit(txn: &dyn ReadTxn, ctx: &Context) -> Result<(), Fault> {
    let window = window(txn, ctx, &source(ctx))?;
    let per_minute = ctx.settings.guesses_per_minute;
    if window.count < per_minute {
        return Ok(());
    }
    let retry_at = window.since.plus_seconds(WINDOW_SECONDS);
    let seconds = (retry_at.micros() - ctx.now.micros()).max(0) / 1_000_000 + 1;
    let why = format!("more than {per_minute} wrong codes in a minute; try again in {seconds} seconds");
    let refusal = Refusal::new(Code::TOO_MANY_ATTEMPTS, why)
        .with(json!({"retry_at": retry_at, "retry_after_ms": seconds * 1000}));
    Err(Fault::Attempt { refusal, subject: None, guess: false })
}

/// Remembers a refused attempt. The rule's own writes are gone by now.
pub fn remember(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    refusal: &Refusal,
    subject: Option<Pk>,
    guess: bool,
) -> Result<(), StoreError> {
    if guess {
        count_guess(txn, call)?;
    }
    if refusal.code == Code::TOO_MANY_ATTEMPTS {
        let source = source(call.ctx);
        let mut window = window(txn.as_read(), call.ctx, &source)?;
        if window.told {
            return Ok(());
        }
        window.told = true;
        record::put(txn, key::guesses(&source), &window);
    }
    let mut change = call.change(subject.into_iter().collect());
    change.refused = Some(refusal.code);
    txn.tell(Told::Change(change, None));
    Ok(())
}

fn count_guess(txn: &mut dyn Txn, call: &Call<'_>) -> Result<(), StoreError> {
    let source = source(call.ctx);
    let mut own = window(txn.as_read(), call.ctx, &source)?;
    own.count += 1;
    keep(txn, &source, &own);

    let everybody = everybody(call.ctx);
    let mut all = window(txn.as_read(), call.ctx, &everybody)?;
    all.count += 1;
    if all.count > call.ctx.settings.guesses_total_per_minute && !all.told {
        all.told = true;
        let mut alarm = call.change(Vec::new());
        alarm.what = ALARM;
        txn.tell(Told::Change(alarm, None));
    }
    keep(txn, &everybody, &all);
    Ok(())
}

/// Writes a window, and when its first wrong code comes, that it will end.
fn keep(txn: &mut dyn Txn, source: &Hash, window: &Guesses) {
    record::put(txn, key::guesses(source), window);
    if window.count == 1 {
        expiry::plan(txn, window.since.plus_seconds(WINDOW_SECONDS), &Due::Guesses(*source));
    }
}

/// Whether a window is over. One that has not begun was written before the clock went back.
pub(super) fn has_ended(window: &Guesses, now: Time) -> bool {
    now < window.since || now >= window.since.plus_seconds(WINDOW_SECONDS)
}

/// The source's running window, or a new one where there is none or it has ended.
fn window(txn: &dyn ReadTxn, ctx: &Context, source: &Hash) -> Result<Guesses, StoreError> {
    let running = record::get::<Guesses>(txn, &key::guesses(source))?.filter(|window| !has_ended(window, ctx.now));
    Ok(running.unwrap_or(Guesses { since: ctx.now, count: 0, told: false }))
}

fn source(ctx: &Context) -> Hash {
    match &ctx.envelope.origin {
        Some(origin) => ctx.identity.secrets.guess_source(&[b"origin", origin.as_str().as_bytes()]),
        None => ctx.identity.secrets.guess_source(&[b"uid", &ctx.peer.uid.to_be_bytes()]),
    }
}

fn everybody(ctx: &Context) -> Hash {
    ctx.identity.secrets.guess_source(&[b"everybody"])
}
