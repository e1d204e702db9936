//! The segments of the write-ahead log: appending a batch makes it durable, and recovery reads them back.
//!
//! A segment is recycled when the tree has all of it. It then gets a new header with the next generation, which voids
//! its old records. A full segment ends with a seal, which is written after the header of the next one, so neither can
//! be missing unseen.

use crate::storage::io_error;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::record::{self, ALIGN, HEADER_BYTES, HEADER_SLOT, Header, RECORDS, Record, SEAL_BYTES};
use crate::storage::disk::{BLOCK_BYTES, Disk};
use enroll_core::state::{StoreError, Writes};
use enroll_protocol::backup::Position;

const READ: &str = "the journal can not be read";
const WRITE: &str = "the journal can not be written";

/// Bytes of zeros in one write.
const FILL_BYTES: usize = 1 << 20;

/// Makes the disk of the slot with this number. They are counted from 0.
pub type MakeSlot = Box<dyn Fn(usize) -> Result<Arc<dyn Disk>, StoreError> + Send>;

/// The files of a journal, each a disk of its own.
pub struct Slots {
    /// The existing files, in the order they were made.
    pub disks: Vec<Arc<dyn Disk>>,
    /// Makes the next file.
    pub make: MakeSlot,
}

/// Faults of a journal, with which it can not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalFault {
    /// Records are missing or can not be read.
    #[error("the journal is damaged: {0}")]
    Damaged(String),
    /// The database is that of a member of a cluster, whose journal is not on this host's disk.
    #[error("it is the database of a member of a cluster, whose journal is in etcd")]
    OfMember,
    /// The shared journal is another one than this database's, or there is none where there was one.
    #[error("{0}")]
    OtherShared(OtherShared),
    /// The journal belongs to another database.
    #[error("segment {0} of the journal belongs to another database")]
    Foreign(usize),
    /// The disk failed, or is full.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A database that does not fit the shared journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OtherShared {
    /// The database was never a member's.
    #[error("it is no member's database, and the journal in etcd does not begin with it")]
    Local,
    /// There is no journal.
    #[error("it has record {0}, and there is no journal in etcd")]
    Missing(u64),
    /// The journal has another identity.
    #[error("the journal in etcd is another one than that of this database")]
    Replaced,
    /// The journal ends before the database, or has another record there.
    #[error(
        "the shared journal ends with record {head}, and this database has {number}; it was restored from an older copy, or \
         is of another history"
    )]
    Older {
        /// The end of the journal.
        head: u64,
        /// That of the database.
        number: u64,
    },
}

/// The mark that the tree keeps of its journal: the batch up to which it has everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The random identity of the database's journal.
    pub identity: u64,
    /// The number of the last batch that the tree has.
    pub number: u64,
    /// The segment with the batch after that; of a shared journal, the checksum of that batch's record.
    pub generation: u64,
    /// True if the journal may hold more than the tree; false after a stop in good order.
    pub is_open: bool,
    /// True if other hosts share the journal: it is not on this host's disk.
    pub is_shared: bool,
}

impl Mark {
    /// The mark of a member's database that has everything up to here.
    pub fn at(position: &Position) -> Self {
        let Position { identity, number, sum } = *position;
        Self { identity, number, generation: sum, is_open: true, is_shared: true }
    }

    /// The position in the shared journal, where it is one.
    pub fn position(&self) -> Option<Position> {
        let Self { identity, number, generation: sum, .. } = *self;
        self.is_shared.then_some(Position { identity, number, sum })
    }
}

/// The disk of one slot.
struct Slot {
    disk: Arc<dyn Disk>,
    /// The header slot, 0 or 1, of the newest header.
    header_slot: u64,
}

/// The segment that records are appended to.
struct Segment {
    slot: Slot,
    header: Header,
    /// The offset of the next record.
    at: u64,
    end: u64,
    /// The first bytes of the next record's block, from the record before: whole blocks are written.
    begun: Vec<u8>,
}

