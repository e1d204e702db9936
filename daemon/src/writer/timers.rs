//! Timers of the writer: events settle when they are due, and expired records are removed, in a batch like every write.

use std::ops::RangeInclusive;

use enroll_protocol::Time;

use super::Writer;
use enroll_core::draft::Draft;
use enroll_core::fault::Fault;
use enroll_core::model::record::ChangesHead;
use enroll_core::rules::expiry::LowWaterMark;
use enroll_core::rules::{changes, expiry, seating};
use enroll_core::settings::Settings;
use enroll_core::state::overlay::Overlay;
use enroll_core::state::{ReadTxn, StoreError, Writes};

/// Least time between two sweeps of an idle daemon: nothing depends on a sweep being on time, and each one wakes it.
const SWEEP_PAUSE_SECONDS: u64 = 60;

/// Records that are removed along with a batch of writes: as many as the batch writes, which is more than it plans for
/// later, so that no backlog grows under load, and no request waits for one to go.
const SWEPT_WITH_WRITES: RangeInclusive<usize> = 16..=1024;

/// Backoff of an event that could not be settled.
const EVENT_RETRY_SECONDS: u64 = 60;

/// When and where the sweep of what has expired goes on.
pub(super) struct SweepPlan {
    /// The time at which the next record expires; `None` while nothing will ever expire.
    next: Option<Time>,
    /// An idle daemon sleeps until then.
    pause_until: Time,
    mark: LowWaterMark,
}

impl SweepPlan {
    /// The plan by what is stored.
    pub(super) fn of(
        txn: &dyn ReadTxn,
        settings: &Settings,
        head: &ChangesHead,
        now: Time,
    ) -> Result<Self, StoreError> {
        let mark = LowWaterMark::default();
        Ok(Self { next: expiry::next(txn, settings, head, &mark, now)?, pause_until: Time::EPOCH, mark })
    }

    /// The time at which the daemon sweeps by itself.
    pub(super) fn wakes_at(&self) -> Option<Time> {
        self.next.map(|next| next.max(self.pause_until))
    }

    /// Other records may have expired than was planned.
    pub(super) fn look_at_once(&mut self, now: Time) {
        (self.next, self.pause_until) = (Some(now), Time::EPOCH);
    }
}

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
        changes::number(batch, &self.daemon.identity.now().secrets, &mut self.head, events);
        Ok(())
    }

    /// Removes some of what is due, and plans when to go on.
    pub(super) fn sweep(&mut self, batch: &mut Overlay<'_>, now: Time) -> Result<(), Fault> {
        let is_doubted = self.head.clock.doubted_since.is_some();
        let at = if batch.is_empty() { self.sweep.wakes_at() } else { self.sweep.next };
        if self.importing || is_doubted || at.is_none_or(|at| at > now) {
            return Ok(());
        }
        if self.space.is_short() {
            self.sweep.pause_until = now.plus_seconds(SWEEP_PAUSE_SECONDS);
            return Ok(());
        }
        let (fewest, most) = SWEPT_WITH_WRITES.into_inner();
        let most = if batch.is_empty() { expiry::STEP_MAX } else { batch.len().clamp(fewest, most) };
        let mut mark = self.sweep.mark.clone();
        // After a fault it is tried again when what the next write plans is due.
        self.sweep.next = None;
        let mut draft = Draft::new(batch);
        let is_complete = expiry::step(&mut draft, &self.settings, &self.head, &mut mark, now, most)? < most;
        let (writes, events) = draft.into_parts();
        mark.lower(&writes);
        batch.absorb(writes);
        changes::number(batch, &self.daemon.identity.now().secrets, &mut self.head, events);
        self.sweep.next = expiry::next(batch, &self.settings, &self.head, &mark, now)?;
        self.sweep.mark = mark;
        self.sweep.pause_until = if is_complete { now.plus_seconds(SWEEP_PAUSE_SECONDS) } else { Time::EPOCH };
        Ok(())
    }

    /// Plans the sweep earlier where a new record expires before all others.
    pub(super) fn plan_sweep(&mut self, writes: &Writes, now: Time) {
        let due = self.sweep.mark.lower(writes);
        let change = self.settings.keep_changes_until(now);
        self.sweep.next = self.sweep.next.into_iter().chain(due).chain(change).min();
    }
}
