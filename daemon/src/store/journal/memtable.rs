//! What is journaled and not yet in the tree: an ordered map in memory, in which every write keeps its number. A reader
//! sees the state after a number and nothing behind it, so a snapshot of the map costs nothing.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use crate::store::Writes;
use crate::store::layer::Stretch;

/// What an entry takes beside its key and value: its place in the map, and what the allocator rounds up.
const ENTRY_BYTES: usize = 112;

/// A key, and the number of the batch that wrote it, the latest first.
type Place = (Vec<u8>, Reverse<u64>);

type Map = BTreeMap<Place, Option<Vec<u8>>>;

/// See the module.
#[derive(Default)]
pub(super) struct Memtable {
    map: RwLock<Map>,
    bytes: AtomicUsize,
    entries: AtomicUsize,
}

impl Memtable {
    /// Adds the writes of a batch. Numbers only go up.
    pub(super) fn insert(&self, number: u64, writes: &Writes) {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in writes {
            map.insert((key.clone(), Reverse(number)), value.clone());
        }
        self.bytes.fetch_add(bytes_of(writes), Ordering::Relaxed);
        self.entries.fetch_add(writes.len(), Ordering::Relaxed);
    }

    /// What a key was after this number: `None` where it was not written by then, and `Some(None)` where it was deleted.
    pub(super) fn get(&self, key: &[u8], number: u64) -> Option<Option<Vec<u8>>> {
        let map = self.read();
        let from = (key.to_vec(), Reverse(number));
        let ((found, _), value) = map.range(from..).next()?;
        (found == key).then(|| value.clone())
    }

    /// Hands over the writes of a stretch of keys, as they were after this number.
    pub(super) fn with_stretch(
        &self,
        number: u64,
        (from, end): (&[u8], Bound<&[u8]>),
        take: &mut dyn FnMut(Stretch<'_, '_>),
    ) {
        let map = self.read();
        take(&mut latest(&map, number, from, end));
    }

    /// Bytes of memory that it takes, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many writes it holds.
    pub(super) fn entries(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    fn read(&self) -> RwLockReadGuard<'_, Map> {
        self.map.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of memory that these writes will take, about.
pub(super) fn bytes_of(writes: &Writes) -> usize {
    writes.iter().map(|(key, value)| ENTRY_BYTES + key.len() + value.as_ref().map_or(0, Vec::len)).sum()
}

/// Of each key the latest write up to a number.
fn latest<'a>(
    map: &'a Map,
    number: u64,
    from: &[u8],
    end: Bound<&[u8]>,
) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
    let from = Bound::Included((from.to_vec(), Reverse(u64::MAX)));
    let end = match end {
        Bound::Included(key) => Bound::Included((key.to_vec(), Reverse(0))),
        Bound::Excluded(key) => Bound::Excluded((key.to_vec(), Reverse(u64::MAX))),
        Bound::Unbounded => Bound::Unbounded,
    };
    let mut told: Option<&[u8]> = None;
    map.range((from, end)).filter_map(move |((key, written), value)| {
        if written.0 > number || told == Some(key) {
            return None;
        }
        told = Some(key);
        Some((key.as_slice(), value.as_deref()))
    })
}
