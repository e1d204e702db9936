//! The rate limit of wrong codes: a fixed window of a minute for each source, as a state machine in memory without a
//! lock or a clock; and the change events of refused attempts on codes and tokens.
//!
//! A source is a uid and the origin that it names, or the uid alone where it names none: nobody uses up what another uid
//! has. Uids that the configuration counts together are one. Past its rate a source is refused until its window ends,
//! and of all those refusals one is recorded. All wrong codes of a uid, and all together, are counted too; past their
//! rates there is an alarm and nobody is refused for it: one attacker must not lock everybody out.
//!
//! Memory is the truth while the daemon runs: a wrong code counts here before it is answered. Windows that have changed
//! and change events wait for the writer's next batch, so that the counts survive a restart. Of peers that may only
//! read, and of dry runs, nothing is recorded: they are counted in memory only. The records of each uid are bounded
//! ([`super::uid_limits`]).
//!
//! Memory is bounded: the writer is to be woken for each [`WAITING_MAX`] waiting records, ended windows are dropped as
//! others begin, a uid's origins beyond [`SHARE_MAX`] count as one source, and beyond [`SOURCES_MAX`] sources the window
//! that began first is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::{replace, take};
use std::ops::ControlFlow;

use enroll_protocol::{Code, Pk, Refusal, Time};
use serde_json::json;

use super::uid_limits::{Alarm, Recording, UidLimits};
use super::{Call, expiry};
use crate::context::{Context, Grant};
use crate::draft::Txn;
use crate::fault::Fault;
use crate::identity::Hash;
use crate::model::change::{ALARM, Change, ChangeEvent, REFUSALS, UID_ALARM};
use crate::model::key::{self, Due, Family};
use crate::model::record::{self, Guesses};
use crate::settings::Settings;
use crate::state::{ReadTxn, SCAN_CHUNK, StoreError, walk};

/// Records that may wait before the writer is woken for them.
pub const WAITING_MAX: usize = 256;

/// Sources with a window in memory.
pub const SOURCES_MAX: usize = 1 << 16;

/// Origins of one uid with a window of their own; further ones share one.
pub const SHARE_MAX: u32 = 1 << 12;

/// Change events that may wait: so many only where the writer can not write, for want of space or during an import.
/// Further ones are dropped and counted.
pub const EVENTS_MAX: usize = 16 * WAITING_MAX;

const WINDOW_SECONDS: u64 = 60;

/// The windows of all sources and uids, and what waits to be recorded.
#[derive(Default)]
pub struct RateLimit {
    windows: BTreeMap<Hash, Window>,
    /// The sources by the start of their windows.
    starts: BTreeSet<(Time, Hash)>,
    /// The number of windows of each uid.
    shares: BTreeMap<u32, u32>,
    /// The sources whose windows have changed since they were written.
    unwritten: BTreeSet<Hash>,
    uids: UidLimits,
    events: Vec<ChangeEvent>,
    dropped_events: u64,
    wants_writer: bool,
}

/// A window in memory.
struct Window {
    guesses: Guesses,
    /// The uid; none for one that was loaded, whose record names none.
    uid: Option<u32>,
    /// Its record's expiry is planned.
    is_planned: bool,
}

/// The report of what was given to a batch.
#[derive(Default)]
pub struct Drained {
    /// Change events that were dropped since the last time.
    pub dropped_events: u64,
    /// The bytes of the windows' records, by uid.
    pub bytes: BTreeMap<u32, u64>,
}

impl RateLimit {
    /// Takes the windows from the records in place of those in memory. Ended ones are dropped as others begin.
    pub fn load(&mut self, txn: &dyn ReadTxn) -> Result<(), StoreError> {
        (self.windows, self.starts, self.shares, self.unwritten) = Default::default();
        let (from, to) = Family::Guesses.bounds();
        walk(txn, (&from, &to), SCAN_CHUNK, |key, value| {
            if let Some(Due::Guesses(source)) = Due::of_key(key) {
                self.insert(source, Window { guesses: record::decode(value)?, uid: None, is_planned: true });
            }
            Ok::<_, StoreError>(ControlFlow::Continue(()))
        })
    }

