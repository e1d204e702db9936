//! JSON objects that are stored and returned unchanged: `extra`, claims, audit.
//!
//! An object is kept as its text without white space, so numbers keep every digit and nothing is lost in a
//! conversion. On the wire it is that text; in JSON it is a plain object. The text is checked once: an object, at
//! most 64 KiB, at most 32 levels deep, no key twice in one object (readers disagree on which one counts).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::str::FromStr;

use serde::de::{self, DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_path_to_error::Segment;

use super::{Invalid, arrived, plain_error};
use crate::limits::{JSON_BYTES_MAX, JSON_DEPTH_MAX};

/// Keys that serde_json reserves: an object with one of them reads as something else, or not at all.
const READERS_OWN: &str = "$serde_json::private::";

/// Reads a value from its JSON; an error names the field, and not the position in the text: the text may be a part of
/// a longer one.
pub(crate) fn read_json<T: DeserializeOwned>(text: &str) -> Result<T, Invalid> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Ok(value) => value,
        // An object that breaks off in the middle has no field to name.
        Err(err) if matches!(err.path().iter().next(), None | Some(Segment::Unknown)) => {
            return Err(Invalid(without_position(err.inner())));
        }
        Err(err) => {
            let (path, sentence) = (err.path().to_string(), without_position(err.inner()));
            // Most checks name their value already.
            return Err(Invalid(if sentence.starts_with(&path) { sentence } else { format!("{path}: {sentence}") }));
        }
    };
    reader.end().map(|()| value).map_err(|err| Invalid(without_position(&err)))
}

/// The sentence of an error without its position, and with numbers in place of Rust's types.
fn without_position(err: &serde_json::Error) -> String {
    let sentence = err.to_string();
    let sentence = sentence.rsplit_once(" at line ").map_or(sentence.as_str(), |(sentence, _)| sentence);
    plain_error(sentence)
        .replace("expected u32", "expected a whole number from 0 to 4294967295")
        .replace("expected u64", "expected a whole number from 0 to 18446744073709551615")
}

/// A JSON object as compact text.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use enroll_protocol::Json;
///
/// let extra: Json = r#"{"team": "red", "size": 7}"#.parse()?;
/// let patched = extra.patched(&r#"{"team": null}"#.parse()?)?;
/// assert_eq!(patched.as_str(), r#"{"size":7}"#);
/// assert!("[1, 2]".parse::<Json>().is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Json(String);

impl Json {
    /// The object of this text, if it is one within the bounds.
    ///
    /// The same as `parse`, whose example stands at [`Json`].
    pub fn new(text: &str) -> Result<Self, Invalid> {
        if !text.trim_start().starts_with('{') {
            return Err(Invalid::new("expected a JSON object, such as {\"team\":\"red\"}"));
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        Shape { levels: JSON_DEPTH_MAX }
            .deserialize(&mut reader)
            .and_then(|()| reader.end())
            .map_err(|err| Invalid(format!("not an acceptable JSON object: {}", plain_error(&err.to_string()))))?;
        let text = compact(text);
        if text.len() > JSON_BYTES_MAX {
            return Err(Invalid(format!(
                "a JSON object must be at most {JSON_BYTES_MAX} bytes; this is {}",
                text.len()
            )));
        }
        Ok(Self(text))
    }

    /// The object that a value serializes to, if it is one within the bounds.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::Json;
    ///
    /// let extra = Json::of(&std::collections::BTreeMap::from([("team", "red")]))?;
    /// assert_eq!(extra.as_str(), r#"{"team":"red"}"#);
    /// assert!(Json::of(&[1, 2]).is_err(), "it is no object");
    /// # Ok(())
    /// # }
    /// ```
    pub fn of(value: &impl Serialize) -> Result<Self, Invalid> {
        Self::new(&serde_json::to_string(value).map_err(|err| Invalid(err.to_string()))?)
    }

    /// Its text, without white space between tokens.
    ///
    /// The example stands at [`Json`].
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An object that was checked before it was stored. Its text is taken as it is.
    ///
    /// For stores, which trust what they wrote; a text from outside goes through [`new`](Self::new).
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// Its members, each still text: a number that no machine type holds must come out as it went in.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::Json;
    ///
    /// let extra: Json = r#"{"number": 12345678901234567890123}"#.parse()?;
    /// assert_eq!(extra.members()?["number"].get(), "12345678901234567890123");
    /// # Ok(())
    /// # }
    /// ```
    pub fn members(&self) -> Result<BTreeMap<String, &RawValue>, Invalid> {
        serde_json::from_str(&self.0).map_err(|err| Invalid(err.to_string()))
    }

    /// One member, if it is there and of this type.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::Json;
    ///
    /// let extra: Json = r#"{"team": "red"}"#.parse()?;
    /// assert_eq!(extra.member::<String>("team")?.as_deref(), Some("red"));
    /// assert_eq!(extra.member::<u64>("team")?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn member<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Invalid> {
        Ok(self.members()?.get(name).and_then(|value| serde_json::from_str(value.get()).ok()))
    }

    /// This object with the members of `over` added; where both have a member, the one of `over` wins.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::Json;
    ///
    /// let extra: Json = r#"{"size": 7, "team": "red"}"#.parse()?;
    /// assert_eq!(extra.merged(&r#"{"team": null}"#.parse()?)?.as_str(), r#"{"size":7,"team":null}"#);
    /// # Ok(())
    /// # }
    /// ```
    pub fn merged(&self, over: &Self) -> Result<Self, Invalid> {
        let mut members = self.members()?;
        members.extend(over.members()?);
        Self::of(&members)
    }