/// A write-ahead log on this host's disk.
pub(super) struct SegmentLog {
    make: MakeSlot,
    identity: u64,
    segment_bytes: u64,
    current: Segment,
    /// Those before it that the tree may not have all of, by generation.
    before: BTreeMap<u64, Slot>,
    free: Vec<Slot>,
    /// Slots that are being filled.
    filling: usize,
    /// The number of the next record.
    next: u64,
    buffer: Vec<u8>,
}

/// The segments that a start finds.
pub(super) struct Found {
    free: Vec<Slot>,
    live: BTreeMap<u64, (Slot, Header)>,
    /// The highest generation there ever was.
    generation: u64,
}

/// The end of a log that goes on.
pub(super) struct Tail {
    /// The number of its last record.
    pub(super) last: u64,
    /// The generation of its last segment, the offset after that record, and the first bytes of that block; none if the
    /// journal was closed.
    open: Option<(u64, u64, Vec<u8>)>,
}

impl Found {
    /// Reads every slot's header. A slot is free if the tree has all of its records.
    pub(super) fn look(disks: Vec<Arc<dyn Disk>>, mark: &Mark) -> Result<Self, JournalFault> {
        let mut found = Self { free: Vec::new(), live: BTreeMap::new(), generation: mark.generation };
        for (number, disk) in disks.into_iter().enumerate() {
            let (header_slot, header) = newest_header(&*disk)?;
            let slot = Slot { disk, header_slot };
            match header {
                Some(header) if header.identity != mark.identity => return Err(JournalFault::Foreign(number)),
                Some(header) => {
                    found.generation = found.generation.max(header.generation);
                    if mark.is_open && header.generation >= mark.generation {
                        found.live.insert(header.generation, (slot, header));
                    } else {
                        found.free.push(slot);
                    }
                }
                None => found.free.push(slot),
            }
        }
        Ok(found)
    }

    /// Makes durable what is there. A process that was killed may have written and not synced it: then it would go with
    /// the power, after somebody has seen it or the tree has taken it over.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.live.values().try_for_each(|(slot, _)| slot.disk.sync().map_err(io_error(WRITE)))
    }

    /// Passes the batches that the tree does not have to `take`, each with its generation, and returns their end.
    pub(super) fn replay(
        &self,
        mark: &Mark,
        mut take: impl FnMut(u64, u64, &Writes) -> Result<(), StoreError>,
    ) -> Result<Tail, JournalFault> {
        if !mark.is_open {
            return Ok(Tail { last: mark.number, open: None });
        }
        let mut open = None;
        let (mut generation, mut expected, mut is_sealed) = (mark.generation, mark.number + 1, true);
        let first = self.live.get(&generation).map(|(_, header)| header.first);
        if first.is_some_and(|first| first > expected) {
            return Err(damaged("it begins after the end of the database"));
        }
        expected = first.unwrap_or(expected);
        while let Some((slot, header)) = self.live.get(&generation) {
            if header.first != expected {
                return Err(damaged(&format!("segment {generation} does not begin where the one before it ends")));
            }
            let mut segment = read_whole(&*slot.disk)?;
            let mut at = usize::try_from(RECORDS).unwrap_or(usize::MAX);
            is_sealed = false;
            while let Some(record) = Record::at(&segment, at, header.seed()).filter(|found| found.number == expected) {
                if record.is_seal() {
                    is_sealed = true;
                    break;
                }
                if record.number > mark.number {
                    let writes = record.writes(&segment).ok_or_else(|| damaged("a record says nothing"))?;
                    take(generation, record.number, &writes)?;
                }
                (at, expected) = (record.end, expected + 1);
            }
            if !is_sealed {
                require_end(&mut segment, at, header, expected)?;
            }
            open = Some((generation, at as u64, segment[at - at % BLOCK_BYTES..at].to_vec()));
            generation += 1;
        }
        if is_sealed {
            return Err(damaged(&format!("segment {generation} is missing")));
        }
        match self.live.last_key_value() {
            Some((last, _)) if *last >= generation => Err(damaged(&format!("segment {generation} is missing"))),
            _ if expected <= mark.number => Err(damaged("it ends before the end of the database")),
            _ => Ok(Tail { last: expected - 1, open }),
        }
    }
}

