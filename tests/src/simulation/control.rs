//! Negative controls: faults of the product at its seams, which the simulation must find.

use std::sync::{Arc, Mutex, PoisonError};

use enroll_core::model::key::Family;
use enroll_core::state::{Store, StoreError, View, Writes};

use crate::machine::Liar;

/// A deliberate fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// None.
    None,
    /// A commit that failed is acknowledged.
    AcknowledgesAnyway,
    /// Every disk says that it synced and did not.
    SyncLies,
    /// The journal's disks do.
    JournalLies,
    /// The database's disk does.
    DatabaseLies,
    /// One index is not written.
    SkipsIndex,
    /// Kept answers are not written: a call that is sent again is done again.
    ForgetsAnswers,
    /// The records of spent tokens are not written.
    ForgetsTokens,
    /// The entries of the revocation list are not written.
    ForgetsRevocations,
    /// One change of a batch is not written.
    SkipsChange,
    /// The writes of a batch come in two commits.
    SplitsBatch,
    /// Reads see the registry as it was one commit ago.
    ReadsOld,
    /// Reads at hosts of a cluster pass without a look at the journal.
    SkipsLooks,
    /// Those at a standby do.
    StandbyDoesNotWait,
    /// Those at a daemon that leads, or believes to, do.
    LeaderDoesNotLook,
    /// The journal confirms each daemon that it leads.
    ConfirmsAnybody,
    /// The journal compares nothing: an append takes the place of what is there.
    AppendsUnfenced,
    /// An append is done though the record before it is not there.
    AppendsBehindNothing,
    /// Records are trimmed that no database has.
    TrimsTooEarly,
}

impl Control {
    /// Every deliberate fault and its name.
    pub const ALL: &[(&str, Self)] = &[
        ("acknowledges-anyway", Self::AcknowledgesAnyway),
        ("sync-lies", Self::SyncLies),
        ("journal-lies", Self::JournalLies),
        ("database-lies", Self::DatabaseLies),
        ("skips-index", Self::SkipsIndex),
        ("forgets-answers", Self::ForgetsAnswers),
        ("forgets-tokens", Self::ForgetsTokens),
        ("forgets-revocations", Self::ForgetsRevocations),
        ("skips-change", Self::SkipsChange),
        ("splits-batch", Self::SplitsBatch),
        ("reads-old", Self::ReadsOld),
    ];

    /// Those that only a cluster has, and that its seeds find.
    pub const OF_CLUSTERS: &[(&str, Self)] = &[
        ("skips-looks", Self::SkipsLooks),
        ("standby-does-not-wait", Self::StandbyDoesNotWait),
        ("confirms-anybody", Self::ConfirmsAnybody),
        ("appends-unfenced", Self::AppendsUnfenced),
        ("trims-too-early", Self::TrimsTooEarly),
    ];

    /// Those that a thousand seeds do not find: deposed leaders are seldom read, and repetitions come soon.
    pub const NOT_FOUND: &[(&str, Self)] =
        &[("leader-does-not-look", Self::LeaderDoesNotLook), ("appends-behind-nothing", Self::AppendsBehindNothing)];

    /// The disks that lie.
    pub(super) fn liar(self) -> Liar {
        match self {
            Self::SyncLies => Liar::All,
            Self::JournalLies => Liar::Journal,
            Self::DatabaseLies => Liar::Database,
            _ => Liar::None,
        }
    }

    /// The store with this fault.
    pub(super) fn over(self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        match self {
            Self::AcknowledgesAnyway
            | Self::SkipsIndex
            | Self::ForgetsAnswers
            | Self::ForgetsTokens
            | Self::ForgetsRevocations
            | Self::SkipsChange
            | Self::SplitsBatch
            | Self::ReadsOld => Arc::new(WrongStore { store, control: self, latest: Mutex::default() }),
            _ => store,
        }
    }
}

struct WrongStore {
    store: Arc<dyn Store>,
    control: Control,
    /// The views of before the last commits.
    latest: Mutex<Option<View>>,
}

impl WrongStore {
    fn without(&self, writes: &Writes, family: Family) -> Result<(), StoreError> {
        let (from, to) = family.bounds();
        let kept = writes.iter().filter(|(key, _)| **key < from || **key >= to);
        self.store.commit(&kept.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

impl Store for WrongStore {
    fn view(&self) -> Result<View, StoreError> {
        if self.control == Control::ReadsOld
            && let Some(view) = self.latest.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            return Ok(view);
        }
        self.store.view()
    }

    fn commit(&self, writes: &Writes) -> Result<(), StoreError> {
        match self.control {
            Control::AcknowledgesAnyway => {
                let _ = self.store.commit(writes);
                Ok(())
            }
            Control::SkipsIndex => self.without(writes, Family::StateEnrollments),
            Control::ForgetsAnswers => self.without(writes, Family::Kept),
            Control::ForgetsTokens => self.without(writes, Family::Tokens),
            Control::ForgetsRevocations => self.without(writes, Family::Revoked),
            Control::SkipsChange => {
                let (from, to) = Family::Changes.bounds();
                let mut writes = writes.clone();
                let last = writes.range(from..to).next_back().map(|(key, _)| key.clone());
                last.map(|last| writes.remove(&last));
                self.store.commit(&writes)
            }
            Control::SplitsBatch => {
                let half = writes.len() / 2;
                let part = |at: usize| writes.iter().enumerate().filter(move |(which, _)| (*which < half) == (at == 0));
                let part = |at| part(at).map(|(_, (key, value))| (key.clone(), value.clone())).collect();
                self.store.commit(&part(0))?;
                self.store.commit(&part(1))
            }
            Control::ReadsOld => {
                let before = self.store.view()?;
                self.store.commit(writes)?;
                *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
                Ok(())
            }
            _ => self.store.commit(writes),
        }
    }

    fn confirm(&self) -> Result<(), StoreError> {
        self.store.confirm()
    }

    fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    fn bytes(&self) -> u64 {
        self.store.bytes()
    }

    fn free_bytes(&self) -> u64 {
        self.store.free_bytes()
    }
}
