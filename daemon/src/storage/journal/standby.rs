//! A journal store on a shared journal: a standby applies what the leader appended, and a standby that was elected leads.
//!
//! Appended writes are durable before it is applied, so a host never has what the shared journal does not. After a crash
//! it reads again what its tree had not taken over.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::log::Log;
use super::memtable::Memtable;
use super::segments::{JournalFault, Mark, OtherShared};
use super::shared_log::{SharedLog, failed};
use super::{JournalOptions, JournalStore, State};
use crate::metrics::JournalFigures;
use crate::storage::redb::RedbStore;
use crate::storage::shared_journal::{Numbered, SharedError, SharedJournal, Term};
use enroll_core::identity::Secrets;
use enroll_core::state::{Store as _, StoreError, Writes};
use enroll_protocol::backup::Position;

/// The longest wait of a read for a batch that the leader has made durable.
const ARRIVAL: Duration = Duration::from_secs(10);

/// Founds a journal of this identity that begins behind a database with this mark. Returns its first record, and the mark
/// of the database that has it. A member without a database finds that the journal begins too late for it.
pub fn found(
    mark: &Mark,
    identity: u64,
    journal: Arc<dyn SharedJournal>,
    secrets: Arc<Secrets>,
) -> Result<(Mark, Vec<u8>), StoreError> {
    let before = Mark::at(&Position { identity, number: mark.number.max(1), sum: 0 });
    SharedLog::after(&before, journal, secrets).first()
}

impl JournalStore {
    /// Opens a standby behind what this tree has of the shared journal with the identity of the options; an empty tree has
    /// nothing of it. Refuses any other tree, and a journal that is older than the tree.
    pub fn open_shared(
        tree: RedbStore,
        journal: Arc<dyn SharedJournal>,
        secrets: Arc<Secrets>,
        options: JournalOptions,
        figures: JournalFigures,
    ) -> Result<Self, JournalFault> {
        let mark = match tree.mark()? {
            Some(mark) if mark.identity == options.identity && mark.is_shared => mark,
            found if tree.entries()? > 0 => {
                let is_members = found.is_some_and(|mark| mark.is_shared);
                let why = if is_members { OtherShared::Replaced } else { OtherShared::Local };
                return Err(JournalFault::OtherShared(why));
            }
            _ => {
                let unused = Mark::at(&Position { identity: options.identity, number: 0, sum: 0 });
                tree.set_mark(&unused).map(|()| unused)?
            }
        };
        let log = SharedLog::after(&mark, journal, secrets);
        log.check()?;
        let table = Memtable::new(options.unordered);
        Self::with_log(tree, Log::Shared(log), table, options, figures)
    }

    /// Applies everything that is in the shared journal by now. `applied` gets the writes of each record after it is
    /// visible. One thread follows a journal. A journal that does not answer is an error, and the store goes on
    /// ([`JournalStore::has_failed`]): its next call may find it back.
    pub fn catch_up(&self, mut applied: impl FnMut(&Writes)) -> Result<(), StoreError> {
        loop {
            let next = match &*self.log() {
                Log::Shared(log) => log.next(),
                Log::Segments(_) => return Ok(()),
            };
            let records = next().map_err(|err| {
                let is_passing = matches!(err, SharedError::Unknown(_));
                let err = failed(err);
                if !is_passing {
                    self.fail(err.clone());
                }
                err
            })?;
            if records.is_empty() {
                return Ok(());
            }
            for record in &records {
                applied(&self.apply(record)?);
            }
        }
    }

    /// The number of the latest batch here.
    pub fn number(&self) -> u64 {
        self.state().number
    }

    /// The place of the latest batch in a shared journal.
    pub fn position(&self) -> Option<Position> {
        self.state().position
    }

    /// Refuses a shared journal that does not contain what is here.
    pub fn expect_followed(&self) -> Result<(), JournalFault> {
        match &*self.log() {
            Log::Shared(log) => log.check(),
            Log::Segments(_) => Ok(()),
        }
    }

    /// True once nothing more can be applied or committed here.
    pub fn has_failed(&self) -> bool {
        self.state().failed.is_some()
    }

    /// A look at the end of a shared journal. The daemon that leads is told that it has everything up to there; a standby, the
    /// number of the batch that it must have before it answers.
    pub fn look_at_end(&self) -> Result<Option<u64>, StoreError> {
        let Some(look) = self.log().look() else { return Ok(None) };
        if !look.leads() {
            return Ok(Some(look.end()?.number));
        }
        // Commits go on meanwhile.
        let head = look.end().inspect_err(|err| self.fail(err.clone()))?;
        if self.state().number >= head.number {
            return Ok(None);
        }
        // A commit of this daemon's may be durable and not visible yet: it is, once the log is free.
        self.log().confirm(head).inspect_err(|err| self.fail(err.clone()))?;
        Ok(None)
    }

    /// True if this host has the batch with this number. Fails where it will not get it.
    pub fn has(&self, number: u64) -> Result<bool, StoreError> {
        let state = self.state();
        match &state.failed {
            _ if state.number >= number => Ok(true),
            Some(err) => Err(err.clone()),
            None => Ok(false),
        }
    }

    /// Waits until this host has the batch with this number, for [`ARRIVAL`] at most.
    pub(super) fn wait_for(&self, number: u64) -> Result<(), StoreError> {
        let is_behind = |state: &mut State| state.number < number && state.failed.is_none();
        let waited = self.arrived.wait_timeout_while(self.state(), ARRIVAL, is_behind);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match &state.failed {
            _ if state.number >= number => Ok(()),
            Some(err) => Err(err.clone()),
            None => {
                let error = format!("record {number} did not reach this host; it has {}", state.number);
                Err(StoreError::Io { doing: "the shared journal", error })
            }
        }
    }

    /// Applies the next record of the shared journal, and returns its writes.
    fn apply(&self, record: &Numbered) -> Result<Writes, StoreError> {
        self.make_room(record.record.len())?;
        let mut log = self.log();
        let Log::Shared(shared) = &mut *log else { return Err(StoreError::Closed("the journal is this host's own")) };
        let writes = shared.receive(record).inspect_err(|err| self.fail(err.clone()))?;
        self.add(log, record.number, &writes);
        Ok(writes)
    }

    /// Leads from now on, in this term: catches up, and then commits. Another daemon may be elected at any time; commits and
    /// confirmations are refused from then on.
    pub fn lead(&self, term: Term, applied: impl FnMut(&Writes)) -> Result<(), StoreError> {
        self.catch_up(applied)?;
        if let Log::Shared(log) = &mut *self.log() {
            log.lead(term);
        }
        // Nobody of an earlier term can append any more, so what is there now is all.
        self.confirm()
    }
}
