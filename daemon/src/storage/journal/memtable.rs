//! The memtable: an ordered map of the writes that are in the journal and not yet in the tree, in all their versions. A
//! reader sees the versions up to a batch's number (MVCC), so a snapshot costs nothing.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use enroll_core::state::Writes;
use enroll_core::state::merge::Stretch;

/// Bytes of an entry beside its key and value: its slot in the map, and the rounding of the allocator.
const ENTRY_BYTES: usize = 112;

/// A key, and the number of the batch that wrote it, the latest first.
type VersionedKey = (Vec<u8>, Reverse<u64>);

type Map = BTreeMap<VersionedKey, Option<Vec<u8>>>;

/// The map, with its size.
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

    /// The value of a key after this batch: `None` if it has no version so early, `Some(None)` if it was deleted.
    pub(super) fn get(&self, key: &[u8], number: u64) -> Option<Option<Vec<u8>>> {
        let map = self.read();
        let from = (key.to_vec(), Reverse(number));
        let ((found, _), value) = map.range(from..).next()?;
        (found == key).then(|| value.clone())
    }

    /// Passes the writes of a range of keys, as of this batch, to `take`.
    pub(super) fn with_stretch(
        &self,
        number: u64,
        (from, end): (&[u8], Bound<&[u8]>),
        take: &mut dyn FnMut(Stretch<'_, '_>),
    ) {
        let map = self.read();
        take(&mut latest(&map, number, from, end));
    }

    /// Bytes of memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The number of writes in it.
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

/// The latest version of each key up to a batch's number.
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
    let mut last: Option<&[u8]> = None;
    map.range((from, end)).filter_map(move |((key, written), value)| {
        if written.0 > number || last == Some(key) {
            return None;
        }
        last = Some(key);
        Some((key.as_slice(), value.as_deref()))
    })
}
