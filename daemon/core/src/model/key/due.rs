//! Expiry index entries: the keys of records that expire, by time.

use enroll_protocol::{Key, Pk, Time};

use super::{Family, code, dues_from, guesses, kept, kept_parts, list_head, prefixed, time_of, token};
use crate::identity::Hash;

/// A record that expires, by the parts of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// A kept answer.
    Kept(u32, Key),
    /// The parts of a kept answer, and the answer with them.
    Parts(u32, Key),
    /// A window of wrong codes.
    Guesses(Hash),
    /// A token's audit.
    Token(Hash),
    /// A login code.
    Code(Pk),
    /// Another list of revoked certificates.
    List,
}

impl Due {
    /// The record's key; of parts, what their keys begin with.
    pub fn key(&self) -> Vec<u8> {
        match self {
            Self::Kept(uid, key) => kept(*uid, *key),
            Self::Parts(uid, key) => kept_parts(*uid, *key),
            Self::Guesses(source) => guesses(source),
            Self::Token(hash) => token(hash),
            Self::Code(pk) => code(*pk),
            Self::List => list_head(),
        }
    }

    /// The record of this key, if it is one that expires.
    pub fn of_key(key: &[u8]) -> Option<Self> {
        let (_, rest) = key.split_first()?;
        let hash = || Hash::try_from(rest).ok();
        let of_kept = |due: fn(u32, Key) -> Self| {
            let (uid, key) = rest.split_first_chunk::<4>()?;
            Some(due(u32::from_be_bytes(*uid), Key(Pk::from_bytes(key.try_into().ok()?))))
        };
        if Family::Kept.holds(key) {
            of_kept(Self::Kept)
        } else if Family::KeptParts.holds(key) {
            of_kept(Self::Parts)
        } else if Family::Guesses.holds(key) {
            hash().map(Self::Guesses)
        } else if Family::Tokens.holds(key) {
            hash().map(Self::Token)
        } else if Family::Codes.holds(key) {
            rest.try_into().ok().map(Pk::from_bytes).map(Self::Code)
        } else {
            (*key == *list_head()).then_some(Self::List)
        }
    }
}

/// The time and the record of an entry's key.
pub fn due_of(key: &[u8]) -> Option<(Time, Due)> {
    let at = key.get(1..)?;
    Some((time_of(at)?, Due::of_key(at.get(8..)?)?))
}

/// The first key of the entries that are due later than this.
pub fn dues_after(now: Time) -> Vec<u8> {
    prefixed(dues_from(now)).1
}

#[cfg(test)]
mod tests {
    use super::super::due;
    use super::*;

    #[test]
    fn dues_sort_by_time_and_come_back_whole() {
        let at = |micros| Time::from_micros(micros).expect("a time");
        let dues = [
            Due::Kept(7, Key(Pk::from_bytes([1; 16]))),
            Due::Parts(7, Key(Pk::from_bytes([1; 16]))),
            Due::Guesses([2; 32]),
            Due::Token([3; 32]),
            Due::Code(Pk::from_bytes([4; 16])),
            Due::List,
        ];
        for pair in [-5, 0, 5, 1 << 40].windows(2) {
            assert!(due(at(pair[0]), &dues[4]) < due(at(pair[1]), &dues[0]));
            assert!(due(at(pair[0]), &dues[4]) < dues_after(at(pair[0])));
            assert!(dues_after(at(pair[0])) <= due(at(pair[1]), &dues[0]));
        }
        for what in dues {
            assert_eq!(due_of(&due(at(-5), &what)), Some((at(-5), what)));
        }
    }
}
