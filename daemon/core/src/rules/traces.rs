//! Traces of a person: records that no index leads to from them, and that name them. These are kept answers, the claims and
//! audits of login codes, and the audits of tokens.
//!
//! A kept answer names a person where a whole text in it is their callsign or an external key of theirs, also within a JWT
//! or a certificate, or where it is of a registration of theirs, which may have a reason. In JSON a word is enough, unless it is very short.
//! Free text of others that only sounds like a person is not looked for.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use enroll_protocol::fold::fold;
use enroll_protocol::{Json, Pk, codec};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::fault::Fault;
use crate::identity::Secrets;
use crate::model::event::Registration;
use crate::model::idempotency::{Kept, KeptPart};
use crate::model::key::{self, Family};
use crate::model::program::{KeyOf, ProgramEnrollment};
use crate::model::record::{self, Person};
use crate::model::token::{Code, TokenAudit};
use crate::needs::Traces;
use crate::state::{ReadTxn, SCAN_CHUNK, StoreError, walk};

/// Characters of a name from which on it is looked for as a word within a longer text.
const WORD_CHARS_MIN: usize = 4;

/// Characters of base64 from which on it is decoded.
const BASE64_CHARS_MIN: usize = 8;

/// Base64 that was cut out of other bytes: without padding, and its last bits may be anything.
const CUT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// The texts that name a person.
pub(super) struct Names {
    names: Vec<Name>,
    /// The event and the person of each of their registrations, as they stand beside each other in a reply, which may
    /// have a reason.
    registrations: Vec<[u8; 32]>,
}

struct Name {
    folded: String,
    /// The folded name in quotes, as in JSON and in messages.
    quoted: String,
    /// The name as it is encoded in a record.
    encoded: Vec<u8>,
}

/// The keys of the records that name this person; none if there is no such person.
pub(super) fn find(txn: &dyn ReadTxn, secrets: &Secrets, pk: Pk) -> Result<Traces, Fault> {
    let mut traces = Traces { person: pk, kept: BTreeSet::new(), audits: Vec::new(), codes: Vec::new() };
    let Some(names) = Names::of(txn, pk)? else { return Ok(traces) };
    each(txn, Family::Kept, |key, value| {
        let plain = secrets.open_counted(key, &record::decode::<Kept>(value)?.sealed)?;
        if names.are_in(&plain) {
            traces.kept.insert(key.to_owned());
        }
        Ok(())
    })?;
    each(txn, Family::KeptParts, |key, value| {
        let plain = secrets.open_counted(key, &record::decode::<KeptPart>(value)?.sealed)?;
        if let Some(whole) = key::kept_of_part(key).filter(|_| names.are_in(&plain)) {
            traces.kept.insert(whole);
        }
        Ok(())
    })?;
    each(txn, Family::TokenAudits, |key, value| {
        if names.are_in_json(&record::decode::<TokenAudit>(value)?.audit) {
            traces.audits.push(key.to_owned());
        }
        Ok(())
    })?;
    each(txn, Family::Codes, |key, value| {
        let code = record::decode::<Code>(value)?;
        if [Some(&code.claims), code.audit.as_ref()].into_iter().flatten().any(|json| names.are_in_json(json)) {
            traces.codes.push(key.to_owned());
        }
        Ok(())
    })?;
    Ok(traces)
}

fn each(
    txn: &dyn ReadTxn,
    family: Family,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let (from, to) = family.bounds();
    walk(txn, (&from, &to), SCAN_CHUNK, |key, value| visit(key, value).map(|()| ControlFlow::Continue(())))
}

