//! Inspection of a whole database that is no daemon's: the schema and its migration, the secret key, and all invariants.

use std::ops::ControlFlow;

use enroll_protocol::server::Violation;

use crate::run::paths::Key;
use crate::storage::redb::RedbStore;
use enroll_core::identity::Secrets;
use enroll_core::model::key;
use enroll_core::rules::bootstrap::{self, RegistryError, SCHEMA, Standing};
use enroll_core::rules::migration::Chain;
use enroll_core::rules::{changes, check};
use enroll_core::state::{ReadTxn, SCAN_CHUNK, Store as _, walk};

/// The result of an inspection.
pub(super) struct Found {
    /// The number of entries.
    pub(super) entries: u64,
    /// The number of the latest change.
    pub(super) changes_head: u64,
    /// The violated invariants.
    pub(super) violations: Vec<Violation>,
}

/// Inspects a database; without the secret key, all parts that can be read without it.
pub(super) fn inspect(view: &dyn ReadTxn, secrets: Option<&Secrets>) -> Result<Found, RegistryError> {
    if !bootstrap::verify(view, secrets)? {
        return Err(RegistryError::None);
    }
    if let Some(secrets) = secrets {
        bootstrap::key_ring(view, secrets)?;
    }
    let hashes = secrets.map(|secrets| bootstrap::hashes(view, secrets.clone())).transpose()?;
    let (from, to) = key::everything();
    let mut entries = 0;
    walk(view, (&from, &to), SCAN_CHUNK, |_, _| {
        entries += 1;
        Ok::<_, RegistryError>(ControlFlow::Continue(()))
    })?;
    Ok(Found { entries, changes_head: changes::head(view)?.seq, violations: check::violations(view, hashes.as_ref())? })
}

/// Migrates a copy or a new database of an older schema, as a start would. Returns its schema; `None` for the present one.
pub(super) fn migrate(store: &RedbStore) -> Result<Option<u32>, RegistryError> {
    match bootstrap::standing(&*store.view()?, None)? {
        Standing::Older(_) => {}
        Standing::Missing | Standing::Present => return Ok(None),
    }
    store.change(|txn| Chain::PRESENT.migrate(txn, &mut |_, _| ())).map(Some)
}

/// The schema, for people; `before` is that of a database which a start would migrate.
pub(super) fn of_schema(before: Option<u32>) -> String {
    match before {
        Some(before) => format!("{before}; the next start migrates it to {SCHEMA}, and was rehearsed"),
        None => SCHEMA.to_string(),
    }
}

/// A violation on one line.
pub(super) fn line(violation: &Violation) -> String {
    format!("{} {}: {}", violation.invariant, violation.subject, violation.message)
}

/// The state of the secret key, for people.
pub(super) fn of_key(key: &Key, secrets: Option<&Secrets>) -> String {
    match secrets {
        Some(_) => "the right one".to_owned(),
        None => format!("not compared: {} is missing; name its file with --key-file", key.path().display()),
    }
}
