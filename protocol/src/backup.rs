//! The backup file format: every entry of the key-value store, in key order, between a header and a checksummed
//! trailer.
//!
//! All numbers are big-endian:
//!
//! | part | bytes |
//! |---|---|
//! | magic | 8, `enrollbk` |
//! | format | 2, [`FORMAT`], or for a member of a cluster [`FORMAT_OF_MEMBER`] |
//! | header | 4 for its length, then an encoded [`Header`], and for a member an encoded [`Position`] |
//! | each entry | 2 for the length of the key, which is not 0, 4 for that of the value, then both |
//! | trailer | 2, zero, then 8 for how many entries there were, then the SHA-256 of everything before it |
//!
//! Nothing follows the trailer. A format that is changed is a new number. Magic and format stay where they are for
//! ever, so that an older version can name the format it can not read.
//!
//! This module does no I/O: a [`Writer`] makes bytes, a [`Reader`] takes them as they arrive, and buffers no more than
//! one entry. Every length is checked against its bound before memory is allocated for it.

use aws_lc_rs::digest::{self, SHA256};
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::limits::DECODE_BYTES_MAX;
use crate::value::{Invalid, Time};

/// The version of the format.
pub const FORMAT: u16 = 1;

/// The version of the format with a position in a shared journal.
pub const FORMAT_OF_MEMBER: u16 = 2;

/// The largest value in bytes: a larger one could not be decoded.
pub const VALUE_BYTES_MAX: usize = DECODE_BYTES_MAX;

const MAGIC: [u8; 8] = *b"enrollbk";
const HEADER_BYTES_MAX: usize = 4096;
const PREFACE_BYTES: usize = MAGIC.len() + 2 + 4;
const LENGTHS_BYTES: usize = 2 + 4;
const TRAILER_BYTES: usize = 2 + 8 + digest::SHA256_OUTPUT_LEN;

/// The header of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the records' schema.
    pub schema: u32,
    /// The version of the enrolld that wrote it.
    pub version: String,
    /// Time of the snapshot.
    pub at: Time,
    /// The number of the latest change in it.
    pub changes_head: u64,
    /// The journal position up to which it has everything; of a member of a cluster only.
    #[serde(skip)]
    pub journal: Option<Position>,
}

/// A position in the journal that the members of a cluster share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The identity of the journal.
    pub identity: u64,
    /// The number of a record.
    pub number: u64,
    /// The checksum of that record, which contains that of the one before.
    pub sum: u64,
}

/// A file that is no backup, or is not whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// It does not begin with the magic bytes.
    #[error("this is no backup of enrolld")]
    Foreign,
    /// A newer enrolld wrote it.
    #[error(
        "this backup has format {0}, and this version reads formats up to {FORMAT_OF_MEMBER} only; use the newer enrolld"
    )]
    OtherFormat(u16),
    /// It ends before its trailer.
    #[error("the backup is cut off: it ends after {0} bytes and has no trailer; use another one")]
    CutOff(u64),
    /// Bytes follow its trailer.
    #[error("something follows the end of the backup, after {0} bytes; use another one")]
    Longer(u64),
    /// Its bytes were changed.
    #[error("the backup is damaged: {0}; use another one")]
    Damaged(String),
}

/// Makes the bytes of a backup.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    digest: Digest,
    entries: u64,
}

impl Writer {
    /// Begins with the header.
    pub fn new(header: &Header) -> Self {
        let (format, header) = match header.journal {
            None => (FORMAT, codec::encode(header)),
            Some(position) => (FORMAT_OF_MEMBER, codec::encode(&(header, position))),
        };
        let mut writer = Self { bytes: Vec::new(), digest: Digest::new(), entries: 0 };
        let length = u32::try_from(header.len()).unwrap_or(u32::MAX).to_be_bytes();
        writer.append(&[&MAGIC, &format.to_be_bytes(), &length, &header]);
        writer
    }

