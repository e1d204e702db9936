//! The state: an ordered map from bytes to bytes, behind two small traits.
//!
//! A rule is given a [`ReadTxn`] or a [`Txn`] and knows nothing else of where its records are. Both are synchronous
//! and object-safe. A write only ever sees an [`Overlay`](overlay::Overlay), a buffer of its own writes over a base,
//! so dropping it is a complete rollback.
//!
//! A [`Store`] gives out *views*, whatever a consistent snapshot is to it, and takes the merged writes of a batch, in
//! key order, to make them durable. It never sees a rule, a request or a clock. The memory store is the reference;
//! `redb.rs` is the only file that names redb.

pub mod direct;
pub mod disk;
pub mod journal;
mod layer;
pub mod memory;
pub mod open;
pub mod overlay;
pub mod redb;
pub mod scratch;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::model::change::Told;
use crate::process;

/// Entries of a range, in key order.
pub type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// The merged writes of a batch: what is put, and (`None`) what is deleted.
pub type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A consistent state to read from.
pub trait ReadTxn {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The first entries, at most `limit` of them, whose keys are `from` or behind it and before `to`. Fewer than
    /// `limit` means there are no more.
    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError>;
}

/// A state that can be written to. Nothing of it is visible to others before it is committed.
pub trait Txn: ReadTxn {
    /// Sets a key.
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>);

    /// Removes a key.
    fn delete(&mut self, key: Vec<u8>);

    /// Adds to the change feed. The number is given at commit: were it drawn here, every transaction would conflict
    /// with every other.
    fn tell(&mut self, told: Told);

    /// The same state, to read from.
    fn as_read(&self) -> &dyn ReadTxn;
}

/// A consistent state that outlives the call that took it, and that threads may share.
pub type View = Box<dyn ReadTxn + Send + Sync>;

/// Where the state is kept.
pub trait Store: Send + Sync {
    /// The state as of the latest commit.
    fn view(&self) -> Result<View, StoreError>;

    /// Makes all of these writes durable, or none. When it returns, they are. An error may mean either: the caller
    /// must stop, and find out by opening the store again.
    fn commit(&self, writes: &Writes) -> Result<(), StoreError>;

    /// Bytes it takes on disk.
    fn bytes(&self) -> u64;

    /// Bytes that its disk has left; without end where nothing is known of one.
    fn free_bytes(&self) -> u64 {
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
    /// Nothing more is committed: the part of the daemon that is named ended.
    #[error("the store is closed: {0}")]
    Closed(&'static str),
}

impl StoreError {
    /// An I/O error while doing this, with the limit of the process that it speaks of.
    pub fn io<E: std::fmt::Display>(doing: &'static str) -> impl Fn(E) -> Self {
        move |err| Self::Io { doing, error: format!("{err}{}", process::limit_reached(&err)) }
    }
}

/// How many entries a walk takes from a store at a time, where nothing speaks for fewer.
pub const STRETCH: usize = 256;

/// Walks a range in stretches of so many entries, so that its length does not matter for memory.
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

/// The first key behind this one.
pub fn successor(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}
