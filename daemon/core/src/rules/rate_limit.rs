//! The rate limit of wrong codes: a fixed window of a minute for each source, as a state machine in memory without a
//! lock or a clock; and the change events of refused attempts on codes and tokens.
//!
//! A source is the origin that a service names, else the peer's uid. Past its rate a source is refused until its window
//! ends, and of all those refusals one is recorded. All wrong codes together are counted too; past their rate one alarm
//! a window is recorded, and nobody is refused for it: one attacker must not lock everybody out.
//!
//! Memory is the truth while the daemon runs: a wrong code counts here before it is answered. Windows that have changed
//! and change events wait for the writer's next batch, so that the counts survive a restart. Of peers with the grant
//! `read` nothing is recorded: they are counted in memory only. Memory is bounded: the writer is to be woken for each
//! [`WAITING_MAX`] waiting records, ended windows are dropped as others begin, and beyond [`SOURCES_MAX`] sources the
//! window that began first is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::{replace, take};
use std::ops::ControlFlow;

use enroll_protocol::{Code, Pk, Refusal, Time};
use serde_json::json;

use super::{Call, expiry};
use crate::context::{Context, Grant};
use crate::draft::Txn;
use crate::fault::Fault;
use crate::identity::Hash;
use crate::model::change::{ALARM, Change, ChangeEvent};
use crate::model::key::{self, Due, Family};
use crate::model::record::{self, Guesses};
use crate::state::{ReadTxn, SCAN_CHUNK, StoreError, walk};

/// Records that may wait before the writer is woken for them.
pub const WAITING_MAX: usize = 256;

/// Sources with a window in memory.
pub const SOURCES_MAX: usize = 1 << 16;

/// Change events that may wait: so many only where the writer can not write, for want of space or during an import.
/// Further ones are dropped and counted.
pub const EVENTS_MAX: usize = 16 * WAITING_MAX;

const WINDOW_SECONDS: u64 = 60;

/// The windows of all sources, and what waits to be recorded.
#[derive(Default)]
pub struct RateLimit {
    windows: BTreeMap<Hash, Window>,
    /// The sources by the start of their windows, without the total, which is never dropped for room.
    starts: BTreeSet<(Time, Hash)>,
    /// The sources whose windows have changed since they were written.
    unwritten: BTreeSet<Hash>,
    events: Vec<ChangeEvent>,
    dropped_events: u64,
    wants_writer: bool,
}

/// A window in memory.
struct Window {
    guesses: Guesses,
    /// Its record's expiry is planned.
    is_planned: bool,
}

impl RateLimit {
    /// Takes the windows from the records in place of those in memory. Ended ones are dropped as others begin.
    pub fn load(&mut self, txn: &dyn ReadTxn) -> Result<(), StoreError> {
        (self.windows, self.starts, self.unwritten) = Default::default();
        let (from, to) = Family::Guesses.bounds();
        walk(txn, (&from, &to), SCAN_CHUNK, |key, value| {
            if let Some(Due::Guesses(source)) = Due::of_key(key) {
                self.insert(source, Window { guesses: record::decode(value)?, is_planned: true });
            }
            Ok::<_, StoreError>(ControlFlow::Continue(()))
        })
    }

    /// The running window of the request's source; an empty one where none runs.
    pub fn window(&self, ctx: &Context) -> Guesses {
        let found = self.windows.get(&source(ctx)).map(|window| window.guesses);
        found.filter(|window| !has_ended(window, ctx.now)).unwrap_or_else(|| begun(ctx.now))
    }

    /// Notes a refused attempt: a guess counts, and the change event waits for the writer, unless the peer may only
    /// read.
    pub fn note(&mut self, call: &Call<'_>, refusal: &Refusal, subject: Option<Pk>, guess: bool) {
        let before = self.waiting() / WAITING_MAX;
        let is_recorded = call.ctx.peer.grant != Grant::Read;
        if guess {
            self.count(call, is_recorded);
        }
        if is_recorded && self.is_news(call.ctx, refusal) {
            self.emit(refused(call, refusal, subject));
        }
        self.wants_writer |= self.waiting() / WAITING_MAX > before;
    }

    /// Gives everything that waits to the writer's batch. Returns the number of change events that were dropped since
    /// the last time.
    pub fn drain(&mut self, txn: &mut dyn Txn) -> u64 {
        take(&mut self.events).into_iter().for_each(|event| txn.emit(event));
        for source in take(&mut self.unwritten) {
            let Some(window) = self.windows.get_mut(&source) else { continue };
            record::put(txn, key::guesses(&source), &window.guesses);
            if !replace(&mut window.is_planned, true) {
                expiry::plan(txn, window.guesses.since.plus_seconds(WINDOW_SECONDS), &Due::Guesses(source));
            }
        }
        take(&mut self.dropped_events)
    }

