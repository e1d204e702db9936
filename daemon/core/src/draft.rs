//! A draft: the writes of a rule and, side by side, the change events that it emits. Dropping it is the whole rollback.

use std::collections::BTreeSet;

use enroll_protocol::Pk;

use crate::model::change::ChangeEvent;
use crate::state::overlay::Overlay;
use crate::state::{Entries, ReadTxn, StoreError, WriteTxn, Writes};

/// The transaction of a rule.
pub trait Txn: WriteTxn {
    /// Adds to the change feed. The number is given at commit: were it drawn here, every transaction would conflict
    /// with every other.
    fn emit(&mut self, event: ChangeEvent);

    /// Notes an event whose free places are filled at the end of the transaction. False where they are filled at once.
    fn defer(&mut self, event: Pk) -> bool;

    /// True for an event that was noted.
    fn is_deferred(&self, event: Pk) -> bool;
}

/// Writes over a base, and change events.
pub struct Draft<'a> {
    overlay: Overlay<'a>,
    events: Vec<ChangeEvent>,
    /// The events to fill at the end; none where each write fills its own.
    deferred: Option<BTreeSet<Pk>>,
}

impl<'a> Draft<'a> {
    /// An empty draft.
    pub fn new(base: &'a dyn ReadTxn) -> Self {
        Self { overlay: Overlay::new(base), events: Vec::new(), deferred: None }
    }

    /// The same for several writes, after which events are filled.
    pub fn deferring(base: &'a dyn ReadTxn) -> Self {
        Self { deferred: Some(BTreeSet::new()), ..Self::new(base) }
    }

    /// The events that were noted. From here on events are filled at once.
    pub fn take_deferred(&mut self) -> BTreeSet<Pk> {
        self.deferred.take().unwrap_or_default()
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

    fn defer(&mut self, event: Pk) -> bool {
        let deferred = self.deferred.as_mut();
        deferred.is_some_and(|events| {
            events.insert(event);
            true
        })
    }

    fn is_deferred(&self, event: Pk) -> bool {
        self.deferred.as_ref().is_some_and(|events| events.contains(&event))
    }
}
