//! The memtable: the writes that are in the journal and not yet in the tree, in all their versions. A reader sees the
//! versions up to a batch's number (MVCC), so a snapshot costs nothing.
//!
//! The bytes of a batch are one allocation, and the index of each family of keys holds places in them. A range over a
//! family without order sorts it, once for all views up to that batch: a walk in many ranges costs one sort.

mod batches;
mod family;

use std::collections::BTreeMap;
use std::hash::RandomState;
use std::ops::{Bound, RangeInclusive};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use batches::{Batches, ENTRY_HEADER_BYTES, Place};
use enroll_core::state::Writes;
use enroll_core::state::merge::Stretch;
use family::{Family, SLOT_BYTES, Slot, Unordered};

/// Bytes of an entry beside its key and value: its header, its slot in an index that is at most half empty, and its
/// slot among the sorted ones.
const ENTRY_BYTES: usize = ENTRY_HEADER_BYTES + 3 * SLOT_BYTES;

/// The writes, with their size.
pub(super) struct Memtable {
    content: RwLock<Content>,
    /// The families without order that were sorted, by their tags.
    sorted: Mutex<BTreeMap<u8, Sorted>>,
    bytes: AtomicUsize,
    entries: AtomicUsize,
}

struct Content {
    batches: Batches,
    /// By their tags, the first bytes of their keys.
    families: BTreeMap<u8, Family>,
    /// The tags of the families without order.
    unordered: &'static [u8],
    hasher: RandomState,
}

/// A family without order, sorted: all keys that were there after this batch, and maybe more.
#[derive(Default)]
struct Sorted {
    number: u64,
    slots: Arc<[Slot]>,
}

impl Memtable {
    /// An empty memtable. The families with these tags have keys in no order.
    pub(super) fn new(unordered: &'static [u8]) -> Self {
        Self::with(BTreeMap::new(), unordered)
    }

    /// An empty memtable that holds as much as this one before an index has to grow under a commit.
    pub(super) fn as_large_as(&self) -> Self {
        let content = self.read();
        let families = content.families.iter().map(|(tag, family)| (*tag, family.as_large_as()));
        Self::with(families.collect(), content.unordered)
    }

    fn with(families: BTreeMap<u8, Family>, unordered: &'static [u8]) -> Self {
        let content = Content { batches: Batches::default(), families, unordered, hasher: RandomState::new() };
        Self {
            content: RwLock::new(content),
            sorted: Mutex::default(),
            bytes: AtomicUsize::new(0),
            entries: AtomicUsize::new(0),
        }
    }

    /// Adds the writes of a batch. Numbers only go up.
    pub(super) fn insert(&self, number: u64, writes: &Writes) {
        self.content.write().unwrap_or_else(PoisonError::into_inner).insert(number, writes);
        self.bytes.fetch_add(bytes_of(writes), Ordering::Relaxed);
        self.entries.fetch_add(writes.len(), Ordering::Relaxed);
    }

    /// The value of a key after this batch: `None` if it has no version so early, `Some(None)` if it was deleted.
    pub(super) fn get(&self, key: &[u8], number: u64) -> Option<Option<Vec<u8>>> {
        let Content { batches, families, hasher, .. } = &*self.read();
        let latest = families.get(key.first()?)?.find(key, batches, hasher)?;
        let (_, value) = batches.version(latest, number)?;
        Some(value.map(<[u8]>::to_vec))
    }

    /// Passes the writes of a range of keys, as of this batch, to `take`.
    pub(super) fn with_stretch(
        &self,
        number: u64,
        (from, end): (&[u8], Bound<&[u8]>),
        take: &mut dyn FnMut(Stretch<'_, '_>),
    ) {
        let content = self.read();
        let sorted = self.sorted(&content, number, tags(from, end));
        let Content { batches, families, .. } = &*content;
        let places = families.range(tags(from, end)).flat_map(|(tag, family)| -> Box<dyn Iterator<Item = Place>> {
            match (family, sorted.get(tag)) {
                (Family::Ordered(family), _) => Box::new(family.range(from, end, batches)),
                (Family::Unordered(_), Some(slots)) => Box::new(family::range(slots, from, end, batches)),
                (Family::Unordered(_), None) => Box::new(std::iter::empty()),
            }
        });
        take(&mut places.filter_map(|place| batches.version(place, number)));
    }

    /// Passes the keys of the families without order that have these tags to `take`, in no order.
    pub(super) fn for_each_key(&self, tags: &[u8], mut take: impl FnMut(&[u8])) {
        let Content { batches, families, .. } = &*self.read();
        for family in tags.iter().filter_map(|tag| families.get(tag)) {
            if let Family::Unordered(family) = family {
                family.places().for_each(|place| take(batches.key(place)));
            }
        }
    }

    /// Bytes of memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The number of writes in it.
    pub(super) fn entries(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    /// The sorted slots of the families without order among these tags, as of this batch or a later one.
    fn sorted(&self, content: &Content, number: u64, tags: RangeInclusive<u8>) -> BTreeMap<u8, Arc<[Slot]>> {
        let unordered = content.families.range(tags).filter_map(|(tag, family)| match family {
            Family::Unordered(family) => Some((*tag, family)),
            Family::Ordered(_) => None,
        });
        let latest = content.batches.latest();
        let mut kept = self.sorted.lock().unwrap_or_else(PoisonError::into_inner);
        let slots_of = |(tag, family): (u8, &Unordered)| {
            let kept = kept.entry(tag).or_default();
            if kept.number < number.min(latest) {
                *kept = Sorted { number: latest, slots: family.sorted(&content.batches) };
            }
            (tag, Arc::clone(&kept.slots))
        };
        unordered.map(slots_of).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Content> {
        self.content.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn insert(&mut self, number: u64, writes: &Writes) {
        let Self { batches, families, unordered, hasher } = self;
        let mut place = batches.add(number, writes);
        for (key, value) in writes {
            let tag = key.first().copied().unwrap_or_default();
            let family = families.entry(tag).or_insert_with(|| Family::new(unordered.contains(&tag)));
            if let Some(before) = family.insert(key, place, batches, hasher) {
                batches.link(place, before);
            }
            place = place.after(key, value.as_deref());
        }
    }
}

/// Bytes of memory that these writes will take, about.
pub(super) fn bytes_of(writes: &Writes) -> usize {
    writes.iter().map(|(key, value)| ENTRY_BYTES + key.len() + value.as_ref().map_or(0, Vec::len)).sum()
}

/// The tags of the families that a range touches.
fn tags(from: &[u8], end: Bound<&[u8]>) -> RangeInclusive<u8> {
    let last = match end {
        Bound::Included(key) => key.first().copied().unwrap_or_default(),
        // No key of the end's family comes before its tag alone.
        Bound::Excluded([tag]) => tag.saturating_sub(1),
        Bound::Excluded(key) => key.first().copied().unwrap_or_default(),
        Bound::Unbounded => u8::MAX,
    };
    from.first().copied().unwrap_or_default()..=last
}
