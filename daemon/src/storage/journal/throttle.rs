//! Write throttling (backpressure): commits pass freely while less than half of the memory is taken, and more and more
//! slowly above, until as much comes in as the flusher moves out.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Bytes of the disk that a put into the tree takes, about at most: its leaf is written anew, and sometimes a page
/// above it (write amplification).
const KEY_DISK_BYTES: u64 = 8192;

/// The longest delay of one commit, so that callers see a lower rate and no pause.
const HOLD_MAX: Duration = Duration::from_millis(5);

/// Bytes per second before anything was flushed: less than any disk does.
const RATE_AT_FIRST: u64 = 16 << 20;

/// The throttle of commits.
pub(super) struct Throttle {
    /// Bytes of the frozen memtable that are not flushed yet.
    left: AtomicUsize,
    /// Bytes a second of the latest flushes.
    rate: AtomicU64,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { left: AtomicUsize::new(0), rate: AtomicU64::new(RATE_AT_FIRST) }
    }
}

impl Throttle {
    /// Begins a flush of this many bytes.
    pub(super) fn begin_flush(&self, bytes: usize) {
        self.left.store(bytes, Ordering::Relaxed);
    }

    /// Reports that a flush of this many bytes put `done` of `count` writes. Making them durable is half of the work.
    pub(super) fn progress(&self, bytes: usize, done: usize, count: usize) {
        if done.is_multiple_of(256) {
            self.left.store(bytes - bytes / 2 * done.min(count) / count, Ordering::Relaxed);
        }
    }

    /// Ends the flush, which took this many seconds.
    pub(super) fn end_flush(&self, bytes: usize, seconds: f64) {
        self.left.store(0, Ordering::Relaxed);
        let now = bytes as f64 / seconds.max(1e-6);
        let lately = self.rate.load(Ordering::Relaxed) as f64;
        // A small flush says little about a large one.
        let weight = if bytes < 1 << 20 { 0.02 } else { 0.5 };
        self.rate.store(rounded(lately + weight * (now - lately)).max(1), Ordering::Relaxed);
    }

    /// Bytes that are still to be flushed.
    pub(super) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// Delays a commit of this many bytes, while `taken` of `memory` bytes are in use. Returns the delay in seconds.
    pub(super) fn hold_back(&self, bytes: usize, taken: usize, memory: usize) -> f64 {
        let half = memory / 2;
        if taken <= half {
            return 0.0;
        }
        let short = (taken - half) as f64 / half.max(1) as f64;
        let seconds = 2.0 * short * bytes as f64 / self.rate.load(Ordering::Relaxed) as f64;
        let hold = Duration::from_secs_f64(seconds).min(HOLD_MAX);
        std::thread::sleep(hold);
        hold.as_secs_f64()
    }
}

/// Bytes of the disk that a flush of this many writes into a tree of this size may take: pages are copied on write, and
/// the old ones are freed only afterwards.
pub(super) fn disk_bytes(entries: usize, bytes: usize, tree: u64) -> u64 {
    let pages = (entries as u64).saturating_mul(KEY_DISK_BYTES);
    pages.min(tree.saturating_mul(2)).saturating_add(2 * bytes as u64)
}

/// A number of bytes; never negative, and far below what an integer holds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "said above")]
fn rounded(bytes: f64) -> u64 {
    bytes as u64
}
