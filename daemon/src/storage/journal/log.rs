//! The write-ahead log of a journal store: segments on this host's disk, or a shared journal that several hosts have.

use std::sync::Arc;

use super::segments::{Mark, SegmentLog};
use super::shared_log::{Look, SharedLog};
use crate::storage::disk::Disk;
use crate::storage::shared_journal::Head;
use enroll_core::state::{StoreError, Writes};
use enroll_protocol::backup::Position;

/// One of the two.
pub(super) enum Log {
    /// Segments on the disk of this host.
    Segments(SegmentLog),
    /// A journal that several hosts share.
    Shared(SharedLog),
}

impl Log {
    /// Makes these writes durable as the next batch, and returns its number.
    pub(super) fn append(&mut self, writes: &Writes) -> Result<u64, StoreError> {
        match self {
            Self::Segments(log) => log.append(writes),
            Self::Shared(log) => log.append(writes),
        }
    }

    /// A look at the end of a journal to which others may append.
    pub(super) fn look(&self) -> Option<Look> {
        match self {
            Self::Segments(_) => None,
            Self::Shared(log) => Some(log.look()),
        }
    }

    /// Confirms that everything up to this end, which a look has found, is of this log.
    pub(super) fn confirm(&self, head: Head) -> Result<(), StoreError> {
        match self {
            Self::Segments(_) => Ok(()),
            Self::Shared(log) => log.confirm(head),
        }
    }

    /// The mark of a tree that has everything in the log.
    pub(super) fn mark(&self) -> Mark {
        match self {
            Self::Segments(log) => log.mark(),
            Self::Shared(log) => log.mark(),
        }
    }

    /// The last record of a shared journal that is here.
    pub(super) fn position(&self) -> Option<Position> {
        match self {
            Self::Segments(_) => None,
            Self::Shared(log) => Some(log.position()),
        }
    }

    /// The mark of a tree that was closed with everything in it. Segments hold nothing then; others may append to a shared
    /// journal.
    pub(super) fn closed_mark(&self) -> Mark {
        Mark { is_open: matches!(self, Self::Shared(_)), ..self.mark() }
    }

    /// Frees what a tree with this mark no longer needs.
    pub(super) fn free_before(&mut self, mark: &Mark) {
        if let Self::Segments(log) = self {
            log.free_before(mark.generation);
        }
    }

    /// Makes the slot that will be needed soon, if there is none. The caller fills it, which takes time, and then adds
    /// it.
    pub(super) fn make_wanted(&mut self) -> Result<Option<Arc<dyn Disk>>, StoreError> {
        match self {
            Self::Segments(log) => log.make_wanted(),
            Self::Shared(_) => Ok(None),
        }
    }

    /// Adds a slot that was made and filled.
    pub(super) fn add_slot(&mut self, disk: Arc<dyn Disk>) {
        if let Self::Segments(log) = self {
            log.add_slot(disk);
        }
    }

    /// Bytes on this host's disk.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Segments(log) => log.bytes(),
            Self::Shared(_) => 0,
        }
    }

    /// Bytes that a shared journal still takes; those of this host's disk are counted elsewhere.
    pub(super) fn free_bytes(&self) -> u64 {
        match self {
            Self::Segments(_) => u64::MAX,
            Self::Shared(log) => log.free_bytes(),
        }
    }

    /// Bytes of this host's disk that it will take in addition.
    pub(super) fn bytes_wanted(&self) -> u64 {
        match self {
            Self::Segments(log) => log.bytes_wanted(),
            Self::Shared(_) => 0,
        }
    }
}
