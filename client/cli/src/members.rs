//! The members of a JSON object in their order, each still text: nothing is lost in a conversion.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Names and the text of values.
pub(crate) type Members<'a> = Vec<(String, &'a RawValue)>;

/// Reads an object. Where the text is broken, `members` holds those that came before.
pub(crate) fn read<'a>(text: &'a str, members: &mut Members<'a>) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.deserialize_map(Collect(members))?;
    reader.end()
}

struct Collect<'a, 'm>(&'m mut Members<'a>);

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