    /// True once for each [`WAITING_MAX`] records that wait: the writer is to be woken.
    pub fn take_wants_writer(&mut self) -> bool {
        take(&mut self.wants_writer)
    }

    fn count(&mut self, call: &Call<'_>, is_recorded: bool) {
        let now = call.ctx.now;
        let own = self.running(source(call.ctx), now, is_recorded);
        own.count = own.count.saturating_add(1);

        let total = call.ctx.identity.secrets.guess_source(&[b"everybody"]);
        let all = self.running(total, now, is_recorded);
        all.count = all.count.saturating_add(1);
        let since = all.since;
        if is_recorded && all.count > call.ctx.settings.guesses_total_per_minute && !replace(&mut all.told, true) {
            self.emit(ChangeEvent::Change(Change { what: ALARM, ..call.change(Vec::new()) }, None));
        }
        // The total is never dropped for room.
        self.starts.remove(&(since, total));
    }

    /// False for all but the first refusal past the limit in a window.
    fn is_news(&mut self, ctx: &Context, refusal: &Refusal) -> bool {
        if refusal.code != Code::TOO_MANY_ATTEMPTS {
            return true;
        }
        !self.window(ctx).told && !replace(&mut self.running(source(ctx), ctx.now, true).told, true)
    }

    fn emit(&mut self, event: ChangeEvent) {
        if self.events.len() < EVENTS_MAX {
            self.events.push(event);
        } else {
            self.dropped_events += 1;
        }
    }

    /// The source's running window, which is about to change; a new one where none runs.
    fn running(&mut self, source: Hash, now: Time, is_recorded: bool) -> &mut Guesses {
        if self.windows.get(&source).is_none_or(|window| has_ended(&window.guesses, now)) {
            self.remove(&source);
            self.remove_ended(now);
            self.insert(source, Window { guesses: begun(now), is_planned: false });
        }
        if is_recorded {
            self.unwritten.insert(source);
        }
        let window = self.windows.entry(source).or_insert(Window { guesses: begun(now), is_planned: false });
        &mut window.guesses
    }

    fn insert(&mut self, source: Hash, window: Window) {
        while self.starts.len() >= SOURCES_MAX
            && let Some((_, first)) = self.starts.first().copied()
        {
            self.remove(&first);
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
        if let Some(window) = self.windows.remove(source) {
            self.starts.remove(&(window.guesses.since, *source));
            self.unwritten.remove(source);
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
pub fn refused(call: &Call<'_>, refusal: &Refusal, subject: Option<Pk>) -> ChangeEvent {
    let change = call.change(subject.into_iter().collect());
    ChangeEvent::Change(Change { refused: Some(refusal.code), ..change }, None)
}

/// True once a window is over, or if it lies so far ahead that the clock was set back meanwhile.
pub(super) fn has_ended(window: &Guesses, now: Time) -> bool {
    is_over(window.since, now) || is_ahead(window.since, now)
}

fn is_over(since: Time, now: Time) -> bool {
    now >= since.plus_seconds(WINDOW_SECONDS)
}

/// Requests do not run in the order of their times: a window that began a little later than this request is running.
fn is_ahead(since: Time, now: Time) -> bool {
    since >= now.plus_seconds(WINDOW_SECONDS)
}

fn begun(now: Time) -> Guesses {
    Guesses { since: now, count: 0, told: false }
}

/// The source of a request. A peer that may only read names no origin for others: it counts by its uid.
fn source(ctx: &Context) -> Hash {
    match &ctx.envelope.origin {
        Some(origin) if ctx.peer.grant != Grant::Read => {
            ctx.identity.secrets.guess_source(&[b"origin", origin.as_str().as_bytes()])
        }
        _ => ctx.identity.secrets.guess_source(&[b"uid", &ctx.peer.uid.to_be_bytes()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: usize) -> Hash {
        let mut source = [0; 32];
        source[..8].copy_from_slice(&number.to_be_bytes());
        source
    }

    fn at(seconds: u64) -> Time {
        Time::EPOCH.plus_seconds(seconds)
    }

    #[test]
    fn ended_windows_are_dropped_as_others_begin() {
        let mut limit = RateLimit::default();
        let sources = |limit: &RateLimit| limit.windows.keys().copied().collect::<Vec<_>>();
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
        assert!(!limit.windows.contains_key(&source(0)) && limit.windows.contains_key(&source(SOURCES_MAX)));
        for _ in 0..=EVENTS_MAX {
            limit.emit(ChangeEvent::Remember(Vec::new()));
        }
        assert_eq!((limit.events.len(), limit.dropped_events), (EVENTS_MAX, 1));
    }
}
