//! The schema of a reply's JSON, by reflection over its type: names of fields, lists, and JSON of any form. A command
//! line refuses with it the name of a field that an answer will not have, before anything is asked.
//!
//! A type is shown a deserializer that only looks at what the type asks for and then fails. It is asked once for each
//! place in the JSON, because nothing can be made of a value that is not there.

use serde::Deserializer;
use serde::de::value::{Error, StrDeserializer};
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};

/// The beginning of the name under which serde_json reads JSON as it stands.
const RAW_JSON: &str = "$serde_json::private::";

/// The form of some JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// A text, a number, true, false or null.
    Value,
    /// Any JSON, such as the `extra` of a record.
    Any,
    /// A list of such items.
    List(Box<Shape>),
    /// An object of these members, in their order.
    Record(Vec<(String, Shape)>),
}

impl Shape {
    /// The form of this type's JSON. A member that may be null has the form that it has otherwise.
    pub fn of<T: DeserializeOwned>() -> Self {
        at::<T>(&mut Vec::new())
    }
}

/// A step into a value.
#[derive(Debug, Clone, Copy)]
enum Step {
    Member(&'static str),
    Item,
}

/// The kind of a type at the end of a path.
#[derive(Debug, Clone, Copy)]
enum Found {
    Value,
    Any,
    List,
    Members(&'static [&'static str]),
}

fn at<T: DeserializeOwned>(path: &mut Vec<Step>) -> Shape {
    let mut found = Found::Any;
    // It fails always, once it has found something.
    let _ = T::deserialize(Probe { path, found: &mut found });
    let mut below = |step| {
        path.push(step);
        let shape = at::<T>(path);
        path.pop();
        shape
    };
    match found {
        Found::Value => Shape::Value,
        Found::Any => Shape::Any,
        Found::List => Shape::List(Box::new(below(Step::Item))),
        Found::Members(names) => {
            Shape::Record(names.iter().map(|name| ((*name).to_owned(), below(Step::Member(name)))).collect())
        }
    }
}

/// The deserializer that notes what is asked for at the end of its path.
struct Probe<'p> {
    path: &'p [Step],
    found: &'p mut Found,
}

impl Probe<'_> {
    fn note<T>(self, found: Found) -> Result<T, Error> {
        if self.path.is_empty() {
            *self.found = found;
        }
        Err(de::Error::custom("there is no value here"))
    }
}

/// Functions of a deserializer, and what their callers ask for.
macro_rules! notes {
    ($($function:ident: $found:ident;)*) => {$(
        fn $function<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            self.note(Found::$found)
        }
    )*};
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    notes! {
        deserialize_bool: Value;
        deserialize_i8: Value;
        deserialize_i16: Value;
        deserialize_i32: Value;
        deserialize_i64: Value;
        deserialize_u8: Value;
        deserialize_u16: Value;
        deserialize_u32: Value;
        deserialize_u64: Value;
        deserialize_f32: Value;
        deserialize_f64: Value;
        deserialize_char: Value;
        deserialize_str: Value;
        deserialize_string: Value;
        deserialize_bytes: Value;
        deserialize_byte_buf: Value;
        deserialize_identifier: Value;
        deserialize_unit: Value;
        deserialize_any: Any;
        deserialize_map: Any;
        deserialize_ignored_any: Any;
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, _: V) -> Result<V::Value, Error> {
        self.note(Found::Value)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        if name.starts_with(RAW_JSON) { self.note(Found::Any) } else { visitor.visit_newtype_struct(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.path.split_first() {
            Some((Step::Item, path)) => visitor.visit_seq(Probe { path, found: self.found }),
            _ => self.note(Found::List),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        self.note(Found::Any)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, _: V) -> Result<V::Value, Error> {
        self.note(Found::Any)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.path.split_first() {
            Some((Step::Member(name), path)) => {
                visitor.visit_map(OneMember { name, value: Probe { path, found: self.found } })
            }
            _ => self.note(Found::Members(names)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.note(Found::Any)
    }
}

/// A list of one item, which is looked at.
impl<'de> SeqAccess<'de> for Probe<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        seed.deserialize(Probe { path: self.path, found: self.found }).map(Some)
    }
}

/// An object of one member, which is looked at.
struct OneMember<'p> {
    name: &'static str,
    value: Probe<'p>,
}

impl<'de> MapAccess<'de> for OneMember<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let name: StrDeserializer<'_, Error> = self.name.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(Probe { path: self.value.path, found: self.value.found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Json, Page, Person, RoleName, pool, transaction};

    /// The shape at a dotted path; an item of a list is not named.
    fn below(shape: Shape, path: &str) -> Option<Shape> {
        path.split('.').filter(|name| !name.is_empty()).try_fold(shape, |shape, name| {
            let record = if let Shape::List(item) = shape { *item } else { shape };
            let Shape::Record(members) = record else { return None };
            members.into_iter().find(|(known, _)| known == name).map(|(_, shape)| shape)
        })
    }

    #[test]
    fn a_type_has_the_shape_of_its_json() {
        for (shape, path, expected) in [
            (Shape::of::<bool>(), "", Some(Shape::Value)),
            (Shape::of::<()>(), "", Some(Shape::Value)),
            (Shape::of::<Json>(), "", Some(Shape::Any)),
            (Shape::of::<Vec<RoleName>>(), "", Some(Shape::List(Box::new(Shape::Value)))),
            (Shape::of::<Vec<transaction::Reply>>(), "", Some(Shape::List(Box::new(Shape::Any)))),
            (Shape::of::<Person>(), "pk", Some(Shape::Value)),
            (Shape::of::<Person>(), "extra", Some(Shape::Any)),
            (Shape::of::<Person>(), "roles", Some(Shape::List(Box::new(Shape::Value)))),
            (Shape::of::<Person>(), "revocation.at", Some(Shape::Value)),
            (Shape::of::<Person>(), "revocation.on", None),
            (Shape::of::<Page<pool::Pool>>(), "items.invitecode", Some(Shape::Value)),
            (Shape::of::<Page<pool::Pool>>(), "next", Some(Shape::Value)),
        ] {
            assert_eq!(below(shape, path), expected, "{path}");
        }
    }

    #[test]
    fn the_members_of_a_reply_are_in_their_order() {
        let Shape::Record(members) = Shape::of::<Page<Person>>() else { panic!("a page is a record") };
        assert_eq!(members.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["items", "next"]);
        let Some(Shape::Record(members)) = below(Shape::of::<Person>(), "") else { panic!("a person is a record") };
        assert_eq!(members.first().map(|(name, _)| name.as_str()), Some("pk"));
    }
}
