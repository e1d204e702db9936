//! References: a request names a record by primary key or by natural name.
//!
//! A plain text is read kindly: as a primary key where it has the form of one of ours, else as the record's natural
//! name. No natural name may have that form, so a text never means two records. A service that passes on what a
//! stranger typed says which it is, [`Reference::by_callsign`] for example; then no text can name a record by its
//! primary key.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Invalid, Pk, ReferenceText, read_json};

/// A name of a record: a primary key or a natural name.
///
/// In JSON it is a text, read kindly, or an object with one member that says which: `{"pk": ..}`, `{"callsign": ..}`,
/// `{"invitecode": ..}`, or `{"name": ..}` for an event's pool or a course.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use enroll_protocol::Reference;
///
/// let read: Reference = "DOGGO01a".parse()?;
/// let named = Reference::by_callsign("01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b")?;
/// assert_eq!(serde_json::to_string(&read)?, r#""DOGGO01a""#);
/// assert_eq!(serde_json::to_string(&named)?, r#"{"callsign":"01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b"}"#);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference(By);

/// The compact form: variants only append.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum By {
    Text(ReferenceText),
    Pk(Pk),
    Callsign(ReferenceText),
    InviteCode(ReferenceText),
    Name(ReferenceText),
}

/// The natural name that a kind of record has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NaturalName {
    /// People and enrollments.
    Callsign,
    /// Invite pools.
    InviteCode,
    /// Pools of an event, and courses.
    Name,
    /// Records that are named by their primary key alone.
    None,
}

/// The name in a reference, read for a kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    /// The record of this primary key.
    Pk(Pk),
    /// The record of this natural name.
    Natural(&'a str),
}

impl Reference {
    /// A text that is read kindly, of 1 to 255 bytes.
    ///
    /// The same as `parse`: for what an administrator typed. What a stranger typed is named by
    /// [`by_callsign`](Self::by_callsign) and its like.
    pub fn new(text: impl Into<String>) -> Result<Self, Invalid> {
        ReferenceText::new(text).map(By::Text).map(Self)
    }

    /// Reads the JSON form; `None` of `null`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::Reference;
    ///
    /// let person = Reference::of_json(r#"{"callsign":"DOGGO01a"}"#)?;
    /// assert_eq!(person, Some(Reference::by_callsign("DOGGO01a")?));
    /// assert_eq!(Reference::of_json("null")?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn of_json(text: &str) -> Result<Option<Self>, Invalid> {
        read_json(text)
    }

    /// The record of this primary key.
    ///
    /// For a key that was answered before and kept. The example stands at [`Reference`].
    pub fn by_pk(pk: Pk) -> Self {
        Self(By::Pk(pk))
    }

    /// The person or the enrollment of this callsign, also if the text has the form of a primary key.
    ///
    /// The example stands at [`Reference`].
    pub fn by_callsign(callsign: impl Into<String>) -> Result<Self, Invalid> {
        ReferenceText::new(callsign).map(By::Callsign).map(Self)
    }

    /// The pool of this invite code, also if the text has the form of a primary key.
    ///
    /// For an invite code that somebody typed or that stands in a link; used as [`by_callsign`](Self::by_callsign) is.
    pub fn by_code(invitecode: impl Into<String>) -> Result<Self, Invalid> {
        ReferenceText::new(invitecode).map(By::InviteCode).map(Self)
    }

    /// The event's pool of this name or the course of this key, also if the text has the form of a primary key.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::Reference;
    ///
    /// let course = Reference::by_name("algebra-2027")?;
    /// assert_eq!(serde_json::to_value(&course)?["name"], "algebra-2027");
    /// # Ok(())
    /// # }
    /// ```
    pub fn by_name(name: impl Into<String>) -> Result<Self, Invalid> {
        ReferenceText::new(name).map(By::Name).map(Self)
    }

    pub(super) fn of_callsign(callsign: ReferenceText) -> Self {
        Self(By::Callsign(callsign))
    }

    pub(super) fn of_name(name: ReferenceText) -> Self {
        Self(By::Name(name))
    }

    /// The name, read for records with this kind of natural name. Refuses a name of another kind.
    ///
    /// For who looks records up, as the daemon does:
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::{NaturalName, Named, Reference};
    ///
    /// let cat = Reference::by_callsign("CAT02b")?;
    /// assert_eq!(cat.read(NaturalName::Callsign)?, Named::Natural("CAT02b"));
    /// assert!(cat.read(NaturalName::InviteCode).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn read(&self, kind: NaturalName) -> Result<Named<'_>, Invalid> {
        match &self.0 {
            By::Text(text) => Ok(Pk::of_ours(text.as_str()).map_or(Named::Natural(text.as_str()), Named::Pk)),
            By::Pk(pk) => Ok(Named::Pk(*pk)),
            _ => self.read_typed(kind),
        }
    }

    /// The same for a text that a stranger typed: it is a natural name, and never a primary key.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::{NaturalName, Named, Reference};
    ///
    /// let typed: Reference = "01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b".parse()?;
    /// assert!(matches!(typed.read(NaturalName::InviteCode)?, Named::Pk(_)));
    /// assert!(matches!(typed.read_typed(NaturalName::InviteCode)?, Named::Natural(_)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_typed(&self, kind: NaturalName) -> Result<Named<'_>, Invalid> {
        let (is, text) = match &self.0 {
            By::Pk(pk) => return Ok(Named::Pk(*pk)),
            By::Text(text) => return Ok(Named::Natural(text.as_str())),
            By::Callsign(text) => (NaturalName::Callsign, text),
            By::InviteCode(text) => (NaturalName::InviteCode, text),
            By::Name(text) => (NaturalName::Name, text),
        };
        if is == kind {
            return Ok(Named::Natural(text.as_str()));
        }
        let way_out = kind.word().map_or_else(String::new, |word| format!(" or {word}"));
        let word = is.word().unwrap_or_default();
        Err(Invalid(format!(
            "no record of the kind that is asked for has the {word} \"{self}\"; name it by pk{way_out}"
        )))
    }
}

