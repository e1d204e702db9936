//! What is no longer needed, removed when its time has come: kept answers, ended windows of wrong codes, the audit of
//! tokens and whole login codes a day after they expired, and changes that are not to be kept for ever. And what has to be
//! renewed in time: the list of revoked certificates.
//!
//! Whoever writes something that will not be needed for ever also writes when, into one index ordered by time. Nothing
//! depends on the sweep being on time: what is due counts as gone already, wherever that matters. A token itself is
//! never due, unless the configuration says so: it would be fresh again.
//!
//! After the clock has gone back that index may hold what was planned by a time that was wrong, years ahead. It is walked
//! once from where nothing that is planned now can lie, and answers and windows found there are planned anew. What
//! bears a time that has not come counts as written when the clock went back.

use enroll_protocol::Time;

use crate::config::Settings;
use crate::fault::Fault;
use crate::model::change::{Change, Told};
use crate::model::key::{self, Due, Family};
use crate::model::record::{self, ClockState, DueTogether, Guesses, Kept, Kind};
use crate::model::token::{Code, Token};
use crate::store::{ReadTxn, StoreError, Txn};

/// What one step removes, but for what is due together with the last of it; what is left is due at once.
pub const STEP_MAX: usize = 256;

/// How long a token's audit and a login code are kept after they expired.
const KEPT_AFTER_EXPIRY_SECONDS: u64 = 24 * 60 * 60;

/// Writes down when something will be due.
pub(crate) fn plan(txn: &mut dyn Txn, at: Time, due: &Due) {
    plan_together(txn, at, std::slice::from_ref(due));
}

/// Writes down when all of this will be due.
pub(crate) fn plan_together(txn: &mut dyn Txn, at: Time, dues: &[Due]) {
    if let Some((first, others)) = dues.split_first() {
        let others = others.iter().map(Due::key).collect();
        record::put(txn, key::due(at, first), &DueTogether { others });
    }
}

/// Writes down when something that expires will be due.
pub(super) fn plan_after_expiry(txn: &mut dyn Txn, expires: Option<Time>, due: &Due) {
    if let Some(expires) = expires {
        plan(txn, expires.plus_seconds(KEPT_AFTER_EXPIRY_SECONDS), due);
    }
}

/// When the next thing is due.
pub fn next(txn: &dyn ReadTxn, settings: &Settings, clock: &ClockState, now: Time) -> Result<Option<Time>, StoreError> {
    let astray = clock.astray.is_some().then_some(now);
    let (from, to) = Family::Dues.bounds();
    let first = txn.range(&from, &to, 1)?.first().and_then(|(key, _)| key::due_of(key)).map(|(at, _)| at);
    let (from, to) = Family::Changes.bounds();
    let oldest = match (settings.keep_changes_until(Time::EPOCH), txn.range(&from, &to, 1)?.first()) {
        (Some(_), Some((_, value))) => {
            settings.keep_changes_until(clock.written_by(record::decode::<Change>(value)?.at, now))
        }
        _ => None,
    };
    Ok(first.into_iter().chain(oldest).chain(astray).min())
}

/// Removes what is due, up to a bound; how much that was.
pub fn step(txn: &mut dyn Txn, settings: &Settings, clock: &ClockState, now: Time) -> Result<usize, Fault> {
    let mut removed = match &clock.astray {
        Some(from) => plan_anew(txn, from, settings, clock, now)?,
        None => 0,
    };
    let (from, _) = Family::Dues.bounds();
    let to = key::dues_after(now);
    for (key, together) in txn.as_read().range(&from, &to, STEP_MAX)? {
        if removed >= STEP_MAX {
            break;
        }
        for due in dues_of(&key, &together)? {
            remove(txn, settings, clock, now, &due)?;
            removed += 1;
        }
        txn.delete(key);
    }
    Ok(removed + forget_changes(txn, settings, clock, now, STEP_MAX.saturating_sub(removed))?)
}

/// Everything that stands in one entry of the index.
fn dues_of(key: &[u8], together: &[u8]) -> Result<Vec<Due>, StoreError> {
    let others = record::decode::<DueTogether>(together)?.others;
    let others = others.iter().filter_map(|other| Due::of_key(other));
    Ok(key::due_of(key).map(|(_, due)| due).into_iter().chain(others).collect())
}

