//! A Bloom filter over the keys of some families: a look-up of a new key ends here, without the memtables and the tree.
//!
//! A filter has every key that was committed since it was begun, and once it is complete every key from before. It may
//! have false positives; then the memtables and the tree are read, as without it.

use std::sync::atomic::{AtomicUsize, Ordering};

use fastbloom::AtomicBloomFilter;

use enroll_core::state::Writes;

/// The rate of false positives, while it has no more keys than it was made for.
const FALSE_POSITIVES: f64 = 0.01;

/// Keys of the smallest filter.
const KEYS_MIN: usize = 1 << 16;

/// The filter.
pub(super) struct BloomFilter {
    bits: AtomicBloomFilter,
    tags: &'static [u8],
    room: usize,
    keys: AtomicUsize,
}

impl BloomFilter {
    /// An empty filter for this many keys of the families with these tags.
    pub(super) fn new(tags: &'static [u8], seed: u64, keys: usize) -> Self {
        let room = keys.max(KEYS_MIN);
        let bits = AtomicBloomFilter::with_false_pos(FALSE_POSITIVES).seed(&u128::from(seed)).expected_items(room);
        Self { bits, tags, room, keys: AtomicUsize::new(0) }
    }

    /// True if the key is certainly not in the store.
    pub(super) fn excludes(&self, key: &[u8]) -> bool {
        self.covers(key) && !self.bits.contains(key)
    }

    /// Adds the keys that a batch puts.
    pub(super) fn add(&self, writes: &Writes) {
        writes.iter().filter(|(_, value)| value.is_some()).for_each(|(key, _)| self.add_key(key));
    }

    /// Adds a key.
    pub(super) fn add_key(&self, key: &[u8]) {
        if self.covers(key) && !self.bits.insert(key) {
            self.keys.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The number of keys for the next filter, if this one has more than it was made for.
    pub(super) fn outgrown(&self) -> Option<usize> {
        let keys = self.keys.load(Ordering::Relaxed);
        (keys > self.room).then_some(2 * keys)
    }

    fn covers(&self, key: &[u8]) -> bool {
        key.first().is_some_and(|tag| self.tags.contains(tag))
    }
}
