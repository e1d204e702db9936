//! The one place that knows bincode, and its one configuration.
//!
//! bincode is pinned: it is unmaintained, and its next version is empty. It stays behind these functions, with golden
//! bytes as tests, so that another encoder of the same format can take its place. Decoding always starts from a
//! complete slice, within a limit, and must consume every byte. A text is read where it lies (`value::arrived`), so a
//! length that is only claimed takes no room.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::error::DecodeError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::DECODE_BYTES_MAX;
use crate::value::Invalid;

const CONFIGURATION: Configuration<LittleEndian, Varint, Limit<DECODE_BYTES_MAX>> =
    bincode::config::standard().with_limit::<DECODE_BYTES_MAX>();

/// What most values take, so that their bytes are given room once and not a little at a time.
const USUAL_BYTES: usize = 128;

/// The bytes of a value.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    encode_into(value, &mut bytes);
    bytes
}

/// Appends the bytes of a value.
///
/// # Panics
/// If the value's own `Serialize` fails; those of this workspace do not.
pub fn encode_into<T: Serialize>(value: &T, bytes: &mut Vec<u8>) {
    #[expect(clippy::unwrap_used, reason = "writing to a Vec does not fail, nor do our types")]
    bincode::serde::encode_into_std_write(value, bytes, CONFIGURATION).map(drop).unwrap();
}

/// The value of exactly these bytes. What a value's own check refuses comes back as its sentence.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Invalid> {
    let (value, consumed) = decode_front(bytes)?;
    if consumed != bytes.len() {
        return Err(Invalid(format!("{} bytes too many behind the value", bytes.len() - consumed)));
    }
    Ok(value)
}

/// The value at the front of these bytes, and how many of them it took.
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
    }

    #[test]
    fn bytes_behind_the_value_are_refused() {
        assert_eq!(decode::<u8>(&[7]), Ok(7));
        assert!(decode::<u8>(&[7, 0]).is_err());
    }
}
