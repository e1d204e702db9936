//! Rule tests as tables over the memory store: a line is an actor, a call and its answer.
//!
//! A step is written as the JSON that `enrollctl call` takes, so the tables test the JSON forms as well. `=>` is
//! followed by the beginning of the answer's JSON, or by the code of a refusal. Every table ends with a whole check of
//! the registry.

mod access;
mod answers;
mod backups;
mod before_rules;
mod certificates;
mod change_chain;
mod checks;
mod chosen_codes;
mod clock;
mod codes;
mod delegation;
mod enrollments;
mod erasures;
mod events;
mod exchanges;
mod failing_reads;
mod follow;
mod grants;
mod imports;
mod jwts;
mod keys;
mod metrics;
mod migrations;
mod pages;
mod patches;
mod people;
mod permissions;
mod programs;
mod rate_limits;
mod restores;
mod secret_keys;
mod snapshot;
mod sweeps;
mod tokens;
mod transactions;
mod visibility;
mod writes;

use enroll_protocol::{Envelope, Json, Key, LoginCode, OperationRow, Refusal, code};
use enroll_tests::pattern::matches;
use enroll_tests::registry::Registry;
use serde_json::value::RawValue;

/// Calls an operation by name with its arguments in JSON; the reply's JSON.
fn call(registry: &mut Registry, envelope: Envelope, op: &str, args: &str) -> Result<String, Refusal> {
    let row = OperationRow::by_name(op).expect("an operation");
    let args = RawValue::from_string(args.to_owned()).expect("JSON");
    let request = row.request_to_wire(&args)?;
    let reply = registry.call_encoded(envelope, row.number, &request)?;
    Ok(row.reply_to_json(&reply).expect("a reply of its type"))
}

/// A login code for this callsign.
fn login(registry: &mut Registry, sub: &str) -> LoginCode {
    let claims = Json::of(&serde_json::json!({ "sub": sub })).expect("claims");
    registry.call(code::Create::new(claims)).expect("made").code.expect("a code")
}

/// Runs a table: lines of `[$NAME =] [ACTOR>] OPERATION ARGS => ANSWER`. A name stands for the answer's pk in what
/// comes after it. `+SECONDS` lets time pass, `clock SECONDS` sets the clock, and `wake` has the writer do what is
/// due.
pub(super) fn check(registry: &mut Registry, table: &str) {
    let mut names: Vec<(String, String)> = Vec::new();
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(seconds) = line.strip_prefix('+') {
            registry.pass_seconds(seconds.parse().expect("seconds"));
            continue;
        }
        if let Some(seconds) = line.strip_prefix("clock ") {
            registry.set_clock_by(seconds.parse().expect("seconds"));
            registry.wake();
            continue;
        }
        if line == "wake" {
            registry.wake();
            continue;
        }
        let (name, line) = match line.split_once(" = ") {
            Some((name, rest)) if name.starts_with('$') => (Some(name), rest),
            _ => (None, line),
        };
        let line = &names.iter().fold(line.to_owned(), |line, (name, pk)| line.replace(name, pk));
        let (asked, expected) = line.rsplit_once(" => ").expect("an arrow");
        let (actor, asked) = match asked.split_once("> ") {
            Some((actor, asked)) if !actor.contains('{') => (Some(actor.parse().expect("an actor")), asked),
            _ => (None, asked),
        };
        let (op, args) = asked.split_once(' ').unwrap_or((asked, "{}"));
        let answer = match call(registry, Envelope { actor, ..Envelope::default() }, op, args) {
            Ok(reply) => reply,
            Err(refusal) => refusal.code.to_string(),
        };
        assert!(matches(&answer, expected), "{line}\n  answered {answer}");
        if let Some(name) = name {
            let pk = answer.split_once("\"pk\":\"").and_then(|(_, rest)| rest.split_once('"')).expect("a pk").0;
            names.push((name.to_owned(), pk.to_owned()));
        }
        assert_eq!(registry.violations(), Vec::<String>::new(), "after {line}");
    }
}

fn key(number: u8) -> Envelope {
    let key = Some(Key(enroll_protocol::Pk::from_bytes([number; 16])));
    Envelope { key, ..Envelope::default() }
}
