//! The fields of a row: its values under the names that an import knows, each read as its type.

use std::str::FromStr;

use enroll_client::protocol::{Json, Time};
use serde_json::{Map, Value};

/// The member of `extra` or `audit` that keeps what no operation can set, such as the old creation time.
pub(super) const IMPORTED: &str = "imported";

/// Kept fields that are no times, however they look.
const NO_TIMES: [&str; 3] = ["pk", "uses", "decided_by"];

/// The values of a row. None is empty or null.
#[derive(Debug, Default)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// Sets a field, unless the value is empty or null.
    pub(super) fn set(&mut self, field: &str, value: Value) {
        if !value.is_null() && value.as_str() != Some("") {
            self.0.insert(field.to_owned(), value);
        }
    }

    /// A value as text; `None` if it has none.
    pub(super) fn text(&self, field: &str) -> Result<Option<String>, String> {
        match self.0.get(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
            Some(_) => Err(format!("{field}: expected one value, and this is a list or an object")),
        }
    }

    /// A value read as its type.
    pub(super) fn parsed<T: FromStr<Err: ToString>>(&self, field: &str) -> Result<Option<T>, String> {
        let parse = |text: String| text.parse().map_err(|err: T::Err| format!("{field}: {}", err.to_string()));
        self.text(field)?.map(parse).transpose()
    }

    /// The same for a value that a row must have.
    pub(super) fn required<T: FromStr<Err: ToString>>(&self, field: &str) -> Result<T, String> {
        self.parsed(field)?.ok_or_else(|| format!("{field}: the row has none"))
    }

    /// A yes or a no, in the words of databases.
    pub(super) fn flag(&self, field: &str) -> Result<Option<bool>, String> {
        self.text(field)?.map(|text| flag(&text).ok_or_else(|| format!("{field}: expected true or false"))).transpose()
    }

    /// An instant.
    pub(super) fn time(&self, field: &str) -> Result<Option<Time>, String> {
        self.text(field)?.map(|text| time(&text).map_err(|why| format!("{field}: {why}"))).transpose()
    }

    /// True for a row that is marked as deleted, by a yes or by a time.
    pub(super) fn is_deleted(&self) -> Result<bool, String> {
        match self.text("deleted")? {
            None => Ok(false),
            Some(text) => match flag(&text) {
                Some(flag) => Ok(flag),
                None => time(&text).map(|_| true).map_err(|_| "deleted: expected true, false or a time".to_owned()),
            },
        }
    }

    /// Words between blanks or commas, a PostgreSQL array, or a JSON list.
    pub(super) fn words<T: FromStr<Err: ToString>>(&self, field: &str) -> Result<Vec<T>, String> {
        let texts: Vec<String> = match self.0.get(field) {
            Some(Value::Array(items)) => {
                let text = |item: &Value| item.as_str().map(str::to_owned);
                let texts: Option<Vec<String>> = items.iter().map(text).collect();
                texts.ok_or_else(|| format!("{field}: expected a list of words"))?
            }
            _ => {
                let text = self.text(field)?.unwrap_or_default();
                let is_between =
                    |of: char| of == ',' || of.is_whitespace() || matches!(of, '{' | '}' | '"' | '[' | ']');
                text.split(is_between).filter(|word| !word.is_empty()).map(str::to_owned).collect()
            }
        };
        texts.iter().map(|text| text.parse().map_err(|err: T::Err| format!("{field}: {}", err.to_string()))).collect()
    }

    /// The object of this field with the members mapped into it, and under [`IMPORTED`] the values of those fields that
    /// no operation can set. Empty if it has nothing.
    pub(super) fn object(&self, field: &str, kept: &[&str]) -> Result<Map<String, Value>, String> {
        let mut object = match self.0.get(field) {
            None => Map::new(),
            Some(Value::Object(object)) => object.clone(),
            Some(Value::String(text)) => serde_json::from_str(text)
                .map_err(|_| format!("{field}: expected a JSON object, such as {{\"team\":\"red\"}}"))?,
            Some(_) => return Err(format!("{field}: expected a JSON object")),
        };
        for (name, value) in &self.0 {
            if let Some(path) = name.strip_prefix(field).and_then(|rest| rest.strip_prefix('.')) {
                put(&mut object, path, value.clone()).map_err(|()| format!("{name}: its object is a value already"))?;
            }
        }
        for name in kept {
            let Some(value) = self.0.get(*name) else { continue };
            let is_time = !NO_TIMES.contains(name);
            let value = match self.text(name).map(|text| text.as_deref().map(time)) {
                Ok(Some(Ok(time))) if is_time => time.to_string().into(),
                _ => value.clone(),
            };
            put(&mut object, &format!("{IMPORTED}.{name}"), value)
                .map_err(|()| format!("{field}.{IMPORTED}: it is no object, and {name} has no place in it"))?;
        }
        Ok(object)
    }
}

