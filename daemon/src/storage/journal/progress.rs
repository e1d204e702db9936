//! The progress of a journal store: its latest visible batch, and the checkpoint up to which its tree has everything.

use std::sync::atomic::{AtomicU64, Ordering};

/// See the module. Numbers only grow.
#[derive(Debug)]
pub struct Progress {
    applied: AtomicU64,
    flushed: AtomicU64,
}

impl Progress {
    /// The progress of a store whose latest batch is the first number, and whose tree has everything up to the second.
    pub(super) fn new(applied: u64, flushed: u64) -> Self {
        Self { applied: applied.into(), flushed: flushed.into() }
    }

    /// The number of the latest batch that is visible.
    pub fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    /// The number up to which the tree has everything, durably.
    pub fn flushed(&self) -> u64 {
        self.flushed.load(Ordering::Acquire)
    }

    pub(super) fn apply(&self, number: u64) {
        self.applied.store(number, Ordering::Release);
    }

    pub(super) fn flush(&self, number: u64) {
        self.flushed.store(number, Ordering::Release);
    }
}
