//! The in-memory store: the reference that other stores are compared with, and the one that rules are tested on.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Entries, ReadTxn, Store, StoreError, View, Writes};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// A store that forgets everything at the end.
#[derive(Default)]
pub struct MemoryStore {
    /// Views share the map; a commit copies it only while there is a view.
    map: Mutex<Arc<Map>>,
}

struct MemoryView(Arc<Map>);

impl Store for MemoryStore {
    fn view(&self) -> Result<View, StoreError> {
        let map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(MemoryView(Arc::clone(&map))))
    }

    fn commit(&self, writes: &Writes) -> Result<(), StoreError> {
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        let map = Arc::make_mut(&mut map);
        for (key, value) in writes {
            match value {
                Some(value) => map.insert(key.clone(), value.clone()),
                None => map.remove(key),
            };
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        0
    }
}

impl ReadTxn for MemoryView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(key).cloned())
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError> {
        if from >= to {
            return Ok(Entries::new());
        }
        let range = self.0.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
        Ok(range.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}
