//! A shared journal in memory, with faults: requests and answers that are lost, appends that arrive late, and sabotage that
//! the tests have to notice.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use enrolld::cluster::trim::Retention;
use enrolld::storage::shared_journal::{Head, Numbered, SharedError, SharedJournal, Term};

/// The fate of the next append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendFate {
    /// It is never done, and its writer gives up.
    RequestLost,
    /// It is done, and its writer gives up before it knows.
    AnswerLost,
    /// Its writer gives up, and it arrives when the held ones are delivered.
    Held,
    /// It is refused for want of space.
    Full,
}

/// A defect of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// None.
    None,
    /// An append is done without comparing the term; the number only has to be free.
    NoCompare,
    /// An append is done without comparing anything: the latest record of a number stays.
    ComparesNothing,
    /// A look confirms every term.
    ConfirmsAnybody,
    /// An append whose answer was lost is done again under the next number.
    RetriesUnderNewNumber,
    /// A standby reads without waiting for its look. The tests do that, not the engine.
    StandbyDoesNotWait,
    /// Records are trimmed that no database has.
    TrimsTooEarly,
}

/// See the module.
pub struct SharedMemory {
    inner: Mutex<Inner>,
    sabotage: Sabotage,
}

struct Inner {
    term: u64,
    /// The oldest record that is kept.
    low: u64,
    /// Up to which record each member's database has everything.
    claims: BTreeMap<usize, u64>,
    records: Vec<Vec<u8>>,
    head: Head,
    fate: Option<AppendFate>,
    held: Vec<(Term, Head, Vec<u8>)>,
}

impl SharedMemory {
    /// An empty one.
    pub fn new(sabotage: Sabotage) -> Self {
        let (records, head) = (Vec::new(), Head { number: 0, sum: 0 });
        Self {
            inner: Mutex::new(Inner {
                term: 0,
                low: 1,
                claims: BTreeMap::new(),
                records,
                head,
                fate: None,
                held: Vec::new(),
            }),
            sabotage,
        }
    }

    /// Its defect.
    pub fn sabotage(&self) -> Sabotage {
        self.sabotage
    }

    /// Elects a daemon. From now on nobody of an earlier term can append.
    pub fn elect(&self) -> Term {
        let mut inner = self.inner();
        inner.term += 1;
        Term(inner.term)
    }

    /// Decides the fate of the next append.
    pub fn decide(&self, fate: Option<AppendFate>) {
        self.inner().fate = fate;
    }

    /// Delivers the appends that were held.
    pub fn deliver(&self) {
        let held = std::mem::take(&mut self.inner().held);
        for (term, head, record) in held {
            // Its writer is gone, so nobody learns the outcome.
            let _ = self.put(term, head, &record);
        }
    }

    /// A member's database has everything up to this record.
    pub fn claim(&self, member: usize, number: u64) {
        self.inner().claims.insert(member, number);
    }

    /// The oldest record that is kept.
    pub fn low(&self) -> u64 {
        self.inner().low
    }

    /// Trims what may go by this retention, if the term's daemon leads.
    pub fn trim(&self, term: Term, retention: Retention) {
        let mut inner = self.inner();
        if term.0 != inner.term || inner.head.number == 0 {
            return;
        }
        let claims: Vec<u64> = inner.claims.values().copied().collect();
        let bytes = inner.records.iter().skip(place(inner.low)).map(|record| record.len() as u64).sum();
        let keep = match self.sabotage {
            Sabotage::TrimsTooEarly => Some(inner.head.number),
            _ => retention.keep_from(&claims, inner.head.number, bytes),
        };
        inner.low = keep.map_or(inner.low, |keep| keep.max(inner.low));
    }

    fn put(&self, term: Term, head: Head, record: &[u8]) -> Result<(), SharedError> {
        let mut inner = self.inner();
        let is_there = inner.records.get(place(head.number)).is_some_and(|found| found == record);
        if is_there {
            return Ok(());
        }
        if self.sabotage == Sabotage::ComparesNothing && place(head.number) <= inner.records.len() {
            inner.records.truncate(place(head.number));
            inner.records.push(record.to_vec());
            inner.head = head;
            return Ok(());
        }
        let leads = term.0 == inner.term || self.sabotage == Sabotage::NoCompare;
        if !leads || inner.head.number + 1 != head.number {
            return Err(SharedError::Deposed);
        }
        inner.records.push(record.to_vec());
        inner.head = head;
        Ok(())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a record that has this number.
fn place(number: u64) -> usize {
    usize::try_from(number - 1).unwrap_or(usize::MAX)
}

impl SharedJournal for SharedMemory {
    fn append(&self, term: Term, head: Head, record: &[u8]) -> Result<(), SharedError> {
        let fate = self.inner().fate.take();
        let unknown = || SharedError::Unknown("the test".to_owned());
        match fate {
            None => self.put(term, head, record),
            Some(AppendFate::RequestLost) => Err(unknown()),
            Some(AppendFate::AnswerLost) if self.sabotage == Sabotage::RetriesUnderNewNumber => {
                self.put(term, head, record)?;
                self.put(term, Head { number: head.number + 1, ..head }, record)
            }
            Some(AppendFate::AnswerLost) => self.put(term, head, record).and(Err(unknown())),
            Some(AppendFate::Held) => {
                self.inner().held.push((term, head, record.to_vec()));
                Err(unknown())
            }
            Some(AppendFate::Full) => Err(SharedError::Full("the test".to_owned())),
        }
    }

    fn look(&self, term: Option<Term>) -> Result<Head, SharedError> {
        let inner = self.inner();
        let leads = term.is_none_or(|term| term.0 == inner.term) || self.sabotage == Sabotage::ConfirmsAnybody;
        if leads { Ok(inner.head) } else { Err(SharedError::Deposed) }
    }

    fn read(&self, from: u64, bytes_max: usize) -> Result<Vec<Numbered>, SharedError> {
        let inner = self.inner();
        if from < inner.low {
            return Err(SharedError::Trimmed(inner.low));
        }
        let (mut records, mut bytes) = (Vec::new(), 0);
        for (at, record) in inner.records.iter().enumerate().skip(place(from)) {
            bytes += record.len();
            if bytes > bytes_max && !records.is_empty() {
                break;
            }
            records.push(Numbered { number: at as u64 + 1, record: record.clone() });
        }
        Ok(records)
    }
}
