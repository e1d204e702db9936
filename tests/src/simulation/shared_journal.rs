//! The shared journal of a simulation, in memory, as etcd keeps it: one transaction compares the leader and puts a record where
//! none is. Its appends are lost on their way there or back, arrive after their writer gave up, or once more. Each host has
//! a way to it of its own, which can be cut.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use enrolld::cluster::trim::Retention;
use enrolld::storage::shared_journal::{Head, Numbered, SharedError, SharedJournal, Term};

use super::control::Control;

/// The fate of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AppendFate {
    /// It is never done, and its writer gives up.
    RequestLost,
    /// It is done, and its writer gives up before it knows.
    AnswerLost,
    /// Its writer gives up, and it arrives later.
    Late,
    /// It is done and known, and arrives once more later.
    Repeated,
    /// It is refused for want of space.
    Full,
}

impl AppendFate {
    pub(super) const ALL: [Self; 5] = [Self::RequestLost, Self::AnswerLost, Self::Late, Self::Repeated, Self::Full];
}

/// See the module.
pub(super) struct Engine {
    inner: Mutex<Inner>,
    control: Control,
}

struct Inner {
    term: u64,
    /// The host that leads, as far as the journal knows.
    leader: Option<usize>,
    head: Head,
    /// The oldest record that is kept.
    low: u64,
    records: BTreeMap<u64, Vec<u8>>,
    /// Appends that have not arrived.
    late: Vec<(Term, Head, Vec<u8>)>,
    /// Up to which record each host's database has everything.
    claims: BTreeMap<usize, u64>,
}

impl Engine {
    /// A journal that begins with this record.
    pub(super) fn beginning(head: Head, record: Vec<u8>, control: Control) -> Arc<Self> {
        let (records, low) = (BTreeMap::from([(head.number, record)]), head.number);
        let (late, claims) = (Vec::new(), BTreeMap::new());
        Arc::new(Self { inner: Mutex::new(Inner { term: 0, leader: None, head, low, records, late, claims }), control })
    }

    /// Elects this host. From now on nobody of an earlier term can append.
    pub(super) fn elect(&self, host: usize) -> Term {
        let mut inner = self.inner();
        inner.term += 1;
        inner.leader = Some(host);
        Term(inner.term)
    }

    /// Gives up the tenure of this term, or has its lease run out.
    pub(super) fn end_tenure(&self, term: Term) {
        let mut inner = self.inner();
        if inner.term == term.0 {
            inner.leader = None;
        }
    }

    /// The lease of the host that leads runs out.
    pub(super) fn lapse(&self) {
        self.inner().leader = None;
    }

    /// True if the daemon of this term leads.
    pub(super) fn leads(&self, term: Term) -> bool {
        let inner = self.inner();
        inner.term == term.0 && inner.leader.is_some()
    }

    /// The host that leads.
    pub(super) fn leader(&self) -> Option<usize> {
        self.inner().leader
    }

    /// The number of the last record.
    pub(super) fn number(&self) -> u64 {
        self.inner().head.number
    }

    /// The oldest record that is kept.
    pub(super) fn low(&self) -> u64 {
        self.inner().low
    }

    /// Appends that have not arrived.
    pub(super) fn late(&self) -> usize {
        self.inner().late.len()
    }

    /// Has one of those arrive.
    pub(super) fn arrive(&self, which: usize) {
        let (term, head, record) = self.inner().late.remove(which);
        // Its writer waits no longer, so nobody learns the outcome.
        let _ = self.put(term, head, &record);
    }

    /// A host's database has everything up to this record.
    pub(super) fn claim(&self, host: usize, number: u64) {
        self.inner().claims.insert(host, number);
    }

    /// Trims what may go.
    pub(super) fn trim(&self, retention: Retention) {
        let mut inner = self.inner();
        let claims: Vec<u64> = inner.claims.values().copied().collect();
        let bytes = inner.records.values().map(|record| record.len() as u64).sum();
        let keep = match self.control {
            Control::TrimsTooEarly => Some(inner.head.number),
            _ => retention.keep_from(&claims, inner.head.number, bytes),
        };
        if let Some(keep) = keep.filter(|keep| *keep > inner.low) {
            inner.low = keep;
            inner.records = inner.records.split_off(&keep);
        }
    }

