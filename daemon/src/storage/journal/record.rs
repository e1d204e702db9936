//! The bytes of the write-ahead log: a segment is a header and then records, one for each batch.
//!
//! ```text
//! header  magic 8 | format 8 | identity 8 | generation 8 | first 8 | sum 8
//! record  sum 8 | number 8 | bytes 8 | sum of each chunk 8 .. | body, zeros to a multiple of 8 | sum 8
//! body    key bytes 4 | value bytes 4, or all ones for a deletion | key | value ..
//! ```
//!
//! Numbers are little-endian, checksums XXH3-64. The checksums of records are seeded with the journal's identity and
//! the segment's generation, which only the database and the header know: neither an old record of a recycled segment
//! nor a value that looks like a record passes for one. A record without a body is a seal: the log continues in the
//! next segment.
//!
//! Bit rot must be reported, a torn write at the end discarded. Recovery tells them apart by flipping each bit: if one
//! flip makes the checksums match, it was bit rot. A torn write that lost a single bit would pass for that, so a record
//! begins and ends with its checksum, and each chunk of a body has one. A record with one of its two checksums is
//! whole.

use std::ops::Range;

use twox_hash::XxHash3_64;

use enroll_core::state::Writes;

/// The offset of the first record. Two header slots lie before it and are used in turns, so a torn header leaves the
/// old one.
pub(super) const RECORDS: u64 = 8192;

/// Bytes between the two header slots.
pub(super) const HEADER_SLOT: u64 = 4096;

/// Bytes of a header.
pub(super) const HEADER_BYTES: usize = 48;

/// The alignment of records.
pub(super) const ALIGN: usize = 8;

/// Bytes of a record before the checksums of its chunks.
const PREFIX: usize = 24;

/// Bytes of a checksum.
const SUM: usize = 8;

const CHUNK: usize = 4096;
const MAGIC: &[u8; 8] = b"enrollJ\n";

/// A new format needs a new schema: a version that can not read it then refuses the database before it looks at the journal.
const FORMAT: u64 = 1;
const DELETED: u32 = u32::MAX;

/// The header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The random identity of the database's journal.
    pub(super) identity: u64,
    /// Counts the segments of a journal, from 1.
    pub(super) generation: u64,
    /// The number of its first record.
    pub(super) first: u64,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        for (at, value) in [FORMAT, self.identity, self.generation, self.first].iter().enumerate() {
            bytes[8 + 8 * at..16 + 8 * at].copy_from_slice(&value.to_le_bytes());
        }
        let sum = XxHash3_64::oneshot(&bytes[..40]);
        bytes[40..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a header; `None` if there is none or it is torn.
    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let is_whole = &bytes[..8] == MAGIC
            && number_at(bytes, 8) == FORMAT
            && number_at(bytes, 40) == XxHash3_64::oneshot(&bytes[..40]);
        is_whole.then(|| Self {
            identity: number_at(bytes, 16),
            generation: number_at(bytes, 24),
            first: number_at(bytes, 32),
        })
    }

    /// The seed of its records' checksums.
    pub(super) fn seed(&self) -> u64 {
        XxHash3_64::oneshot_with_seed(self.identity, &self.generation.to_le_bytes())
    }
}

/// Bytes that the record of these writes takes.
pub(super) fn record_bytes(writes: &Writes) -> usize {
    let body = body_bytes(writes);
    PREFIX + SUM * body.div_ceil(CHUNK) + body.next_multiple_of(ALIGN) + SUM
}

/// Bytes of a seal.
pub(super) const SEAL_BYTES: usize = PREFIX + SUM;

fn body_bytes(writes: &Writes) -> usize {
    writes.iter().map(|(key, value)| 8 + key.len() + value.as_ref().map_or(0, Vec::len)).sum()
}