    /// This object changed by a merge patch (RFC 7396): a member that is null in the patch is removed, objects are
    /// patched in their turn, anything else is replaced. Refuses a result past the bounds.
    ///
    /// The example stands at [`Json`].
    pub fn patched(&self, patch: &Self) -> Result<Self, Invalid> {
        let unread = |err: serde_json::Error| Invalid(err.to_string());
        let (object, patch) = (serde_json::from_str(&self.0), serde_json::from_str(&patch.0));
        let patched = merge(Some(object.map_err(unread)?), patch.map_err(unread)?).map_err(unread)?;
        Self::new(patched.get())
    }
}

/// The members of an object, each still text.
type Members<'a> = BTreeMap<String, &'a RawValue>;

/// A value after a merge patch. Both are as deep as an object may be, so this is no deeper.
fn merge(value: Option<&RawValue>, patch: &RawValue) -> Result<Box<RawValue>, serde_json::Error> {
    if !is_object(patch) {
        return Ok(patch.to_owned());
    }
    let before: Members<'_> = match value.filter(|value| is_object(value)) {
        Some(value) => serde_json::from_str(value.get())?,
        None => Members::new(),
    };
    let changes: Members<'_> = serde_json::from_str(patch.get())?;
    let mut merged: BTreeMap<&str, Cow<'_, RawValue>> =
        before.iter().map(|(name, value)| (name.as_str(), Cow::Borrowed(*value))).collect();
    for (name, change) in &changes {
        match change.get() {
            "null" => merged.remove(name.as_str()),
            _ => merged.insert(name, Cow::Owned(merge(before.get(name).copied(), change)?)),
        };
    }
    serde_json::value::to_raw_value(&merged)
}

fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

impl Default for Json {
    fn default() -> Self {
        Self("{}".to_owned())
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Json {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serde_json::from_str::<&RawValue>(&self.0).map_err(serde::ser::Error::custom)?.serialize(serializer)
        } else {
            serializer.serialize_str(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            Self::new(Box::<RawValue>::deserialize(deserializer)?.get()).map_err(de::Error::custom)
        } else {
            Self::new(&arrived(deserializer)?).map_err(de::Error::custom)
        }
    }
}

/// Removes white space between tokens; the text is known to be valid JSON.
fn compact(text: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    let mut compact = String::with_capacity(text.len());
    compact.extend(text.chars().filter(|&c| {
        if inside {
            inside = escaped || c != '"';
            escaped = !escaped && c == '\\';
            return true;
        }
        inside = c == '"';
        !matches!(c, ' ' | '\t' | '\n' | '\r')
    }));
    compact
}

/// Walks a JSON value without keeping it, and refuses too many levels and repeated keys.
#[derive(Clone, Copy)]
struct Shape {
    levels: usize,
}

impl Shape {
    fn below<E: de::Error>(self) -> Result<Self, E> {
        match self.levels.checked_sub(1) {
            Some(levels) => Ok(Self { levels }),
            None => Err(E::custom(format!("more than {JSON_DEPTH_MAX} levels"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Shape {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shape {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let below = self.below()?;
        let mut seen = HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            members.next_value_seed(below)?;
            if key.starts_with(READERS_OWN) {
                return Err(de::Error::custom(format!("the key {key:?} means something else to JSON readers")));
            }
            if let Some(key) = seen.replace(key) {
                return Err(de::Error::custom(format!("the key {key:?} stands twice in one object")));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let below = self.below()?;
        while items.next_element_seed(below)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_kept_but_for_white_space() {
        let object = Json::new("{ \"a b\" : [ 1.50, 12345678901234567890123, \"x \\\" y\" ] }").expect("an object");
        assert_eq!(object.as_str(), r#"{"a b":[1.50,12345678901234567890123,"x \" y"]}"#);
        assert_eq!(serde_json::to_string(&object).expect("json"), object.as_str());
        assert_eq!(serde_json::from_str::<Json>(object.as_str()).expect("json"), object);
    }

    #[test]
    fn what_is_no_object_or_too_much_is_refused() {
        let deep = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(Json::new(&deep(31)).is_ok());
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(JSON_BYTES_MAX));
        let cases = [
            "",
            "[]",
            "1",
            "{",
            "{} {}",
            r#"{"a":1,"a":2}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            &deep(32),
            &deep(200),
            &long,
            r#"{"a":{"$serde_json::private::RawValue":1}}"#,
            r#"{"$serde_json::private::Number":"1"}"#,
        ];
        for case in cases {
            assert!(Json::new(case).is_err(), "{case}");
        }
    }

    #[test]
    fn members_of_the_second_object_win() {
        let merged = Json::new(r#"{"a":1.50,"b":2}"#).and_then(|a| a.merged(&Json::new(r#"{"b":3}"#)?));
        assert_eq!(merged.expect("merged").as_str(), r#"{"a":1.50,"b":3}"#);
    }

    #[test]
    fn a_merge_patch_does_what_its_rfc_says() {
        // The cases of RFC 7396 whose patch and target are objects, and numbers that no machine type holds.
        let cases = [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
            (r#"{}"#, r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
            (r#"{"n":12345678901234567890123}"#, r#"{"m":1.50}"#, r#"{"m":1.50,"n":12345678901234567890123}"#),
        ];
        for (before, patch, after) in cases {
            let patched = Json::new(before).and_then(|before| before.patched(&Json::new(patch)?));
            assert_eq!(patched.expect("patched").as_str(), after, "{before} {patch}");
        }
    }

    #[test]
    fn what_a_merge_patch_makes_is_bounded() {
        let half = |name: &str| format!("{{\"{name}\":\"{}\"}}", "x".repeat(JSON_BYTES_MAX / 2));
        let patched = Json::new(&half("a")).and_then(|before| before.patched(&Json::new(&half("b"))?));
        assert!(patched.is_err(), "two halves are too much together");
    }
}
