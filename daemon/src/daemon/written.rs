//! Write accounting: the durable bytes that the calls of each uid caused, in this hour and in the last one.
//!
//! A call counts with the keys and values that it had written: records, changes, expiries, and the answer kept under its
//! idempotency key; a refused one too. The writer adds once a batch. Memory is bounded: beyond [`UIDS_MAX`] uids in an
//! hour and the one before, the others are one sum.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use enroll_protocol::Time;
use enroll_protocol::server::WrittenBytes;

/// Uids with a sum of their own.
pub const UIDS_MAX: usize = 4096;

/// Uids that are shown; the others are one sum.
pub const SHOWN_MAX: usize = 32;

const HOUR_SECONDS: i64 = 3600;

/// The bytes that the calls of each uid caused.
#[derive(Debug, Default)]
pub struct Written(Mutex<Hours>);

#[derive(Debug, Default)]
struct Hours {
    hour: i64,
    uids: BTreeMap<u32, Bytes>,
    others: Bytes,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bytes {
    this_hour: u64,
    last_hour: u64,
}

impl Written {
    /// Adds the bytes of a batch, by uid.
    pub fn add(&self, now: Time, batch: impl IntoIterator<Item = (u32, u64)>) {
        let mut hours = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hours.turn(now);
        for (uid, bytes) in batch {
            hours.of(uid).this_hour += bytes;
        }
    }

    /// The bytes of this hour and the last one, the largest first, and the sum of the others, if there are any.
    pub fn shown(&self, now: Time) -> Vec<WrittenBytes> {
        let mut hours = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hours.turn(now);
        let mut all: Vec<_> = hours.uids.iter().map(|(uid, bytes)| (Some(*uid), *bytes)).collect();
        all.sort_by_key(|(_, bytes)| std::cmp::Reverse((bytes.this_hour, bytes.last_hour)));
        let beyond = all.split_off(all.len().min(SHOWN_MAX));
        let others = beyond.into_iter().fold(hours.others, |sum, (_, bytes)| sum.plus(bytes));
        let is_any = others.this_hour + others.last_hour > 0;
        all.extend(is_any.then_some((None, others)));
        let row = |(uid, bytes): (Option<u32>, Bytes)| WrittenBytes {
            uid,
            bytes_this_hour: bytes.this_hour,
            bytes_last_hour: bytes.last_hour,
        };
        all.into_iter().map(row).collect()
    }
}

impl Hours {
    /// Begins another hour, if it is one by now.
    fn turn(&mut self, now: Time) {
        let hour = now.seconds().div_euclid(HOUR_SECONDS);
        if hour == self.hour {
            return;
        }
        let is_next = hour == self.hour + 1;
        self.hour = hour;
        for bytes in self.uids.values_mut().chain([&mut self.others]) {
            *bytes = Bytes { this_hour: 0, last_hour: if is_next { bytes.this_hour } else { 0 } };
        }
        self.uids.retain(|_, bytes| bytes.last_hour > 0);
    }

    fn of(&mut self, uid: u32) -> &mut Bytes {
        if self.uids.len() < UIDS_MAX || self.uids.contains_key(&uid) {
            return self.uids.entry(uid).or_default();
        }
        &mut self.others
    }
}

impl Bytes {
    fn plus(self, other: Self) -> Self {
        Self { this_hour: self.this_hour + other.this_hour, last_hour: self.last_hour + other.last_hour }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(written: &Written, seconds: u64) -> Vec<(Option<u32>, u64, u64)> {
        let rows = written.shown(Time::EPOCH.plus_seconds(seconds));
        rows.into_iter().map(|row| (row.uid, row.bytes_this_hour, row.bytes_last_hour)).collect()
    }

    #[test]
    fn each_uid_has_its_bytes_of_this_hour_and_the_last_one_the_largest_first() {
        let written = Written::default();
        written.add(Time::EPOCH.plus_seconds(7200), [(1, 5), (2, 7), (1, 1)]);
        assert_eq!(rows(&written, 7300), [(Some(2), 7, 0), (Some(1), 6, 0)]);
        written.add(Time::EPOCH.plus_seconds(10_800), [(1, 2)]);
        assert_eq!(rows(&written, 10_800), [(Some(1), 2, 6), (Some(2), 0, 7)]);
        assert_eq!(rows(&written, 14_400), [(Some(1), 0, 2)]);
        assert_eq!(rows(&written, 18_000), []);
    }

    #[test]
    fn more_uids_than_are_shown_or_held_are_one_sum() {
        let written = Written::default();
        let held = u32::try_from(UIDS_MAX).expect("a number of uids");
        let count = held + 10;
        written.add(Time::EPOCH, (0..count).map(|uid| (uid, u64::from(uid) + 1)));
        let shown = rows(&written, 0);
        assert_eq!(shown.len(), SHOWN_MAX + 1);
        assert_eq!(shown[0], (Some(held - 1), UIDS_MAX as u64, 0));
        let sum: u64 = shown.iter().map(|(_, bytes, _)| bytes).sum();
        assert_eq!((shown[SHOWN_MAX].0, sum), (None, (1..=u64::from(count)).sum()));
    }
}
