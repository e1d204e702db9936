//! The view of a reply's JSON: a value, a record, or a page of either.

use enroll_client::protocol::is_interpreted;
use serde_json::value::RawValue;

use crate::raw_object::{self, RawObject};

/// A reply. Its values are JSON text.
#[derive(Debug)]
pub(crate) enum View<'a> {
    /// A string, number, `true`, `false` or `null`.
    Scalar(&'a str),
    /// An object.
    Record(RawObject<'a>),
    /// Values.
    Values { values: Vec<&'a str>, next: Option<String> },
    /// Objects.
    Records { records: Vec<RawObject<'a>>, next: Option<String> },
}

impl<'a> View<'a> {
    /// The view of this JSON.
    pub(crate) fn of(json: &'a str) -> Self {
        if let Some(items) = items(json) {
            return Self::list(&items, None);
        }
        let Some(members) = record(json) else { return Self::Scalar(json) };
        // A page has exactly these two members, and no record has.
        if let [(first, list), (second, next)] = members.as_slice()
            && (first.as_str(), second.as_str()) == ("items", "next")
            && let Some(items) = items(list.get())
        {
            return Self::list(&items, serde_json::from_str(next.get()).ok().flatten());
        }
        Self::Record(members)
    }

    /// The cursor of the next page, if there is one.
    pub(crate) fn next(&self) -> Option<&str> {
        match self {
            Self::Scalar(_) | Self::Record(_) => None,
            Self::Values { next, .. } | Self::Records { next, .. } => next.as_deref(),
        }
    }

    fn list(items: &[&'a RawValue], next: Option<String>) -> Self {
        let records: Option<Vec<_>> = items.iter().map(|item| record(item.get())).collect();
        match records {
            Some(records) if !records.is_empty() => Self::Records { records, next },
            _ => Self::Values { values: items.iter().map(|item| item.get()).collect(), next },
        }
    }
}

/// The members of an object; `None` for other JSON.
pub(crate) fn record(json: &str) -> Option<RawObject<'_>> {
    let mut members = RawObject::new();
    (json.starts_with('{') && raw_object::read(json, &mut members).is_ok()).then_some(members)
}

/// The items of a list; `None` for other JSON.
pub(crate) fn items(json: &str) -> Option<Vec<&RawValue>> {
    if json.starts_with('[') { serde_json::from_str(json).ok() } else { None }
}

/// The text of a value: a string without quotes, `null` as nothing, other values unchanged.
pub(crate) fn text(json: &str) -> String {
    match json {
        "null" => String::new(),
        _ if json.starts_with('"') => serde_json::from_str(json).unwrap_or_default(),
        _ => json.to_owned(),
    }
}

/// The names of all members, in the order of their first appearance.
pub(crate) fn columns<'r>(records: &'r [RawObject<'_>]) -> Vec<&'r str> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in records.iter().flatten() {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

/// The value of this name, or `null`.
pub(crate) fn member<'a>(record: &RawObject<'a>, name: &str) -> &'a str {
    record.iter().find(|(known, _)| known == name).map_or("null", |(_, value)| value.get())
}

/// Escapes the characters that a terminal would interpret, such as control characters and marks of direction.
pub fn visible(text: &str) -> String {
    let escape = |c: char| if is_interpreted(c) { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

/// Escapes the same characters in lines of JSON, as JSON does. They can stand in strings only.
pub(super) fn visible_json(lines: &str) -> String {
    let escape = |c: char| match c {
        '\n' => c.to_string(),
        c if is_interpreted(c) => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    lines.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        let text = "a\u{1b}[2J\u{9b}\u{202e}b\u{2066}\u{200f}é";
        assert_eq!(visible(text), "a\\u{1b}[2J\\u{9b}\\u{202e}b\\u{2066}\\u{200f}é");
        let json = serde_json::to_string(text).expect("JSON") + "\n";
        let shown = visible_json(&json);
        assert_eq!(shown, "\"a\\u001b[2J\\u009b\\u202eb\\u2066\\u200fé\"\n");
        assert_eq!(serde_json::from_str::<String>(&shown).expect("JSON"), text);
    }
}
