//! Constants: lists of the values that a field of a person's `extra` may have. A list exists while it has a value.

use enroll_protocol::constant::{Constant, List, Remove, Set};
use enroll_protocol::{Code, Json, ListName, Refusal};

use super::{Call, ReadOp, WriteOp};
use crate::fault::Fault;
use crate::model::event as stored;
use crate::model::key::{self, Family};
use crate::model::record;
use crate::store::{ReadTxn, Txn};

/// Values of a list, and of all lists together: they are listed in one answer.
const VALUES_MAX: usize = 1_000;

impl WriteOp for Set {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<bool, Fault> {
        call.permit(txn.as_read(), false)?;
        let place = key::constant(&self.list, &self.value);
        let constant = stored::Constant { label: self.label.clone() };
        let before = record::get::<stored::Constant>(txn.as_read(), &place)?;
        if before.is_none() {
            let (from, to) = Family::Constants.bounds();
            if txn.as_read().range(&from, &to, VALUES_MAX)?.len() == VALUES_MAX {
                let why = format!("there are {VALUES_MAX} values already; remove some first");
                return Err(Fault::Refused(Refusal::new(Code::CONFLICT, why)));
            }
        }
        if before.as_ref() != Some(&constant) {
            record::put(txn, place, &constant);
            call.tell(txn, Vec::new(), None);
        }
        Ok(before.is_none())
    }
}

impl WriteOp for Remove {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<bool, Fault> {
        call.permit(txn.as_read(), false)?;
        let place = key::constant(&self.list, &self.value);
        let was_there = txn.as_read().get(&place)?.is_some();
        if was_there {
            txn.delete(place);
            call.tell(txn, Vec::new(), None);
        }
        Ok(was_there)
    }
}

impl ReadOp for List {
    fn run(&self, txn: &dyn ReadTxn, _: &Call<'_>) -> Result<Vec<Constant>, Fault> {
        let range = self.list.as_ref().map(|list| key::prefixed(key::constants(list)));
        let (from, to) = range.unwrap_or_else(|| Family::Constants.bounds());
        let entries = txn.range(&from, &to, VALUES_MAX)?;
        let constant = |(place, value): &(Vec<u8>, Vec<u8>)| {
            let Some((list, value_of)) = key::constant_of(place) else { return Ok(None) };
            let label = record::decode::<stored::Constant>(value)?.label;
            Ok(Some(Constant { list, value: value_of, label }))
        };
        entries.iter().filter_map(|entry| constant(entry).transpose()).collect()
    }
}

/// Refuses a person's extra with a field whose list does not allow its value.
pub(super) fn expect_allowed(txn: &dyn ReadTxn, extra: &Json) -> Result<(), Fault> {
    for (field, value) in extra.members()? {
        let Ok(list) = ListName::new(field.as_str()) else { continue };
        let (from, to) = key::prefixed(key::constants(&list));
        let entries = txn.range(&from, &to, VALUES_MAX)?;
        let text = serde_json::from_str::<String>(value.get()).ok();
        let mut values = entries.iter().filter_map(|(place, _)| key::constant_of(place)).map(|(_, value)| value);
        let is_allowed = entries.is_empty() || values.any(|allowed| text.as_deref() == Some(allowed.as_str()));
        if !is_allowed {
            let why =
                format!("extra: {field} must be one of the values of the list \"{list}\"; see constant list {list}");
            return Err(Fault::Refused(Refusal::new(Code::INVALID_ARGUMENT, why)));
        }
    }
    Ok(())
}