/// Refuses anything after the last record but a torn write.
fn require_end(segment: &mut [u8], at: usize, header: &Header, expected: u64) -> Result<(), JournalFault> {
    let goes_on = (at + ALIGN..segment.len())
        .step_by(ALIGN)
        .any(|at| Record::from_number(segment, at, header.seed(), expected).is_some());
    if goes_on || record::has_flipped_bit(segment, at, header.seed()) {
        return Err(damaged(&format!("batch {expected} in segment {} can not be read", header.generation)));
    }
    Ok(())
}

impl SegmentLog {
    /// Continues the log: at its end, or in a new segment if it was closed. The segments found stay until they are
    /// freed.
    pub(super) fn begin(
        make: MakeSlot,
        found: Found,
        mark: &Mark,
        Tail { last, open }: Tail,
        segment_bytes: u64,
    ) -> Result<Self, StoreError> {
        let Found { mut free, mut live, generation } = found;
        let tail = open.and_then(|(generation, at, begun)| Some((live.remove(&generation)?, at, begun)));
        let current = match tail {
            Some(((slot, header), at, begun)) => Segment::go_on(slot, header, at, begun)?,
            None => {
                let slot = match free.pop() {
                    Some(slot) => slot,
                    None => Slot { disk: make(live.len())?, header_slot: 0 },
                };
                let header = Header { identity: mark.identity, generation: generation + 1, first: last + 1 };
                Segment::begin(slot, header, segment_bytes)?
            }
        };
        let before = live.into_iter().map(|(generation, (slot, _))| (generation, slot)).collect();
        let identity = mark.identity;
        Ok(Self {
            make,
            identity,
            segment_bytes,
            current,
            before,
            free,
            filling: 0,
            next: last + 1,
            buffer: Vec::new(),
        })
    }

    /// Makes these writes durable as the next batch, and returns its number.
    pub(super) fn append(&mut self, writes: &Writes) -> Result<u64, StoreError> {
        let bytes = record::record_bytes(writes) as u64;
        if self.current.at + bytes + SEAL_BYTES as u64 > self.current.end {
            self.begin_segment(bytes)?;
        }
        let number = self.next;
        self.current.write(&mut self.buffer, number, writes)?;
        self.next += 1;
        Ok(number)
    }

    /// The mark of a tree that has everything in the log.
    pub(super) fn mark(&self) -> Mark {
        let generation = self.current.header.generation;
        Mark { identity: self.identity, number: self.next - 1, generation, is_open: true, is_shared: false }
    }

    /// Frees the segments before this generation: the tree has all of them.
    pub(super) fn free_before(&mut self, generation: u64) {
        let kept = self.before.split_off(&generation);
        self.free.extend(std::mem::replace(&mut self.before, kept).into_values());
    }

    /// Makes the slot that will be needed soon, if there is none. The caller fills it, which takes time, and then adds
    /// it.
    pub(super) fn make_wanted(&mut self) -> Result<Option<Arc<dyn Disk>>, StoreError> {
        let is_half_full = self.current.at > self.current.end / 2;
        if !is_half_full || !self.free.is_empty() || self.filling > 0 {
            return Ok(None);
        }
        let disk = (self.make)(self.slots())?;
        self.filling += 1;
        Ok(Some(disk))
    }

    /// Adds a slot that was made and filled.
    pub(super) fn add_slot(&mut self, disk: Arc<dyn Disk>) {
        self.filling -= 1;
        self.free.push(Slot { disk, header_slot: 0 });
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.slots() as u64 * self.segment_bytes
    }

    /// Bytes of the disk that the next segment will take in addition.
    pub(super) fn bytes_wanted(&self) -> u64 {
        let has = self.free.last().map_or(0, |slot| slot.disk.bytes().unwrap_or(0));
        self.segment_bytes.saturating_sub(has)
    }

    fn slots(&self) -> usize {
        self.before.len() + self.free.len() + self.filling + 1
    }