    /// Adds an entry. The keys must ascend.
    pub fn entry(&mut self, key: &[u8], value: &[u8]) -> Result<(), Invalid> {
        let too_large = || Invalid(format!("an entry of {} and {} bytes fits no backup", key.len(), value.len()));
        let key_length = u16::try_from(key.len()).map_err(|_| too_large())?;
        let value_length = u32::try_from(value.len()).map_err(|_| too_large())?;
        if key.is_empty() || value.len() > VALUE_BYTES_MAX {
            return Err(too_large());
        }
        self.append(&[&key_length.to_be_bytes(), &value_length.to_be_bytes(), key, value]);
        self.entries += 1;
        Ok(())
    }

    /// Bytes in the write buffer.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Takes so many bytes from the front of the write buffer.
    pub fn take(&mut self, bytes: usize) -> Vec<u8> {
        let rest = self.bytes.split_off(bytes.min(self.bytes.len()));
        std::mem::replace(&mut self.bytes, rest)
    }

    /// Ends with the trailer. Returns the bytes that were not taken yet.
    pub fn finish(mut self) -> Vec<u8> {
        let entries = self.entries.to_be_bytes();
        self.append(&[&[0; 2], &entries]);
        self.bytes.extend_from_slice(&self.digest.finish());
        self.bytes
    }

    fn append(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.digest.update(part);
            self.bytes.extend_from_slice(part);
        }
    }
}

/// A part of a backup.
#[derive(Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Always the first.
    Header(Header),
    /// One of many: key and value.
    Entry(&'a [u8], &'a [u8]),
    /// Always the last: the number of entries. It comes only if the checksum holds.
    End(u64),
}

/// Reads the bytes of a backup as they arrive.
#[derive(Debug)]
pub struct Reader {
    buffer: Vec<u8>,
    /// Everything before this was handed out.
    start: usize,
    /// Bytes that were handed out since the beginning.
    read_bytes: u64,
    digest: Digest,
    state: State,
    last_key: Vec<u8>,
    entries: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Beginning,
    Entries,
    Ended,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// A reader that waits for the first byte.
    pub fn new() -> Self {
        let (buffer, last_key, digest) = (Vec::new(), Vec::new(), Digest::new());
        Self { buffer, start: 0, read_bytes: 0, digest, state: State::Beginning, last_key, entries: 0 }
    }

