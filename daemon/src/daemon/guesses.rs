//! The rate limit of wrong codes behind one mutex, shared by the sessions, which look codes up, and the writer, which
//! uses and spends them.
//!
//! The lock is held while the rule of a request that brings a code runs, and a wrong code counts before the lock is
//! released and the answer given: so counting is exact when reads and writes race. Other requests take no lock, unless
//! they are refused and would leave a record.
//!
//! A limit that was passed is a standing warning while its window runs: in the log once, in status and in the metrics.

use std::sync::{Mutex, MutexGuard, PoisonError};

use enroll_core::context::Context;
use enroll_core::fault::Fault;
use enroll_core::rules::Call;
use enroll_core::rules::rate_limit::RateLimit;
use enroll_core::rules::uid_limits::{Alarm, Recording};
use enroll_core::state::ReadTxn;
use enroll_protocol::{OperationRow, Pk, Refusal, Time};

use super::Daemon;
use super::abuse::Abuse;
use super::warnings::Topic;
use crate::config::Warned;

/// The rate limit that all threads share.
#[derive(Default)]
pub struct Guesses(Mutex<RateLimit>);

impl Guesses {
    /// The rate limit, until the guard is dropped.
    pub fn lock(&self) -> MutexGuard<'_, RateLimit> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Daemon {
    /// Runs the rule of a request that brings a code, with the window of its source in the context, and notes a refused
    /// attempt.
    pub fn counted<T>(
        &self,
        row: &'static OperationRow,
        txn: &dyn ReadTxn,
        ctx: &mut Context,
        rule: impl FnOnce(&Context) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut limit = self.guesses.lock();
        ctx.guesses = Some(limit.window(ctx));
        let ran = rule(ctx);
        let Err(fault) = &ran else { return ran };
        let right_codes = fault.right_codes();
        if right_codes > 0 {
            limit.count_right(&Call::begin(txn, ctx, row)?, right_codes);
        }
        if let Some(attempt) = fault.attempt() {
            // The actor was found already, or the rule would not have got as far as the code.
            let call = Call::begin(txn, ctx, attempt.operation.and_then(OperationRow::by_number).unwrap_or(row))?;
            self.note(limit, &call, attempt.refusal, attempt.subject, attempt.guess);
        } else {
            self.end_note(limit, ctx, None);
        }
        ran
    }

    /// Notes a refused attempt on a token.
    pub fn note_attempt(&self, call: &Call<'_>, refusal: &Refusal, subject: Option<Pk>) {
        self.note(self.guesses.lock(), call, refusal, subject, false);
    }

    /// True while the refused calls of this uid may leave records; it takes one.
    pub fn may_keep_refusal(&self, ctx: &Context, refusal: &Refusal) -> bool {
        let mut limit = self.guesses.lock();
        let recording = limit.take_record(ctx, refusal);
        self.end_note(limit, ctx, Some(recording));
        recording == Recording::Own
    }

    /// Replaces the standing warnings by those of the windows that are running.
    pub fn show_alarms(&self, now: Time) {
        let settings = self.settings.now();
        let alarms = self.guesses.lock().alarms(&settings, now);
        self.warnings.replace(Topic::RateLimits, alarms.iter().map(warning));
    }

    /// Ends the standing warnings whose windows are over.
    pub fn end_alarms(&self, now: Time) {
        if self.warnings.holds(Topic::RateLimits) {
            self.show_alarms(now);
        }
    }

    fn note(
        &self,
        mut limit: MutexGuard<'_, RateLimit>,
        call: &Call<'_>,
        refusal: &Refusal,
        subject: Option<Pk>,
        guess: bool,
    ) {
        let recording = limit.note(call, refusal, subject, guess);
        self.end_note(limit, call.ctx, recording);
        if guess {
            self.metrics.wrong_codes.inc();
        }
        self.abuse.note(Abuse::of_attempt(refusal), call.ctx.peer.uid);
    }

    /// Releases the lock, and tells what is new.
    fn end_note(&self, mut limit: MutexGuard<'_, RateLimit>, ctx: &Context, recording: Option<Recording>) {
        let has_new = limit.take_new_alarm();
        drop(limit);
        if has_new {
            self.metrics.guess_alarms.inc();
            self.show_alarms(ctx.now);
        }
        if matches!(recording, Some(Recording::Summary | Recording::Nothing)) {
            self.abuse.note(Abuse::Unrecorded, ctx.peer.uid);
        }
    }
}

fn warning(alarm: &Alarm) -> Warned {
    match alarm {
        Alarm::Total(since, uid, most) => (
            "all uids".to_owned(),
            format!(
                "more wrong codes within a minute from {since} on than guesses.total_per_minute, {most} of them by uid \
                 {uid} until then; the changes with `refused` tell from which origins"
            ),
        ),
        Alarm::Uid(since, uid) => (
            format!("uid {uid}"),
            format!(
                "more wrong codes of uid {uid} within a minute from {since} on than guesses.uid_per_minute; the changes \
                 with `refused` tell from which origins"
            ),
        ),
        Alarm::Refusals(since, uid) => (
            format!("uid {uid}, refused calls"),
            format!(
                "more refused calls of uid {uid} within a minute from {since} on than guesses.refused_per_minute: the \
                 rest of them are answered and not recorded; look at what that user runs"
            ),
        ),
    }
}
