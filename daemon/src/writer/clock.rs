//! Clock steps in the writer: a step is recorded, and records that were planned by the clock before it are put in order.
//! A clock that is far ahead and not synchronised is doubted from a start on until it is accepted, set right or
//! synchronised.
//!
//! A step is a change of its own, before any that bears a time of the clock as it is set then. Times are put in order only
//! where a wrong one would hold something up or hold it valid for years; what is decided stays decided.

use enroll_protocol::Time;

use super::Writer;
use crate::daemon::clock::STEP_SECONDS_MIN;
use crate::daemon::warnings::{CLOCK_DOUBTED, Topic};
use enroll_core::draft::{Draft, Txn as _};
use enroll_core::fault::Fault;
use enroll_core::model::change::{CLOCK, Change, ChangeEvent};
use enroll_core::model::record::ClockStep;
use enroll_core::rules::{authority, changes, expiry, seating};
use enroll_core::state::overlay::Overlay;

/// A clock that a start finds no further ahead of the latest change than this is not doubted: nobody may have written.
const AHEAD_SECONDS_MAX: u64 = 30 * 24 * 60 * 60;

impl Writer {
    /// Takes the clock as a start finds it, and the kernel's word on whether it is synchronised.
    pub fn start_at(&mut self, now: Time, is_unsynchronised: bool) {
        // A refusal that is kept under its key is no change, and has a time all the same.
        if self.head.at == Time::EPOCH {
            return;
        }
        let step = (now.micros() - self.head.at.micros()) / 1_000_000;
        if step < -STEP_SECONDS_MIN {
            self.note_step(step);
        }
        let is_ahead_of = |then: Time| now > then.plus_seconds(AHEAD_SECONDS_MAX);
        let before = self.head.clock.doubted_since;
        let doubted_since = Some(before.unwrap_or(self.head.at)).filter(|then| is_unsynchronised && is_ahead_of(*then));
        if before != doubted_since {
            self.is_clock_news = true;
            self.head.clock.doubted_since = doubted_since;
        }
        self.doubt = doubted_since.map(|since| doubt(now, since));
        self.tell_doubt(before);
        self.warn();
    }

    /// The clock was set by so many seconds, beyond what has passed.
    pub fn clock_stepped(&mut self, seconds: i64) {
        self.note_step(self.step.unwrap_or(0).saturating_add(seconds));
        let started = self.daemon.started.now().micros().saturating_add(seconds.saturating_mul(1_000_000));
        self.daemon.started.replace(Time::from_micros(started).unwrap_or(Time::EPOCH));
    }

    fn note_step(&mut self, seconds: i64) {
        self.daemon.metrics.clock_steps.inc();
        let direction = if seconds < 0 { "back" } else { "forward" };
        self.stepped = Some(format!(
            "the clock was set {direction} by {} seconds; what expires goes by the clock as it is now",
            seconds.abs()
        ));
        self.step = Some(seconds);
        self.warn();
    }

    /// Updates the standing warnings on the clock: its last step since the start, and the doubt of the start.
    fn warn(&self) {
        let stepped = self.stepped.iter().map(|message| (String::new(), message.clone()));
        let doubt = self.doubt.iter().map(|message| (CLOCK_DOUBTED.1.to_owned(), message.clone()));
        self.daemon.warnings.replace(Topic::Clock, stepped.chain(doubt));
    }

    /// Records a step, and puts in order what the time before it has left. During an import nothing is recorded.
    pub(super) fn take_step(&mut self, batch: &mut Overlay<'_>, now: Time) -> Result<(), Fault> {
        let Some(seconds) = self.step else { return Ok(()) };
        let before = std::mem::replace(&mut self.time, now);
        if self.importing {
            return Ok(());
        }
        self.step = None;
        self.head.clock.last_step = Some(ClockStep { seconds, at: now });
        self.head.clock.accepted_at = None;
        let is_right = |since: &Time| now <= since.plus_seconds(AHEAD_SECONDS_MAX);
        self.head.clock.doubted_since = self.head.clock.doubted_since.filter(|since| !is_right(since));
        let mut draft = Draft::new(batch);
        draft.emit(ChangeEvent::Change(Change::of_time(CLOCK, now), None));
        if seconds < 0 {
            self.head.clock.went_back_at = Some(now);
            self.head.clock.astray = Some(expiry::astray_from(&self.settings, now));
            authority::renew_list_ahead(&mut draft, &self.settings, now)?;
            seating::go_on_since(&mut draft, now, before)?;
        }
        let (writes, events) = draft.into_parts();
        batch.absorb(writes);
        changes::number(batch, &self.daemon.identity.now().secrets, &mut self.head, events);
        self.sweep.look_at_once(now);
        self.event_at = seating::next_due(batch)?;
        Ok(())
    }

    /// Has rules know whether the clock is doubted. What was held up meanwhile is due once it no longer is.
    pub(super) fn tell_doubt(&mut self, before: Option<Time>) {
        let doubted_since = self.head.clock.doubted_since;
        if *self.daemon.doubted_since.now() != doubted_since {
            self.daemon.doubted_since.replace(doubted_since);
        }
        if before.is_some() && doubted_since.is_none() {
            self.doubt = None;
            self.warn();
        }
    }
}

fn doubt(now: Time, since: Time) -> String {
    let days = (now.seconds() - since.seconds()) / (24 * 60 * 60);
    format!(
        "the system's clock says {now}, {days} days after the latest change, and the kernel does not call it synchronised; \
         no event pool opens or merges and nothing is swept meanwhile: set the clock right, or, if it is, run \
         enrollctl server accept-clock"
    )
}
