//! The units of bulk writes: one external key each, with its new status or its person.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::value::{ExternalKey, Invalid, Pk, Reference, arrived, read_json};

/// An external key to be enrolled in a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrollmentUnit {
    /// The external key.
    pub external_key: ExternalKey,
    /// The curriculum; required for a key that may be new.
    pub curriculum: Option<Pk>,
    /// The new status. A text, so that an unknown one fails this key alone.
    #[serde(deserialize_with = "arrived")]
    pub status: String,
    /// The person to link it to at once.
    pub person: Option<Reference>,
}

/// An external key to be enrolled in a course of its program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CourseUnit {
    /// The external key.
    pub external_key: ExternalKey,
    /// The new status. A text, so that an unknown one fails this key alone.
    #[serde(deserialize_with = "arrived")]
    pub status: String,
}

/// An external key and the person that it is to be linked to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The external key.
    pub external_key: ExternalKey,
    /// Callsign or pk.
    pub person: Reference,
}

impl FromStr for EnrollmentUnit {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        unit(text, r#"{"external_key":"s-4711","curriculum":UUID,"status":"enrolled","person":null}"#)
    }
}

impl FromStr for CourseUnit {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        unit(text, r#"{"external_key":"s-4711","status":"active"}"#)
    }
}

impl FromStr for Pair {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        // A callsign may hold an equals sign and so may a key; the last one parts them.
        let (external_key, person) =
            text.rsplit_once('=').ok_or_else(|| Invalid::new("a link is written as KEY=PERSON"))?;
        Ok(Self { external_key: external_key.parse()?, person: person.parse()? })
    }
}

fn unit<T: for<'de> Deserialize<'de>>(text: &str, example: &str) -> Result<T, Invalid> {
    let read = if text.trim_start().starts_with('{') { read_json(text) } else { Err(Invalid::new("no JSON object")) };
    read.map_err(|err| Invalid(format!("{err}; it is written as {example}")))
}

/// Pairs are a map in JSON and a list of pairs on the wire, where these are the same bytes. A key that comes twice is
/// still there twice, so that it can be refused.
pub(super) mod pairs {
    use std::fmt;

    use serde::de::{self, MapAccess, Visitor};
    use serde::{Deserializer, Serializer};

    use super::Pair;
    use crate::limits::BULK_UNITS_MAX;
    use crate::value::at_most;

    pub(in super::super) fn serialize<S: Serializer>(pairs: &[Pair], serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_map(pairs.iter().map(|pair| (&pair.external_key, &pair.person)))
        } else {
            serializer.collect_seq(pairs)
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Pair>, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_map(Pairs)
        } else {
            at_most::<BULK_UNITS_MAX, _, _>(deserializer)
        }
    }

    struct Pairs;

    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<Pair>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an object of at most {BULK_UNITS_MAX} external keys and their people")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Pair>, A::Error> {
            let mut pairs = Vec::new();
            while let Some((external_key, person)) = map.next_entry()? {
                if pairs.len() == BULK_UNITS_MAX {
                    return Err(de::Error::custom(format!("at most {BULK_UNITS_MAX} items at once")));
                }
                pairs.push(Pair { external_key, person });
            }
            Ok(pairs)
        }
    }
}
