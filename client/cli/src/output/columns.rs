//! The columns of a list's table on a terminal. Pipes and JSON have every field.
//!
//! Some lists have a choice of columns in the order for people, the others show all. A column that is empty in every
//! row is left out.

use jiff::Timestamp;

use super::names::Names;
use super::time;
use super::view::{columns, member, text};
use crate::raw_object::RawObject;

/// Lists and their columns. The last list is a member of an event.
const CHOSEN: &[(&str, &[&str])] = &[
    ("person.list", &["callsign", "roles", "extra", "supervisor", "certificate", "revocation", "created", "deleted"]),
    ("pool.list", &["invitecode", "owner", "usable", "uses", "max_uses", "expires", "extra", "deleted"]),
    ("enrollment.list", &["callsign", "state", "pool", "waiting", "decided_on", "reason", "person"]),
    ("event.list", &["pk", "title", "kind", "start", "state", "places"]),
    ("changes.list", &["seq", "at", "change", "subjects", "actor", "origin", "cause", "refused"]),
    ("registration.list", &["event", "person", "place", "approval", "reason", "registered_at"]),
    ("supervisor.pending", &["event", "person", "place", "registered_at"]),
    (POOLS, &["name", "places", "roles", "opens"]),
];

/// The list of pools within an event.
const POOLS: &str = "pools";

/// Computes the text of a column from a record, the known names and the current time.
type Compute = fn(&RawObject<'_>, &Names, Timestamp) -> String;

/// Computed columns: the list, the column, and its function.
const COMPUTED: &[(&str, &str, Compute)] = &[
    ("enrollment.list", "waiting", waiting),
    ("changes.list", "change", change),
    ("event.list", "state", state),
    ("event.list", "places", places),
    ("registration.list", "place", place),
    ("supervisor.pending", "place", place),
    (POOLS, "places", places),
];

/// The columns that a list shows: those chosen for it, or all, without those that are empty in every row.
pub(super) fn shown<'r>(list: &str, records: &'r [RawObject<'_>]) -> Vec<&'r str> {
    let chosen = CHOSEN.iter().find(|(named, _)| *named == list);
    let all = chosen.map_or_else(|| columns(records), |(_, columns)| columns.to_vec());
    let is_pending = |record: &RawObject<'_>| member(record, "state") == "\"pending\"";
    let is_shown = |name: &&str| match *name {
        "waiting" => records.iter().any(is_pending),
        name if is_computed(list, name) => true,
        name => records.iter().any(|record| is_telling(record, name)),
    };
    let telling: Vec<&str> = all.iter().copied().filter(is_shown).collect();
    if telling.is_empty() { all } else { telling }
}

/// True for a list within a record that is shown as a table.
pub(super) fn is_table(list: &str) -> bool {
    list == POOLS
}

/// The text of a computed column; `None` of other columns.
pub(super) fn computed(
    list: &str,
    column: &str,
    record: &RawObject<'_>,
    names: &Names,
    now: Timestamp,
) -> Option<String> {
    let (_, _, compute) = COMPUTED.iter().find(|(of, name, _)| (*of, *name) == (list, column))?;
    Some(compute(record, names, now))
}

fn is_computed(list: &str, column: &str) -> bool {
    COMPUTED.iter().any(|(of, name, _)| (*of, *name) == (list, column))
}

/// The time that an enrollment has waited for a decision.
fn waiting(record: &RawObject<'_>, _: &Names, now: Timestamp) -> String {
    let created = time::instant(&text(member(record, "created")));
    match created.filter(|_| member(record, "state") == "\"pending\"") {
        Some(since) => time::length(since, now),
        None => String::new(),
    }
}

/// The operation of a change, in words.
fn change(record: &RawObject<'_>, _: &Names, _: Timestamp) -> String {
    format!("{} {}", text(member(record, "area")), text(member(record, "verb")))
}

/// The state of an event, in a word.
fn state(record: &RawObject<'_>, _: &Names, _: Timestamp) -> String {
    let is = |name| member(record, name) == "true";
    if is("canceled") {
        "canceled".to_owned()
    } else if !is("published") {
        "draft".to_owned()
    } else if is("leisure") {
        "open to all".to_owned()
    } else {
        text(member(record, "time_state"))
    }
}

/// Places taken of an event or a pool, its capacity, and the number of people who wait.
fn places(record: &RawObject<'_>, _: &Names, _: Timestamp) -> String {
    let taken = member(record, "places_taken");
    let bound = [member(record, "capacity"), member(record, "max_participants")].into_iter();
    let of = bound.filter(|bound| !matches!(*bound, "null" | "0")).map(|bound| format!(" of {bound}")).next();
    let waits = match member(record, "waiting_count") {
        "0" => String::new(),
        "1" => ", 1 waits".to_owned(),
        count => format!(", {count} wait"),
    };
    format!("{taken}{}{waits}", of.unwrap_or_default())
}

/// The result of a registration: a place, a waiting position, or none.
fn place(record: &RawObject<'_>, names: &Names, _: Timestamp) -> String {
    let is = |name| member(record, name) == "true";
    match text(member(record, "pool")) {
        _ if is("canceled") => "canceled".to_owned(),
        _ if is("waiting") => format!("waits, number {}", text(member(record, "waiting_position"))),
        _ if member(record, "approval") == "\"rejected\"" => "none".to_owned(),
        pool if pool.is_empty() => "yes".to_owned(),
        pool => format!("in {}", names.of(&pool)),
    }
}

/// True if a field informs. Empty values do not, nor do a time equal to `created`, `not_required`, and `false`.
fn is_telling(record: &RawObject<'_>, name: &str) -> bool {
    match (name, member(record, name)) {
        ("created" | "registered_at", _) => true,
        (_, "null" | "\"\"" | "{}" | "[]" | "false" | "\"not_required\"") => false,
        (_, value) => value != member(record, "created"),
    }
}
