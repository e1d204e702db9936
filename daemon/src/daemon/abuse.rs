//! The abuse log: refusals for abuse, summed by kind and uid. Of each kind and uid there is one log line when a burst
//! begins, one with the count every ten seconds while it lasts, and one with the total when it is over. So nobody
//! floods the log, and no uid hides another.
//!
//! The uids told apart are bounded by kind: what comes from further ones is summed without a uid. The metric
//! `enrolld_abuse` counts by kind alone.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use enroll_protocol::finding::{Finding, Topic};
use enroll_protocol::{Code, Refusal};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::Notify;

use crate::metrics::Series;

/// Least time between two lines of a kind and uid.
const INTERVAL: Duration = Duration::from_secs(10);

/// Pause of [`AbuseLog::watch`] between two looks.
const WATCH_PAUSE: Duration = Duration::from_secs(2);

/// Uids of a kind that are told apart at a time.
const UIDS_MAX: usize = 64;

/// A kind of refusal for abuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Abuse {
    /// A connection of a user without a grant.
    NoGrant,
    /// A connection past the limit of all.
    Connections,
    /// A connection past the limit of its uid.
    ConnectionsOfUid,
    /// No hello in time.
    NoHello,
    /// Something else than a hello, or one of another version.
    WrongHello,
    /// A frame that was begun and not finished in time.
    SlowFrame,
    /// Bytes that are no frame.
    MalformedFrame,
    /// Answers that were not taken in time.
    UntakenAnswers,
    /// A wrong, spent or expired code or token.
    RefusedAttempt,
    /// A code past the rate limit of wrong ones.
    TooManyAttempts,
    /// A refused call that left no record, past the limit of its uid.
    Unrecorded,
}

impl Abuse {
    /// Every kind, in the order of its discriminants, with its name in log and metrics and the message of its line.
    const TABLE: [(Self, &str, &str); 11] = [
        (
            Self::NoGrant,
            "no_grant",
            "connections refused: the user has no grant; [grants] of enrolld.toml can give one",
        ),
        (Self::Connections, "connections", "connections refused: server.connections are open"),
        (Self::ConnectionsOfUid, "connections_of_uid", "connections refused: server.connections_per_uid are open"),
        (Self::NoHello, "no_hello", "connections ended: no hello within server.finish_frame_seconds"),
        (Self::WrongHello, "wrong_hello", "connections ended: no hello of this version of the protocol"),
        (Self::SlowFrame, "slow_frame", "connections ended: a frame not finished within server.finish_frame_seconds"),
        (Self::MalformedFrame, "malformed_frame", "connections ended: bytes that are no frame"),
        (
            Self::UntakenAnswers,
            "untaken_answers",
            "connections ended: answers not taken within server.take_answer_seconds",
        ),
        (Self::RefusedAttempt, "refused_attempt", "attempts refused: wrong, spent or expired codes or tokens"),
        (Self::TooManyAttempts, "too_many_attempts", "attempts refused: the rate limit of wrong codes is reached"),
        (Self::Unrecorded, "unrecorded", "refused calls not recorded: their uid is past guesses.refused_per_minute"),
    ];

    /// The kind of a refused attempt on a code or token.
    pub fn of_attempt(refusal: &Refusal) -> Self {
        if refusal.code == Code::TOO_MANY_ATTEMPTS { Self::TooManyAttempts } else { Self::RefusedAttempt }
    }

    /// A person mistypes a code now and then; everything else has a cause that somebody should see to.
    fn is_common(self) -> bool {
        self == Self::RefusedAttempt
    }
}

/// The log that all threads share.
#[derive(Debug)]
pub struct AbuseLog {
    bursts: Mutex<Bursts>,
    counts: Series<Counter>,
    begun: Notify,
}

/// The running bursts, by kind and uid; without a uid, those past [`UIDS_MAX`].
type Bursts = BTreeMap<(Abuse, Option<u32>), Burst>;