/// Appends a record. Without writes it is a seal.
pub(super) fn encode(out: &mut Vec<u8>, seed: u64, number: u64, writes: &Writes) {
    let (start, body) = (out.len(), body_bytes(writes));
    let sums = start + PREFIX;
    let body_start = sums + SUM * body.div_ceil(CHUNK);
    out.resize(body_start, 0);
    for (key, value) in writes {
        out.extend_from_slice(&length(key.len()).to_le_bytes());
        out.extend_from_slice(&value.as_ref().map_or(DELETED, |value| length(value.len())).to_le_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(value.as_deref().unwrap_or_default());
    }
    for chunk in 0..body.div_ceil(CHUNK) {
        let sum = chunk_sum(seed, number, &out[chunk_range(chunk, body_start, body)]);
        out[sums + SUM * chunk..sums + SUM * (chunk + 1)].copy_from_slice(&sum.to_le_bytes());
    }
    out[start + 8..start + 16].copy_from_slice(&number.to_le_bytes());
    out[start + 16..start + 24].copy_from_slice(&(body as u64).to_le_bytes());
    let sum = XxHash3_64::oneshot_with_seed(seed, &out[start + SUM..body_start]).to_le_bytes();
    out[start..start + SUM].copy_from_slice(&sum);
    out.resize(body_start + body.next_multiple_of(ALIGN), 0);
    out.extend_from_slice(&sum);
}

/// A length of at most 4 GiB; a batch has far less.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(DELETED)
}

/// A record in a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) number: u64,
    /// The range of its body; empty for a seal.
    body: Range<usize>,
    /// The offset of the next record.
    pub(super) end: usize,
}

impl Record {
    /// The record that may begin here, and how many of its two checksums match.
    fn front(segment: &[u8], at: usize, seed: u64) -> Option<(Self, usize)> {
        let prefix = segment.get(at..at + PREFIX)?;
        let body = usize::try_from(number_at(prefix, 16)).ok().filter(|bytes| *bytes <= segment.len())?;
        let body_start = at + PREFIX + SUM * body.div_ceil(CHUNK);
        let end = body_start + body.next_multiple_of(ALIGN) + SUM;
        if end > segment.len() {
            return None;
        }
        let sum = XxHash3_64::oneshot_with_seed(seed, &segment[at + SUM..body_start]);
        let right = [at, end - SUM].into_iter().filter(|at| number_at(segment, *at) == sum).count();
        Some((Self { number: number_at(prefix, 8), body: body_start..body_start + body, end }, right))
    }

    /// The record that begins here, if it is whole.
    pub(super) fn at(segment: &[u8], at: usize, seed: u64) -> Option<Self> {
        let (record, _) = Self::front(segment, at, seed).filter(|(_, right)| *right > 0)?;
        let is_whole = record.bad_chunks(segment, at, seed).next().is_none();
        is_whole.then_some(record)
    }

    /// The record with this number or a later one that begins here, if it is whole.
    pub(super) fn from_number(segment: &[u8], at: usize, seed: u64, number: u64) -> Option<Self> {
        // Most offsets are ruled out by this alone.
        let claimed = number_at(segment.get(at..at + PREFIX)?, 8);
        (number..number.saturating_add(1 << 40)).contains(&claimed).then(|| Self::at(segment, at, seed))?
    }

    pub(super) fn is_seal(&self) -> bool {
        self.body.is_empty()
    }

    /// The writes in the body; `None` if it can not be read.
    pub(super) fn writes(&self, segment: &[u8]) -> Option<Writes> {
        let (mut body, mut writes) = (&segment[self.body.clone()], Writes::new());
        let mut take = |bytes: usize| body.split_off(..bytes);
        while let Some(prefix) = take(8) {
            let [key, value] = [&prefix[..4], &prefix[4..]].map(|bytes| bytes.try_into().map_or(0, u32::from_le_bytes));
            let key = take(key as usize)?.to_vec();
            let value = if value == DELETED { None } else { Some(take(value as usize)?.to_vec()) };
            writes.insert(key, value);
        }
        body.is_empty().then_some(writes)
    }

    fn bad_chunks<'a>(&'a self, segment: &'a [u8], at: usize, seed: u64) -> impl Iterator<Item = usize> + 'a {
        (0..self.body.len().div_ceil(CHUNK)).filter(move |chunk| {
            let range = chunk_range(*chunk, self.body.start, self.body.len());
            number_at(segment, at + PREFIX + SUM * chunk) != chunk_sum(seed, self.number, &segment[range])
        })
    }
}

