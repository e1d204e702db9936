//! Expiry: one index ordered by time, and the sweep that removes what is due: idempotency records with
//! their parts, ended rate limit windows, the audit of tokens and whole login codes a day after they expired, and changes past their retention. The
//! revocation list is renewed through the same index.
//!
//! A rule that writes a record with an end adds an entry to the index in the same write. Correctness never depends on
//! the sweep being on time: a record that is due is treated as gone. A token itself never expires, unless the
//! configuration says so: it could be used again.
//!
//! After the clock has gone back the index may hold entries planned under the wrong time, years ahead. It is walked
//! once from the first key that nothing planned now can have, and idempotency records and windows found there are
//! planned anew. A record that bears a time still to come counts as written when the clock went back.

use enroll_protocol::{Key, Time};

use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::change::{ChainedChange, ChangeEvent};
use crate::model::idempotency::Kept;
use crate::model::key::{self, Due, Family};
use crate::model::record::{self, ChangesHead, ClockState, DueTogether, Guesses, Kind};
use crate::model::token::{Code, Token};
use crate::settings::Settings;
use crate::state::{ReadTxn, StoreError, WriteTxn, Writes, successor};

/// Records that one step of an idle daemon removes, plus those that expire together with the last one; the rest is due at
/// once.
pub const STEP_MAX: usize = 256;

/// Entries of the expiry index that are read at a time: each may stand for hundreds of records.
const ENTRIES_READ: usize = 8;

/// Retention of a token's audit and of a login code after their expiry.
const KEPT_AFTER_EXPIRY_SECONDS: u64 = 24 * 60 * 60;

/// The low-water mark of the expiry index: no entry has a lower key. A range from the beginning of the index would walk
/// over the entries that were removed (tombstones): hundreds of thousands, until a flush takes them to the tree.
#[derive(Debug, Clone)]
pub struct LowWaterMark(Vec<u8>);

impl Default for LowWaterMark {
    /// The beginning of the index.
    fn default() -> Self {
        Self(Family::Dues.bounds().0)
    }
}

impl LowWaterMark {
    /// Lowers it to the first entry among these writes, if that comes before. Returns when that one is due.
    pub fn lower(&mut self, writes: &Writes) -> Option<Time> {
        let (from, to) = Family::Dues.bounds();
        let (first, _) = writes.range(from..to).find(|(_, value)| value.is_some())?;
        if *first < self.0 {
            self.0.clone_from(first);
        }
        key::due_of(first).map(|(at, _)| at)
    }
}

/// Adds one entry to the expiry index.
pub fn plan(txn: &mut dyn WriteTxn, at: Time, due: &Due) {
    plan_together(txn, at, std::slice::from_ref(due));
}

/// Adds one entry to the expiry index for records that expire together.
pub fn plan_together(txn: &mut dyn WriteTxn, at: Time, dues: &[Due]) {
    if let Some((first, others)) = dues.split_first() {
        let others = others.iter().map(Due::key).collect();
        record::put(txn, key::due(at, first), &DueTogether { others });
    }
}

/// Adds an entry for a record with an expiry time, if it has one.
pub(super) fn plan_after_expiry(txn: &mut dyn WriteTxn, expires: Option<Time>, due: &Due) {
    if let Some(expires) = expires {
        plan(txn, expires.plus_seconds(KEPT_AFTER_EXPIRY_SECONDS), due);
    }
}

/// The time at which the next record expires.
pub fn next(
    txn: &dyn ReadTxn,
    settings: &Settings,
    head: &ChangesHead,
    mark: &LowWaterMark,
    now: Time,
) -> Result<Option<Time>, StoreError> {
    let astray = head.clock.astray.is_some().then_some(now);
    let (_, to) = Family::Dues.bounds();
    let first = txn.range(&mark.0, &to, 1)?.first().and_then(|(key, _)| key::due_of(key)).map(|(at, _)| at);
    let oldest = match settings.keep_changes_until(Time::EPOCH) {
        Some(_) => record::get::<ChainedChange>(txn, &key::change(head.forgotten + 1))?,
        None => None,
    };
    let oldest = oldest.and_then(|of| settings.keep_changes_until(head.clock.written_by(of.change.at, now)));
    Ok(first.into_iter().chain(oldest).chain(astray).min())
}

/// Removes the records that are due, at most so many and those that expire together with the last one, and raises the
/// mark. Returns how many.
pub fn step(
    txn: &mut dyn Txn,
    settings: &Settings,
    head: &ChangesHead,
    mark: &mut LowWaterMark,
    now: Time,
    most: usize,
) -> Result<usize, Fault> {
    let clock = &head.clock;
    let mut removed = match &clock.astray {
        Some(from) => plan_anew(txn, from, settings, clock, now)?,
        None => 0,
    };
    let to = key::dues_after(now);
    while removed < most {
        let entries = txn.as_read().range(&mark.0, &to, ENTRIES_READ)?;
        let is_last = entries.len() < ENTRIES_READ;
        for (key, together) in entries {
            if removed >= most {
                break;
            }
            let dues = dues_of(&key, &together)?;
            mark.0 = successor(key.clone());
            // Before the records: one of them may be planned anew at the same time.
            txn.delete(key);
            for due in dues {
                let most = most.saturating_sub(removed).max(1);
                removed += remove(txn, settings, clock, now, &due, most)?;
            }
        }
        if is_last {
            break;
        }
    }
    Ok(removed + forget_changes(txn, settings, head, now, most.saturating_sub(removed))?)
}

