//! Refused calls in the writer: attempts on codes and tokens in the change feed, the rate limit windows of wrong codes,
//! and the bound of what a uid's refused calls may have kept.

use enroll_protocol::{OperationRow, Refusal, Time};

use super::{Outcome, Writer};
use crate::dispatch::WriteJob;
use enroll_core::context::Context;
use enroll_core::draft::Draft;
use enroll_core::fault::Fault;
use enroll_core::model::change::ChangeEvent;
use enroll_core::rules::rate_limit::Drained;
use enroll_core::rules::{Call, changes};
use enroll_core::state::Writes;
use enroll_core::state::overlay::Overlay;

impl Writer {
    /// Records the refused attempts and the rate limit windows that wait. They go on waiting during an import and while
    /// the disk has too little free space.
    pub(super) fn record_attempts(&mut self, batch: &mut Overlay<'_>, now: Time) {
        if self.importing || self.space.is_short() {
            return;
        }
        let mut draft = Draft::new(batch);
        let Drained { dropped_events, bytes } = self.daemon.guesses.lock().drain(&mut draft);
        if dropped_events > 0 {
            tracing::warn!(
                dropped = dropped_events,
                "refused attempts were dropped from the change feed: too many waited while nothing could be written"
            );
        }
        bytes.into_iter().for_each(|(uid, bytes)| self.add_written(uid, bytes));
        let (writes, events) = draft.into_parts();
        batch.absorb(writes);
        for mut event in events {
            let mut uid = None;
            if let ChangeEvent::Change(change, _) = &mut event {
                // It may have waited while later writes were done, or have come before a step of the clock.
                self.time = change.at.clamp(self.time, now);
                (change.at, uid) = (self.time, Some(change.peer.uid));
            }
            let bytes = changes::number(batch, &self.daemon.identity.now().secrets, &mut self.head, vec![event]);
            if let Some(uid) = uid {
                self.add_written(uid, bytes);
            }
        }
    }

    /// Adds durable bytes that the calls of a uid caused.
    pub(super) fn add_written(&mut self, uid: u32, bytes: u64) {
        *self.written.entry(uid).or_default() += bytes;
    }

    /// Records a refused attempt, and everything that waits. The rule's writes are gone.
    pub(super) fn refused(
        &mut self,
        batch: &mut Overlay<'_>,
        ctx: &Context,
        job: &dyn WriteJob,
        fault: &Fault,
    ) -> Result<(), Fault> {
        let Some(attempt) = fault.attempt() else { return Ok(()) };
        self.space.take(&Writes::new(), 0, &self.settings)?;
        if !job.takes_code() {
            let row = attempt.operation.and_then(OperationRow::by_number).unwrap_or(job.row());
            self.daemon.note_attempt(&Call::begin(batch, ctx, row)?, attempt.refusal, attempt.subject);
        }
        self.record_attempts(batch, ctx.now);
        Ok(())
    }

    /// True for an outcome that is kept under its idempotency key: of refusals so many a minute of each uid. Past that a
    /// call that is sent again is decided anew: nothing was done, so nothing is done twice.
    pub(super) fn may_keep(&self, ctx: &Context, outcome: Option<&Outcome>) -> bool {
        let is_kept = |refusal: &Refusal| !refusal.code.is_passing() && self.daemon.may_keep_refusal(ctx, refusal);
        !matches!(outcome, Some(Err(refusal)) if !is_kept(refusal))
    }
}