/// The object as it is sent.
pub(super) fn json(field: &str, object: &Map<String, Value>) -> Result<Json, String> {
    Json::of(object).map_err(|err| format!("{field}: {}", err.0))
}

/// Puts a value at a path of members between dots. Fails where one of them is no object.
fn put(object: &mut Map<String, Value>, path: &str, value: Value) -> Result<(), ()> {
    match path.split_once('.') {
        None => {
            object.insert(path.to_owned(), value);
            Ok(())
        }
        Some((first, rest)) => match object.entry(first).or_insert_with(|| Map::new().into()) {
            Value::Object(inner) => put(inner, rest, value),
            _ => Err(()),
        },
    }
}

fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// An instant in RFC 3339, with a blank in place of the T if need be, or in seconds since 1970. A number of fewer than
/// eight digits is none.
fn time(text: &str) -> Result<Time, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() >= 8 && is_number(whole) && is_number(fraction) {
        let fraction: String = fraction.chars().chain("000000".chars()).take(6).collect();
        let micros = format!("{whole}{fraction}").parse::<i64>().map_err(|err| err.to_string())?;
        return Time::from_micros(micros).map_err(|err| err.0);
    }
    text.parse().map_err(|err: enroll_client::protocol::Invalid| format!("{}, or seconds since 1970", err.0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: &Value) -> Fields {
        let mut fields = Fields::default();
        for (name, value) in value.as_object().expect("an object") {
            fields.set(name, value.clone());
        }
        fields
    }

    #[test]
    fn times_are_read_as_databases_write_them() {
        let expected: Time = "2026-01-31T18:00:00.5Z".parse().expect("a time");
        for text in ["2026-01-31T19:00:00.5+01:00", "2026-01-31 18:00:00.5+00", "1769882400.5", "1769882400.500000"] {
            assert_eq!(time(text), Ok(expected), "{text}");
        }
        for text in ["2026-01-31", "yesterday", "2026-01-31 18:00:00", "17", "99999999999999999999"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_object_has_what_was_mapped_into_it() {
        let fields = of(
            &json!({"extra": "{\"a\":1}", "extra.b.c": "x", "extra.e": "", "created": 1_769_882_400, "uses": 12_345_678}),
        );
        let object = fields.object("extra", &["created", "updated", "uses"]);
        let imported = json!({"created": "2026-01-31T18:00:00.000000Z", "uses": 12_345_678});
        let expected = json!({"a": 1, "b": {"c": "x"}, "imported": imported});
        assert_eq!(object.map(Value::from), Ok(expected));
        for wrong in [json!({"extra": "x"}), json!({"extra": 1}), json!({"extra": {"b": 1}, "extra.b.c": "x"})] {
            assert!(of(&wrong).object("extra", &[]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn words_are_read_in_every_form() {
        for value in [json!("a b"), json!("a, b"), json!("{a,b}"), json!("[\"a\",\"b\"]"), json!(["a", "b"])] {
            assert_eq!(of(&json!({"roles": value})).words("roles"), Ok(vec!["a".to_owned(), "b".to_owned()]));
        }
    }

    #[test]
    fn a_deletion_is_a_yes_or_a_time() {
        for (text, expected) in
            [("", Ok(false)), ("f", Ok(false)), ("T", Ok(true)), ("2026-01-31 18:00:00+00", Ok(true))]
        {
            assert_eq!(of(&json!({"deleted": text})).is_deleted(), expected, "{text}");
        }
        assert!(of(&json!({"deleted": "perhaps"})).is_deleted().is_err());
    }
}
