//! The codec of the wire and of stored records: bincode, in one configuration, in this module only.
//!
//! bincode is pinned: it is unmaintained, and its next version is empty. Only these functions call it, and golden bytes
//! test it, so another encoder of the same format can replace it. Decoding always starts from a complete slice, within
//! a limit, and must consume every byte. A string is borrowed from that slice (`value::arrived`), so a claimed length
//! allocates nothing.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::error::DecodeError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::DECODE_BYTES_MAX;
use crate::value::Invalid;

const CONFIGURATION: Configuration<LittleEndian, Varint, Limit<DECODE_BYTES_MAX>> =
    bincode::config::standard().with_limit::<DECODE_BYTES_MAX>();

/// Initial capacity of an encode buffer: enough for most values, so that it is allocated once.
const USUAL_BYTES: usize = 128;

/// The bytes of a value.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use enroll_protocol::{codec, role};
///
/// let request = role::Assign { person: "DOGGO01a".parse()?, role: "member".parse()? };
/// let bytes = codec::encode(&request);
/// assert_eq!(codec::decode::<role::Assign>(&bytes)?, request);
/// # Ok(())
/// # }
/// ```
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    encode_into(value, &mut bytes);
    bytes
}

/// Appends the bytes of a value.
///
/// # Panics
/// If the value's own `Serialize` fails; those of this workspace do not.
///
/// For a frame that is begun already; else [`encode`] is simpler.
pub fn encode_into<T: Serialize>(value: &T, bytes: &mut Vec<u8>) {
    #[expect(clippy::unwrap_used, reason = "writing to a Vec does not fail, nor do our types")]
    bincode::serde::encode_into_std_write(value, bytes, CONFIGURATION).map(drop).unwrap();
}

/// The value of exactly these bytes. Refuses others, and values that their own check refuses, with its sentence.
///
/// ```
/// use enroll_protocol::{RoleName, codec};
///
/// assert!(codec::decode::<RoleName>(&codec::encode(&"member")).is_ok());
/// assert!(codec::decode::<RoleName>(&codec::encode(&"no role")).is_err());
/// ```
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Invalid> {
    let (value, consumed) = decode_front(bytes)?;
    if consumed != bytes.len() {
        return Err(Invalid(format!("{} bytes too many after the value", bytes.len() - consumed)));
    }
    Ok(value)
}

/// The value at the front of these bytes, and the number of bytes it took.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use enroll_protocol::codec;
///
/// let mut bytes = codec::encode(&7_u64);
/// bytes.extend(codec::encode(&"rest"));
/// let (number, taken): (u64, usize) = codec::decode_front(&bytes)?;
/// assert_eq!((number, codec::decode::<String>(&bytes[taken..])?), (7, "rest".to_owned()));
/// # Ok(())
/// # }
/// ```
pub fn decode_front<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, usize), Invalid> {
    bincode::serde::borrow_decode_from_slice(bytes, CONFIGURATION).map_err(|err| match err {
        DecodeError::OtherString(sentence) => Invalid(sentence),
        other => Invalid(format!("the bytes are not what this operation takes: {other}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claimed_length_allocates_nothing_and_is_refused() {
        let claims_4_gib = [0xfc, 0xff, 0xff, 0xff, 0xff];
        assert!(decode::<String>(&claims_4_gib).is_err());
        assert!(decode::<Vec<String>>(&claims_4_gib).is_err());
        assert!(decode::<crate::server::Piece>(&claims_4_gib).is_err());
    }

    #[test]
    fn bytes_behind_the_value_are_refused() {
        assert_eq!(decode::<u8>(&[7]), Ok(7));
        assert!(decode::<u8>(&[7, 0]).is_err());
    }
}
