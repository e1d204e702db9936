//! The rate limits of a uid, in fixed windows of a minute that are in memory only: its wrong codes over all its origins,
//! and the records that its refused calls leave; and the wrong codes of all uids together. A limit that is passed is an
//! alarm, and refuses nobody.
//!
//! Past its limit of records a uid's refused calls are answered as before and leave nothing: one summary is recorded for
//! all of them, whatever their number. Memory is bounded: ended windows are dropped as others begin, and beyond
//! [`UIDS_MAX`] uids the window that began first.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::mem::{replace, take};

use enroll_protocol::Time;

use super::rate_limit::{has_passed, is_over};
use crate::settings::Settings;

/// Uids with a window in memory.
pub const UIDS_MAX: usize = 4096;

/// Alarms about single uids that are given at once; those of the uids with the most wrong codes.
const ALARMS_MAX: usize = 16;

/// The windows of all uids, and that of all wrong codes together.
#[derive(Default)]
pub(super) struct UidLimits {
    windows: BTreeMap<u32, UidWindow>,
    total: Option<Total>,
    has_new_alarm: bool,
}

/// A limit that was passed in a window that is running, which began at this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// Wrong codes in all; the uid with the most of them, and their number, when the limit was passed.
    Total(Time, u32, u32),
    /// Wrong codes of one uid.
    Uid(Time, u32),
    /// Records of the refused calls of one uid.
    Refusals(Time, u32),
}

/// The limits that a wrong code was the first to find passed, of those that are to be recorded.
pub(super) struct Passed {
    pub(super) uid: bool,
    pub(super) total: bool,
}

/// The window of one uid.
struct UidWindow {
    since: Time,
    /// Wrong codes, over all origins.
    guesses: u32,
    /// The change feed has the alarm of this window.
    is_told: bool,
    /// Records that refused calls left.
    recorded: u32,
    /// Refused calls leave none any more: the summary was recorded.
    is_summed: bool,
}

/// The window of all wrong codes.
struct Total {
    since: Time,
    guesses: u32,
    /// The change feed has the alarm of this window.
    is_told: bool,
    /// The uid with the most wrong codes when the limit was passed, and their number.
    largest: Option<(u32, u32)>,
}

/// The record that a refused call leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recording {
    /// By a record of its own.
    Own,
    /// It is the first one past the limit in its window: one summary is recorded for it and all that follow.
    Summary,
    /// Not at all.
    Nothing,
}

impl UidLimits {
    /// Counts a wrong code. A limit counts as passed when the first one past it comes that may be recorded.
    pub(super) fn count(&mut self, uid: u32, settings: &Settings, now: Time, may_record: bool) -> Passed {
        let per_minute = settings.guesses_uid_per_minute;
        let window = self.running(uid, now);
        window.guesses = window.guesses.saturating_add(1);
        let is_past = window.guesses > per_minute;
        let uid = is_past && may_record && !replace(&mut window.is_told, true);
        self.has_new_alarm |= is_past && window.guesses - 1 == per_minute;

        let before = self.total.take().filter(|total| !has_passed(total.since, now));
        let mut total = before.unwrap_or(Total { since: now, guesses: 0, is_told: false, largest: None });
        total.guesses = total.guesses.saturating_add(1);
        let is_past = total.guesses > settings.guesses_total_per_minute;
        if is_past && total.largest.is_none() {
            (total.largest, self.has_new_alarm) = (self.largest(now), true);
        }
        let is_first = is_past && may_record && !replace(&mut total.is_told, true);
        self.total = Some(total);
        Passed { uid, total: is_first }
    }

    /// Takes one record of a uid, of so many in a window.
    pub(super) fn take_record(&mut self, uid: u32, now: Time, per_minute: u32) -> Recording {
        let window = self.running(uid, now);
        if window.recorded < per_minute {
            window.recorded += 1;
            return Recording::Own;
        }
        match replace(&mut window.is_summed, true) {
            true => Recording::Nothing,
            false => {
                self.has_new_alarm = true;
                Recording::Summary
            }
        }
    }