    /// Adds bytes that have arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next part; `None` while its bytes are incomplete, and after the end.
    pub fn next_part(&mut self) -> Result<Option<Part<'_>>, BackupError> {
        match self.state {
            State::Beginning => self.header(),
            State::Entries => self.entry_or_end(),
            State::Ended if self.start < self.buffer.len() => Err(BackupError::Longer(self.read_bytes)),
            State::Ended => Ok(None),
        }
    }

    /// Refuses a backup that is not whole; to be called after the last byte.
    pub fn finish(&self) -> Result<(), BackupError> {
        match self.state {
            State::Ended if self.start < self.buffer.len() => Err(BackupError::Longer(self.read_bytes)),
            State::Ended => Ok(()),
            State::Beginning if self.buffer.is_empty() => Err(BackupError::Foreign),
            _ => Err(BackupError::CutOff(self.read_bytes + (self.buffer.len() - self.start) as u64)),
        }
    }

    fn header(&mut self) -> Result<Option<Part<'_>>, BackupError> {
        let begun = &self.buffer[..self.buffer.len().min(MAGIC.len())];
        if begun != &MAGIC[..begun.len()] {
            return Err(BackupError::Foreign);
        }
        let Some(preface) = self.buffer.first_chunk::<PREFACE_BYTES>() else { return Ok(None) };
        let [.., f1, f2, l1, l2, l3, l4] = *preface;
        let format = u16::from_be_bytes([f1, f2]);
        if ![FORMAT, FORMAT_OF_MEMBER].contains(&format) {
            return Err(BackupError::OtherFormat(format));
        }
        let length = u32::from_be_bytes([l1, l2, l3, l4]) as usize;
        if length > HEADER_BYTES_MAX {
            return Err(damaged(format!("its header claims {length} bytes")));
        }
        let Some(header) = self.buffer.get(PREFACE_BYTES..PREFACE_BYTES + length) else { return Ok(None) };
        let header = match format {
            FORMAT => codec::decode(header),
            _ => codec::decode(header).map(|(header, at)| Header { journal: Some(at), ..header }),
        };
        let header = header.map_err(|err| damaged(format!("its header can not be read: {err}")))?;
        self.state = State::Entries;
        self.advance(PREFACE_BYTES + length);
        Ok(Some(Part::Header(header)))
    }

    fn entry_or_end(&mut self) -> Result<Option<Part<'_>>, BackupError> {
        let rest = &self.buffer[self.start..];
        if let [0, 0, trailer @ ..] = rest {
            let Some((count, sum)) = trailer.split_first_chunk::<8>() else { return Ok(None) };
            let Some(sum) = sum.first_chunk::<{ digest::SHA256_OUTPUT_LEN }>() else { return Ok(None) };
            let (count, sum) = (u64::from_be_bytes(*count), *sum);
            return self.end(count, sum);
        }
        let Some(lengths) = rest.first_chunk::<LENGTHS_BYTES>() else { return Ok(None) };
        let [k1, k2, v1, v2, v3, v4] = *lengths;
        let key_end = LENGTHS_BYTES + usize::from(u16::from_be_bytes([k1, k2]));
        let value_length = u32::from_be_bytes([v1, v2, v3, v4]) as usize;
        if value_length > VALUE_BYTES_MAX {
            return Err(damaged(format!("entry {} claims {value_length} bytes", self.entries + 1)));
        }
        let end = key_end + value_length;
        let Some(key) = rest.get(LENGTHS_BYTES..key_end).filter(|_| rest.len() >= end) else { return Ok(None) };
        if key <= self.last_key.as_slice() {
            return Err(damaged(format!("entry {} is out of order", self.entries + 1)));
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.entries += 1;
        let start = self.start;
        self.advance(end);
        let (key, value) = self.buffer[start + LENGTHS_BYTES..start + end].split_at(key_end - LENGTHS_BYTES);
        Ok(Some(Part::Entry(key, value)))
    }

    fn end(&mut self, count: u64, sum: [u8; digest::SHA256_OUTPUT_LEN]) -> Result<Option<Part<'_>>, BackupError> {
        self.digest.update(&self.buffer[self.start..self.start + TRAILER_BYTES - sum.len()]);
        if self.digest.finish() != sum {
            return Err(damaged("its checksum is another one".to_owned()));
        }
        if count != self.entries {
            return Err(damaged(format!("it has {} entries and should have {count}", self.entries)));
        }
        self.state = State::Ended;
        self.start += TRAILER_BYTES;
        self.read_bytes += TRAILER_BYTES as u64;
        Ok(Some(Part::End(count)))
    }

    fn advance(&mut self, bytes: usize) {
        self.digest.update(&self.buffer[self.start..self.start + bytes]);
        self.start += bytes;
        self.read_bytes += bytes as u64;
    }
}

fn damaged(what: String) -> BackupError {
    BackupError::Damaged(what)
}

/// A SHA-256 in the making.
struct Digest(digest::Context);

