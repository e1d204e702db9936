//! An export: every record as of one commit, as lines of JSON.

use std::ops::ControlFlow;

use enroll_protocol::export::{End, FORMAT, Header};
use enroll_protocol::server::Export;
use serde::Serialize;

use super::bootstrap::SCHEMA;
use super::{Call, Give, WalkOp, changes};
use crate::fault::Fault;
use crate::model::export_schema::{Keys, Shape, shapes};
use crate::model::record::{self, Chain, ClockState, Kind, Registry};
use crate::model::{hex, key};
use crate::state::{ReadTxn, SCAN_CHUNK, StoreError, walk};

/// Bytes of a piece at most; it ends anywhere.
const PIECE_BYTES: usize = 64 << 10;

/// Kinds of records that are secret as a whole: an export without secrets leaves them out, and its head counts none.
const SECRET_KINDS: [Kind; 3] = [Kind::Token, Kind::Code, Kind::Certificate];

/// The buffer of lines that are not sent yet.
struct Lines<'a> {
    text: String,
    records: u64,
    is_wanted: bool,
    give: Give<'a, String>,
}

impl WalkOp for Export {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>, give: Give<'_, String>) -> Result<(), Fault> {
        call.permit(txn, false)?;
        let registry = record::get::<Registry>(txn, &key::registry())?;
        let registry = registry.ok_or_else(|| StoreError::Corrupt("there is no registry".to_owned()))?;
        let mut lines = Lines { text: String::new(), records: 0, is_wanted: true, give };
        lines.add(&Header {
            enrolld_export: FORMAT,
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at: call.ctx.now,
            with_secrets: self.with_secrets,
            created: registry.created,
            proof: self.with_secrets.then(|| hex::encode(&registry.proof)),
        })?;
        for shape in shapes().filter(|shape| self.with_secrets || !shape.is_secret) {
            match &shape.keys {
                Keys::One(key) => {
                    let value = if key() == key::changes_head() {
                        Some(head(txn, self.with_secrets)?)
                    } else {
                        txn.get(&key())?
                    };
                    value.map_or(Ok(()), |value| lines.record(shape, &key(), &value))?;
                }
                Keys::Many(family, _) => {
                    let (from, to) = family.bounds();
                    walk(txn, (&from, &to), SCAN_CHUNK, |key, value| {
                        lines.record(shape, key, value)?;
                        Ok::<_, Fault>(match lines.is_wanted {
                            true => ControlFlow::Continue(()),
                            false => ControlFlow::Break(()),
                        })
                    })?;
                }
            }
            if !lines.is_wanted {
                return Ok(());
            }
        }
        lines.add(&End { enrolld_export_end: lines.records })?;
        lines.give_up_to(0);
        Ok(())
    }
}

/// The head of the change feed, with counts of the exported records only.
fn head(txn: &dyn ReadTxn, with_secrets: bool) -> Result<Vec<u8>, StoreError> {
    let mut head = changes::head(txn)?;
    head.records.retain(|kind, _| with_secrets || !SECRET_KINDS.contains(kind));
    // The clock's state describes this machine, and the chain is under its key: neither is exported.
    (head.clock, head.chain) = (ClockState::default(), Chain::default());
    Ok(record::encode(&head))
}

impl Lines<'_> {
    fn record(&mut self, shape: &Shape, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        self.text.push_str(&shape.line(key, value)?);
        self.records += 1;
        self.give_up_to(PIECE_BYTES);
        Ok(())
    }

    fn add(&mut self, line: &impl Serialize) -> Result<(), StoreError> {
        let line = serde_json::to_string(line).map_err(|err| StoreError::Corrupt(err.to_string()))?;
        self.text.push_str(&line);
        self.text.push('\n');
        Ok(())
    }

    /// Sends pieces until no more than this many bytes are left in the buffer.
    fn give_up_to(&mut self, bytes: usize) {
        while self.is_wanted && self.text.len() > bytes {
            let end = self.text.floor_char_boundary(PIECE_BYTES);
            let rest = self.text.split_off(end);
            self.is_wanted = (self.give)(std::mem::replace(&mut self.text, rest)).is_continue();
        }
    }
}
