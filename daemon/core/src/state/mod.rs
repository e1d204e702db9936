//! State: an ordered key-value map of bytes, behind traits for read and write transactions.
//!
//! Both traits are synchronous and object-safe. A write transaction is an [`Overlay`](overlay::Overlay), a write buffer
//! over a base, so dropping it is a complete rollback. A [`Store`] gives out *views*, which are MVCC snapshots, and makes
//! the merged writes of a batch durable together (group commit). It never sees a rule, an event, a request or a clock.
//! The memory store is the reference.

pub mod memory;
pub mod merge;
pub mod overlay;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use enroll_protocol::backup::Position;

/// Entries of a range, in key order.
pub type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// The merged writes of a batch; `None` is a deletion.
pub type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A read transaction on a consistent state.
pub trait ReadTxn {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The first entries, at most `limit` of them, whose keys are at least `from` and less than `to`. Fewer than
    /// `limit` means that there are no more.
    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError>;

    /// The record of a shared journal up to which this state has everything; `None` where the journal is not shared.
    fn position(&self) -> Option<Position> {
        None
    }
}

/// A write transaction. Its writes are visible to itself alone before they are committed.
pub trait WriteTxn: ReadTxn {
    /// Sets a key.
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>);

    /// Removes a key.
    fn delete(&mut self, key: Vec<u8>);

    /// The same state, to read from.
    fn as_read(&self) -> &dyn ReadTxn;
}

/// An MVCC snapshot that outlives the call that took it, and that threads may share.
pub type View = Box<dyn ReadTxn + Send + Sync>;

/// A store of the state.
pub trait Store: Send + Sync {
    /// The state as of the latest commit.
    fn view(&self) -> Result<View, StoreError>;

    /// Makes all of these writes durable, or none; they are durable when it returns. After an error either may be so:
    /// the caller must stop, and recovery at the next start finds out.
    fn commit(&self, writes: &Writes) -> Result<(), StoreError>;

    /// Confirms that the latest state here is the latest of all: nobody else has committed since. Where several daemons
    /// may commit, an answer from a view counts only after this.
    fn confirm(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// True if several daemons may commit, so that a view counts only after [`Store::confirm`].
    fn is_shared(&self) -> bool {
        false
    }

    /// Bytes on disk.
    fn bytes(&self) -> u64;

    /// Bytes that the disk has left; `u64::MAX` if there is no disk to ask.
    fn free_bytes(&self) -> u64 {
        u64::MAX
    }

    /// Bytes that a journal which several hosts share has left; `u64::MAX` if there is none.
    fn journal_free_bytes(&self) -> u64 {
        u64::MAX
    }
}

/// A storage error. Texts name what was being done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk, or the system in front of it, failed or refused.
    #[error("{doing}: {error}")]
    Io {
        /// The work that failed, such as "the journal can not be synced".
        doing: &'static str,
        /// The system's words.
        error: String,
    },
    /// Stored bytes are damaged, or records contradict each other.
    #[error("{0}")]
    Corrupt(String),
    /// Another daemon was elected to write; what was to be committed is not there and never will be.
    #[error("another daemon was elected to lead, so this one must not answer any more")]
    Deposed,
    /// The journal was trimmed past the records that this host lacks; it begins with this record.
    #[error("the shared journal begins with record {0}, and this host lacks some before it")]
    Trimmed(u64),
    /// Nothing more is committed: the part of the daemon that is named ended.
    #[error("the store is closed: {0}")]
    Closed(&'static str),
}

/// Entries that a walk takes from a store at a time, unless the caller wants fewer.
pub const SCAN_CHUNK: usize = 256;

/// Visits a range in chunks of so many entries, so that memory does not grow with its length.
pub fn walk<E: From<StoreError>>(
    txn: &dyn ReadTxn,
    (from, to): (&[u8], &[u8]),
    stretch: usize,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    let mut from = from.to_vec();
    loop {
        let entries = txn.range(&from, to, stretch)?;
        for (key, value) in &entries {
            if visit(key, value)?.is_break() {
                return Ok(());
            }
        }
        match entries.into_iter().nth(stretch - 1) {
            Some((last, _)) => from = successor(last),
            None => return Ok(()),
        }
    }
}

/// The next key after this one.
pub fn successor(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}
