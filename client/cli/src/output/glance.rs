//! What of a list is worth a glance: for some lists the columns that a person looks for, in their order.
//!
//! On a terminal only; pipes and JSON have every field. A list that is not named here shows all its columns. Either way
//! a column is left out where it says nothing in any row.

use super::view::{columns, member};
use crate::members::Members;

/// A column that no record has: how long what is pending has been waiting.
pub(super) const WAITING: &str = "waiting";

/// Lists and their columns.
const GLANCES: &[(&str, &[&str])] = &[
    ("person.list", &["callsign", "extra", "supervisor", "certificate", "revocation", "created", "deleted"]),
    ("pool.list", &["invitecode", "owner", "active", "uses", "max_uses", "expires", "extra", "deleted"]),
    ("enrollment.list", &["callsign", "state", "pool", WAITING, "decided_on", "reason", "person"]),
];

/// The columns that a list shows: those of its glance, or all, without those that say nothing in any row.
pub(super) fn shown<'r>(operation: &str, records: &'r [Members<'_>]) -> Vec<&'r str> {
    let glance = GLANCES.iter().find(|(list, _)| *list == operation);
    let all = glance.map_or_else(|| columns(records), |(_, columns)| columns.to_vec());
    let telling: Vec<&str> =
        all.iter().copied().filter(|name| records.iter().any(|record| tells(record, name))).collect();
    if telling.is_empty() { all } else { telling }
}

/// Since when a record has been waiting, as JSON, if it has.
pub(super) fn waiting_since<'a>(record: &Members<'a>) -> Option<&'a str> {
    (member(record, "state") == "\"pending\"").then(|| member(record, "created"))
}

/// Whether a field says something. A time that only repeats `created` does not, nor does `false`, except of what is
/// usually true.
fn tells(record: &Members<'_>, name: &str) -> bool {
    match (name, member(record, name)) {
        (WAITING, _) => waiting_since(record).is_some(),
        ("created" | "active", _) => true,
        (_, "null" | "\"\"" | "{}" | "[]" | "false") => false,
        (_, value) => value != member(record, "created"),
    }
}