    /// The running window of the request's source; an empty one where none runs.
    pub fn window(&mut self, ctx: &Context) -> Guesses {
        let source = self.source(ctx).1;
        let found = self.windows.get(&source).map(|window| window.guesses);
        found.filter(|window| !has_ended(window, ctx.now)).unwrap_or_else(|| begun(ctx.now))
    }

    /// Notes a refused attempt: a guess counts, and the change event waits for the writer, unless the peer may only
    /// read or has passed its limit of records, or the call is a dry run. Returns how it is recorded; none where it is
    /// not to be.
    pub fn note(&mut self, call: &Call<'_>, refusal: &Refusal, subject: Option<Pk>, guess: bool) -> Option<Recording> {
        let (before, ctx) = (self.waiting() / WAITING_MAX, call.ctx);
        let source = self.source(ctx);
        let is_to_be = may_record(ctx) && self.is_news(ctx, source, refusal);
        let recording = is_to_be.then(|| self.take_record(ctx, refusal));
        let is_own = recording == Some(Recording::Own);
        if guess {
            self.count(call, source, is_own);
        }
        if is_own {
            self.emit(refused(call, refusal, subject));
        }
        self.wants_writer |= self.waiting() / WAITING_MAX > before;
        recording
    }

    /// Counts the right codes of a refused transaction as guesses: its refusal tells of them, and nothing else does.
    pub fn count_right(&mut self, call: &Call<'_>, codes: u32) {
        let source = self.source(call.ctx);
        (0..codes).for_each(|_| self.count(call, source, may_record(call.ctx)));
    }

    /// Takes one of the records that the refused calls of the request's uid may leave in a window. The first time that
    /// there is none left, one summary waits for the writer.
    pub fn take_record(&mut self, ctx: &Context, refusal: &Refusal) -> Recording {
        let recording = self.uids.take_record(ctx.peer.uid, ctx.now, ctx.settings.refused_per_minute);
        if recording == Recording::Summary {
            self.emit(summary(ctx, refusal.code));
        }
        recording
    }

    /// Gives everything that waits to the writer's batch.
    pub fn drain(&mut self, txn: &mut dyn Txn) -> Drained {
        take(&mut self.events).into_iter().for_each(|event| txn.emit(event));
        let mut bytes = BTreeMap::new();
        for source in take(&mut self.unwritten) {
            let Some(window) = self.windows.get_mut(&source) else { continue };
            let (key, value) = (key::guesses(&source), record::encode(&window.guesses));
            *bytes.entry(window.uid.unwrap_or(0)).or_default() += (key.len() + value.len()) as u64;
            txn.put(key, value);
            if !replace(&mut window.is_planned, true) {
                expiry::plan(txn, window.guesses.since.plus_seconds(WINDOW_SECONDS), &Due::Guesses(source));
            }
        }
        Drained { dropped_events: take(&mut self.dropped_events), bytes }
    }

    /// True once for each [`WAITING_MAX`] records that wait: the writer is to be woken.
    pub fn take_wants_writer(&mut self) -> bool {
        take(&mut self.wants_writer)
    }

    /// True once for each limit that was passed: there is another alarm.
    pub fn take_new_alarm(&mut self) -> bool {
        self.uids.take_new_alarm()
    }

    /// The alarms of the windows that are running.
    pub fn alarms(&self, settings: &Settings, now: Time) -> Vec<Alarm> {
        self.uids.alarms(settings, now)
    }

    fn count(&mut self, call: &Call<'_>, source: (u32, Hash), is_recorded: bool) {
        let (ctx, now) = (call.ctx, call.ctx.now);
        let own = self.running(source, now, is_recorded);
        own.count = own.count.saturating_add(1);

        let passed = self.uids.count(ctx.peer.uid, &ctx.settings, now, may_record(ctx));
        for what in
            [(passed.uid, UID_ALARM), (passed.total, ALARM)].into_iter().filter_map(|(is, what)| is.then_some(what))
        {
            self.emit(alarm(call, what));
        }
    }

