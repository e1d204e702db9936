//! A draft: the writes of a rule and, side by side, the change events that it emits. Dropping it is the whole rollback.

use crate::model::change::ChangeEvent;
use crate::state::overlay::Overlay;
use crate::state::{Entries, ReadTxn, StoreError, WriteTxn, Writes};

/// The transaction of a rule.
pub trait Txn: WriteTxn {
    /// Adds to the change feed. The number is given at commit: were it drawn here, every transaction would conflict
    /// with every other.
    fn emit(&mut self, event: ChangeEvent);
}

/// Writes over a base, and change events.
pub struct Draft<'a> {
    overlay: Overlay<'a>,
    events: Vec<ChangeEvent>,
}

impl<'a> Draft<'a> {
    /// An empty draft.
    pub fn new(base: &'a dyn ReadTxn) -> Self {
        Self { overlay: Overlay::new(base), events: Vec::new() }
    }

    /// The writes and the events, in the order emitted.
    pub fn into_parts(self) -> (Writes, Vec<ChangeEvent>) {
        (self.overlay.into_writes(), self.events)
    }
}

impl ReadTxn for Draft<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.overlay.get(key)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError> {
        self.overlay.range(from, to, limit)
    }
}

impl WriteTxn for Draft<'_> {
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.overlay.put(key, value);
    }

    fn delete(&mut self, key: Vec<u8>) {
        self.overlay.delete(key);
    }

    fn as_read(&self) -> &dyn ReadTxn {
        self
    }
}

impl Txn for Draft<'_> {
    fn emit(&mut self, event: ChangeEvent) {
        self.events.push(event);
    }
}
