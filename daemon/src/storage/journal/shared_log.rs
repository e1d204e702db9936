//! The shared log: this host's end of a shared journal. The leader appends to it; a standby receives what was appended.
//!
//! ```text
//! record  term 8 | sum of the record before 8 | sealed: record as in a segment
//! ```
//!
//! The sum of each record contains that of the one before, so two hosts with the same sum have the same history. A journal
//! that was restored from an old copy, or that forked, is found with the first record that does not follow.

use std::sync::Arc;

use twox_hash::XxHash3_64;

use super::record::{self, Record};
use super::segments::{JournalFault, Mark, OtherShared};
use crate::storage::shared_journal::{Head, Numbered, SharedError, SharedJournal, Term};
use enroll_core::identity::Secrets;
use enroll_core::identity::record_seal::Place;
use enroll_core::state::{StoreError, Writes};
use enroll_protocol::backup::Position;

/// Bytes before the sealed part.
const PREFIX: usize = 16;

/// The term of a record that nobody was elected to append: the first one of a journal that begins with a database.
const FOUNDING: Term = Term(0);

/// Bytes of records that are read at a time.
const READ_BYTES: usize = 4 << 20;

/// See the module.
pub(super) struct SharedLog {
    journal: Arc<dyn SharedJournal>,
    secrets: Arc<Secrets>,
    identity: u64,
    /// The term in which this daemon leads.
    term: Option<Term>,
    /// The last record that was appended or received here.
    last: Head,
    plain: Vec<u8>,
    sealed: Vec<u8>,
}

impl SharedLog {
    /// Goes on behind what a database with this mark has.
    pub(super) fn after(mark: &Mark, journal: Arc<dyn SharedJournal>, secrets: Arc<Secrets>) -> Self {
        let last = Head { number: mark.number, sum: mark.generation };
        Self { journal, secrets, identity: mark.identity, term: None, last, plain: Vec::new(), sealed: Vec::new() }
    }

    /// Leads from now on: appends in this term.
    pub(super) fn lead(&mut self, term: Term) {
        self.term = Some(term);
    }

    /// Makes these writes durable as the next record, and returns its number.
    pub(super) fn append(&mut self, writes: &Writes) -> Result<u64, StoreError> {
        let term = self.term.ok_or(StoreError::Closed("another daemon leads"))?;
        let head = self.seal(term, writes)?;
        self.journal.append(term, head, &self.sealed).map_err(failed)?;
        self.last = head;
        Ok(head.number)
    }

    /// Seals these writes as the next record of this term.
    fn seal(&mut self, term: Term, writes: &Writes) -> Result<Head, StoreError> {
        let (number, before) = (self.last.number + 1, self.last.sum);
        let place = Place { identity: self.identity, term: term.0, number, before };
        let seed = self.seed(term);
        self.plain.clear();
        record::encode(&mut self.plain, seed, number, writes);
        self.sealed.clear();
        self.sealed.extend_from_slice(&term.0.to_le_bytes());
        self.sealed.extend_from_slice(&before.to_le_bytes());
        let sealed = self.secrets.seal_record(&place, &self.plain, &mut self.sealed);
        sealed.map_err(|err| StoreError::Corrupt(err.to_string()))?;
        Ok(Head { number, sum: self.sum(&self.sealed) })
    }

    /// The first record of a journal that begins behind this mark: it has no writes. Returns it with the mark of a
    /// database that has it.
    pub(super) fn first(mut self) -> Result<(Mark, Vec<u8>), StoreError> {
        self.last = self.seal(FOUNDING, &Writes::new())?;
        Ok((self.mark(), self.sealed))
    }

    /// The writes of the next record, which another daemon appended.
    pub(super) fn receive(&mut self, Numbered { number, record }: &Numbered) -> Result<Writes, StoreError> {
        let broken = |what: &str| StoreError::Corrupt(format!("record {number} of the shared journal {what}"));
        let Some((prefix, sealed)) = record.split_at_checked(PREFIX) else { return Err(broken("is cut off")) };
        let part = |at: usize| prefix[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
        let (term, before) = (Term(part(0)), part(8));
        if *number != self.last.number + 1 || before != self.last.sum {
            return Err(broken("does not follow what this host has; the journal is of another history"));
        }
        let place = Place { identity: self.identity, term: term.0, number: *number, before };
        let plain = self.secrets.open_record(&place, sealed);
        let plain = plain.map_err(|_| broken("is damaged, or sealed with another secret key"))?;
        let whole = Record::at(&plain, 0, self.seed(term)).filter(|found| found.number == *number);
        let writes = whole.and_then(|found| found.writes(&plain)).ok_or_else(|| broken("can not be read"))?;
        self.last = Head { number: *number, sum: self.sum(record) };
        Ok(writes)
    }

    /// A look at the end of the journal, to be taken without this log.
    pub(super) fn look(&self) -> Look {
        Look { journal: Arc::clone(&self.journal), term: self.term }
    }

    /// Confirms that nobody else appended up to this end.
    pub(super) fn confirm(&self, head: Head) -> Result<(), StoreError> {
        let is_ours = head.number < self.last.number || head == self.last;
        if is_ours { Ok(()) } else { Err(StoreError::Deposed) }
    }

    /// Reads the next records without this log, as many as are read at a time; none at the end.
    pub(super) fn next(&self) -> impl FnOnce() -> Result<Vec<Numbered>, SharedError> + use<> {
        let (journal, from) = (Arc::clone(&self.journal), self.last.number + 1);
        move || journal.read(from, READ_BYTES)
    }

    /// Refuses a journal that does not contain what this host has.
    pub(super) fn check(&self) -> Result<(), JournalFault> {
        let head = self.journal.look(None).map_err(|err| JournalFault::Store(failed(err)))?;
        let is_behind = head.number < self.last.number;
        let is_forked = head.number == self.last.number && head.sum != self.last.sum;
        match is_behind || is_forked {
            true => Err(JournalFault::OtherShared(OtherShared::Older { head: head.number, number: self.last.number })),
            false => Ok(()),
        }
    }

    /// Bytes that the journal still takes.
    pub(super) fn free_bytes(&self) -> u64 {
        self.journal.free_bytes()
    }

    /// The last record here.
    pub(super) fn position(&self) -> Position {
        Position { identity: self.identity, number: self.last.number, sum: self.last.sum }
    }

    /// The mark of a tree that has everything up to here.
    pub(super) fn mark(&self) -> Mark {
        Mark::at(&self.position())
    }

    fn seed(&self, term: Term) -> u64 {
        XxHash3_64::oneshot_with_seed(self.identity, &term.0.to_le_bytes())
    }

    fn sum(&self, record: &[u8]) -> u64 {
        XxHash3_64::oneshot_with_seed(self.identity, record)
    }
}

/// A look at the end of a shared journal. Appends and receipts go on meanwhile.
pub(super) struct Look {
    journal: Arc<dyn SharedJournal>,
    term: Option<Term>,
}

impl Look {
    /// True for the look of a daemon that leads, or believes to.
    pub(super) fn leads(&self) -> bool {
        self.term.is_some()
    }

    /// The end of the journal; for a daemon that led and was deposed, [`StoreError::Deposed`].
    pub(super) fn end(self) -> Result<Head, StoreError> {
        self.journal.look(self.term).map_err(failed)
    }
}

/// The store's error of a shared journal's.
pub(super) fn failed(err: SharedError) -> StoreError {
    match err {
        SharedError::Deposed => StoreError::Deposed,
        SharedError::Trimmed(first) => StoreError::Trimmed(first),
        other => StoreError::Io { doing: "the shared journal", error: other.to_string() },
    }
}
