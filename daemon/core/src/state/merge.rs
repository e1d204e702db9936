//! Merged range reads: the entries of a base with the writes of an overlay or a memtable over them, in key order.

use std::ops::Bound;

use super::{Entries, ReadTxn, StoreError, successor};

/// A key, and the value that is put there; `None` is a deletion.
pub type Write<'a> = (&'a [u8], Option<&'a [u8]>);

/// Writes in key order.
pub type Stretch<'i, 'a> = &'i mut (dyn Iterator<Item = Write<'a>> + 'i);

/// The first entries of a range, at most `limit` of them, of a base with writes over it. `with_stretch` passes the
/// writes of a stretch of keys to the closure that it is given.
pub fn range(
    base: &dyn ReadTxn,
    (from, to): (&[u8], &[u8]),
    limit: usize,
    with_stretch: impl Fn(&[u8], Bound<&[u8]>, &mut dyn FnMut(Stretch<'_, '_>)),
) -> Result<Entries, StoreError> {
    let mut merged = Entries::new();
    let mut from = from.to_vec();
    let mut asked = limit;
    while from.as_slice() < to && merged.len() < limit {
        let mut entries = base.range(&from, to, asked)?;
        // The base gave all of the range, or only the part up to its last entry; deletions over it may make room for
        // more of the base.
        let last = entries.get(asked - 1).map(|(key, _)| key.clone());
        let end = last.as_deref().map_or(Bound::Excluded(to), Bound::Included);
        with_stretch(&from, end, &mut |writes| merge(writes, std::mem::take(&mut entries), limit, &mut merged));
        match last {
            // Where much was deleted, few steps get over it.
            Some(last) => (from, asked) = (successor(last), asked.saturating_mul(2)),
            None => break,
        }
    }
    merged.truncate(limit);
    Ok(merged)
}

/// Adds the entries of a stretch, until there are enough.
fn merge(writes: Stretch<'_, '_>, base: Entries, limit: usize, merged: &mut Entries) {
    let mut base = base.into_iter().peekable();
    for (key, value) in writes {
        while let Some(entry) = base.next_if(|(other, _)| other.as_slice() < key) {
            merged.push(entry);
        }
        base.next_if(|(other, _)| other == key);
        if let Some(value) = value {
            merged.push((key.to_vec(), value.to_vec()));
        }
        if merged.len() >= limit {
            return;
        }
    }
    merged.extend(base);
}
