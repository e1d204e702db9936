//! The projection of `--field`: the bare values of named fields of a reply, for scripts.
//!
//! A record has a line for each field. A list has a line for each item, with a tab between the fields. A field that is
//! null has an empty text.

use std::str::FromStr;

use enroll_client::protocol::shape::Shape;
use enroll_client::protocol::{Invalid, plain_name};
use serde_json::value::RawValue;

use super::plain::cell;
use super::view::{items, member, record, text};
use crate::failure::Failure;

/// The name of an object whose members nobody declares.
const OPEN: &str = "extra";

/// A name may be this unlike a known one, from 0 to 1, to be taken for it.
const LIKENESS_MIN: f64 = 0.75;

/// A field: a name, or names with dots between them, from the outside in. A name after a list is that of each item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field(Vec<String>);

impl FromStr for Field {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let names: Vec<String> = text.split('.').map(str::to_owned).collect();
        match names.iter().any(String::is_empty) {
            false => Ok(Self(names)),
            true => Err(Invalid::new("a field is a name, or names with dots between them, such as extra.team")),
        }
    }
}

/// The fields that were asked for, in their order; none if the whole reply is wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(Vec<Field>);

impl Fields {
    /// These fields.
    pub(crate) fn new(fields: Vec<Field>) -> Self {
        Self(fields)
    }

    /// True if the whole reply is wanted.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses a field that a reply of this shape does not have.
    pub(crate) fn expect_in(&self, operation: &str, shape: &Shape) -> Result<(), Failure> {
        let shape = match (shape, self.are_of_page()) {
            (Shape::List(item), _) => item.as_ref(),
            (page, false) => item_of_page(page).unwrap_or(page),
            (page, true) => page,
        };
        self.0.iter().try_for_each(|field| expect(operation, shape, &field.0))
    }

    /// The same for a reply whose shape only its own JSON tells.
    pub(crate) fn expect_in_reply(&self, operation: &str, json: &str) -> Result<(), Failure> {
        if self.is_empty() { Ok(()) } else { self.expect_in(operation, &shape_of(json)) }
    }

    /// The lines of a reply.
    pub(crate) fn show(&self, json: &str) -> String {
        let list = items(json).or_else(|| if self.are_of_page() { None } else { items_of_page(json) });
        match (list, self.0.as_slice()) {
            (Some(list), _) => list.iter().map(|item| self.line(item.get())).collect(),
            (None, [field]) => sole(&picked(json, &field.0)),
            (None, fields) => fields.iter().map(|field| cell(&picked(json, &field.0)) + "\n").collect(),
        }
    }

    /// The line of one item of a list.
    pub(crate) fn line(&self, json: &str) -> String {
        let cells: Vec<String> = self.0.iter().map(|field| cell(&picked(json, &field.0))).collect();
        cells.join("\t") + "\n"
    }

    /// True if these are fields of a page itself: its items, and the cursor of the next page.
    pub(crate) fn are_of_page(&self) -> bool {
        self.0.iter().all(|field| field.0.first().is_some_and(|name| name == "items" || name == "next"))
    }
}

/// The one value that was asked for: a text as it is, a list with a line for each item.
fn sole(json: &str) -> String {
    match items(json) {
        Some(items) => items.iter().map(|item| cell(item.get()) + "\n").collect(),
        None => {
            let text = text(json);
            if text.ends_with('\n') { text } else { text + "\n" }
        }
    }
}

/// The JSON at a path; `null` if nothing is there.
fn picked(json: &str, path: &[String]) -> String {
    let Some((name, below)) = path.split_first() else { return json.to_owned() };
    if let Some(items) = items(json) {
        let picked: Vec<String> = items.iter().map(|item| picked(item.get(), path)).collect();
        return format!("[{}]", picked.join(","));
    }
    record(json).map_or_else(|| "null".to_owned(), |record| picked(member(&record, name), below))
}

/// Refuses a path that leads nowhere in this shape.
fn expect(operation: &str, shape: &Shape, path: &[String]) -> Result<(), Failure> {
    let Some((name, below)) = path.split_first() else { return Ok(()) };
    match shape {
        Shape::Any => Ok(()),
        Shape::List(item) => expect(operation, item, path),
        Shape::Value => {
            let name = plain_name(name);
            Err(Failure::Usage(format!(
                "--field: {operation} answers no field {name:?}, but a value without fields there"
            )))
        }
        Shape::Record(members) => match members.iter().find(|(known, _)| known == name) {
            Some((_, shape)) => expect(operation, shape, below),
            None => Err(unknown(operation, name, members)),
        },
    }
}

fn unknown(operation: &str, name: &str, members: &[(String, Shape)]) -> Failure {
    let likeness = |known: &str| strsim::jaro_winkler(known, name);
    let names = members.iter().map(|(known, _)| known.as_str());
    let nearest = names.clone().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    let way_out = match nearest.filter(|known| likeness(known) >= LIKENESS_MIN) {
        Some(nearest) => format!("the nearest is {nearest}"),
        None => format!("it has {}", names.collect::<Vec<_>>().join(", ")),
    };
    let name = plain_name(name);
    Failure::Usage(format!("--field: the answer of {operation} has no field {name:?}; {way_out}"))
}

