//! Stores with deliberate faults: the checks of the power loss tests must find them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use enroll_core::model::key::Family;
use enroll_core::state::memory::MemoryStore;
use enroll_core::state::{Store, StoreError, View, Writes};
use enroll_tests::oracle::everything;

use super::history::Control;

/// A store that does only a part of a commit, or does not wait for it.
pub(super) struct WrongStore {
    pub(super) store: Arc<dyn Store>,
    pub(super) control: Control,
}

impl Store for WrongStore {
    fn view(&self) -> Result<View, StoreError> {
        self.store.view()
    }

    fn commit(&self, writes: &Writes) -> Result<(), StoreError> {
        if self.control == Control::SkipsIndex {
            let (from, to) = Family::StateEnrollments.bounds();
            let kept = writes.iter().filter(|(key, _)| **key < from || **key >= to);
            return self.store.commit(&kept.map(|(key, value)| (key.clone(), value.clone())).collect());
        }
        let _ = self.store.commit(writes);
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.store.bytes()
    }
}

/// A store whose views combine the writes since the last flush with the tree of before it.
pub(super) struct Mispaired {
    store: Arc<dyn Store>,
    pairs: Mutex<Pairs>,
}

struct Pairs {
    /// The tree before the last flush, and the tree now.
    before: Writes,
    tree: Writes,
    /// The writes since.
    active: Writes,
}

impl Mispaired {
    pub(super) fn over(store: Arc<dyn Store>) -> Result<Arc<Self>, StoreError> {
        let tree = all_of(&*store)?;
        let pairs = Mutex::new(Pairs { before: tree.clone(), tree, active: Writes::new() });
        Ok(Arc::new(Self { store, pairs }))
    }

    /// Notes the tree before a flush.
    pub(super) fn before_flush(&self) -> Result<(), StoreError> {
        let mut pairs = self.pairs();
        pairs.before = std::mem::replace(&mut pairs.tree, all_of(&*self.store)?);
        pairs.active.clear();
        Ok(())
    }

    fn pairs(&self) -> MutexGuard<'_, Pairs> {
        self.pairs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Mispaired {
    fn view(&self) -> Result<View, StoreError> {
        let (pairs, shown) = (self.pairs(), MemoryStore::default());
        shown.commit(&pairs.before)?;
        shown.commit(&pairs.active)?;
        shown.view()
    }

    fn commit(&self, writes: &Writes) -> Result<(), StoreError> {
        self.store.commit(writes)?;
        self.pairs().active.extend(writes.clone());
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.store.bytes()
    }
}

fn all_of(store: &dyn Store) -> Result<Writes, StoreError> {
    Ok(everything(store)?.into_iter().map(|(key, value)| (key, Some(value))).collect())
}