impl Digest {
    fn new() -> Self {
        Self(digest::Context::new(&SHA256))
    }

    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> [u8; digest::SHA256_OUTPUT_LEN] {
        let mut sum = [0; digest::SHA256_OUTPUT_LEN];
        sum.copy_from_slice(self.0.clone().finish().as_ref());
        sum
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Entries = Vec<(Vec<u8>, Vec<u8>)>;

    fn header() -> Header {
        Header { schema: 1, version: "0.1.0".to_owned(), at: Time::EPOCH, changes_head: 7, journal: None }
    }

    fn entries() -> Entries {
        let entry = |number: u8| (vec![number / 2, number], vec![number; usize::from(number) * 3]);
        (1..60).map(entry).collect()
    }

    fn written(entries: &Entries) -> Vec<u8> {
        written_with(&header(), entries)
    }

    fn written_with(header: &Header, entries: &Entries) -> Vec<u8> {
        let mut writer = Writer::new(header);
        let mut bytes = Vec::new();
        for (key, value) in entries {
            writer.entry(key, value).expect("it fits");
            bytes.extend(writer.take(50));
        }
        bytes.extend(writer.finish());
        bytes
    }

    /// Reads it in parts of this length.
    fn read(bytes: &[u8], part: usize) -> Result<(Header, Entries), BackupError> {
        let (mut reader, mut header, mut entries, mut ended) = (Reader::new(), None, Entries::new(), None);
        for bytes in bytes.chunks(part) {
            reader.push(bytes);
            while let Some(part) = reader.next_part()? {
                match part {
                    Part::Header(found) => header = Some(found),
                    Part::Entry(key, value) => entries.push((key.to_vec(), value.to_vec())),
                    Part::End(count) => ended = Some(count),
                }
            }
        }
        reader.finish()?;
        assert_eq!(ended, Some(entries.len() as u64));
        Ok((header.expect("a header"), entries))
    }

    #[test]
    fn what_was_written_is_read_however_it_arrives() {
        for entries in [entries(), Entries::new()] {
            let bytes = written(&entries);
            for part in [1, 7, 64, bytes.len()] {
                assert_eq!(read(&bytes, part), Ok((header(), entries.clone())), "in parts of {part}");
            }
        }
    }

    #[test]
    fn the_backup_of_a_member_tells_its_position() {
        let position = Position { identity: u64::MAX, number: 3, sum: 9 };
        let header = Header { journal: Some(position), ..header() };
        let bytes = written_with(&header, &entries());
        assert_eq!(bytes[9], 2, "an older version does not take it for one of a registry of its own");
        assert_eq!(read(&bytes, 7), Ok((header, entries())));
    }

    #[test]
    fn a_file_that_was_cut_off_changed_or_added_to_is_refused() {
        let bytes = written(&entries());
        for length in 0..bytes.len() {
            let refused = read(&bytes[..length], 512).expect_err("cut off");
            let is_expected = match length {
                0 => refused == BackupError::Foreign,
                _ => refused == BackupError::CutOff(length as u64),
            };
            assert!(is_expected, "cut at {length}: {refused}");
        }
        for at in 0..bytes.len() {
            for bit in [0, 3, 7] {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                read(&flipped, 512).expect_err("changed");
            }
        }
        for part in [1, bytes.len(), bytes.len() + 9] {
            let longer = read(&[bytes.as_slice(), b"and more"].concat(), part);
            assert_eq!(longer, Err(BackupError::Longer(bytes.len() as u64)), "in parts of {part}");
        }
    }

    #[test]
    fn a_foreign_file_and_another_format_are_named() {
        assert_eq!(read(b"SQLite format 3\0and so on", 4), Err(BackupError::Foreign));
        let mut other = written(&entries());
        other[9] = 3;
        assert_eq!(read(&other, 64), Err(BackupError::OtherFormat(3)));
    }

    #[test]
    fn a_claimed_length_is_held_against_its_bound_before_its_bytes_arrive() {
        let whole = written(&Entries::new());
        let begun = &whole[..whole.len() - TRAILER_BYTES];
        let claims = [begun, &[0, 1, 0xff, 0xff, 0xff, 0xff]].concat();
        assert!(matches!(read(&claims, claims.len()), Err(BackupError::Damaged(_))));
        let claims = [&begun[..10], &[0xff; 4]].concat();
        assert!(matches!(read(&claims, claims.len()), Err(BackupError::Damaged(_))));
        assert!(Writer::new(&header()).entry(&[0; 65_536], b"").is_err());
        assert!(Writer::new(&header()).entry(b"", b"").is_err());
    }

    #[test]
    fn entries_out_of_order_or_twice_are_refused() {
        for keys in [[b"b", b"a"], [b"a", b"a"]] {
            let mut writer = Writer::new(&header());
            keys.iter().for_each(|key| writer.entry(key.as_slice(), b"value").expect("it fits"));
            assert!(matches!(read(&writer.finish(), 64), Err(BackupError::Damaged(_))));
        }
    }
}