    /// True once for each limit that was passed.
    pub(super) fn take_new_alarm(&mut self) -> bool {
        take(&mut self.has_new_alarm)
    }

    /// The alarms of the windows that are running.
    pub(super) fn alarms(&self, settings: &Settings, now: Time) -> Vec<Alarm> {
        let total = self.total.as_ref().filter(|total| !has_passed(total.since, now));
        let total = total.and_then(|total| total.largest.map(|(uid, most)| Alarm::Total(total.since, uid, most)));
        let mut running: Vec<_> = self.all(now).collect();
        running.sort_by_key(|(_, window)| Reverse(window.guesses));
        let single = running.into_iter().flat_map(|(uid, window)| {
            let guesses = (window.guesses > settings.guesses_uid_per_minute).then_some(Alarm::Uid(window.since, uid));
            let refusals = window.is_summed.then_some(Alarm::Refusals(window.since, uid));
            guesses.into_iter().chain(refusals)
        });
        total.into_iter().chain(single.take(ALARMS_MAX)).collect()
    }

    /// The running window of a uid; a new one where none runs.
    fn running(&mut self, uid: u32, now: Time) -> &mut UidWindow {
        let is_running = self.windows.get(&uid).is_some_and(|window| !has_passed(window.since, now));
        if !is_running {
            self.windows.remove(&uid);
            if self.windows.len() >= UIDS_MAX {
                self.make_room(now);
            }
        }
        let new = UidWindow { since: now, guesses: 0, is_told: false, recorded: 0, is_summed: false };
        self.windows.entry(uid).or_insert(new)
    }

    /// The uid with the most wrong codes in its window, and their number.
    fn largest(&self, now: Time) -> Option<(u32, u32)> {
        self.all(now).map(|(uid, window)| (uid, window.guesses)).max_by_key(|(_, guesses)| *guesses)
    }

    fn all(&self, now: Time) -> impl Iterator<Item = (u32, &UidWindow)> {
        self.windows
            .iter()
            .filter(move |(_, window)| !has_passed(window.since, now))
            .map(|(uid, window)| (*uid, window))
    }

    fn make_room(&mut self, now: Time) {
        let first = self.windows.iter().min_by_key(|(_, window)| window.since).map(|(uid, _)| *uid);
        let over = self.windows.iter().filter(|(_, window)| is_over(window.since, now)).map(|(uid, _)| *uid);
        for uid in over.chain(first).collect::<Vec<_>>() {
            self.windows.remove(&uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::EPOCH.plus_seconds(seconds)
    }

    #[test]
    fn of_many_refused_calls_so_many_are_recorded_and_one_summary_in_each_window() {
        let mut limits = UidLimits::default();
        for begun in [1000, 1060, 2000] {
            let mut counts = [0; 3];
            for call in 0..300_000 {
                counts[limits.take_record(7, at(begun + call / 10_000), 3000) as usize] += 1;
            }
            assert_eq!(counts, [3000, 1, 296_999]);
            assert_eq!(limits.take_record(8, at(begun), 3000), Recording::Own, "another uid has its own");
        }
    }

    #[test]
    fn memory_is_bounded_and_ended_windows_give_way_first() {
        let mut limits = UidLimits::default();
        let count = u32::try_from(UIDS_MAX).expect("a number of uids");
        (0..count).for_each(|uid| limits.running(uid, at(1000 + u64::from(uid) / 1000)).guesses = uid);
        limits.running(9999, at(1010)).guesses = 1;
        assert_eq!(limits.windows.len(), UIDS_MAX);
        assert_eq!(limits.largest(at(1010)), Some((count - 1, count - 1)));
        limits.running(10_000, at(1062)).guesses = 1;
        assert_eq!(limits.windows.len(), UIDS_MAX - 2999 + 1, "those of the first three seconds have ended");
        assert_eq!(limits.all(at(1062)).map(|(uid, _)| uid).min(), Some(3000));
    }
}
