//! Timers of the writer: events settle when they are due, and expired records are removed, in a batch like every write.

use enroll_protocol::Time;

use super::Writer;
use enroll_core::draft::Draft;
use enroll_core::fault::Fault;
use enroll_core::model::key::{self, Family};
use enroll_core::rules::{changes, expiry, seating};
use enroll_core::state::Writes;
use enroll_core::state::overlay::Overlay;

/// Least time between two sweeps: nothing depends on a sweep being on time, and each one wakes an idle daemon.
const SWEEP_PAUSE_SECONDS: u64 = 60;

/// Backoff of an event that could not be settled.
const EVENT_RETRY_SECONDS: u64 = 60;

impl Writer {
    /// Does some of what an event has to do now, and plans when to go on: between two steps others are served.
    pub(super) fn let_time_pass(&mut self, batch: &mut Overlay<'_>, now: Time) -> Result<(), Fault> {
        let passed = self.head.clock.doubted_since.map_or(now, |since| since.min(now));
        if self.importing || self.event_at.is_none_or(|at| at > passed) {
            return Ok(());
        }
        self.event_at = Some(now.plus_seconds(EVENT_RETRY_SECONDS));
        if self.space.is_short() {
            return Ok(());
        }
        let mut draft = Draft::new(batch);
        seating::settle_next(&mut draft, now, passed)?;
        self.event_at = seating::next_due(&draft)?;
        let (writes, events) = draft.into_parts();
        batch.absorb(writes);
        changes::number(batch, &mut self.head, events);
        Ok(())
    }

    /// Removes some of what is due, and plans when to go on.
    pub(super) fn sweep(&mut self, batch: &mut Overlay<'_>, now: Time) -> Result<(), Fault> {
        let is_doubted = self.head.clock.doubted_since.is_some();
        if self.importing || is_doubted || self.sweep_at.is_none_or(|at| at > now) {
            return Ok(());
        }
        if self.space.is_short() {
            self.sweep_at = Some(now.plus_seconds(SWEEP_PAUSE_SECONDS));
            return Ok(());
        }
        self.sweep_at = None;
        let mut draft = Draft::new(batch);
        let is_complete = expiry::step(&mut draft, &self.settings, &self.head.clock, now)? < expiry::STEP_MAX;
        let (writes, events) = draft.into_parts();
        batch.absorb(writes);
        changes::number(batch, &mut self.head, events);
        self.sweep_at = match expiry::next(batch, &self.settings, &self.head.clock, now)? {
            Some(next) if is_complete => Some(next.max(now.plus_seconds(SWEEP_PAUSE_SECONDS))),
            next => next,
        };
        Ok(())
    }

    /// Plans the sweep earlier where a new record expires before all others.
    pub(super) fn plan_sweep(&mut self, writes: &Writes, now: Time) {
        let (from, to) = Family::Dues.bounds();
        let first = writes.range(from..to).find(|(_, value)| value.is_some());
        let due = first.and_then(|(place, _)| key::due_of(place)).map(|(at, _)| at);
        let change = self.settings.keep_changes_until(now);
        if let Some(at) = due.into_iter().chain(change).min() {
            let at = at.max(now.plus_seconds(SWEEP_PAUSE_SECONDS));
            self.sweep_at = Some(self.sweep_at.map_or(at, |planned| planned.min(at)));
        }
    }
}
