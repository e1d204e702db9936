//! The journal (write-ahead log) in front of the database: views, damage, and the errors of damage.

mod damage;
mod files;
mod unreadable;
mod views;

use enroll_core::state::Writes;
use enrolld::storage::journal::JournalOptions;
use enrolld::storage::redb::RedbOptions;

const REDB: RedbOptions = RedbOptions { cache_bytes: 1 << 20, verify: true };

/// Segments for two batches or three, memory for all, and a filter of some keys.
const JOURNAL: JournalOptions =
    JournalOptions { segment_bytes: 16 << 10, memory_bytes: 1 << 20, unordered: b"acn", identity: 7 };

/// One batch that puts this.
fn put(key: &str, value: Vec<u8>) -> Writes {
    [(key.as_bytes().to_vec(), Some(value))].into()
}