    fn put(&self, term: Term, head: Head, record: &[u8]) -> Result<(), SharedError> {
        let mut inner = self.inner();
        if inner.records.get(&head.number).is_some_and(|found| found == record) {
            return Ok(());
        }
        let leads = term.0 == inner.term && inner.leader.is_some();
        let has_before = head.number == 1 || inner.records.contains_key(&(head.number - 1));
        let may = match self.control {
            // What was there is replaced.
            Control::AppendsUnfenced => true,
            Control::AppendsBehindNothing => leads && !inner.records.contains_key(&head.number),
            _ => leads && has_before && !inner.records.contains_key(&head.number),
        };
        if !may {
            return Err(SharedError::Deposed);
        }
        inner.records.insert(head.number, record.to_vec());
        inner.head = head;
        Ok(())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way of a host to the journal.
pub(super) struct Way {
    engine: Arc<Engine>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The fate of the next append.
    fate: Option<AppendFate>,
    /// Nothing gets through.
    is_cut: bool,
    /// Records that the host may read before it finds no more.
    readable: Option<usize>,
    /// A call of the host failed.
    has_failed: bool,
}

impl Way {
    pub(super) fn to(engine: &Arc<Engine>) -> Arc<Self> {
        Arc::new(Self { engine: Arc::clone(engine), state: Mutex::default() })
    }

    /// The journal.
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Decides the fate of the next append.
    pub(super) fn decide(&self, fate: Option<AppendFate>) {
        self.state().fate = fate;
    }

    /// Cuts it, or lets everything through again.
    pub(super) fn cut(&self, is_cut: bool) {
        self.state().is_cut = is_cut;
    }

    /// True while nothing gets through.
    pub(super) fn is_cut(&self) -> bool {
        self.state().is_cut
    }

    /// Lets the host read so many records, and no more for now.
    pub(super) fn let_read(&self, records: Option<usize>) {
        self.state().readable = records;
    }

    /// True if a call of the host has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.state().has_failed
    }

    fn pass(&self) -> Result<(), SharedError> {
        let mut state = self.state();
        state.has_failed |= state.is_cut;
        if state.is_cut { Err(SharedError::Unknown("the way is cut".to_owned())) } else { Ok(()) }
    }

    fn noted<T>(&self, done: Result<T, SharedError>) -> Result<T, SharedError> {
        self.state().has_failed |= done.is_err();
        done
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SharedJournal for Way {
    fn append(&self, term: Term, head: Head, record: &[u8]) -> Result<(), SharedError> {
        self.pass()?;
        let fate = self.state().fate.take();
        let unknown = || SharedError::Unknown("no answer".to_owned());
        let late = || self.engine.inner().late.push((term, head, record.to_vec()));
        self.noted(match fate {
            None => self.engine.put(term, head, record),
            Some(AppendFate::RequestLost) => Err(unknown()),
            Some(AppendFate::AnswerLost) => self.engine.put(term, head, record).and(Err(unknown())),
            Some(AppendFate::Late) => {
                late();
                Err(unknown())
            }
            Some(AppendFate::Repeated) => {
                late();
                self.engine.put(term, head, record)
            }
            Some(AppendFate::Full) => Err(SharedError::Full("no space".to_owned())),
        })
    }

    fn look(&self, term: Option<Term>) -> Result<Head, SharedError> {
        self.pass()?;
        let inner = self.engine.inner();
        let leads = term.is_none_or(|term| term.0 == inner.term && inner.leader.is_some());
        let leads = leads || self.engine.control == Control::ConfirmsAnybody;
        let head = inner.head;
        drop(inner);
        self.noted(if leads { Ok(head) } else { Err(SharedError::Deposed) })
    }

    fn read(&self, from: u64, _: usize) -> Result<Vec<Numbered>, SharedError> {
        self.pass()?;
        let readable = self.state().readable;
        let inner = self.engine.inner();
        if from < inner.low {
            let low = inner.low;
            drop(inner);
            return self.noted(Err(SharedError::Trimmed(low)));
        }
        let records = inner.records.range(from..).take(readable.unwrap_or(usize::MAX));
        let read: Vec<_> =
            records.map(|(number, record)| Numbered { number: *number, record: record.clone() }).collect();
        drop(inner);
        if let Some(left) = &mut self.state().readable {
            *left -= read.len();
        }
        match read.iter().zip(from..).all(|(record, number)| record.number == number) {
            true => Ok(read),
            false => self.noted(Err(SharedError::Unknown(format!("a record behind {from} is missing")))),
        }
    }
}
