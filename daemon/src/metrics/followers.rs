//! The followers of the change feed and the positions up to which each was sent its changes: how far the last of them
//! is behind.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The positions of all followers, by a number that each is given.
#[derive(Debug, Clone, Default)]
pub struct Followers(Arc<Mutex<Positions>>);

#[derive(Debug, Default)]
struct Positions {
    next: u64,
    at: BTreeMap<u64, u64>,
}

/// One follower, until it is dropped.
#[derive(Debug)]
pub struct Follower {
    all: Followers,
    number: u64,
}

impl Followers {
    /// Adds a follower that has the changes up to this number.
    pub fn begin(&self, seq: u64) -> Follower {
        let mut positions = self.lock();
        positions.next += 1;
        let number = positions.next;
        positions.at.insert(number, seq);
        Follower { all: self.clone(), number }
    }

    /// The number of changes up to `head` that the last of the followers has not; 0 without followers.
    pub fn lag(&self, head: u64) -> u64 {
        self.lock().at.values().min().map_or(0, |seq| head.saturating_sub(*seq))
    }

    fn lock(&self) -> MutexGuard<'_, Positions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower {
    /// It has the changes up to this number.
    pub fn reached(&self, seq: u64) {
        self.all.lock().at.insert(self.number, seq);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.all.lock().at.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_follower_counts_for_as_long_as_it_follows() {
        let followers = Followers::default();
        assert_eq!(followers.lag(70), 0);
        let (slow, fast) = (followers.begin(10), followers.begin(10));
        fast.reached(70);
        assert_eq!(followers.lag(70), 60);
        slow.reached(69);
        assert_eq!(followers.lag(70), 1);
        drop(slow);
        assert_eq!(followers.lag(70), 0);
    }
}