/// From which key on there is only what expires that late itself, and what was planned under a clock that was ahead.
pub(crate) fn astray_from(settings: &Settings, now: Time) -> Vec<u8> {
    key::dues_after(now.plus_seconds(settings.keep_answers_seconds))
}

/// Has answers and windows that were planned under a clock that was ahead end in the time that they have had since.
/// Expiries were given by whoever asked, and stay. How many entries were looked at.
fn plan_anew(
    txn: &mut dyn Txn,
    from: &[u8],
    settings: &Settings,
    clock: &ClockState,
    now: Time,
) -> Result<usize, Fault> {
    let (_, to) = Family::Dues.bounds();
    let entries = txn.as_read().range(from, &to, STEP_MAX)?;
    let count = entries.len();
    let next = entries.last().filter(|_| count == STEP_MAX).map(|(key, _)| key::prefixed(key.clone()).1);
    let written = clock.went_back_at.unwrap_or(now);
    for (key, together) in entries {
        let (passing, lasting): (Vec<Due>, Vec<Due>) =
            dues_of(&key, &together)?.into_iter().partition(|due| matches!(due, Due::Kept(..) | Due::Guesses(_)));
        if !passing.is_empty() {
            let at = key::due_of(&key).map_or(now, |(at, _)| at);
            txn.delete(key);
            plan_together(txn, at, &lasting);
            plan_together(txn, written.plus_seconds(settings.keep_answers_seconds), &passing);
        }
    }
    txn.tell(Told::Replanned(next));
    Ok(count)
}

/// Removes the oldest changes, where the configuration does not have them kept for ever. They go by number, and none goes
/// before its time has passed.
fn forget_changes(
    txn: &mut dyn Txn,
    settings: &Settings,
    clock: &ClockState,
    now: Time,
    most: usize,
) -> Result<usize, Fault> {
    if settings.keep_changes_until(now).is_none() {
        return Ok(0);
    }
    let (from, to) = Family::Changes.bounds();
    let mut forgotten = 0;
    for (key, value) in txn.as_read().range(&from, &to, most)? {
        let until = settings.keep_changes_until(clock.written_by(record::decode::<Change>(&value)?.at, now));
        let Some(seq) = key::seq_at_end(&key).filter(|_| until.is_some_and(|until| until <= now)) else { break };
        txn.delete(key);
        txn.tell(Told::Forgotten(seq));
        forgotten += 1;
    }
    Ok(forgotten)
}

/// Removes one thing, if it is still the one that was meant: under the same name there may be another by now.
fn remove(txn: &mut dyn Txn, settings: &Settings, clock: &ClockState, now: Time, due: &Due) -> Result<(), Fault> {
    let key = due.key();
    match due {
        Due::Kept(..) => {
            let Some(kept) = record::get::<Kept>(txn.as_read(), &key)? else { return Ok(()) };
            match clock.written_by(kept.at, now).plus_seconds(settings.keep_answers_seconds) {
                until if until <= now => txn.delete(key),
                // Another answer under the same key, or the configuration has it kept for longer by now.
                until => plan(txn, until, due),
            }
        }
        Due::Guesses(_) => {
            let window = record::get::<Guesses>(txn.as_read(), &key)?;
            if window.is_some_and(|window| super::attempts::has_ended(&window, now)) {
                txn.delete(key);
            }
        }
        Due::Token(_) => {
            let Some(token) = record::get::<Token>(txn.as_read(), &key)? else { return Ok(()) };
            let forget_at = settings.forget_tokens_after(token.expires);
            if forget_at.is_some_and(|at| at <= now) {
                txn.delete(key);
                txn.delete(key::token_audit(token.pk));
                txn.tell(Told::Lost(Kind::Token));
                return Ok(());
            }
            txn.delete(key::token_audit(token.pk));
            if let Some(at) = forget_at {
                plan(txn, at, due);
            }
        }
        Due::List => super::authority::renew_list(txn, settings, now)?,
        Due::Code(_) => {
            if let Some(code) = record::get::<Code>(txn.as_read(), &key)? {
                txn.delete(key);
                txn.delete(key::code_hash(&code.hash));
                txn.tell(Told::Lost(Kind::Code));
            }
        }
    }
    Ok(())
}
