//! Makes what a rule needs, from a snapshot and off the writer thread: see [`crate::needs`].

use std::sync::Arc;

use super::{authority, check};
use crate::context::Context;
use crate::fault::Fault;
use crate::model::export_schema::Importing;
use crate::model::{key, record};
use crate::needs::{Judgement, Made, Needed};
use crate::store::overlay::Overlay;
use crate::store::{ReadTxn, Txn as _};

/// Makes it. The rule has checked everything that could be refused.
pub fn make(needed: &Needed, txn: &dyn ReadTxn, ctx: &Context) -> Result<Made, Fault> {
    match needed {
        Needed::Certificate(callsign, wanted) => {
            let (serial, lifetime) = (authority::serial_of(ctx), ctx.settings.certificate_lifetime_seconds);
            let issued = ctx.daemon.authority.now().issue(callsign, wanted.clone(), serial, ctx.now, lifetime)?;
            Ok(Made::Certificate(Arc::new(issued)))
        }
        Needed::Judgement => {
            let importing = record::get::<Importing>(txn, &key::importing())?.unwrap_or_default();
            let mut finished = Overlay::new(txn);
            finished.delete(key::importing());
            let violations = check::violations(&finished)?;
            Ok(Made::Judgement(Arc::new(Judgement { importing, violations })))
        }
    }
}
