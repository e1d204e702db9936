//! Overlay: a write buffer over a base, with read-your-writes. Dropping it is the whole rollback.
//!
//! Overlays stack: the batch is an overlay over the committed view, a request is an overlay over the batch.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Entries, ReadTxn, StoreError, WriteTxn, Writes, merge};

/// Writes over a base.
pub struct Overlay<'a> {
    base: &'a dyn ReadTxn,
    writes: Writes,
}

impl<'a> Overlay<'a> {
    /// No writes yet.
    pub fn new(base: &'a dyn ReadTxn) -> Self {
        Self { base, writes: BTreeMap::new() }
    }

    /// The writes.
    pub fn into_writes(self) -> Writes {
        self.writes
    }

    /// True if nothing was written.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// The number of writes.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Adds the writes of an overlay over this one.
    pub fn absorb(&mut self, writes: Writes) {
        self.writes.extend(writes);
    }
}

impl ReadTxn for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.writes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.base.get(key),
        }
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError> {
        merge::range(self.base, (from, to), limit, |from, end, take| {
            let writes = self.writes.range::<[u8], _>((Bound::Included(from), end));
            take(&mut writes.map(|(key, value)| (key.as_slice(), value.as_deref())));
        })
    }
}

impl WriteTxn for Overlay<'_> {
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.writes.insert(key, Some(value));
    }

    fn delete(&mut self, key: Vec<u8>) {
        self.writes.insert(key, None);
    }

    fn as_read(&self) -> &dyn ReadTxn {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::super::memory::MemoryStore;
    use super::*;
    use proptest::prelude::*;

    type Change = (u8, Option<u8>);

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        prop::collection::vec((0..40u8, prop::option::of(any::<u8>())), 0..60)
    }

    fn write(changes: &[Change]) -> Writes {
        changes.iter().map(|(key, value)| (vec![*key], value.map(|v| vec![v]))).collect()
    }

    proptest! {
        #[test]
        fn overlay_reads_like_the_map_it_will_become(
            base in changes(), batch in changes(), own in changes(), from in 0..40u8, to in 0..41u8, limit in 1..9usize,
        ) {
            let store = MemoryStore::default();
            store.commit(&write(&base)).expect("commit");
            let view = store.view().expect("view");
            let mut middle = Overlay::new(&*view);
            middle.absorb(write(&batch));
            let mut top = Overlay::new(&middle);
            top.absorb(write(&own));

            let result = MemoryStore::default();
            for part in [&base, &batch, &own] {
                result.commit(&write(part)).expect("commit");
            }
            let expected = result.view().expect("view");
            prop_assert_eq!(top.range(&[from], &[to], limit), expected.range(&[from], &[to], limit));
            prop_assert_eq!(top.get(&[from]), expected.get(&[from]));
        }
    }
}