impl NaturalName {
    /// The member of the JSON form, and its name in messages.
    fn word(self) -> Option<&'static str> {
        match self {
            Self::Callsign => Some("callsign"),
            Self::InviteCode => Some("invitecode"),
            Self::Name => Some("name"),
            Self::None => None,
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            By::Pk(pk) => fmt::Display::fmt(pk, f),
            By::Text(text) | By::Callsign(text) | By::InviteCode(text) | By::Name(text) => f.write_str(text.as_str()),
        }
    }
}

impl FromStr for Reference {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl From<Pk> for Reference {
    fn from(pk: Pk) -> Self {
        Self::by_pk(pk)
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return self.0.serialize(serializer);
        }
        let (kind, text) = match &self.0 {
            By::Text(text) => return text.serialize(serializer),
            By::Pk(pk) => ("pk", pk.to_string()),
            By::Callsign(text) => ("callsign", text.as_str().to_owned()),
            By::InviteCode(text) => ("invitecode", text.as_str().to_owned()),
            By::Name(text) => ("name", text.as_str().to_owned()),
        };
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(kind, &text)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(ReferenceVisitor)
        } else {
            By::deserialize(deserializer).map(Self)
        }
    }
}

struct ReferenceVisitor;

impl<'de> Visitor<'de> for ReferenceVisitor {
    type Value = Reference;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or {\"pk\": ..}, {\"callsign\": ..}, {\"invitecode\": ..} or {\"name\": ..}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Reference, E> {
        Reference::new(text).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Reference, A::Error> {
        let one = || de::Error::custom("a reference has one member: pk, callsign, invitecode or name");
        let (kind, text) = map.next_entry::<String, String>()?.ok_or_else(one)?;
        if map.next_entry::<String, de::IgnoredAny>()?.is_some() {
            return Err(one());
        }
        let reference = match kind.as_str() {
            "pk" => text.parse().map(Reference::by_pk),
            "callsign" => Reference::by_callsign(text),
            "invitecode" => Reference::by_code(text),
            "name" => Reference::by_name(text),
            _ => return Err(one()),
        };
        reference.map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    const UUID: &str = "019aab01-997b-774b-bfff-ffffffffffff";

    #[test]
    fn a_text_is_read_kindly_and_a_typed_one_as_what_it_says() {
        let pk: Pk = UUID.parse().expect("a pk");
        let short = pk.short();
        let (by_pk, callsign) = (Some(Named::Pk(pk)), NaturalName::Callsign);
        for (json, kind, expected) in [
            (format!("\"{UUID}\""), callsign, by_pk),
            (format!("\"{short}\""), callsign, by_pk),
            (format!("{{\"pk\":\"{short}\"}}"), callsign, by_pk),
            (format!("{{\"pk\":\"{UUID}\"}}"), NaturalName::None, by_pk),
            (format!("{{\"callsign\":\"{UUID}\"}}"), callsign, Some(Named::Natural(UUID))),
            (format!("{{\"invitecode\":\"{UUID}\"}}"), callsign, None),
            ("\"DOGGO01a\"".to_owned(), callsign, Some(Named::Natural("DOGGO01a"))),
            ("{\"name\":\"spring\"}".to_owned(), NaturalName::Name, Some(Named::Natural("spring"))),
            ("{\"name\":\"spring\"}".to_owned(), NaturalName::InviteCode, None),
        ] {
            let read: Reference = serde_json::from_str(&json).expect("a reference");
            assert_eq!(read.read(kind).ok(), expected, "{json}");
            let wire: Reference = codec::decode(&codec::encode(&read)).expect("the same reference");
            assert_eq!(wire, read, "{json}");
            let again: Reference = serde_json::from_str(&serde_json::to_string(&read).expect("json")).expect("again");
            assert_eq!(again, read, "{json}");
        }
        let typed = Reference::new(UUID).expect("a text");
        assert_eq!(typed.read_typed(NaturalName::InviteCode), Ok(Named::Natural(UUID)));
    }

    #[test]
    fn what_names_nothing_or_two_things_is_refused() {
        for json in
            ["{}", "{\"pk\":\"x\"}", "{\"uid\":\"1\"}", "{\"callsign\":\"A\",\"pk\":\"B\"}", "\"\"", "1", "null"]
        {
            assert!(serde_json::from_str::<Reference>(json).is_err(), "{json}");
        }
    }
}
