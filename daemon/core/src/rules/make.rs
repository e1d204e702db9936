//! Makes what a rule needs and what follows from a snapshot, off the writer thread: see [`crate::needs`].

use std::sync::Arc;

use enroll_protocol::{Callsign, Pk};
use rand::Rng as _;
use zeroize::Zeroizing;

use super::{authority, check, traces};
use crate::context::{Context, Purpose};
use crate::fault::Fault;
use crate::identity::authority::Wanted;
use crate::identity::jwt::{NewKey, SigningAlgorithm};
use crate::model::export_schema::Importing;
use crate::model::{key, record};
use crate::needs::{ImportCheck, Made};
use crate::state::ReadTxn;
use crate::state::WriteTxn as _;
use crate::state::overlay::Overlay;

/// Makes a certificate. The rule has checked everything that could be refused.
pub fn certificate(ctx: &Context, callsign: &Callsign, wanted: &Wanted) -> Result<Made, Fault> {
    let (serial, lifetime) = (authority::serial_of(ctx), ctx.settings.certificate_lifetime_seconds);
    let issued = ctx.identity.authority.issue(callsign, wanted.clone(), serial, ctx.now, lifetime)?;
    Ok(Made::Certificate(Arc::new(issued)))
}

/// Makes a key pair that signs JWTs. One of RSA takes from a tenth of a second to some seconds.
pub fn signing_key(ctx: &Context, algorithm: SigningAlgorithm) -> Result<Made, Fault> {
    let mut seed = Zeroizing::new([0; 32]);
    ctx.random(Purpose::PrivateKey).fill_bytes(seed.as_mut_slice());
    Ok(Made::SigningKey(Arc::new(NewKey::make(algorithm, &seed)?)))
}

/// Finds the traces of a person. It walks every kept answer, login code and audit object.
pub fn traces(txn: &dyn ReadTxn, ctx: &Context, person: Pk) -> Result<Made, Fault> {
    Ok(Made::Traces(Arc::new(traces::find(txn, &ctx.identity.secrets, person)?)))
}

/// Checks the registry as it would be at the end of the import.
pub fn import_check(txn: &dyn ReadTxn) -> Result<Made, Fault> {
    let importing = record::get::<Importing>(txn, &key::importing())?.unwrap_or_default();
    let mut finished = Overlay::new(txn);
    finished.delete(key::importing());
    let violations = check::violations(&finished, None)?;
    Ok(Made::ImportCheck(Arc::new(ImportCheck { importing, violations })))
}
