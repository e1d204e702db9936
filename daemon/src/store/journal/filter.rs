//! What is certainly not there: a Bloom filter over the keys of some families, for those who ask for what is new.
//!
//! A filter knows every key that was ever committed since it was begun, and those that were there then, when it is complete.
//! It may believe that a key is there which is not; then the maps and the tree are asked, as without it.

use std::sync::atomic::{AtomicUsize, Ordering};

use fastbloom::AtomicBloomFilter;

use crate::store::Writes;

/// How often it is wrong about a key that is not there, while it has no more keys than it was made for.
const WRONG: f64 = 0.01;

/// Keys for which even the smallest is made.
const KEYS_MIN: usize = 1 << 16;

/// See the module.
pub(super) struct Filter {
    bits: AtomicBloomFilter,
    tags: &'static [u8],
    room: usize,
    keys: AtomicUsize,
}

impl Filter {
    /// One for so many keys of the families with these tags; there are none in it yet.
    pub(super) fn new(tags: &'static [u8], seed: u64, keys: usize) -> Self {
        let room = keys.max(KEYS_MIN);
        let bits = AtomicBloomFilter::with_false_pos(WRONG).seed(&u128::from(seed)).expected_items(room);
        Self { bits, tags, room, keys: AtomicUsize::new(0) }
    }

    /// Whether this key is certainly not there.
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

    /// How many keys the next one should be made for, if this one has more than it was made for.
    pub(super) fn outgrown(&self) -> Option<usize> {
        let keys = self.keys.load(Ordering::Relaxed);
        (keys > self.room).then_some(2 * keys)
    }

    fn covers(&self, key: &[u8]) -> bool {
        key.first().is_some_and(|tag| self.tags.contains(tag))
    }
}
