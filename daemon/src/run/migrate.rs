//! Migration of the database at a start: the journal is taken in, a copy is made for the way back, and the whole chain runs
//! in one transaction.
//!
//! Until that transaction is committed the database has its older schema, and the version before starts on it. The copy's
//! name follows from the database's state, so an attempt that is repeated replaces its copy and fills no disk.

use std::path::PathBuf;

use super::StartError;
use super::systemd::Stage;
use crate::storage::open::{DATABASE, OpenError, OpenOptions, StateDir};
use crate::storage::redb::RedbStore;
use enroll_core::rules::bootstrap::RegistryError;
use enroll_core::rules::changes;
use enroll_core::rules::migration::Chain;
use enroll_core::state::StoreError;

/// A migration may rewrite every page, each beside the one that it replaces; and there is the copy.
const TIMES_THE_DATABASE: u64 = 2;

/// An error of a migration that was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MigrationError {
    /// There is no room for the copy and the work.
    #[error(
        "it needs {needed} free bytes for a copy and the work, and {free} are free; make room there, then start again"
    )]
    NoRoom { needed: u64, free: u64 },
    /// A file can not be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A record or a step failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Migrates the open database of an older schema, and opens it again.
pub(crate) fn migrate(
    locked: &StateDir,
    tree: RedbStore,
    options: &OpenOptions,
    before: u32,
    stage: &Stage,
) -> Result<RedbStore, StartError> {
    let chain = Chain::PRESENT;
    // The journal is of the older schema, too.
    locked.close_tree(tree, options)?;
    let done = copy(locked, before, stage).and_then(|copy| {
        // Every page is verified first, so that no damage is carried into new pages, which would hide it.
        stage.begin(format!("migrating the database from schema {before}"));
        let tree = locked.open_tree(&options.verifying())?;
        tree.change(|txn| chain.migrate(txn, &mut |name, entries| stage.set(progress(before, name, entries))))?;
        Ok((tree, copy))
    });
    let (tree, copy) = done.map_err(|source| StartError::Migration {
        path: locked.database_path(),
        before,
        after: chain.newest(),
        source: source.into(),
    })?;
    tracing::info!(
        before,
        after = chain.newest(),
        copy = %copy.display(),
        "the database was migrated; the way back to the version before: stop enrolld, and put the copy in the place of {DATABASE}"
    );
    Ok(tree)
}

/// Copies the closed database, if there is room for that and for the work. Returns the path of the copy.
fn copy(locked: &StateDir, before: u32, stage: &Stage) -> Result<PathBuf, MigrationError> {
    let (needed, free) = (locked.database_bytes()?.saturating_mul(TIMES_THE_DATABASE), locked.free_bytes()?);
    if free < needed {
        return Err(MigrationError::NoRoom { needed, free });
    }
    let head = locked.peek(changes::head)?.transpose()?.unwrap_or_default();
    stage.begin(format!("copying the database of schema {before}"));
    Ok(locked.copy_database(&copy_name(before, &head.at.to_string()))?)
}

/// The name of the copy of a database: its schema, and the time of the latest write that it has.
fn copy_name(schema: u32, at: &str) -> String {
    let second = at.split('.').next().unwrap_or_default().replace(['-', ':'], "");
    format!("{DATABASE}.schema-{schema}.{second}Z")
}

/// The progress, for systemd's status.
fn progress(before: u32, name: &str, entries: u64) -> String {
    format!("migrating the database from schema {before}: {name}, {entries} entries")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_named_by_schema_and_time() {
        let at = enroll_protocol::Time::EPOCH.plus_seconds(86_399);
        assert_eq!(copy_name(4, &at.to_string()), "enrolld.redb.schema-4.19700101T235959Z");
    }
}
