//! The export schema: each stored record as a line of JSON with the name of its family, the named parts of its key, and
//! the record.
//!
//! Everything that is stored is exported as it is, indexes too, so that an import restores the same bytes. The table of
//! [`key`]'s families gives the shapes and their order.

use std::collections::BTreeMap;

use enroll_protocol::{Key, plain_error, plain_name};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::key::{self, Family, Part};
use super::record::{self, Record};
use super::{certificate, hex};
use crate::state::StoreError;

/// The progress of an import, or its end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Importing {
    /// Bytes of the file that were read.
    pub bytes: u64,
    /// Whole lines that were read.
    pub lines: u64,
    /// The incomplete last line.
    pub open: String,
    /// True for a file with secrets.
    pub with_secrets: bool,
    /// True if this daemon's authority was brought along.
    pub is_brought: bool,
    /// True once the last line was read.
    pub is_read: bool,
    /// The number of records of each family.
    pub records: BTreeMap<String, u64>,
    /// The uid and the idempotency key of the latest piece: sent again, it is answered and not taken again.
    pub latest: Option<(u32, Key)>,
    /// The schema of the file.
    pub schema: u32,
}

/// The export form of one family's records.
pub struct Shape {
    /// The name in lines.
    pub name: &'static str,
    /// The keys of its records.
    pub keys: Keys,
    /// True if an export without secrets leaves it out.
    pub is_secret: bool,
    to_json: fn(&[u8]) -> Result<String, StoreError>,
    of_json: fn(&str) -> serde_json::Result<Vec<u8>>,
    decode: fn(&[u8]) -> Result<(), StoreError>,
    renewed: Renewed,
}

/// Gives the present form of a record; `None` for one that has it.
type Renewed = fn(&[u8]) -> Result<Option<Vec<u8>>, StoreError>;

/// The keys of a shape's records.
pub enum Keys {
    /// The key of the only record.
    One(fn() -> Vec<u8>),
    /// A family and the parts of its keys.
    Many(Family, &'static [(&'static str, Part)]),
}

/// A line as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    record: String,
    #[serde(default)]
    key: Map<String, Value>,
    #[serde(borrow)]
    value: &'a RawValue,
}

/// The records of which there is only one; the head of the changes counts all others, so it comes last.
static SINGLES: &[Shape] = &[
    one::<record::HashingKey>("hashing_key", key::hashing_key).secret(),
    one::<certificate::Authority>("authority", key::authority).secret(),
    one::<certificate::ListHead>("revoked_list", key::list_head).secret(),
    one::<record::ChangesHead>("changes_head", key::changes_head),
];

/// Every shape in the order of an export.
pub fn shapes() -> impl Iterator<Item = &'static Shape> {
    let (first, last) = SINGLES.split_at(SINGLES.len() - 1);
    first.iter().chain(key::SHAPES).chain(last)
}

/// The shape of a family.
pub(super) const fn many<R: Record>(
    name: &'static str,
    family: Family,
    parts: &'static [(&'static str, Part)],
) -> Shape {
    shape::<R>(name, Keys::Many(family, parts))
}

const fn one<R: Record>(name: &'static str, key: fn() -> Vec<u8>) -> Shape {
    shape::<R>(name, Keys::One(key))
}

const fn shape<R: Record>(name: &'static str, keys: Keys) -> Shape {
    let to_json: fn(&[u8]) -> Result<String, StoreError> = |bytes| {
        let record = record::decode::<R>(bytes)?;
        serde_json::to_string(&record).map_err(|err| StoreError::Corrupt(format!("a record can not be written: {err}")))
    };
    Shape {
        name,
        keys,
        is_secret: false,
        to_json,
        of_json: |text| serde_json::from_str::<R>(text).map(|record| record::encode(&record)),
        decode: |bytes| record::decode::<R>(bytes).map(drop),
        renewed: record::renewed::<R>,
    }
}

impl Shape {
    /// The line of a record.
    pub fn line(&self, key: &[u8], value: &[u8]) -> Result<String, StoreError> {
        let value = (self.to_json)(value)?;
        let key = match &self.keys {
            Keys::One(_) => String::new(),
            Keys::Many(_, parts) => {
                let json = key::to_json(parts, key).ok_or_else(|| self.unreadable(key))?;
                format!("\"key\":{},", Value::Object(json))
            }
        };
        Ok(format!("{{\"record\":\"{}\",{key}\"value\":{value}}}\n", self.name))
    }

    /// Checks that a record and its key can be read.
    pub fn check(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        (self.decode)(value)?;
        if self.reads(key) { Ok(()) } else { Err(self.unreadable(key)) }
    }

    /// The present form of a record of an earlier version; `None` for one that has it.
    pub fn renewed(&self, key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let at = |err| StoreError::Corrupt(format!("{} {}: {err}", self.name, hex::encode(key)));
        (self.renewed)(value).map_err(at)
    }

    /// True if the parts of the key can be read, and make the same key again.
    pub(super) fn reads(&self, key: &[u8]) -> bool {
        match &self.keys {
            Keys::One(one) => *key == *one(),
            Keys::Many(family, parts) => {
                family.holds(key)
                    && key::to_json(parts, key)
                        .and_then(|json| key::from_json(*family as u8, parts, &json))
                        .is_some_and(|same| same == key)
            }
        }
    }

    pub(super) const fn secret(mut self) -> Self {
        self.is_secret = true;
        self
    }

    fn unreadable(&self, key: &[u8]) -> StoreError {
        StoreError::Corrupt(format!("the key {} of a {} can not be read", hex::encode(key), self.name))
    }
}

/// The shape, the key and the value of a line; else a sentence about its fault.
pub fn entry(line: &str) -> Result<(&'static Shape, Vec<u8>, Vec<u8>), String> {
    let line: Line<'_> =
        serde_json::from_str(line).map_err(|err| format!("this is no record: {}", plain_error(&err.to_string())))?;
    let shape = shapes().find(|shape| shape.name == line.record);
    let shape = shape.ok_or_else(|| format!("there is no kind of record \"{}\"", plain_name(&line.record)))?;
    let key = match &shape.keys {
        Keys::One(key) => line.key.is_empty().then(key),
        Keys::Many(family, parts) => key::from_json(*family as u8, parts, &line.key),
    };
    let key = key.ok_or_else(|| format!("this is not the key of a {}", shape.name))?;
    let value = (shape.of_json)(line.value.get())
        .map_err(|err| format!("this is no {}: {}", shape.name, plain_error(&err.to_string())))?;
    Ok((shape, key, value))
}
