//! The change feed, and the numbering that the writer does at commit.

use enroll_protocol::Page;
use enroll_protocol::changes::{Change, List};

use super::page::{Bounds, page};
use super::{Call, ReadOp};
use crate::fault::Fault;
use crate::model::change::{self, Told};
use crate::model::key::{self, Family};
use crate::model::record::{self, ChangesHead};
use crate::store::{ReadTxn, StoreError, Txn};

impl ReadOp for List {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Page<Change>, Fault> {
        call.permit(txn, false)?;
        let bounds = Bounds::of(call, &self.since, self.after.as_ref(), self.limit)?;
        let (first, end) = Family::Changes.bounds();
        let from = self.since.map_or(first, |since| key::change(since.saturating_add(1)));
        page(txn, (from, end), &bounds, |key, value| {
            let change = record::decode::<change::Change>(value)?;
            Ok(key::seq_at_end(key).map(|seq| change.numbered(seq)))
        })
    }
}

/// The head of the feed, at its beginning where nothing has happened yet.
pub fn head(txn: &dyn ReadTxn) -> Result<ChangesHead, StoreError> {
    Ok(record::get(txn, &key::changes_head())?.unwrap_or_default())
}

/// Gives what was told its numbers and counts what was made. The caller writes the head, once per batch.
pub fn number(txn: &mut dyn Txn, head: &mut ChangesHead, told: Vec<Told>) {
    for Told { change, made } in told {
        head.seq += 1;
        head.at = head.at.max(change.at);
        if let Some(kind) = made {
            *head.records.entry(kind).or_default() += 1;
        }
        record::put(txn, key::change(head.seq), &change);
    }
}