/// True if a record with one flipped bit (bit rot) begins here; false for a torn write.
pub(super) fn has_flipped_bit(segment: &mut [u8], at: usize, seed: u64) -> bool {
    let is_front_right = |segment: &[u8]| Record::front(segment, at, seed).is_some_and(|(_, right)| right == 2);
    if let Some((record, 2)) = Record::front(segment, at, seed) {
        let mut bad = record.bad_chunks(segment, at, seed);
        let (Some(chunk), None) = (bad.next(), bad.next()) else { return false };
        drop(bad);
        let range = chunk_range(chunk, record.body.start, record.body.len());
        let sum = number_at(segment, at + PREFIX + SUM * chunk);
        return turns(segment, range.clone(), |segment| chunk_sum(seed, record.number, &segment[range.clone()]) == sum);
    }
    // The end of the chunks' checksums depends on the length, so the length is tried first.
    let prefix = (at + SUM).min(segment.len())..(at + PREFIX).min(segment.len());
    if turns(segment, prefix, is_front_right) {
        return true;
    }
    let Some((record, _)) = Record::front(segment, at, seed) else { return false };
    turns(segment, at + PREFIX..record.body.start, is_front_right)
}

/// True if flipping one bit in this range makes the checksums match. The segment is unchanged on return.
fn turns(segment: &mut [u8], range: Range<usize>, is_right: impl Fn(&[u8]) -> bool) -> bool {
    for at in range {
        for bit in 0..8 {
            segment[at] ^= 1 << bit;
            let found = is_right(segment);
            segment[at] ^= 1 << bit;
            if found {
                return true;
            }
        }
    }
    false
}

fn chunk_range(chunk: usize, body_start: usize, body: usize) -> Range<usize> {
    body_start + chunk * CHUNK..body_start + body.min((chunk + 1) * CHUNK)
}

fn chunk_sum(seed: u64, number: u64, chunk: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(seed.wrapping_add(number), chunk)
}

fn number_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].try_into().map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: u64 = 7;

    fn writes(value_bytes: usize) -> Writes {
        let large = vec![0x5a; value_bytes];
        [(b"a".to_vec(), Some(b"1".to_vec())), (b"b".to_vec(), None), (b"c".to_vec(), Some(large))].into()
    }

    #[test]
    fn what_is_written_is_read_and_says_where_the_next_begins() {
        for value_bytes in [0, 1, 4000, 4096, 20_000] {
            let mut segment = Vec::new();
            encode(&mut segment, SEED, 41, &writes(value_bytes));
            assert_eq!(segment.len(), record_bytes(&writes(value_bytes)));
            let end = segment.len();
            encode(&mut segment, SEED, 42, &Writes::new());
            assert_eq!(segment.len() - end, SEAL_BYTES);
            let record = Record::at(&segment, 0, SEED).expect("a record");
            assert_eq!((record.number, record.end, record.is_seal()), (41, end, false));
            assert_eq!(record.writes(&segment), Some(writes(value_bytes)));
            assert!(Record::at(&segment, end, SEED).is_some_and(|seal| seal.is_seal() && seal.number == 42));
            assert_eq!(Record::at(&segment, 0, SEED + 1), None, "another segment's");
        }
    }

    #[test]
    fn any_flipped_bit_is_found_and_is_not_taken_for_a_torn_write() {
        let mut segment = Vec::new();
        encode(&mut segment, SEED, 41, &writes(9000));
        let whole = Record::at(&segment, 0, SEED).expect("a record");
        let bytes = segment.len();
        for offset in (0..bytes).filter(|offset| *offset < 200 || *offset > bytes - 50 || offset % 97 == 0) {
            segment[offset] ^= 4;
            match Record::at(&segment, 0, SEED) {
                Some(record) => {
                    assert_eq!(record.writes(&segment), Some(writes(9000)));
                    assert!(offset < SUM || offset >= whole.body.end, "byte {offset}");
                }
                None => assert!(has_flipped_bit(&mut segment, 0, SEED), "byte {offset}"),
            }
            segment[offset] ^= 4;
        }
        let lost = (1..=bytes).flat_map(|at| [0..at, at - 1..bytes]);
        let sectors = (0..bytes).step_by(512).map(|at| at..bytes.min(at + 512));
        for lost in lost.step_by(7).chain(sectors) {
            let mut segment = segment.clone();
            segment[lost.clone()].fill(0);
            let read = Record::at(&segment, 0, SEED).map(|record| record.writes(&segment));
            assert!(read.is_none_or(|read| read == Some(writes(9000))), "{lost:?}");
            assert!(!has_flipped_bit(&mut segment, 0, SEED), "{lost:?}");
        }
    }

    #[test]
    fn a_header_is_whole_or_none() {
        let header = Header { identity: 1, generation: 2, first: 3 };
        let mut bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Some(header));
        for offset in 0..HEADER_BYTES {
            bytes[offset] ^= 1;
            assert_eq!(Header::decode(&bytes), None, "byte {offset}");
            bytes[offset] ^= 1;
        }
    }
}