    fn begin_segment(&mut self, bytes: u64) -> Result<(), StoreError> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => Slot { disk: (self.make)(self.slots())?, header_slot: 0 },
        };
        let generation = self.current.header.generation + 1;
        let header = Header { identity: self.identity, generation, first: self.next };
        let size = self.segment_bytes.max(RECORDS + bytes + SEAL_BYTES as u64);
        let next = Segment::begin(slot, header, size)?;
        self.current.write(&mut self.buffer, self.next, &Writes::new())?;
        let full = std::mem::replace(&mut self.current, next);
        self.before.insert(generation - 1, full.slot);
        Ok(())
    }
}

impl Segment {
    /// Gives a slot its new header, durably.
    fn begin(mut slot: Slot, header: Header, bytes: u64) -> Result<Self, StoreError> {
        fill(&*slot.disk, bytes.next_multiple_of(BLOCK_BYTES as u64))?;
        slot.header_slot ^= 1;
        slot.disk.write(slot.header_slot * HEADER_SLOT, &header.encode()).map_err(io_error(WRITE))?;
        slot.disk.sync().map_err(io_error(WRITE))?;
        let end = slot.disk.bytes().map_err(io_error(WRITE))?;
        Ok(Self { slot, header, at: RECORDS, end, begun: Vec::new() })
    }

    /// Continues a segment after its last record.
    fn go_on(slot: Slot, header: Header, at: u64, begun: Vec<u8>) -> Result<Self, StoreError> {
        let end = slot.disk.bytes().map_err(io_error(WRITE))?;
        Ok(Self { slot, header, at, end, begun })
    }

    fn write(&mut self, buffer: &mut Vec<u8>, number: u64, writes: &Writes) -> Result<(), StoreError> {
        let from = self.at - self.begun.len() as u64;
        buffer.clone_from(&self.begun);
        record::encode(buffer, self.header.seed(), number, writes);
        let end = buffer.len();
        buffer.resize(end.next_multiple_of(BLOCK_BYTES), 0);
        self.slot.disk.write(from, buffer).map_err(io_error(WRITE))?;
        self.slot.disk.sync().map_err(io_error(WRITE))?;
        self.at = from + end as u64;
        self.begun.clear();
        self.begun.extend_from_slice(&buffer[end - end % BLOCK_BYTES..end]);
        Ok(())
    }
}

/// Preallocates: writes zeros up to this length, so that a later write changes no metadata.
pub(super) fn fill(disk: &dyn Disk, bytes: u64) -> Result<(), StoreError> {
    let mut at = disk.bytes().map_err(io_error(WRITE))?;
    if at >= bytes {
        return Ok(());
    }
    let zeros = vec![0; FILL_BYTES];
    while at < bytes {
        let part = FILL_BYTES.min(usize::try_from(bytes - at).unwrap_or(FILL_BYTES));
        disk.write(at, &zeros[..part]).map_err(io_error(WRITE))?;
        at += part as u64;
    }
    disk.sync().map_err(io_error(WRITE))
}

/// The header with the highest generation, and its slot.
fn newest_header(disk: &dyn Disk) -> Result<(u64, Option<Header>), StoreError> {
    let mut newest: (u64, Option<Header>) = (0, None);
    for slot in 0..2 {
        let mut bytes = [0; HEADER_BYTES];
        if disk.bytes().map_err(io_error(READ))? < slot * HEADER_SLOT + HEADER_BYTES as u64 {
            continue;
        }
        disk.read(slot * HEADER_SLOT, &mut bytes).map_err(io_error(READ))?;
        if let Some(header) = Header::decode(&bytes)
            && newest.1.is_none_or(|other| header.generation > other.generation)
        {
            newest = (slot, Some(header));
        }
    }
    Ok(newest)
}

fn read_whole(disk: &dyn Disk) -> Result<Vec<u8>, StoreError> {
    let bytes = disk.bytes().map_err(io_error(READ))?;
    let mut segment = vec![0; usize::try_from(bytes).map_err(io_error(READ))?];
    disk.read(0, &mut segment).map_err(io_error(READ))?;
    Ok(segment)
}

fn damaged(what: &str) -> JournalFault {
    JournalFault::Damaged(what.to_owned())
}
