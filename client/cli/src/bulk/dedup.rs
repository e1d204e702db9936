//! The deduplication of the keys in a file, such as external keys: a sorted array of 64-bit hashes with a hash set as write buffer.
//!
//! A key takes eight bytes, so a file of millions of rows takes a few megabytes.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use enroll_client::protocol::fold::fold;

/// The smallest number of recent hashes that are merged.
const RECENT_MIN: usize = 4 << 10;

/// The merge waits until the recent hashes are this fraction of the sorted ones.
const RECENT_SHARE: usize = 16;

/// The hashes of the keys so far.
#[derive(Default)]
pub(crate) struct Dedup {
    sorted: Vec<u64>,
    recent: HashSet<u64>,
}

impl Dedup {
    /// Adds a key; returns true if it is new. Upper and lower case are equal.
    pub(crate) fn insert(&mut self, key: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        fold(key).hash(&mut hasher);
        let hash = hasher.finish();
        if self.sorted.binary_search(&hash).is_ok() || !self.recent.insert(hash) {
            return false;
        }
        if self.recent.len() >= RECENT_MIN.max(self.sorted.len() / RECENT_SHARE) {
            self.merge();
        }
        true
    }

    /// Merges the recent hashes into the sorted ones, in place and backwards, so that no second copy is needed.
    fn merge(&mut self) {
        let mut recent: Vec<u64> = self.recent.drain().collect();
        recent.sort_unstable();
        let mut before = self.sorted.len();
        self.sorted.reserve_exact(recent.len());
        self.sorted.resize(before + recent.len(), 0);
        for to in (0..self.sorted.len()).rev() {
            match recent.last() {
                None => return,
                Some(last) if before == 0 || self.sorted[before - 1] < *last => {
                    self.sorted[to] = *last;
                    recent.pop();
                }
                Some(_) => {
                    before -= 1;
                    self.sorted[to] = self.sorted[before];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_new_once_however_it_is_written() {
        let mut dedup = Dedup::default();
        let mut insert = |key: &str| dedup.insert(key);
        for (key, is_new) in [("k-1", true), ("K-1", false), ("straße", true), ("STRASSE", false), ("k-2", true)] {
            assert_eq!(insert(key), is_new, "{key}");
        }
        let numbers = 10..5 * RECENT_MIN;
        assert!(numbers.clone().all(|number| insert(&format!("n{}", number * 7919 % 1_000_003))));
        assert!(numbers.clone().all(|number| !insert(&format!("N{}", number * 7919 % 1_000_003))));
        assert!(dedup.sorted.is_sorted() && dedup.sorted.len() + dedup.recent.len() == numbers.len() + 3);
    }
}
