//! Refused attempts on codes and tokens in the change feed, and the rate limit windows of wrong codes.

use enroll_protocol::Time;

use super::Writer;
use crate::daemon::abuse::Abuse;
use crate::dispatch::WriteJob;
use enroll_core::context::Context;
use enroll_core::draft::Draft;
use enroll_core::fault::Fault;
use enroll_core::model::change::ChangeEvent;
use enroll_core::rules::{Call, changes, rate_limit};
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
        let dropped = self.daemon.guesses.lock().drain(&mut draft);
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "refused attempts were dropped from the change feed: too many waited while nothing could be written"
            );
        }
        let (writes, mut events) = draft.into_parts();
        for event in &mut events {
            if let ChangeEvent::Change(change, _) = event {
                // It may have waited while later writes were done, or have come before a step of the clock.
                self.time = change.at.clamp(self.time, now);
                change.at = self.time;
            }
        }
        batch.absorb(writes);
        changes::number(batch, &mut self.head, events);
    }

    /// Records a refused attempt on a token, and everything that waits after one on a code. The rule's writes are gone.
    pub(super) fn refused(
        &mut self,
        batch: &mut Overlay<'_>,
        ctx: &Context,
        job: &dyn WriteJob,
        fault: &Fault,
    ) -> Result<Vec<ChangeEvent>, Fault> {
        let Fault::Attempt { refusal, subject, .. } = fault else { return Ok(Vec::new()) };
        self.daemon.abuse.note(Abuse::of_attempt(refusal), ctx.peer.uid);
        if !job.takes_code() {
            let call = Call::begin(batch, ctx, job.row())?;
            return Ok(vec![rate_limit::refused(&call, refusal, *subject)]);
        }
        self.space.take(&Writes::new(), 0, &self.settings)?;
        self.record_attempts(batch, ctx.now);
        Ok(Vec::new())
    }
}