impl Names {
    /// The names of a person; none if there is no such person.
    pub(super) fn of(txn: &dyn ReadTxn, pk: Pk) -> Result<Option<Self>, Fault> {
        let Some(person) = record::get::<Person>(txn, &key::person(pk))? else { return Ok(None) };
        let mut names = vec![Name::of(person.callsign.as_str())];
        for (_, enrollment) in programs_of(txn, pk)? {
            names.push(Name::of(enrollment.external_key.as_str()));
        }
        let mut registrations = Vec::new();
        for (event, _) in registrations_of(txn, pk)? {
            let mut both = [0; 32];
            both[..16].copy_from_slice(event.as_bytes());
            both[16..].copy_from_slice(pk.as_bytes());
            registrations.push(both);
        }
        Ok(Some(Self { names, registrations }))
    }

    /// True if a kept answer names the person.
    pub(super) fn are_in(&self, plain: &[u8]) -> bool {
        self.are_texts_of(plain)
            || self.registrations.iter().any(|both| holds(plain, both))
            || decoded_parts(plain).iter().any(|part| self.are_texts_of(part))
            || objects(&String::from_utf8_lossy(plain)).any(|value| self.are_in_value(&value))
    }

    /// True if a member of an object names the person.
    pub(super) fn are_in_json(&self, json: &Json) -> bool {
        // What can not be read as JSON any more is treated as if it named them.
        serde_json::from_str::<Value>(json.as_str()).map_or(true, |value| self.are_in_value(&value))
    }

    /// The same of one member.
    pub(super) fn are_in_member(&self, name: &str, value: &RawValue) -> bool {
        let value = || serde_json::from_str::<Value>(value.get()).map_or(true, |value| self.are_in_value(&value));
        self.are_in_text(name) || value()
    }

