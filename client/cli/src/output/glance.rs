//! What of a list is worth a glance: for some lists the columns that a person looks for, in their order.
//!
//! On a terminal only; pipes and JSON have every field. A list that is not named here shows all its columns. Either way
//! a column is left out where it says nothing in any row.

use jiff::Timestamp;

use super::view::{columns, member, text};
use super::when;
use crate::members::Members;
use crate::names::Names;

/// Lists and their columns; the last one is not answered alone but within an event.
const GLANCES: &[(&str, &[&str])] = &[
    ("person.list", &["callsign", "extra", "supervisor", "certificate", "revocation", "created", "deleted"]),
    ("pool.list", &["invitecode", "owner", "active", "uses", "max_uses", "expires", "extra", "deleted"]),
    ("enrollment.list", &["callsign", "state", "pool", "waiting", "decided_on", "reason", "person"]),
    ("event.list", &["pk", "title", "kind", "start", "state", "places"]),
    ("changes.list", &["seq", "at", "change", "subjects", "actor", "origin", "cause", "refused"]),
    ("registration.list", &["event", "person", "place", "approval", "reason", "registered_at"]),
    ("supervisor.pending", &["event", "person", "place", "registered_at"]),
    (POOLS, &["name", "places", "roles", "opens"]),
];

/// The list of pools within an event.
const POOLS: &str = "pools";

/// What a column shows of a record, of which the names may be known, at this moment.
type Make = fn(&Members<'_>, &Names, Timestamp) -> String;

/// Columns that no record has, and how what they show is put together from one.
const MADE: &[(&str, &str, Make)] = &[
    ("enrollment.list", "waiting", waiting),
    ("changes.list", "change", change),
    ("event.list", "state", state),
    ("event.list", "places", places),
    ("registration.list", "place", place),
    ("supervisor.pending", "place", place),
    (POOLS, "places", places),
];

/// The columns that a list shows: those of its glance, or all, without those that say nothing in any row.
pub(super) fn shown<'r>(list: &str, records: &'r [Members<'_>]) -> Vec<&'r str> {
    let glance = GLANCES.iter().find(|(named, _)| *named == list);
    let all = glance.map_or_else(|| columns(records), |(_, columns)| columns.to_vec());
    let is_pending = |record: &Members<'_>| member(record, "state") == "\"pending\"";
    let is_shown = |name: &&str| match *name {
        "waiting" => records.iter().any(is_pending),
        name if is_made(list, name) => true,
        name => records.iter().any(|record| tells(record, name)),
    };
    let telling: Vec<&str> = all.iter().copied().filter(is_shown).collect();
    if telling.is_empty() { all } else { telling }
}

/// Whether a list within a record has a glance, and so is a table.
pub(super) fn is_table(list: &str) -> bool {
    list == POOLS
}

/// What a made column shows of a record; `None` if it is none.
pub(super) fn made(list: &str, column: &str, record: &Members<'_>, names: &Names, now: Timestamp) -> Option<String> {
    let (_, _, make) = MADE.iter().find(|(of, name, _)| (*of, *name) == (list, column))?;
    Some(make(record, names, now))
}

fn is_made(list: &str, column: &str) -> bool {
    MADE.iter().any(|(of, name, _)| (*of, *name) == (list, column))
}

/// How long an enrollment has been waiting for a decision.
fn waiting(record: &Members<'_>, _: &Names, now: Timestamp) -> String {
    let created = when::instant(&text(member(record, "created")));
    match created.filter(|_| member(record, "state") == "\"pending\"") {
        Some(since) => when::length(since, now),
        None => String::new(),
    }
}

/// What was done, in words.
fn change(record: &Members<'_>, _: &Names, _: Timestamp) -> String {
    format!("{} {}", text(member(record, "area")), text(member(record, "verb")))
}

/// What an event has come to, in a word.
fn state(record: &Members<'_>, _: &Names, _: Timestamp) -> String {
    let is = |name| member(record, name) == "true";
    let word = match () {
        () if is("canceled") => "canceled",
        () if !is("published") => "draft",
        () if is("leisure") => "open to all",
        () => return text(member(record, "time_state")),
    };
    word.to_owned()
}

/// How many places of an event or a pool are taken, of how many, and how many people wait.
fn places(record: &Members<'_>, _: &Names, _: Timestamp) -> String {
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

/// What somebody who has registered has got.
fn place(record: &Members<'_>, names: &Names, _: Timestamp) -> String {
    let is = |name| member(record, name) == "true";
    match text(member(record, "pool")) {
        _ if is("canceled") => "canceled".to_owned(),
        _ if is("waiting") => format!("waits, number {}", text(member(record, "waiting_position"))),
        _ if member(record, "approval") == "\"rejected\"" => "none".to_owned(),
        pool if pool.is_empty() => "yes".to_owned(),
        pool => format!("in {}", names.of(&pool)),
    }
}

/// Whether a field says something. A time that only repeats `created` does not, nor does `false`, except of what is
/// usually true, nor that nothing is needed.
fn tells(record: &Members<'_>, name: &str) -> bool {
    match (name, member(record, name)) {
        ("created" | "active" | "registered_at", _) => true,
        (_, "null" | "\"\"" | "{}" | "[]" | "false" | "\"not_required\"") => false,
        (_, value) => value != member(record, "created"),
    }
}
