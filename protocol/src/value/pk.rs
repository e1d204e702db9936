//! Primary keys and idempotency keys: UUIDs, 16 bytes on the wire and hyphenated in JSON.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use super::Invalid;

/// The primary key of a record: a UUIDv7, so that keys made later sort later.
///
/// ```
/// use enroll_protocol::Pk;
///
/// assert!(Pk::v7(1_000, [0; 10]) < Pk::v7(2_000, [0; 10]));
/// assert!(Pk::parse("DOGGO01a").is_none());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pk([u8; 16]);

/// An idempotency key: any UUID, chosen by the caller. A write repeated under its key is not done again.
///
/// ```
/// use enroll_protocol::{Key, Pk};
///
/// let key = Pk::parse("9b0c5a4e-2f6b-4d0e-8a55-0c9d4e7a1b2f").map(Key);
/// assert!(key.is_some());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub Pk);

impl Pk {
    /// The UUIDv7 of an instant (microseconds since 1970) and 10 random bytes. The twelve bits after the
    /// milliseconds hold the rest of the microseconds (RFC 9562, section 6.2, method 3).
    ///
    /// The daemon makes keys so; a program that asks it makes none.
    ///
    /// ```
    /// use enroll_protocol::Pk;
    ///
    /// let (earlier, later) = (Pk::v7(1, [255; 10]), Pk::v7(2, [0; 10]));
    /// assert!(earlier < later, "keys sort by age");
    /// ```
    pub fn v7(micros: i64, random: [u8; 10]) -> Self {
        let micros = micros.max(0).unsigned_abs();
        let (millis, rest) = (micros / 1000, micros % 1000);
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        let fraction = (rest << 12) / 1000;
        bytes[6..8].copy_from_slice(&(0x7000 | fraction).to_be_bytes()[6..]);
        bytes[8..].copy_from_slice(&random[..8]);
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// The key of these 16 bytes.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::Pk;
    ///
    /// // As a database keeps it, in 16 bytes.
    /// let pk: Pk = "01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b".parse()?;
    /// assert_eq!(Pk::from_bytes(*pk.as_bytes()), pk);
    /// # Ok(())
    /// # }
    /// ```
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes, in the order that sorts by age.
    ///
    /// The example stands at [`from_bytes`](Self::from_bytes).
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Its 22 characters of base64url, which name it as well as its UUID does.
    ///
    /// For addresses and file names:
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::Pk;
    ///
    /// let pk: Pk = "01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b".parse()?;
    /// assert_eq!(pk.short().len(), 22);
    /// assert_eq!(Pk::parse(&pk.short()), Some(pk));
    /// # Ok(())
    /// # }
    /// ```
    pub fn short(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Reads a text that has the form of a primary key that we make: a UUIDv7 in any form. No natural name has it.
    ///
    /// ```
    /// use enroll_protocol::Pk;
    ///
    /// assert!(Pk::of_ours("01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b").is_some());
    /// // A random UUID, which may be an idempotency key and is no primary key.
    /// assert!(Pk::of_ours("9b0c5a4e-2f6b-4d0e-8a55-0c9d4e7a1b2f").is_none());
    /// ```
    pub fn of_ours(text: &str) -> Option<Self> {
        Self::parse(text).filter(|pk| pk.0[6] >> 4 == 7)
    }

    /// Reads a hyphenated UUID, or its bytes as 22 characters of base64url or as 24 of padded base64 in either alphabet;
    /// `None` if the text is none of these.
    ///
    /// The example stands at [`short`](Self::short).
    pub fn parse(text: &str) -> Option<Self> {
        match text.len() {
            36 => Uuid::parse_str(text).ok().map(|uuid| Self(uuid.into_bytes())),
            22 => URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self),
            24 => URL_SAFE.decode(text).or_else(|_| STANDARD.decode(text)).ok()?.try_into().ok().map(Self),
            _ => None,
        }
    }
}

impl fmt::Display for Pk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Uuid::from_bytes(self.0), f)
    }
}

impl fmt::Debug for Pk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Pk {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse(text).ok_or_else(|| Invalid::new("expected a UUID, hyphenated or in base64url"))
    }
}

impl FromStr for Key {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        text.parse().map(Self)
    }
}

impl Serialize for Pk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Pk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            <[u8; 16]>::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_text_forms_name_the_same_pk() {
        let pk = Pk::v7(1_763_805_600_123_456, [0xff; 10]);
        for text in ["AZqrAZl7d0u__________w", "AZqrAZl7d0u__________w==", "AZqrAZl7d0u//////////w=="] {
            assert_eq!(Pk::of_ours(text), Some(pk), "{text}");
        }
        for text in ["AZqrAZl7d0u__________w=", "AZqrAZl7d0u_/________w==", "AZqrAZl7d0u__________x=="] {
            assert_eq!(Pk::parse(text), None, "{text}");
        }
        assert_eq!(pk.to_string(), "019aab01-997b-774b-bfff-ffffffffffff");
        assert_eq!(Pk::parse(&pk.to_string()), Some(pk));
        assert_eq!(Pk::parse(&pk.short()), Some(pk));
        assert_eq!(Pk::parse("DOGGO01a"), None);
    }

    #[test]
    fn later_microseconds_sort_later() {
        let at = 1_763_805_600_123_456;
        assert!(Pk::v7(at, [0xff; 10]) < Pk::v7(at + 1, [0; 10]));
        assert!(Pk::v7(at, [0xff; 10]) < Pk::v7(at + 1000, [0; 10]));
    }
}