    fn are_in_value(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.are_in_text(text),
            Value::Array(values) => values.iter().any(|value| self.are_in_value(value)),
            Value::Object(members) => {
                members.iter().any(|(name, value)| self.are_in_text(name) || self.are_in_value(value))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    fn are_in_text(&self, text: &str) -> bool {
        let folded = fold(text);
        self.names.iter().any(|name| name.is_word_of(&folded))
    }

    fn are_texts_of(&self, bytes: &[u8]) -> bool {
        let has_quotes = bytes.contains(&b'"');
        let folded = has_quotes.then(|| fold(&String::from_utf8_lossy(bytes)));
        self.names.iter().any(|name| {
            holds(bytes, &name.encoded) || folded.as_ref().is_some_and(|folded| folded.contains(&name.quoted))
        })
    }
}

impl Name {
    fn of(name: &str) -> Self {
        let folded = fold(name);
        let quoted = Value::String(folded.clone()).to_string();
        Self { folded, quoted, encoded: codec::encode(&name.to_owned()) }
    }

    /// True if a folded text is this name, or has it as a word.
    fn is_word_of(&self, text: &str) -> bool {
        let is_long = self.folded.chars().count() >= WORD_CHARS_MIN;
        text == self.folded
            || is_long
                && text.match_indices(&self.folded).any(|(at, found)| {
                    let before = text[..at].chars().next_back();
                    let after = text[at + found.len()..].chars().next();
                    !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
                })
    }
}

/// A person's program enrollments, with the programs.
pub(super) fn programs_of(txn: &dyn ReadTxn, person: Pk) -> Result<Vec<(Pk, ProgramEnrollment)>, Fault> {
    let (from, to) = key::prefixed(key::programs_of(person));
    let mut found = Vec::new();
    for (key, value) in txn.range(&from, &to, usize::MAX)? {
        let Some(program) = key.get(16..).and_then(key::pk_at_front) else { continue };
        let KeyOf { folded } = record::decode(&value)?;
        let missing = || StoreError::Corrupt(format!("a program enrollment of {person} is missing"));
        let enrollment = record::get(txn, &key::program_enrollment(program, &folded))?.ok_or_else(missing)?;
        found.push((program, enrollment));
    }
    Ok(found)
}

/// A person's registrations, with the events.
pub(super) fn registrations_of(txn: &dyn ReadTxn, person: Pk) -> Result<Vec<(Pk, Registration)>, Fault> {
    let (from, to) = key::prefixed(key::person_registrations(person));
    let mut found = Vec::new();
    for (key, _) in txn.range(&from, &to, usize::MAX)? {
        let Some(event) = key::pk_at_end(&key) else { continue };
        let missing = || StoreError::Corrupt(format!("a registration of {person} is missing"));
        let registration = record::get(txn, &key::registration(event, person))?.ok_or_else(missing)?;
        found.push((event, registration));
    }
    Ok(found)
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The JSON objects in a text, the outermost ones.
fn objects(mut text: &str) -> impl Iterator<Item = Value> {
    std::iter::from_fn(move || {
        loop {
            let rest = &text[text.find('{')?..];
            let mut reader = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
            let read = reader.next().and_then(Result::ok);
            text = &rest[if read.is_some() { reader.byte_offset() } else { 1 }..];
            if read.is_some() {
                return read;
            }
        }
    })
}

/// The bytes of everything in an answer that reads as base64, such as the claims of a JWT or a certificate in PEM. Where
/// it begins is not known, so each run is decoded from each of the first four characters on.
fn decoded_parts(plain: &[u8]) -> Vec<Vec<u8>> {
    let text: String = String::from_utf8_lossy(plain).replace("-----", " ").replace(['\r', '\n'], "");
    let is_other = |c: char| !(c.is_ascii_alphanumeric() || "+/-_".contains(c));
    let runs = text.split(is_other).filter(|run| run.len() >= BASE64_CHARS_MIN);
    let decoded = |run: &str, from: usize| {
        let standard = run[from..].replace('-', "+").replace('_', "/");
        let whole = standard.len() - usize::from(standard.len() % 4 == 1);
        CUT.decode(&standard[..whole]).ok()
    };
    runs.flat_map(|run| (0..4).filter_map(move |from| decoded(run, from))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str) -> Names {
        Names { names: vec![Name::of(name)], registrations: vec![[7; 32]] }
    }

    #[test]
    fn a_kept_answer_names_a_person_by_a_whole_text() {
        let jwt = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJET0dHTzAxYSJ9.c2ln";
        let pem = "-----BEGIN CERTIFICATE-----\nMAwGA1UEAwwI\nRE9HR08wMWE=\n-----END CERTIFICATE-----\n";
        for (plain, is_named) in [
            (codec::encode(&(7_u64, "DOGGO01a", 7_u64)), true),
            (codec::encode(&"no person has the callsign \"doggo01A\""), true),
            (codec::encode(&r#"{"sub":"DOGGO01a"}"#), true),
            (codec::encode(&jwt), true),
            (codec::encode(&pem), true),
            (vec![7; 33], true),
            (vec![7; 31], false),
            (codec::encode(&("{", r#"{"note":["seen with DOGGO01a"]}"#)), true),
            (codec::encode(&r#"{"note":["seen with DOGGO01ab"]}"#), false),
            (codec::encode(&"DOGGO01ab"), false),
            (codec::encode(&"DOGGO01"), false),
            (Vec::new(), false),
        ] {
            assert_eq!(names("DOGGO01a").are_in(&plain), is_named, "{}", String::from_utf8_lossy(&plain));
        }
    }

    #[test]
    fn json_names_a_person_by_a_word() {
        for (name, json, is_named) in [
            ("DOGGO01a", r#"{"who":"doggo01A"}"#, true),
            ("DOGGO01a", r#"{"note":["door opened by DOGGO01a."]}"#, true),
            ("DOGGO01a", r#"{"DOGGO01a":{"n":1}}"#, true),
            ("DOGGO01a", r#"{"who":"\u0044OGGO01a"}"#, true),
            ("DOGGO01a", r#"{"who":"DOGGO01ab","n":1}"#, false),
            ("a", r#"{"note":"a door"}"#, false),
            ("a", r#"{"who":"A"}"#, true),
        ] {
            assert_eq!(names(name).are_in_json(&json.parse().expect("an object")), is_named, "{name} {json}");
        }
    }
}
