//! Pagination of lists: the cursor where a page begins, and the three limits that end it (items, bytes, records read).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::ControlFlow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use enroll_protocol::limits::PAGE_SCAN_MAX;
use enroll_protocol::{Code, Cursor, Page, PageLimit, Refusal, Time, codec};
use serde::Serialize;

use super::Call;
use crate::fault::Fault;
use crate::model::key::Family;
use crate::model::record::{self, Record};
use crate::state::{ReadTxn, StoreError, successor, walk};

/// Entries of one read of the store.
const SCAN_CHUNK: usize = 16;

/// The bounds of a page: its first key, its items and its bytes.
pub(super) struct Bounds {
    /// A hash of the operation and its filter: a cursor is valid for its own list only. The hash may differ in another
    /// build, so cursors do not outlive an upgrade.
    list: u64,
    /// The last key of the page before.
    after: Option<Vec<u8>>,
    limit: PageLimit,
    bytes_max: usize,
}

impl Bounds {
    /// Reads the cursor, which must be of this list: the same operation with the same filter.
    pub(super) fn of(
        call: &Call<'_>,
        filter: &impl Hash,
        after: Option<&Cursor>,
        limit: PageLimit,
    ) -> Result<Self, Fault> {
        let mut hasher = DefaultHasher::new();
        (call.row.number, filter).hash(&mut hasher);
        let list = hasher.finish();
        let after = after.map(|cursor| read_cursor(cursor, list)).transpose()?;
        Ok(Self { list, after, limit, bytes_max: call.ctx.settings.page_bytes_max })
    }
}

fn read_cursor(cursor: &Cursor, list: u64) -> Result<Vec<u8>, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor.as_str()).ok();
    match bytes.and_then(|bytes| codec::decode::<(u64, Vec<u8>)>(&bytes).ok()) {
        Some((of, key)) if of == list => Ok(key),
        _ => Err(Refusal::new(
            Code::INVALID_ARGUMENT,
            "after: this is no cursor of this list; pass the `next` of its page before, with the same filters",
        )),
    }
}

/// The items of a range, made by `item` or skipped, until the page is full.
pub(super) fn page<T: Serialize>(
    txn: &dyn ReadTxn,
    range: (Vec<u8>, Vec<u8>),
    bounds: &Bounds,
    item: impl FnMut(&[u8], &[u8]) -> Result<Option<T>, Fault>,
) -> Result<Page<T>, Fault> {
    page_of(txn, &[range], bounds, item)
}

/// The items of several ranges, one after the other in the order of keys.
pub(super) fn page_of<T: Serialize>(
    txn: &dyn ReadTxn,
    ranges: &[(Vec<u8>, Vec<u8>)],
    bounds: &Bounds,
    mut item: impl FnMut(&[u8], &[u8]) -> Result<Option<T>, Fault>,
) -> Result<Page<T>, Fault> {
    let after = bounds.after.clone().map_or(Vec::new(), successor);
    let (mut items, mut bytes, mut looked_at) = (Vec::new(), 0, 0);
    let mut last: Option<Vec<u8>> = None;
    let mut next = None;
    // One entry more than the page holds shows that there is another page. Chunks are small: records may be large.
    let chunk = (bounds.limit.items() + 1).min(SCAN_CHUNK);
    for (from, to) in ranges {
        walk(txn, (&after.clone().max(from.clone()), to), chunk, |key, value| {
            if items.len() == bounds.limit.items() || bytes >= bounds.bytes_max || looked_at == PAGE_SCAN_MAX {
                next = last.take().map(|last| cursor(bounds.list, last)).transpose()?;
                return Ok::<_, Fault>(ControlFlow::Break(()));
            }
            looked_at += 1;
            if let Some(found) = item(key, value)? {
                bytes += codec::encode(&found).len();
                items.push(found);
            }
            last = Some(key.to_vec());
            Ok(ControlFlow::Continue(()))
        })?;
        if next.is_some() {
            break;
        }
    }
    Ok(Page { items, next })
}

fn cursor(list: u64, last: Vec<u8>) -> Result<Cursor, StoreError> {
    let text = URL_SAFE_NO_PAD.encode(codec::encode(&(list, last)));
    Cursor::new(text).map_err(|err| StoreError::Corrupt(err.to_string()))
}

/// The record of an entry: its value, or in an index of the family the record that the entry leads to.
pub(super) fn record_of<R: Record>(
    txn: &dyn ReadTxn,
    family: Family,
    (key, value): (&[u8], &[u8]),
    record_key: &[u8],
) -> Result<Option<R>, StoreError> {
    if family.holds(key) { record::decode(value).map(Some) } else { record::get(txn, record_key) }
}

/// True if a list has a record that was deleted at this time, or is live.
pub(super) fn has_deleted(deleted: Option<Time>, include_deleted: bool, deleted_only: bool) -> bool {
    match deleted {
        None => !deleted_only,
        Some(_) => include_deleted || deleted_only,
    }
}