    /// False for all but the first refusal past the limit in a window.
    fn is_news(&mut self, ctx: &Context, source: (u32, Hash), refusal: &Refusal) -> bool {
        refusal.code != Code::TOO_MANY_ATTEMPTS || !replace(&mut self.running(source, ctx.now, false).told, true)
    }

    fn emit(&mut self, event: ChangeEvent) {
        if self.events.len() < EVENTS_MAX {
            self.events.push(event);
        } else {
            self.dropped_events += 1;
        }
    }

    /// The uid that the request's source counts for, and the source. A peer that may only read names no origin for
    /// others, and an origin beyond the uid's share has no window of its own.
    fn source(&mut self, ctx: &Context) -> (u32, Hash) {
        let uid = ctx.settings.count_together.get(&ctx.peer.uid).copied().unwrap_or(ctx.peer.uid);
        let hashed =
            |kind: &[u8], origin: &[u8]| ctx.identity.secrets.guess_source(&[kind, &uid.to_be_bytes(), origin]);
        let Some(origin) = ctx.envelope.origin.as_ref().filter(|_| ctx.peer.grant > Grant::Read) else {
            return (uid, hashed(b"uid", b""));
        };
        let own = hashed(b"origin", origin.as_str().as_bytes());
        if self.windows.contains_key(&own) || self.has_room(uid, ctx.now) {
            return (uid, own);
        }
        (uid, hashed(b"other origins", b""))
    }

    fn has_room(&mut self, uid: u32, now: Time) -> bool {
        let is_below = |limit: &Self| limit.shares.get(&uid).is_none_or(|share| *share < SHARE_MAX);
        if !is_below(self) {
            self.remove_ended(now);
        }
        is_below(self)
    }

    /// The source's running window, which is about to change; a new one where none runs.
    fn running(&mut self, (uid, source): (u32, Hash), now: Time, is_recorded: bool) -> &mut Guesses {
        let before = self.windows.get(&source).filter(|window| !has_ended(&window.guesses, now));
        // One that was loaded is taken out too: from here on its uid is known.
        if before.is_none_or(|window| window.uid.is_none()) {
            let (guesses, is_planned) =
                before.map_or((begun(now), false), |window| (window.guesses, window.is_planned));
            self.remove(&source);
            self.remove_ended(now);
            self.insert(source, Window { guesses, uid: Some(uid), is_planned });
        }
        if is_recorded {
            self.unwritten.insert(source);
        }
        let new = Window { guesses: begun(now), uid: None, is_planned: false };
        &mut self.windows.entry(source).or_insert(new).guesses
    }

    fn insert(&mut self, source: Hash, window: Window) {
        while self.starts.len() >= SOURCES_MAX
            && let Some((_, first)) = self.starts.first().copied()
        {
            self.remove(&first);
        }
        if let Some(uid) = window.uid {
            *self.shares.entry(uid).or_default() += 1;
        }
        self.starts.insert((window.guesses.since, source));
        self.windows.insert(source, window);
    }

    fn remove_ended(&mut self, now: Time) {
        while let Some((_, source)) = self.starts.first().copied().filter(|(since, _)| is_over(*since, now)) {
            self.remove(&source);
        }
        while let Some((_, source)) = self.starts.last().copied().filter(|(since, _)| is_ahead(*since, now)) {
            self.remove(&source);
        }
    }

    fn remove(&mut self, source: &Hash) {
        let Some(window) = self.windows.remove(source) else { return };
        self.starts.remove(&(window.guesses.since, *source));
        self.unwritten.remove(source);
        if let Some(uid) = window.uid
            && let Some(share) = self.shares.get_mut(&uid)
        {
            *share -= 1;
            if *share == 0 {
                self.shares.remove(&uid);
            }
        }
    }

    fn waiting(&self) -> usize {
        self.events.len() + self.unwritten.len()
    }
}

