//! Fuzzing of texts that people and programs write: arguments in JSON, lines of `enrollctl call`, exports, the
//! configuration.

use std::path::Path;

use enroll_core::model::export_schema::entry;
use enroll_core::rules::bootstrap::SCHEMA;
use enroll_protocol::export::{End, FORMAT, Header};
use enroll_protocol::server::Import;
use enroll_protocol::{Code, Envelope, Kind, Refusal, codec};
use enrollctl::{Lines, Question};
use enrolld::config::Config;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::shapes::Shape;
use crate::registry::Registry;

/// Arguments that are accepted become a request that the daemon reads, and JSON that is accepted again and is the same
/// request. The first byte chooses the operation, the rest is the text.
pub fn json(input: &[u8]) {
    let Some((operation, text)) = input.split_first() else { return };
    let Ok(args) = serde_json::from_slice::<&RawValue>(text) else { return };
    let Shape { row, request, json, .. } = Shape::chosen(*operation);
    match row.request_to_wire(args) {
        Ok(wire) => {
            assert_eq!(request(&wire), Ok(wire.clone()), "{}", row.name);
            let json = json(&wire).expect("JSON");
            let args: &RawValue = serde_json::from_str(&json).expect("JSON");
            assert_eq!(row.request_to_wire(args), Ok(wire), "{} {json}", row.name);
        }
        Err(invalid) => assert!(!invalid.0.is_empty(), "{} was refused without a reason", row.name),
    }
}

/// Lines become the same questions however the input is cut, each under an id that is JSON, and what they ask is a
/// request that the daemon reads. The first byte chooses the size of the pieces.
pub fn ndjson(input: &[u8]) {
    let Some((size, bytes)) = input.split_first() else { return };
    let whole = questions(bytes, bytes.len().max(1));
    assert_eq!(questions(bytes, usize::from(*size).max(1)), whole);
    assert!(whole.len() <= bytes.split(|byte| *byte == b'\n').count());
    for (id, asked) in whole {
        serde_json::from_str::<IgnoredAny>(&id).expect("an id in JSON");
        assert!(!id.contains('\n'), "an answer is one line");
        match asked {
            Ok((_, envelope, _)) => assert_eq!(codec::decode(&codec::encode(&envelope)), Ok(envelope)),
            Err(refusal) => assert!(!refusal.message.is_empty(), "a line was refused without a reason"),
        }
    }
}

/// An id, and the operation's number, the envelope and the request, or why there are none.
type Asked = (String, Result<(u16, Envelope, Vec<u8>), Refusal>);

fn questions(bytes: &[u8], size: usize) -> Vec<Asked> {
    let mut lines = Lines::default();
    let mut questions: Vec<Question> = bytes.chunks(size).flat_map(|piece| lines.push(piece)).collect();
    questions.extend(lines.end());
    let asked = questions.into_iter().map(|question| {
        let ask = question.ask.map(|ask| {
            assert_eq!((Shape::of(ask.row).request)(&ask.request), Ok(ask.request.clone()), "{}", ask.row.name);
            assert!(ask.row.kind != Kind::Stream, "a line has one answer");
            (ask.row.number, ask.envelope, ask.request)
        });
        (question.id, ask)
    });
    asked.collect()
}

/// A record that is read from a line is written as a line that is read as the same record; and an import of lines like
/// these is refused for one of them, or holds by every rule. The first byte chooses the size of the pieces.
pub fn import(input: &[u8]) {
    let Some((size, bytes)) = input.split_first() else { return };
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut records = 0;
    for line in text.lines() {
        if let Ok((shape, place, value)) = entry(line) {
            let again = shape.line(&place, &value).expect("a line");
            let (same, place_again, value_again) = entry(again.trim_end()).expect("a record");
            assert_eq!((same.name, place_again, value_again), (shape.name, place, value));
            records += 1;
        }
    }
    let mut registry = Registry::in_memory();
    let version = "any".to_owned();
    let header = Header {
        enrolld_export: FORMAT,
        schema: SCHEMA,
        version,
        at: registry.now,
        with_secrets: false,
        created: registry.now,
        proof: None,
    };
    let header = serde_json::to_string(&header).expect("JSON");
    let end = serde_json::to_string(&End { enrolld_export_end: records }).expect("JSON");
    let file = format!("{header}\n{text}\n{end}\n").replace("\n\n", "\n");
    let mut at = file.find('\n').map_or(0, |end| end + 1);
    let mut ended = registry.call(Import { at: 0, text: file[..at].to_owned() });
    while let Ok(imported) = &ended
        && imported.records.is_none()
    {
        let next = file.ceil_char_boundary((at + 16 * usize::from(*size).max(1)).min(file.len()));
        ended = registry.call(Import { at: at as u64, text: file[at..next].to_owned() });
        at = next;
    }
    match ended {
        Ok(_) => assert_eq!(registry.violations(), Vec::<String>::new()),
        Err(refusal) => assert!([Code::INVALID_ARGUMENT, Code::CONFLICT].contains(&refusal.code), "{refusal:?}"),
    }
}

/// A configuration that is accepted is accepted and the same when it is written out. The text is the file's; after a
/// NUL byte come variables of the environment, `NAME=value`, a line each.
pub fn config(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (file, variables) = text.split_once('\0').unwrap_or((text, ""));
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let environment = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    match Config::parse(file, environment) {
        Ok(config) => {
            let written = toml::to_string(&config).expect("TOML");
            assert_eq!(Config::parse(&written, []), Ok(config.clone()), "{written}");
            let settings = config.settings(Path::new("/nowhere"));
            assert!(settings.reserved_callsigns.len() <= config.reserved_callsigns.len());
        }
        Err(err) => assert!(!err.0.is_empty(), "a configuration was refused without a reason"),
    }
}