/// The records of one entry of the expiry index.
fn dues_of(key: &[u8], together: &[u8]) -> Result<Vec<Due>, StoreError> {
    let others = record::decode::<DueTogether>(together)?.others;
    let others = others.iter().filter_map(|other| Due::of_key(other));
    Ok(key::due_of(key).map(|(_, due)| due).into_iter().chain(others).collect())
}

/// The first key after all entries that are planned now. Later entries bear an expiry time of their own, or were
/// planned under a clock that was ahead.
pub fn astray_from(settings: &Settings, now: Time) -> Vec<u8> {
    key::dues_after(now.plus_seconds(settings.keep_answers_seconds))
}

/// Plans idempotency records and windows anew that were planned under a clock that was ahead.
/// Expiry times that a caller set stay. Returns the number of entries looked at.
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
        let is_passing = |due: &Due| matches!(due, Due::Kept(..) | Due::Parts(..) | Due::Guesses(_));
        let (passing, lasting): (Vec<Due>, Vec<Due>) = dues_of(&key, &together)?.into_iter().partition(is_passing);
        if !passing.is_empty() {
            let at = key::due_of(&key).map_or(now, |(at, _)| at);
            txn.delete(key);
            plan_together(txn, at, &lasting);
            plan_together(txn, written.plus_seconds(settings.keep_answers_seconds), &passing);
        }
    }
    txn.emit(ChangeEvent::Replanned(next));
    Ok(count)
}

/// Removes the oldest changes past their retention, in the order of their numbers.
fn forget_changes(
    txn: &mut dyn Txn,
    settings: &Settings,
    head: &ChangesHead,
    now: Time,
    most: usize,
) -> Result<usize, Fault> {
    if settings.keep_changes_until(now).is_none() {
        return Ok(0);
    }
    let clock = &head.clock;
    let (from, to) = (key::change(head.forgotten + 1), Family::Changes.bounds().1);
    let mut forgotten = 0;
    for (key, value) in txn.as_read().range(&from, &to, most)? {
        let ChainedChange { change, mac } = record::decode(&value)?;
        let until = settings.keep_changes_until(clock.written_by(change.at, now));
        let Some(seq) = key::seq_at_end(&key).filter(|_| until.is_some_and(|until| until <= now)) else { break };
        txn.delete(key);
        txn.emit(ChangeEvent::Forgotten(seq, mac));
        forgotten += 1;
    }
    Ok(forgotten)
}

/// Removes one record, if it still is the one that was planned: a newer one may have the same key by now. Of a record in
/// parts, so many parts at most. Returns the number of records.
fn remove(
    txn: &mut dyn Txn,
    settings: &Settings,
    clock: &ClockState,
    now: Time,
    due: &Due,
    most: usize,
) -> Result<usize, Fault> {
    let key = due.key();
    match due {
        Due::Kept(..) => match kept_until(txn.as_read(), &key, settings, clock, now)? {
            // Another answer under the same key, or the configuration has it kept for longer by now.
            Some(until) if until > now => plan(txn, until, due),
            Some(_) => txn.delete(key),
            None => {}
        },
        Due::Parts(uid, key) => return remove_parts(txn, settings, clock, now, (*uid, *key), most),
        Due::Guesses(_) => {
            let window = record::get::<Guesses>(txn.as_read(), &key)?;
            if window.is_some_and(|window| super::rate_limit::has_ended(&window, now)) {
                txn.delete(key);
            }
        }
        Due::Token(_) => {
            let Some(token) = record::get::<Token>(txn.as_read(), &key)? else { return Ok(1) };
            let forget_at = settings.forget_tokens_after(token.expires);
            if forget_at.is_some_and(|at| at <= now) {
                txn.delete(key);
                txn.delete(key::token_audit(token.pk));
                txn.emit(ChangeEvent::Lost(Kind::Token));
                return Ok(1);
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
                txn.emit(ChangeEvent::Lost(Kind::Code));
            }
        }
    }
    Ok(1)
}

/// Removes an idempotency record and its parts, so many of them at most; the others are planned to go at once. Returns
/// the number of records.
fn remove_parts(
    txn: &mut dyn Txn,
    settings: &Settings,
    clock: &ClockState,
    now: Time,
    (uid, key): (u32, Key),
    most: usize,
) -> Result<usize, Fault> {
    let (due, kept) = (Due::Parts(uid, key), key::kept(uid, key));
    if let Some(until) = kept_until(txn.as_read(), &kept, settings, clock, now)?.filter(|until| *until > now) {
        plan(txn, until, &due);
        return Ok(1);
    }
    txn.delete(kept);
    let (from, to) = key::prefixed(due.key());
    let parts = txn.as_read().range(&from, &to, most)?;
    let removed = parts.len();
    parts.into_iter().for_each(|(part, _)| txn.delete(part));
    if removed == most {
        plan(txn, now, &due);
    }
    Ok(removed + 1)
}

/// The time until which the idempotency record of this key is kept, if there is one.
fn kept_until(
    txn: &dyn ReadTxn,
    key: &[u8],
    settings: &Settings,
    clock: &ClockState,
    now: Time,
) -> Result<Option<Time>, StoreError> {
    let kept = record::get::<Kept>(txn, key)?;
    Ok(kept.map(|kept| clock.written_by(kept.at, now).plus_seconds(settings.keep_answers_seconds)))
}
