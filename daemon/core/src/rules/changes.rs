//! The change feed: reading and following it, and the sequence numbers that the writer gives at commit.

use std::ops::ControlFlow;

use enroll_protocol::changes::{self, ChainHead, Follow, Head, KeptHead, List};
use enroll_protocol::{ChangeMac, Code, Page, Refusal};

use super::page::{Bounds, page};
use super::stream::STEP_ITEMS_MAX;
use super::{Call, ReadOp, StreamOp};
use crate::fault::Fault;
use crate::identity::Secrets;
use crate::identity::secrets::Mac;
use crate::model::change::{ChainedChange, Change, ChangeEvent};
use crate::model::event::Cause;
use crate::model::hex;
use crate::model::key::{self, Family};
use crate::model::record::{self, ChangesHead};
use crate::state::{ReadTxn, StoreError, WriteTxn, walk};

impl ReadOp for Head {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<ChainHead, Fault> {
        call.permit(txn, false)?;
        let head = head(txn)?;
        Ok(ChainHead { seq: head.seq, mac: shown(&head.chain.mac)?, from: head.chain.from, at: head.at })
    }
}

/// Compares the chain with a head of it that was kept elsewhere: a sentence about the difference, if there is one. Refuses
/// a head whose change is no longer in the chain.
pub fn compare(txn: &dyn ReadTxn, kept: &KeptHead) -> Result<Option<&'static str>, Fault> {
    let head = head(txn)?;
    let chain = &head.chain;
    let mac = match kept.seq {
        seq if seq > head.seq => return Ok(Some("the kept head is of a later change than the latest one here")),
        seq if seq < chain.from => {
            let why = format!("head: the chain begins behind change {}; compare with a later head", chain.from);
            return Err(Refusal::new(Code::EXPIRED, why).into());
        }
        seq if seq == head.seq => chain.mac,
        seq if seq == chain.from => chain.from_mac,
        seq => record::get::<ChainedChange>(txn, &key::change(seq))?.map(|chained| chained.mac).unwrap_or_default(),
    };
    Ok((shown(&mac)? != kept.mac).then_some("the changes up to this one are not those that the kept head is of"))
}

/// A MAC as the contract shows it.
fn shown(mac: &Mac) -> Result<ChangeMac, StoreError> {
    ChangeMac::new(hex::encode(mac)).map_err(|err| StoreError::Corrupt(err.0))
}

impl ReadOp for List {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Page<changes::Change>, Fault> {
        call.permit(txn, false)?;
        let kept = kept_after(txn, self.since)?;
        let bounds = Bounds::of(call, &self.since, self.after.as_ref(), self.limit)?;
        page(txn, kept, &bounds, read)
    }
}

impl StreamOp for Follow {
    fn start(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Self, Fault> {
        call.permit(txn, false)?;
        kept_after(txn, self.since)?;
        let latest = head(txn)?.seq;
        match self.since {
            // A reader ahead of this feed has followed another one, and would miss changes of this one.
            Some(since) if since > latest => Err(Fault::Refused(Refusal::new(
                Code::INVALID_ARGUMENT,
                format!("since: there is no change {since} here; the latest is {latest}"),
            ))),
            since => Ok(Self { since: since.or(Some(latest)) }),
        }
    }

    fn next(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Vec<changes::Change>, Fault> {
        call.permit(txn, false)?;
        let (from, end) = kept_after(txn, self.since)?;
        let mut changes = Vec::new();
        walk(txn, (&from, &end), STEP_ITEMS_MAX, |key, value| {
            changes.extend(read(key, value)?);
            let is_full = changes.len() == STEP_ITEMS_MAX;
            Ok::<_, Fault>(if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(changes)
    }

    fn seq(&self) -> Option<u64> {
        self.since
    }
}

/// The keys of all changes after this number, or of all that are kept. Refuses a number whose next changes are no longer
/// kept: the reader would miss them.
fn kept_after(txn: &dyn ReadTxn, since: Option<u64>) -> Result<(Vec<u8>, Vec<u8>), Fault> {
    let forgotten = head(txn)?.forgotten;
    // Never from the first key of the family on: a range would walk over all that were removed.
    let since = since.unwrap_or(forgotten);
    if since < forgotten {
        return Err(Fault::Refused(Refusal::new(
            Code::EXPIRED,
            format!("since: the changes up to {forgotten} are no longer kept; continue from {forgotten}, without them"),
        )));
    }
    Ok((key::change(since.saturating_add(1)), Family::Changes.bounds().1))
}

/// A stored change as the reply of the feed.
fn read(key: &[u8], value: &[u8]) -> Result<Option<changes::Change>, Fault> {
    let ChainedChange { change, .. } = record::decode(value)?;
    Ok(key::seq_at_end(key).map(|seq| change.numbered(seq)))
}

/// The head of the feed; the default before the first change.
pub fn head(txn: &dyn ReadTxn) -> Result<ChangesHead, StoreError> {
    Ok(record::get(txn, &key::changes_head())?.unwrap_or_default())
}

/// Numbers the change events of a write, chains them to the changes before, and counts the records made. The caller writes
/// the head, once per batch. Returns the bytes of the changes.
pub fn number(txn: &mut dyn WriteTxn, secrets: &Secrets, head: &mut ChangesHead, events: Vec<ChangeEvent>) -> u64 {
    let (mut cause, mut bytes) = (None, 0);
    let mut add = |txn: &mut dyn WriteTxn, head: &mut ChangesHead, change: &Change| {
        head.seq += 1;
        head.at = change.at;
        let (key, (value, mac)) =
            (key::change(head.seq), ChainedChange::encode(secrets, &head.chain.mac, head.seq, change));
        head.chain.mac = mac;
        bytes += (key.len() + value.len()) as u64;
        txn.put(key, value);
    };
    for event in events {
        match event {
            ChangeEvent::Change(change, made) => {
                if let Some(kind) = made {
                    *head.records.entry(kind).or_default() += 1;
                }
                add(txn, head, &change);
                cause = Some(head.seq);
            }
            ChangeEvent::Consequence(change) => add(txn, head, &Change { cause: change.cause.or(cause), ..change }),
            ChangeEvent::Remember(key) => {
                if let Some(seq) = cause {
                    record::put(txn, key, &Cause { seq });
                }
            }
            ChangeEvent::Made(kind) => *head.records.entry(kind).or_default() += 1,
            ChangeEvent::Lost(kind) => {
                let count = head.records.entry(kind).or_default();
                *count = count.saturating_sub(1);
            }
            ChangeEvent::Forgotten(seq, mac) => {
                head.forgotten = head.forgotten.max(seq);
                head.chain.forget(seq, mac);
            }
            ChangeEvent::Replanned(from) => head.clock.astray = from,
            ChangeEvent::ClockAccepted(at) => (head.clock.doubted_since, head.clock.accepted_at) = (None, Some(at)),
        }
    }
    bytes
}
