//! Allowed values (constants) of the fields of a person's `extra`, by list. A list exists while it has a value.

use enroll_protocol::constant::{Constant, List, Remove, Set};
use enroll_protocol::fold::fold;
use enroll_protocol::{Code, Json, ListName, Refusal};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Call, ReadOp, WriteOp};
use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::event as stored;
use crate::model::key::{self, Family};
use crate::model::record;
use crate::state::ReadTxn;

/// Values of a list, and of all lists together: they are listed in one answer.
const VALUES_MAX: usize = 1_000;

impl WriteOp for Set {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<bool, Fault> {
        call.permit(txn.as_read(), false)?;
        let key = key::constant(&self.list, &fold(self.value.as_str()));
        let constant = stored::Constant { value: self.value.clone(), label: self.label.clone() };
        let before = record::get::<stored::Constant>(txn.as_read(), &key)?;
        if before.is_none() {
            let (from, to) = Family::Constants.bounds();
            if txn.as_read().range(&from, &to, VALUES_MAX)?.len() == VALUES_MAX {
                let why = format!("there are {VALUES_MAX} values already; remove some first");
                return Err(Fault::Refused(Refusal::new(Code::CONFLICT, why)));
            }
        }
        if before.as_ref() != Some(&constant) {
            record::put(txn, key, &constant);
            call.emit(txn, Vec::new(), None);
        }
        Ok(before.is_none())
    }
}

impl WriteOp for Remove {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<bool, Fault> {
        call.permit(txn.as_read(), false)?;
        let key = key::constant(&self.list, &fold(self.value.as_str()));
        let was_there = txn.as_read().get(&key)?.is_some();
        if was_there {
            txn.delete(key);
            call.emit(txn, Vec::new(), None);
        }
        Ok(was_there)
    }
}

impl ReadOp for List {
    fn run(&self, txn: &dyn ReadTxn, _: &Call<'_>) -> Result<Vec<Constant>, Fault> {
        let range = self.list.as_ref().map(|list| key::prefixed(key::constants(list)));
        let (from, to) = range.unwrap_or_else(|| Family::Constants.bounds());
        let entries = txn.range(&from, &to, VALUES_MAX)?;
        let constant = |(key, value): &(Vec<u8>, Vec<u8>)| {
            let Some(list) = key::list_of_constant(key) else { return Ok(None) };
            let stored::Constant { value, label } = record::decode(value)?;
            Ok(Some(Constant { list, value, label }))
        };
        entries.iter().filter_map(|entry| constant(entry).transpose()).collect()
    }
}

/// Refuses the `extra` of a person, or of what a person is made from, with a field whose list does not allow its value.
/// A value that was there before stays, also where the list has lost it since.
pub(super) fn require_allowed(txn: &dyn ReadTxn, extra: &Json, before: Option<&Json>) -> Result<(), Fault> {
    let before = before.map(Json::members).transpose()?.unwrap_or_default();
    for (field, value) in extra.members()? {
        if before.get(&field).is_some_and(|before| is_same(before, value)) {
            continue;
        }
        let Ok(list) = ListName::new(field.as_str()) else { continue };
        let is_allowed = match serde_json::from_str::<String>(value.get()) {
            Ok(text) => txn.get(&key::constant(&list, &fold(&text)))?.is_some(),
            Err(_) => false,
        };
        if !is_allowed && exists(txn, &list)? {
            let why =
                format!("extra: {field} must be one of the values of the list \"{list}\"; see constant list {list}");
            return Err(Fault::Refused(Refusal::new(Code::INVALID_ARGUMENT, why)));
        }
    }
    Ok(())
}

/// True if two JSON texts are the same value: escapes, blanks and the order of members do not count.
fn is_same(one: &RawValue, other: &RawValue) -> bool {
    let parsed = |text: &RawValue| serde_json::from_str::<Value>(text.get()).ok();
    one.get() == other.get() || parsed(one).is_some_and(|value| parsed(other) == Some(value))
}

/// True if a list has a value.
fn exists(txn: &dyn ReadTxn, list: &ListName) -> Result<bool, Fault> {
    let (from, to) = key::prefixed(key::constants(list));
    Ok(!txn.range(&from, &to, 1)?.is_empty())
}
