//! The bytes of a memtable's batches: for each batch one allocation with its entries, and each entry a link to the
//! version of its key before it.
//!
//! ```text
//! entry  previous version's batch 4 | and offset 4 | key bytes 4 | value bytes 4, all ones for a deletion | key | value
//! ```

use enroll_core::state::Writes;

/// Bytes of an entry before its key.
pub(super) const ENTRY_HEADER_BYTES: usize = 16;

/// The bytes of a value that says that the key was deleted, and the batch of a previous version that does not exist.
const NONE: u32 = u32::MAX;

/// The place of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    batch: u32,
    at: u32,
}

/// A key, and its value or a deletion.
pub(super) type Entry<'a> = (&'a [u8], Option<&'a [u8]>);

/// The batches, in the order of their numbers.
#[derive(Default)]
pub(super) struct Batches(Vec<Batch>);

struct Batch {
    number: u64,
    bytes: Box<[u8]>,
}

impl Place {
    /// The place of the entry after this one, which has this key and value.
    pub(super) fn after(self, key: &[u8], value: Option<&[u8]>) -> Self {
        Self { at: self.at + small(entry_bytes(key, value)), ..self }
    }
}

impl Batches {
    /// Adds a batch. Returns the place of its first entry; the others follow in the order of the writes.
    pub(super) fn add(&mut self, number: u64, writes: &Writes) -> Place {
        let bytes = writes.iter().map(|(key, value)| entry_bytes(key, value.as_deref())).sum();
        let mut bytes = Vec::with_capacity(bytes);
        for (key, value) in writes {
            let value_bytes = value.as_ref().map_or(NONE, |value| small(value.len()));
            for number in [NONE, 0, small(key.len()), value_bytes] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(value.as_deref().unwrap_or_default());
        }
        self.0.push(Batch { number, bytes: bytes.into_boxed_slice() });
        Place { batch: small(self.0.len() - 1), at: 0 }
    }

    /// Makes `before` the previous version of the entry at this place.
    pub(super) fn link(&mut self, place: Place, before: Place) {
        let (batch, at) = (&mut self.0[place.batch as usize], place.at as usize);
        batch.bytes[at..at + 4].copy_from_slice(&before.batch.to_le_bytes());
        batch.bytes[at + 4..at + 8].copy_from_slice(&before.at.to_le_bytes());
    }

    /// The number of the latest batch.
    pub(super) fn latest(&self) -> u64 {
        self.0.last().map_or(0, |batch| batch.number)
    }

    /// The key of the entry at this place.
    pub(super) fn key(&self, place: Place) -> &[u8] {
        let entry = self.bytes(place);
        &entry[ENTRY_HEADER_BYTES..][..number_at(entry, 8) as usize]
    }

    /// The latest version up to a batch's number, of a key whose latest of all is at this place.
    pub(super) fn version(&self, latest: Place, number: u64) -> Option<Entry<'_>> {
        let mut place = latest;
        while self.0[place.batch as usize].number > number {
            let entry = self.bytes(place);
            place = Place { batch: number_at(entry, 0), at: number_at(entry, 4) };
            if place.batch == NONE {
                return None;
            }
        }
        let entry = self.bytes(place);
        let (key, rest) = entry[ENTRY_HEADER_BYTES..].split_at(number_at(entry, 8) as usize);
        let value_bytes = number_at(entry, 12);
        Some((key, (value_bytes != NONE).then(|| &rest[..value_bytes as usize])))
    }

    /// The bytes from this place to the end of its batch.
    fn bytes(&self, place: Place) -> &[u8] {
        &self.0[place.batch as usize].bytes[place.at as usize..]
    }
}

fn entry_bytes(key: &[u8], value: Option<&[u8]>) -> usize {
    ENTRY_HEADER_BYTES + key.len() + value.map_or(0, <[u8]>::len)
}

/// A number below 4 GiB; a batch has far less, and a memtable far fewer batches.
fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(NONE)
}

fn number_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].try_into().map_or(0, u32::from_le_bytes)
}
