//! Online backup: every key and value of one snapshot, in pieces.
//!
//! It decodes no record: a restored registry is the same byte for byte, idempotency keys and counted guesses included.
//! The secret key is not in the store.

use std::ops::ControlFlow;

use enroll_protocol::backup::{Header, Writer};
use enroll_protocol::server::{Backup, Piece};

use super::{Call, Give, WalkOp, changes};
use crate::fault::Fault;
use crate::model::key;
use crate::model::record::{self, Registry};
use crate::state::{ReadTxn, SCAN_CHUNK, StoreError, walk};

/// Bytes of a piece; the last one may have fewer.
const PIECE_BYTES: usize = 64 << 10;

impl WalkOp for Backup {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>, give: Give<'_, Piece>) -> Result<(), Fault> {
        call.permit(txn, false)?;
        let registry = record::get::<Registry>(txn, &key::registry())?;
        let registry = registry.ok_or_else(|| StoreError::Corrupt("there is no registry".to_owned()))?;
        let mut writer = Writer::new(&Header {
            schema: registry.schema,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at: call.ctx.now,
            changes_head: changes::head(txn)?.seq,
            journal: txn.position(),
        });
        let mut is_wanted = true;
        let (from, to) = key::everything();
        walk(txn, (&from, &to), SCAN_CHUNK, |key, value| {
            writer.entry(key, value).map_err(|err| StoreError::Corrupt(err.0))?;
            while is_wanted && writer.bytes() >= PIECE_BYTES {
                is_wanted = give(Piece(writer.take(PIECE_BYTES))).is_continue();
            }
            Ok::<_, Fault>(if is_wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        if !is_wanted {
            return Ok(());
        }
        let rest = writer.finish();
        // With the trailer the rest may be two pieces.
        let _ = rest.chunks(PIECE_BYTES).try_for_each(|piece| give(Piece(piece.to_owned())));
        Ok(())
    }
}