/// Refuses a source that has guessed too often, whatever code it brings.
pub(super) fn expect_under_limit(ctx: &Context) -> Result<(), Fault> {
    let no_window = || Fault::Broken("an operation reads a code and does not say so".to_owned());
    let window = ctx.guesses.ok_or_else(no_window)?;
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

/// The change event of a refused attempt on a code or token.
fn refused(call: &Call<'_>, refusal: &Refusal, subject: Option<Pk>) -> ChangeEvent {
    let change = call.change(subject.into_iter().collect());
    ChangeEvent::Change(Change { refused: Some(refusal.code), ..change }, None)
}

/// True once a window is over, or if it lies so far ahead that the clock was set back meanwhile.
pub(super) fn has_ended(window: &Guesses, now: Time) -> bool {
    has_passed(window.since, now)
}

/// The same for a window that began at this time.
pub(super) fn has_passed(since: Time, now: Time) -> bool {
    is_over(since, now) || is_ahead(since, now)
}

pub(super) fn is_over(since: Time, now: Time) -> bool {
    now >= since.plus_seconds(WINDOW_SECONDS)
}

/// Requests do not run in the order of their times: a window that began a little later than this request is running.
fn is_ahead(since: Time, now: Time) -> bool {
    since >= now.plus_seconds(WINDOW_SECONDS)
}

fn begun(now: Time) -> Guesses {
    Guesses { since: now, count: 0, told: false }
}

/// True unless the peer may only read or the call is a dry run: what such a call is refused leaves no record.
fn may_record(ctx: &Context) -> bool {
    ctx.peer.grant > Grant::Read && !ctx.envelope.dry_run
}

/// The change event for all refused calls of a uid past its limit of records.
fn summary(ctx: &Context, code: Code) -> ChangeEvent {
    let peer = ctx.peer.id();
    ChangeEvent::Change(Change { peer, refused: Some(code), ..Change::of_time(REFUSALS, ctx.now) }, None)
}

fn alarm(call: &Call<'_>, what: u16) -> ChangeEvent {
    ChangeEvent::Change(Change { what, ..call.change(Vec::new()) }, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: usize) -> (u32, Hash) {
        let mut source = [0; 32];
        source[..8].copy_from_slice(&number.to_be_bytes());
        (7, source)
    }

    fn at(seconds: u64) -> Time {
        Time::EPOCH.plus_seconds(seconds)
    }

    #[test]
    fn ended_windows_are_dropped_as_others_begin() {
        let mut limit = RateLimit::default();
        let sources = |limit: &RateLimit| limit.windows.keys().map(|source| (7, *source)).collect::<Vec<_>>();
        limit.running(source(0), at(1_000_000), true).count = 3;
        limit.running(source(1), at(1000), true).count = 3;
        assert_eq!(sources(&limit), [source(1)], "the clock was ahead");
        limit.running(source(2), at(1059), true).count = 3;
        assert_eq!(sources(&limit), [source(1), source(2)]);
        limit.running(source(3), at(1060), true).count = 3;
        assert_eq!(sources(&limit), [source(2), source(3)]);
        assert_eq!((limit.starts.len(), limit.unwritten.len()), (2, 2));
    }

    #[test]
    fn a_window_that_began_a_little_later_than_the_request_is_running() {
        let mut limit = RateLimit::default();
        limit.running(source(0), at(1000), true).count = 3;
        assert_eq!(limit.running(source(0), at(990), true).count, 3);
        assert_eq!(limit.running(source(0), at(1059), true).count, 3);
        assert_eq!(limit.running(source(0), at(1060), true).count, 0);
    }

    #[test]
    fn memory_is_bounded_and_the_window_that_began_first_gives_way() {
        let mut limit = RateLimit::default();
        for number in 0..=SOURCES_MAX {
            let begun = Time::from_micros(1_000_000 + number as i64).expect("a time");
            limit.running(source(number), begun, true).count = 1;
        }
        assert_eq!((limit.windows.len(), limit.starts.len()), (SOURCES_MAX, SOURCES_MAX));
        assert!(!limit.windows.contains_key(&source(0).1) && limit.windows.contains_key(&source(SOURCES_MAX).1));
        for _ in 0..=EVENTS_MAX {
            limit.emit(ChangeEvent::Remember(Vec::new()));
        }
        assert_eq!((limit.events.len(), limit.dropped_events), (EVENTS_MAX, 1));
    }
}
