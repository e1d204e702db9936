//! A Bloom filter over the keys of some families: a look-up of a new key ends here, without the memtables and the tree.
//!
//! A filter has every key that was committed since it was begun, and once it is complete every key from before. It may
//! have false positives; then the memtables and the tree are read, as without it. It is never built anew: where it has
//! as many keys as it was made for, the next ones go to another filter behind it, which has twice the room (a scalable
//! Bloom filter).

use std::iter::successors;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use fastbloom::AtomicBloomFilter;

use enroll_core::state::Writes;

/// The rate of false positives of one filter of the chain.
const FALSE_POSITIVES: f64 = 0.01;

/// The filter, or one of a chain.
pub(super) struct BloomFilter {
    bits: AtomicBloomFilter,
    tags: &'static [u8],
    seed: u64,
    room: usize,
    keys: AtomicUsize,
    /// The filter of the keys for which this one has no room.
    next: OnceLock<Box<Self>>,
}

impl BloomFilter {
    /// An empty filter for this many keys of the families with these tags.
    pub(super) fn new(tags: &'static [u8], seed: u64, room: usize) -> Self {
        let bits = AtomicBloomFilter::with_false_pos(FALSE_POSITIVES).seed(&u128::from(seed)).expected_items(room);
        Self { bits, tags, seed, room, keys: AtomicUsize::new(0), next: OnceLock::new() }
    }

    /// True if the key is certainly not in the store.
    pub(super) fn excludes(&self, key: &[u8]) -> bool {
        self.covers(key) && !self.contains(key)
    }

    /// Adds the keys that a batch puts.
    pub(super) fn add(&self, writes: &Writes) {
        writes.iter().filter(|(_, value)| value.is_some()).for_each(|(key, _)| self.add_key(key));
    }

    /// Adds a key.
    pub(super) fn add_key(&self, key: &[u8]) {
        if !self.covers(key) || self.contains(key) {
            return;
        }
        let mut last = self;
        while last.keys.load(Ordering::Relaxed) >= last.room {
            last = last.next.get_or_init(|| Box::new(Self::new(self.tags, self.seed, 2 * last.room)));
        }
        last.bits.insert(key);
        last.keys.fetch_add(1, Ordering::Relaxed);
    }

    fn contains(&self, key: &[u8]) -> bool {
        successors(Some(self), |filter| filter.next.get().map(|next| &**next)).any(|filter| filter.bits.contains(key))
    }

    fn covers(&self, key: &[u8]) -> bool {
        key.first().is_some_and(|tag| self.tags.contains(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_outgrows_its_room_has_every_key_and_few_others() {
        let filter = BloomFilter::new(b"a", 7, 100);
        let key = |number: u32| [b"a".as_slice(), &number.to_be_bytes()].concat();
        (0..5000).for_each(|number| filter.add_key(&key(number)));
        assert!((0..5000).all(|number| !filter.excludes(&key(number))));
        let wrong = (5000..15_000).filter(|number| !filter.excludes(&key(*number))).count();
        assert!(wrong < 1500, "{wrong} of 10,000 keys that are not there pass");
        assert!(!filter.excludes(b"b"), "no key of another family is excluded");
    }
}