/// The shape of the items, if this is the shape of a page.
fn item_of_page(shape: &Shape) -> Option<&Shape> {
    let Shape::Record(members) = shape else { return None };
    match members.as_slice() {
        [(first, Shape::List(item)), (second, _)] if (first.as_str(), second.as_str()) == ("items", "next") => {
            Some(item.as_ref())
        }
        _ => None,
    }
}

/// The items, if this is a page.
fn items_of_page(json: &str) -> Option<Vec<&RawValue>> {
    let members = record(json)?;
    match members.as_slice() {
        [(first, list), (second, _)] if (first.as_str(), second.as_str()) == ("items", "next") => items(list.get()),
        _ => None,
    }
}

/// The shape that a value shows. What is empty here may be anything another time.
fn shape_of(json: &str) -> Shape {
    if let Some(items) = items(json) {
        return Shape::List(Box::new(items.first().map_or(Shape::Any, |item| shape_of(item.get()))));
    }
    let member = |(name, value): (String, &RawValue)| {
        let shape = if name == OPEN { Shape::Any } else { shape_of(value.get()) };
        (name, shape)
    };
    match record(json) {
        Some(members) if !members.is_empty() => Shape::Record(members.into_iter().map(member).collect()),
        None if json != "null" => Shape::Value,
        _ => Shape::Any,
    }
}

#[cfg(test)]
mod tests {
    use enroll_client::protocol::{Page, Person, RoleName, program};

    use super::*;

    fn fields(names: &[&str]) -> Fields {
        Fields::new(names.iter().map(|name| name.parse().expect("a field")).collect())
    }

    #[test]
    fn a_record_has_a_line_for_each_field_and_a_list_for_each_item() {
        let person = r#"{"pk":"p","n":1.50,"none":null,"extra":{"team":"r\td"},"roles":["a","b"],"pem":"-\nX\n"}"#;
        let page = r#"{"items":[{"a":1,"b":"x\ty"},{"a":null,"b":[{"c":1},{"c":2}]}],"next":"c1"}"#;
        for (json, names, expected) in [
            (person, &["pk"][..], "p\n"),
            (person, &["n"], "1.50\n"),
            (person, &["none"], "\n"),
            (person, &["extra.team"], "r\td\n"),
            (person, &["extra.colour"], "\n"),
            (person, &["extra"], "{\"team\":\"r\\td\"}\n"),
            (person, &["pem"], "-\nX\n"),
            (person, &["roles"], "a\nb\n"),
            (person, &["roles", "pk", "pem"], "[\"a\",\"b\"]\np\n-\\nX\\n\n"),
            (page, &["a"], "1\n\n"),
            (page, &["b", "a"], "x\\ty\t1\n[{\"c\":1},{\"c\":2}]\t\n"),
            (page, &["b.c"], "\n[1,2]\n"),
            (page, &["next"], "c1\n"),
            (page, &["items.a"], "1\n\n"),
            ("[]", &["a"], ""),
            (r#"{"items":[],"next":null}"#, &["a"], ""),
        ] {
            assert_eq!(fields(names).show(json), expected, "{names:?} of {json}");
        }
    }

    #[test]
    fn a_field_that_an_answer_will_not_have_is_refused_with_the_nearest() {
        for (shape, name, expected) in [
            (Shape::of::<Person>(), "callsign", None),
            (Shape::of::<Person>(), "extra.team.name", None),
            (Shape::of::<Person>(), "revocation.reason", None),
            (Shape::of::<Page<Person>>(), "callsign", None),
            (Shape::of::<Page<Person>>(), "next", None),
            (Shape::of::<Page<Person>>(), "items.callsign", None),
            (Shape::of::<program::Statuses>(), "s-4711", None),
            (Shape::of::<Person>(), "calsign", Some("no field \"calsign\"; the nearest is callsign")),
            (Shape::of::<Page<Person>>(), "suprevisor", Some("the nearest is supervisor")),
            (Shape::of::<Person>(), "zzz", Some("it has pk, callsign, extra, roles")),
            (Shape::of::<Person>(), "revocation.on", Some("no field \"on\"")),
            (Shape::of::<Person>(), "pk.x", Some("a value without fields")),
            (Shape::of::<bool>(), "x", Some("a value without fields")),
            (Shape::of::<Vec<RoleName>>(), "x", Some("a value without fields")),
            (shape_of(r#"{"pool":{"pk":"p","extra":{}},"next":[],"owner":null}"#), "pool.pkk", Some("nearest is pk")),
            (shape_of(r#"{"pool":{"pk":"p","extra":{}},"next":[],"owner":null}"#), "pool.extra.x", None),
            (shape_of(r#"{"pool":{"pk":"p","extra":{}},"next":[],"owner":null}"#), "next.at", None),
        ] {
            let refused = fields(&[name]).expect_in("an.operation", &shape).err().map(|failure| failure.line());
            match (&refused, expected) {
                (None, None) => {}
                (Some(line), Some(words)) => assert!(line.contains(words), "{name}: {line}"),
                _ => panic!("{name}: {refused:?}"),
            }
        }
    }

    #[test]
    fn a_field_is_names_with_dots_between_them() {
        for text in ["", ".", "a.", ".a", "a..b"] {
            assert!(text.parse::<Field>().is_err(), "{text:?}");
        }
        assert_eq!("a.b_c-d".parse(), Ok(Field(vec!["a".to_owned(), "b_c-d".to_owned()])));
    }
}
