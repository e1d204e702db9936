//! The index of one family of keys in a memtable: where the latest version of each key is.
//!
//! Keys of most families come in ascending order, so their index is an array that is appended to, and an ordered map of
//! the keys that came out of order. Keys without order, such as hashes, have a hash index.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Bound;
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::batches::{Batches, Place};

/// Bytes of a slot of an index.
pub(super) const SLOT_BYTES: usize = size_of::<Slot>();

/// The index of a family.
pub(super) enum Family {
    Ordered(Ordered),
    Unordered(Unordered),
}

/// A slot of a sorted index.
pub(super) struct Slot {
    front: Front,
    place: Place,
}

/// The first bytes of a key after its tag, which sort like the keys: most comparisons end here.
type Front = (u64, u64);

/// A family whose keys mostly ascend.
#[derive(Default)]
pub(super) struct Ordered {
    /// Each key was greater than all before it.
    run: Vec<Slot>,
    /// The others. None of them is in the run.
    strays: BTreeMap<Box<[u8]>, Place>,
}

/// A family whose keys have no order: each key's hash, and its place.
#[derive(Default)]
pub(super) struct Unordered(HashTable<(u64, Place)>);

impl Family {
    /// An empty index.
    pub(super) fn new(is_unordered: bool) -> Self {
        if is_unordered { Self::Unordered(Unordered::default()) } else { Self::Ordered(Ordered::default()) }
    }

    /// An empty index that need not grow before it is as large as this one.
    pub(super) fn as_large_as(&self) -> Self {
        match self {
            Self::Ordered(Ordered { run, .. }) => {
                Self::Ordered(Ordered { run: Vec::with_capacity(run.len()), strays: BTreeMap::new() })
            }
            Self::Unordered(Unordered(table)) => Self::Unordered(Unordered(HashTable::with_capacity(table.len()))),
        }
    }

    /// The place of a key's latest version.
    pub(super) fn find(&self, key: &[u8], batches: &Batches, hasher: &RandomState) -> Option<Place> {
        match self {
            Self::Ordered(family) => family.find(key, batches),
            Self::Unordered(Unordered(table)) => {
                let found = table.find(hasher.hash_one(key), |(_, place)| batches.key(*place) == key);
                found.map(|(_, place)| *place)
            }
        }
    }

    /// Makes this place the latest version of a key. Returns the place of the version before.
    pub(super) fn insert(
        &mut self,
        key: &[u8],
        place: Place,
        batches: &Batches,
        hasher: &RandomState,
    ) -> Option<Place> {
        match self {
            Self::Ordered(family) => family.insert(key, place, batches),
            Self::Unordered(Unordered(table)) => {
                let hash = hasher.hash_one(key);
                match table.entry(hash, |(_, place)| batches.key(*place) == key, |(hash, _)| *hash) {
                    Entry::Occupied(mut found) => Some(std::mem::replace(&mut found.get_mut().1, place)),
                    Entry::Vacant(free) => {
                        free.insert((hash, place));
                        None
                    }
                }
            }
        }
    }
}

impl Ordered {
    /// The latest versions of the keys in a range, in key order.
    pub(super) fn range<'a>(
        &'a self,
        from: &[u8],
        end: Bound<&[u8]>,
        batches: &'a Batches,
    ) -> impl Iterator<Item = Place> + 'a {
        let mut run = range(&self.run, from, end, batches).peekable();
        let mut strays = self.strays.range::<[u8], _>((Bound::Included(from), end)).peekable();
        std::iter::from_fn(move || match (run.peek(), strays.peek()) {
            (Some(place), Some((key, _))) if batches.key(*place) > &key[..] => strays.next().map(|(_, place)| *place),
            (Some(_), _) => run.next(),
            (None, _) => strays.next().map(|(_, place)| *place),
        })
    }

    fn find(&self, key: &[u8], batches: &Batches) -> Option<Place> {
        let at = position(&self.run, key, batches);
        let found = self.run.get(at).map(|slot| slot.place).filter(|place| batches.key(*place) == key);
        found.or_else(|| self.strays.get(key).copied())
    }

    fn insert(&mut self, key: &[u8], place: Place, batches: &Batches) -> Option<Place> {
        let is_next = self.run.last().is_none_or(|last| last.is_before(front(key), key, batches));
        if is_next {
            self.run.push(Slot { front: front(key), place });
            return None;
        }
        let at = position(&self.run, key, batches);
        match self.run.get_mut(at).filter(|slot| batches.key(slot.place) == key) {
            Some(slot) => Some(std::mem::replace(&mut slot.place, place)),
            None => self.strays.insert(key.into(), place),
        }
    }
}

impl Unordered {
    /// The places of all keys, in no order.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        self.0.iter().map(|(_, place)| *place)
    }

    /// The slots of all keys, in key order.
    pub(super) fn sorted(&self, batches: &Batches) -> Arc<[Slot]> {
        let slot = |(_, place): &(u64, Place)| Slot { front: front(batches.key(*place)), place: *place };
        let mut slots: Vec<Slot> = self.0.iter().map(slot).collect();
        slots.sort_unstable_by(|one, other| {
            let by_key = || batches.key(one.place).cmp(batches.key(other.place));
            one.front.cmp(&other.front).then_with(by_key)
        });
        slots.into()
    }
}

impl Slot {
    /// True if its key is less than this one, which begins so.
    fn is_before(&self, front: Front, key: &[u8], batches: &Batches) -> bool {
        self.front.cmp(&front).then_with(|| batches.key(self.place).cmp(key)).is_lt()
    }
}

/// The places of a range of sorted slots.
pub(super) fn range<'a>(
    slots: &'a [Slot],
    from: &[u8],
    end: Bound<&[u8]>,
    batches: &Batches,
) -> impl Iterator<Item = Place> + use<'a> {
    let start = position(slots, from, batches);
    let stop = match end {
        Bound::Unbounded => slots.len(),
        Bound::Excluded(key) => position(slots, key, batches),
        Bound::Included(key) => {
            let at = position(slots, key, batches);
            at + usize::from(slots.get(at).is_some_and(|slot| batches.key(slot.place) == key))
        }
    };
    slots[start..stop.max(start)].iter().map(|slot| slot.place)
}

/// The number of slots with keys less than this one.
fn position(slots: &[Slot], key: &[u8], batches: &Batches) -> usize {
    // A bound may be of another family: its tag decides before what follows it.
    let tag = |key: &[u8]| key.first().copied();
    match slots.first().map(|slot| tag(batches.key(slot.place)).cmp(&tag(key))) {
        Some(std::cmp::Ordering::Equal) => {
            let front = front(key);
            slots.partition_point(|slot| slot.is_before(front, key, batches))
        }
        Some(std::cmp::Ordering::Less) => slots.len(),
        Some(std::cmp::Ordering::Greater) | None => 0,
    }
}

fn front(key: &[u8]) -> Front {
    let mut bytes = [0; 16];
    let after_tag = key.get(1..).unwrap_or_default();
    let count = after_tag.len().min(16);
    bytes[..count].copy_from_slice(&after_tag[..count]);
    let number = u128::from_be_bytes(bytes);
    #[expect(clippy::cast_possible_truncation, reason = "the lower half of the bytes")]
    let halves = ((number >> 64) as u64, number as u64);
    halves
}
