//! A JSON object whose values stay raw text, in its order, so that no digit of a number is lost.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Names of members and the text of their values.
pub type RawObject<'a> = Vec<(String, &'a RawValue)>;

/// Parses an object into `members`. If the text is broken, those before the error are kept.
pub fn read<'a>(text: &'a str, members: &mut RawObject<'a>) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.deserialize_map(Collect(members))?;
    reader.end()
}

struct Collect<'a, 'm>(&'m mut RawObject<'a>);

impl<'a> Visitor<'a> for Collect<'a, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(member) = map.next_entry()? {
            self.0.push(member);
        }
        Ok(())
    }
}
