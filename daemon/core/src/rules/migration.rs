//! Schema migration: a chain of steps that brings a registry of an older schema to the present one.
//!
//! First the readers of earlier versions ([`crate::model`]) give every record its present form. The steps follow, from the
//! registry's schema on, and change what no record says by itself: keys, indexes, counts. So a step reads and writes
//! records of the present form, whatever schema it leads from, and the compiler keeps it right when a record changes. Only
//! a family that was given up has no reader any more: its step brings one along.
//!
//! All of it is one transaction of the caller's. The lines of an older export are read into the present form, so an import
//! needs the steps only.

use super::bootstrap::{self, RegistryError, SCHEMA};
use crate::model::export_schema::{Importing, Keys, shapes};
use crate::model::key;
use crate::model::record::{self, Registry};
use crate::state::{SCAN_CHUNK, StoreError, WriteTxn, successor};

/// One step of a chain: from a schema to the next one.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The schema that it leads from.
    pub from: u32,
    /// Its work, for people.
    pub name: &'static str,
    /// The change, on records of the present form.
    pub run: fn(&mut dyn WriteTxn, &mut Progress<'_>) -> Result<(), StoreError>,
}

/// A chain of steps without gaps. It has at least one step.
#[derive(Debug, Clone, Copy)]
pub struct Chain {
    steps: &'static [Step],
}

/// Takes the name of the work that is done, and how many entries it has come to.
pub type Tell<'a> = &'a mut dyn FnMut(&'static str, u64);

/// The progress of a migration.
pub struct Progress<'a> {
    name: &'static str,
    entries: u64,
    tell: Tell<'a>,
}

/// The steps of this version. A step stays as long as its schema is migrated.
const STEPS: &[Step] = &[
    Step { from: 4, name: "the version of the last writer", run: |_, _| Ok(()) },
    Step { from: 5, name: "the chain of the changes", run: |_, _| Ok(()) },
    Step { from: 6, name: "people who were erased", run: |_, _| Ok(()) },
];

impl Chain {
    /// The chain of this version: from the oldest schema that it migrates to its own.
    pub const PRESENT: Self = Self::of(STEPS);

    /// A chain of these steps, each of which leads to the next one.
    ///
    /// # Panics
    /// If there is no step, or a gap between two.
    pub const fn of(steps: &'static [Step]) -> Self {
        assert!(!steps.is_empty(), "a chain has steps");
        let mut at = 1;
        while at < steps.len() {
            assert!(steps[at].from == steps[at - 1].from + 1, "a chain has no gaps");
            at += 1;
        }
        Self { steps }
    }

    /// The oldest schema that it leads from.
    pub const fn oldest(&self) -> u32 {
        self.steps[0].from
    }

    /// The schema that it leads to.
    pub const fn newest(&self) -> u32 {
        self.steps[self.steps.len() - 1].from + 1
    }

    /// Migrates a registry, and writes its new schema and this version as the last one that wrote. Returns the schema that
    /// it had. After an error nothing of it may be committed.
    pub fn migrate(&self, txn: &mut dyn WriteTxn, tell: Tell<'_>) -> Result<u32, RegistryError> {
        let registry = record::get::<Registry>(txn.as_read(), &key::registry())?.ok_or(RegistryError::None)?;
        let before = registry.schema;
        if before < self.oldest() {
            return Err(RegistryError::TooOldSchema(before));
        }
        if before > self.newest() {
            let version = bootstrap::last_writer(txn.as_read())?.map(|writer| writer.version);
            return Err(RegistryError::NewerSchema { schema: before, version });
        }
        renew_records(txn, &mut Progress { name: "records", entries: 0, tell: &mut *tell })?;
        self.finish(txn, before, tell)?;
        record::put(txn, key::registry(), &Registry { schema: self.newest(), ..registry });
        bootstrap::sign(txn)?;
        Ok(before)
    }

    /// Runs the steps from this schema on, on records that have their present form.
    pub fn finish(&self, txn: &mut dyn WriteTxn, from: u32, tell: Tell<'_>) -> Result<(), StoreError> {
        for step in self.steps.iter().filter(|step| step.from >= from) {
            (step.run)(txn, &mut Progress { name: step.name, entries: 0, tell: &mut *tell })?;
        }
        Ok(())
    }
}

impl Progress<'_> {
    /// Counts further entries, and tells how many there were.
    pub fn add(&mut self, entries: usize) {
        self.entries += entries as u64;
        (self.tell)(self.name, self.entries);
    }
}

/// Visits the entries of a range, a bounded number at a time, and puts the value that `change` gives for one. Memory does
/// not grow with the range.
pub fn rewrite(
    txn: &mut dyn WriteTxn,
    (mut from, to): (Vec<u8>, Vec<u8>),
    progress: &mut Progress<'_>,
    mut change: impl FnMut(&[u8], &[u8]) -> Result<Option<Vec<u8>>, StoreError>,
) -> Result<(), StoreError> {
    loop {
        let entries = txn.range(&from, &to, SCAN_CHUNK)?;
        progress.add(entries.len());
        let next = entries.get(SCAN_CHUNK - 1).map(|(last, _)| successor(last.clone()));
        for (key, value) in entries {
            if let Some(value) = change(&key, &value)? {
                txn.put(key, value);
            }
        }
        match next {
            Some(next) => from = next,
            None => return Ok(()),
        }
    }
}

/// Gives every record its present form.
fn renew_records(txn: &mut dyn WriteTxn, progress: &mut Progress<'_>) -> Result<(), StoreError> {
    for shape in shapes() {
        let range = match &shape.keys {
            Keys::One(key) => key::prefixed(key()),
            Keys::Many(family, _) => family.bounds(),
        };
        rewrite(txn, range, progress, |key, value| shape.renewed(key, value))?;
    }
    for key in [key::importing(), key::imported()] {
        rewrite(txn, key::prefixed(key), progress, |_, value| record::renewed::<Importing>(value))?;
    }
    Ok(())
}

const _: () = assert!(
    Chain::PRESENT.oldest() == bootstrap::OLDEST_SCHEMA && Chain::PRESENT.newest() == SCHEMA,
    "the chain leads from the oldest schema that is migrated to the present one"
);
