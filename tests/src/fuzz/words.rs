//! Structure-aware fuzzing: requests are made of a few bytes, each of which chooses a value that makes sense in its
//! field, such as a callsign in use or a code that was answered before. So nearly any bytes are a meaningful history,
//! and random bytes would be refused for their shape.

use std::fmt;

use serde::Deserializer;
use serde::de::value::{SeqDeserializer, U32Deserializer};
use serde::de::{self, DeserializeSeed, EnumAccess, IntoDeserializer, SeqAccess, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use crate::registry::BEGIN_MICROS;

const NAMES: &[&str] = &["DOGGO01a", "BOSS", "doggo01A", "CAT02b", "PORA22b", "ſs", "Dog", "ß"];
const ROLES: &[&str] = &["member", "superuser", "helper"];
const PERMISSIONS: &[&str] = &["/", "/people/", "/roles/", "/pools/", "/enrollments/", "/people/a/", "/tokens/"];
const TOKENS: &[&str] = &["nonce", "Nonce", "another"];
const COURSES: &[&str] = &["Hiking", "hiking", "Sailing"];
const KEYS: &[&str] = &["s-1", "S-1", "s-2", "ß", "SS"];
const STATUSES: &[&str] = &["enrolled", "active", "inactive", "ended", "none"];
const CODES: &[&str] = &["K7QWM2XA", "K7QW-M2XA", "0", "ABCDEFGHJKLM", "a.b.c"];
const OBJECTS: &[&str] = &[
    "{}",
    r#"{"sub":"DOGGO01a"}"#,
    r#"{"CN":"BOSS"}"#,
    r#"{"sub":"BOSS","exp":1.50,"iss":"x"}"#,
    r#"{"team":["red",null,-0.0,1e400]}"#,
    r#"{"sub":7,"roles":["superuser"]}"#,
];
const REQUESTS: &[&str] = &[
    include_str!("../../requests/p256.pem"),
    include_str!("../../requests/ed25519.pem"),
    include_str!("../../requests/rsa1024.pem"),
    "-----BEGIN",
];
const HOUR_MICROS: i64 = 60 * 60 * 1_000_000;

/// Texts that are kept of answers, and how long they may be.
const ISSUED_MAX: usize = 128;
const ISSUED_BYTES_MAX: usize = 2048;

/// Bytes that choose, and the texts that were answered so far. When the bytes have run out, every choice is the first.
pub(super) struct Words<'a> {
    bytes: &'a [u8],
    /// The last half of the choices, from the latest back.
    issued: Vec<String>,
    /// The field that is being made.
    field: &'static str,
}

/// Bytes that chose something its type does not accept.
#[derive(Debug)]
pub(super) struct Unsaid;

impl<'a> Words<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, issued: Vec::new(), field: "" }
    }

    /// True once all bytes are used up.
    pub(super) fn is_at_end(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    /// Keeps the texts of an answer.
    pub(super) fn learn(&mut self, answer: Value) {
        match answer {
            Value::String(text) if text.len() <= ISSUED_BYTES_MAX => {
                self.issued.push(text);
                self.issued.drain(..self.issued.len().saturating_sub(ISSUED_MAX));
            }
            Value::Array(items) => items.into_iter().for_each(|item| self.learn(item)),
            Value::Object(members) => members.into_iter().for_each(|(_, member)| self.learn(member)),
            _ => {}
        }
    }

    fn word(&mut self) -> &str {
        let fixed = match self.field {
            "extra" | "claims" | "audit" => OBJECTS,
            "role" | "roles" => ROLES,
            "permission" => PERMISSIONS,
            "csr" | "certificate" => REQUESTS,
            "token" => TOKENS,
            "course" | "key" => COURSES,
            "external_key" | "external_keys" => KEYS,
            "status" => STATUSES,
            "code" | "jwt" | "invitecode" | "approvecode" | "after" => CODES,
            _ => NAMES,
        };
        let byte = self.byte();
        match byte.checked_sub(128) {
            Some(back) if !self.issued.is_empty() => {
                &self.issued[self.issued.len() - 1 - usize::from(back) % self.issued.len()]
            }
            _ => fixed[usize::from(byte) % fixed.len()],
        }
    }
}

impl<'de> Deserializer<'de> for &mut Words<'_> {
    type Error = Unsaid;

    fn is_human_readable(&self) -> bool {
        false
    }

    /// A type that is read as nothing in particular has no sensible choices.
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Unsaid> {
        Err(Unsaid)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unsaid> {
        visitor.visit_bool(self.byte() & 1 == 1)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unsaid> {
        visitor.visit_u16(u16::from(self.byte()))
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unsaid> {
        match self.byte() {
            255 => visitor.visit_u32(u32::MAX),
            byte => visitor.visit_u32(u32::from(byte)),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unsaid> {
        match self.byte() {
            255 => visitor.visit_u64(u64::MAX),
            byte => visitor.visit_u64(u64::from(byte)),
        }
    }

    /// Only times are such: some hours before or after the beginning.
    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unsaid> {
        visitor.visit_i64(BEGIN_MICROS + i64::from(self.byte().cast_signed()) * HOUR_MICROS)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unsaid> {
        visitor.visit_str(self.word())
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unsaid> {
        visitor.visit_str(self.word())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unsaid> {
        if self.byte() & 1 == 1 { visitor.visit_some(self) } else { visitor.visit_none() }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Unsaid> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unsaid> {
        let items = self.byte() % 4;
        visitor.visit_seq(Fields { names: &[""; 4][..usize::from(items)], words: self })
    }

    /// Only keys are such: few different ones, so that they come again.
    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Unsaid> {
        let bytes = vec![self.byte() % 4; len];
        visitor.visit_seq(SeqDeserializer::new(bytes.into_iter()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unsaid> {
        visitor.visit_seq(Fields { names, words: self })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unsaid> {
        let variant = u32::from(self.byte()) % u32::try_from(variants.len()).map_err(|_| Unsaid)?;
        visitor.visit_enum(Variant { variant, words: self })
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u128 f32 f64 char bytes byte_buf unit unit_struct tuple_struct map identifier ignored_any
    }
}

/// The fields of a struct, or as many items as there are names; an item is of the field that holds it.
struct Fields<'w, 'a> {
    names: &'static [&'static str],
    words: &'w mut Words<'a>,
}

impl<'de> SeqAccess<'de> for Fields<'_, '_> {
    type Error = Unsaid;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Unsaid> {
        let Some((first, others)) = self.names.split_first() else { return Ok(None) };
        self.names = others;
        if !first.is_empty() {
            self.words.field = first;
        }
        seed.deserialize(&mut *self.words).map(Some)
    }
}

struct Variant<'w, 'a> {
    variant: u32,
    words: &'w mut Words<'a>,
}

impl<'de, 'w, 'a> EnumAccess<'de> for Variant<'w, 'a> {
    type Error = Unsaid;
    type Variant = &'w mut Words<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant), Unsaid> {
        let variant: U32Deserializer<Unsaid> = self.variant.into_deserializer();
        Ok((seed.deserialize(variant)?, self.words))
    }
}

impl<'de> VariantAccess<'de> for &mut Words<'_> {
    type Error = Unsaid;

    fn unit_variant(self) -> Result<(), Unsaid> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Unsaid> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Unsaid> {
        self.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, names: &'static [&'static str], visitor: V) -> Result<V::Value, Unsaid> {
        self.deserialize_struct("", names, visitor)
    }
}

impl fmt::Display for Unsaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes chose what is not accepted")
    }
}

impl std::error::Error for Unsaid {}

impl de::Error for Unsaid {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}
