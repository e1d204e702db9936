//! The shared journal: a replicated write-ahead log of several hosts, which one daemon at a time may append to.
//!
//! An engine makes records durable on a majority of its members, in one order, and fences: only the daemon that was elected
//! last can append. Its term tells it from those before. Records are sealed before they come here, so an engine sees
//! sizes and times, and no content.
//!
//! Safety rests on the append alone, never on a clock or a lease: the engine compares the term and puts the record in
//! one step. A daemon that was deposed without knowing, because it was paused or cut off, is refused however late it comes.

/// The tenure of an elected daemon. A later one has a higher term, and no two have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term(pub u64);

/// The end of a shared journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number of the last record; 0 if there is none.
    pub number: u64,
    /// The checksum of that record, which contains that of the one before.
    pub sum: u64,
}

/// A record and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// Counted from 1, without holes.
    pub number: u64,
    /// The sealed bytes.
    pub record: Vec<u8>,
}

/// The errors of a shared journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SharedError {
    /// Another daemon was elected. What was to be appended is not there and never will be.
    #[error("another daemon was elected")]
    Deposed,
    /// Nobody knows if it was done: the engine did not answer for as long as the term can be relied on.
    #[error("the shared journal does not answer: {0}")]
    Unknown(String),
    /// The engine takes no more records until there is space.
    #[error("the shared journal is full: {0}")]
    Full(String),
    /// The records from this number on are no longer kept; the first that is kept is told.
    #[error("the shared journal begins with record {0}")]
    Trimmed(u64),
}

/// An engine. Calls block.
pub trait SharedJournal: Send + Sync {
    /// Makes this record durable as the one with this number, if the term's daemon still leads and the number is free. A
    /// call that was not answered is repeated inside until the outcome is certain or the term can not be relied on. That
    /// the same record is there already is success.
    fn append(&self, term: Term, head: Head, record: &[u8]) -> Result<(), SharedError>;

    /// The end of the journal, linearizable: it has everything that was durable when the call began. With a term it
    /// confirms that the daemon of that term still leads, and fails with [`SharedError::Deposed`] if not.
    fn look(&self, term: Option<Term>) -> Result<Head, SharedError>;

    /// Records from this number on, in order and without holes, of so many bytes at most but at least one if there is
    /// one.
    fn read(&self, from: u64, bytes_max: usize) -> Result<Vec<Numbered>, SharedError>;

    /// Bytes of records that the engine still takes, as far as it is known.
    fn free_bytes(&self) -> u64 {
        u64::MAX
    }
}