/// Refusals of one kind and uid with less than [`INTERVAL`] between them.
#[derive(Debug)]
struct Burst {
    last_line: Instant,
    /// Refusals since the last line.
    unsaid: u64,
    total: u64,
}

/// A line of the log.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    of: (Abuse, Option<u32>),
    /// Refusals since the line before.
    count: u64,
    /// Refusals since the burst began.
    total: u64,
    is_over: bool,
}

impl Default for AbuseLog {
    fn default() -> Self {
        let labels = Abuse::TABLE.map(|(_, name, _)| vec![("kind", name)]);
        Self { bursts: Mutex::default(), counts: Series::of(labels, Counter::default), begun: Notify::new() }
    }
}

impl AbuseLog {
    /// Counts a refusal of a peer of this uid, and logs it or adds it to a later line.
    pub fn note(&self, kind: Abuse, uid: u32) {
        self.counts.at(kind as usize).inc();
        let line = note(&mut self.lock(), kind, uid, Instant::now());
        if let Some(line) = line {
            line.write();
            self.begun.notify_one();
        }
    }

    /// Writes the later lines of bursts, for ever.
    pub async fn watch(&self) {
        loop {
            if self.lock().is_empty() {
                self.begun.notified().await;
            }
            tokio::time::sleep(WATCH_PAUSE).await;
            let lines = due(&mut self.lock(), Instant::now());
            lines.iter().for_each(Line::write);
        }
    }

    /// Writes what no line has said yet, at the end of the daemon.
    pub fn close(&self) {
        let bursts = std::mem::take(&mut *self.lock());
        for (of, burst) in bursts.into_iter().filter(|(_, burst)| burst.unsaid > 0) {
            Line { of, count: burst.unsaid, total: burst.total, is_over: true }.write();
        }
    }

    /// A finding for each kind and uid whose burst is running and has a cause that somebody should see to.
    pub fn findings(&self) -> Vec<Finding> {
        let bursts = self.lock();
        let running = bursts.iter().filter(|((kind, _), burst)| !kind.is_common() && burst.total > 1);
        let finding = |((kind, uid), _): (&(Abuse, Option<u32>), &Burst)| {
            let (_, name, what) = Abuse::TABLE[*kind as usize];
            let whose = uid.map_or_else(|| "further uids".to_owned(), |uid| format!("uid {uid}"));
            let what = format!("of {whose}: {what}");
            Finding::of(Topic::Abuse, &format!("{name}, {whose}"), &[("what", &what), ("kind", name)])
        };
        running.map(finding).collect()
    }

    /// Refusals since the start by kind, for the metrics.
    pub fn counts(&self) -> &Series<Counter> {
        &self.counts
    }

