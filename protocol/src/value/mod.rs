//! The values of the contract: validated newtypes, checked once at the boundary and trusted from there on.
//!
//! A value has one text form (JSON, command line) and one compact form (the wire); both go through the same check,
//! so every instance is valid. A check refuses with an [`Invalid`], a sentence that names the thing and what is
//! accepted.

mod json;
mod page;
mod pk;
mod plain;
mod reference;
mod text;
mod time;
mod words;

pub use json::Json;
pub(crate) use json::read_json;
pub use page::{Page, PageLimit};
pub use pk::{Key, Pk};
pub use plain::{plain_error, plain_name};
pub use reference::{Named, NaturalName, Reference};
pub use text::{
    ApproveCode, Callsign, CertificateSerial, ChangeMac, ConstantLabel, ConstantValue, CourseKey, Cursor, EventKind,
    EventPoolName, ExternalKey, InviteCode, Jwt, ListName, LoginCode, MemberName, NamePrefix, Origin, Password,
    PermissionPath, Pfx, PkPrefix, PrivateKey, Reason, ReferenceText, RoleName, Text, TextRule, Title, Token, is_dash,
    is_interpreted, is_unseen,
};
pub use time::Time;
pub(crate) use words::words;

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A byte order mark. Programs of some systems write it in front of every text; it is no part of the text.
pub(crate) const MARK: char = '\u{feff}';

/// A text that was read from a file, without the byte order mark in front of it.
///
/// ```
/// assert_eq!(enroll_protocol::without_mark("\u{feff}DOGGO01a"), "DOGGO01a");
/// ```
pub fn without_mark(text: &str) -> &str {
    text.trim_start_matches(MARK)
}

/// A value from outside that its type does not accept; the sentence is for the person who sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

impl Invalid {
    /// The sentence, from anything that can be one.
    ///
    /// ```
    /// use enroll_protocol::{Code, Invalid, Refusal};
    ///
    /// let refusal = Refusal::from(Invalid::new("a team must be red or blue"));
    /// assert_eq!((refusal.code, refusal.message.as_str()), (Code::INVALID_ARGUMENT, "a team must be red or blue"));
    /// ```
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// A string whose length is checked against its bytes before memory is allocated. Decoding a plain `String` of a
/// request would allocate all that a few bytes claim.
pub(crate) struct Arrived(pub(crate) String);

impl<'de> Deserialize<'de> for Arrived {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ArrivedVisitor)
    }
}

struct ArrivedVisitor;

impl Visitor<'_> for ArrivedVisitor {
    type Value = Arrived;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Arrived, E> {
        Ok(Arrived(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Arrived, E> {
        Ok(Arrived(text))
    }
}

/// Reads a field that is a text without a rule of its own.
pub fn arrived<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Arrived::deserialize(deserializer)?.0)
}

/// Reads such a field that may be absent.
pub fn arrived_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<Arrived>::deserialize(deserializer)?.map(|text| text.0))
}

/// Reads a list that may be absent, up to so many items: a list that is too long is not read to its end.
pub fn at_most<'de, const ITEMS_MAX: usize, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list: Bounded<T, ITEMS_MAX> = or_default(deserializer)?;
    Ok(list.0)
}

struct Bounded<T, const ITEMS_MAX: usize>(Vec<T>);

impl<T, const ITEMS_MAX: usize> Default for Bounded<T, ITEMS_MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const ITEMS_MAX: usize> Deserialize<'de> for Bounded<T, ITEMS_MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

struct Items<T, const ITEMS_MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const ITEMS_MAX: usize> Visitor<'de> for Items<T, ITEMS_MAX> {
    type Value = Bounded<T, ITEMS_MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {ITEMS_MAX} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            if list.len() == ITEMS_MAX {
                return Err(de::Error::custom(format!("at most {ITEMS_MAX} items at once")));
            }
            list.push(item);
        }
        Ok(Bounded(list))
    }
}

/// Reads a field that may be absent or `null` in JSON and is always present on the wire.
///
/// Optional fields that have a natural default (`false`, an empty list, `{}`) are plain fields with this reader, so
/// that Rust callers need no `Option`.
pub fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    if deserializer.is_human_readable() {
        Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
    } else {
        T::deserialize(deserializer)
    }
}
