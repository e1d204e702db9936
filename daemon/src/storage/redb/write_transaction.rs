//! A write transaction on the whole table, for a change that is too large for a write buffer in memory.

use super::{Bytes, Table, get, range, set};
use enroll_core::state::{Entries, ReadTxn, StoreError, WriteTxn};

/// The table of a redb transaction that is under way.
pub(super) struct WholeTable<'t> {
    table: Table<'t, Bytes, Bytes>,
    /// The first error of a write.
    failed: Option<StoreError>,
}

impl<'t> WholeTable<'t> {
    pub(super) fn new(table: Table<'t, Bytes, Bytes>) -> Self {
        Self { table, failed: None }
    }

    /// The first error of a write. After one the transaction must not be committed.
    pub(super) fn finish(self) -> Result<(), StoreError> {
        self.failed.map_or(Ok(()), Err)
    }

    fn write(&mut self, key: &[u8], value: Option<&[u8]>) {
        if self.failed.is_none() {
            self.failed = set(&mut self.table, key, value).err();
        }
    }
}

impl ReadTxn for WholeTable<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        get(&self.table, key)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError> {
        range(&self.table, from, to, limit)
    }
}

impl WriteTxn for WholeTable<'_> {
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.write(&key, Some(&value));
    }

    fn delete(&mut self, key: Vec<u8>) {
        self.write(&key, None);
    }

    fn as_read(&self) -> &dyn ReadTxn {
        self
    }
}