    fn lock(&self) -> MutexGuard<'_, Bursts> {
        self.bursts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds a refusal to its burst. Returns the line of one that begins.
fn note(bursts: &mut Bursts, kind: Abuse, uid: u32, now: Instant) -> Option<Line> {
    let mut of = (kind, Some(uid));
    if !bursts.contains_key(&of) && bursts.range((kind, None)..=(kind, Some(u32::MAX))).count() >= UIDS_MAX {
        of = (kind, None);
    }
    if let Some(burst) = bursts.get_mut(&of) {
        burst.unsaid += 1;
        burst.total += 1;
        return None;
    }
    bursts.insert(of, Burst { last_line: now, unsaid: 0, total: 1 });
    Some(Line { of, count: 1, total: 1, is_over: false })
}

/// The lines that are due. Forgets the bursts that are over.
fn due(bursts: &mut Bursts, now: Instant) -> Vec<Line> {
    let mut lines = Vec::new();
    bursts.retain(|of, burst| {
        if now.duration_since(burst.last_line) < INTERVAL {
            return true;
        }
        let (count, total) = (std::mem::take(&mut burst.unsaid), burst.total);
        burst.last_line = now;
        // A single refusal was said when it came.
        if total > 1 {
            lines.push(Line { of: *of, count, total, is_over: count == 0 });
        }
        count > 0
    });
    lines
}

impl Line {
    fn write(&self) {
        let (kind, uid) = self.of;
        let (_, abuse, what) = Abuse::TABLE[kind as usize];
        let (count, total) = (self.count, self.total);
        let whose = if uid.is_none() { "; from more users than are told apart" } else { "" };
        let end = if self.is_over { "; this is over" } else { "" };
        if kind.is_common() {
            tracing::info!(abuse, uid, count, total, "{what}{whose}{end}");
        } else {
            tracing::warn!(abuse, uid, count, total, "{what}{whose}{end}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(of: (Abuse, Option<u32>), count: u64, total: u64, is_over: bool) -> Line {
        Line { of, count, total, is_over }
    }

    #[test]
    fn the_table_is_in_the_order_of_the_kinds() {
        assert!(Abuse::TABLE.iter().enumerate().all(|(at, (kind, ..))| *kind as usize == at));
    }

    #[test]
    fn a_burst_has_a_line_when_it_begins_one_each_interval_and_one_when_it_is_over() {
        let (mut bursts, start) = (Bursts::new(), Instant::now());
        let (loud, quiet) = ((Abuse::NoGrant, Some(7)), (Abuse::NoGrant, Some(8)));
        let begun: Vec<_> = (0..100).filter_map(|_| note(&mut bursts, Abuse::NoGrant, 7, start)).collect();
        assert_eq!(begun, [line(loud, 1, 1, false)]);
        let hidden = note(&mut bursts, Abuse::NoGrant, 8, start);
        assert_eq!(hidden, Some(line(quiet, 1, 1, false)), "one uid hides no other");
        assert_eq!(due(&mut bursts, start + INTERVAL / 2), []);
        assert_eq!(due(&mut bursts, start + INTERVAL), [line(loud, 99, 100, false)]);
        assert_eq!(note(&mut bursts, Abuse::NoGrant, 7, start + INTERVAL), None);
        assert_eq!(due(&mut bursts, start + 2 * INTERVAL), [line(loud, 1, 101, false)]);
        assert_eq!(due(&mut bursts, start + 3 * INTERVAL), [line(loud, 0, 101, true)]);
        assert!(bursts.is_empty());
    }

    #[test]
    fn many_uids_take_a_bounded_table() {
        let (mut bursts, start) = (Bursts::new(), Instant::now());
        let uids_max = u32::try_from(UIDS_MAX).expect("a small number");
        let lines = (0..10 * uids_max).filter_map(|uid| note(&mut bursts, Abuse::NoHello, uid, start)).count();
        assert_eq!((lines, bursts.len()), (UIDS_MAX + 1, UIDS_MAX + 1));
        let others = bursts.get(&(Abuse::NoHello, None)).map(|burst| burst.total);
        assert_eq!(others, Some(u64::from(9 * uids_max)));
        assert!(note(&mut bursts, Abuse::SlowFrame, 7, start).is_some(), "another kind has its own uids");
    }

    #[test]
    fn a_burst_is_found_and_a_single_refusal_or_a_mistyped_code_is_not() {
        let log = AbuseLog::default();
        log.note(Abuse::NoGrant, 7);
        for _ in 0..3 {
            log.note(Abuse::RefusedAttempt, 8);
        }
        assert_eq!(log.findings(), []);
        log.note(Abuse::NoGrant, 7);
        let [found] = &log.findings()[..] else { panic!("one finding") };
        assert_eq!(found.subject, "no_grant, uid 7");
        assert!(found.message.starts_with("of uid 7: connections refused"), "{}", found.message);
        assert_eq!(found.mend, "sudo journalctl -u enrolld ENROLLD_ABUSE=no_grant");
    }
}
