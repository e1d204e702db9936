//! The keys of the map: one leading byte per family, then parts whose bytes sort like their values.
//!
//! A text part that is followed by another ends with a zero byte; no text here contains one. Tags are stable: a family
//! that is given up leaves its tag unused.

use enroll_protocol::{Key, Pk, RoleName};

use crate::identity::Hash;

const META: u8 = 0x01;
const PERSON: u8 = 0x10;
const CALLSIGN: u8 = 0x11;
const PERSON_ROLES: u8 = 0x12;
const ROLE: u8 = 0x13;
const ROLE_MEMBER: u8 = 0x14;
const TOKEN: u8 = 0x20;
const CODE: u8 = 0x21;
const SIGNING_KEY: u8 = 0x30;
const CHANGE: u8 = 0x40;
const KEPT: u8 = 0x41;
const GUESSES: u8 = 0x42;

/// The schema version and the proof of the secret key: one record, the first ever written.
pub fn registry() -> Vec<u8> {
    [&[META], b"registry".as_slice()].concat()
}

/// The head of the change feed: last number, last time, and how many records of each kind there are.
pub fn changes_head() -> Vec<u8> {
    [&[META], b"changes".as_slice()].concat()
}

/// A person.
pub fn person(pk: Pk) -> Vec<u8> {
    [&[PERSON], pk.as_bytes().as_slice()].concat()
}

/// Who has this folded callsign.
pub fn callsign(folded: &str) -> Vec<u8> {
    [&[CALLSIGN], folded.as_bytes()].concat()
}

/// A person's roles.
pub fn person_roles(pk: Pk) -> Vec<u8> {
    [&[PERSON_ROLES], pk.as_bytes().as_slice()].concat()
}

/// A role: what it carries and how many have it.
pub fn role(role: &RoleName) -> Vec<u8> {
    [&[ROLE], role.as_str().as_bytes()].concat()
}

/// A person of a role.
pub fn role_member(role: &RoleName, pk: Pk) -> Vec<u8> {
    [role_members(role).as_slice(), pk.as_bytes()].concat()
}

/// What begins every member of a role.
pub fn role_members(role: &RoleName) -> Vec<u8> {
    [&[ROLE_MEMBER], role.as_str().as_bytes(), &[0]].concat()
}

/// A used token, by its keyed hash.
pub fn token(hash: &Hash) -> Vec<u8> {
    [&[TOKEN], hash.as_slice()].concat()
}

/// A login code, by its keyed hash.
pub fn code(hash: &Hash) -> Vec<u8> {
    [&[CODE], hash.as_slice()].concat()
}

/// A key that signs JWTs.
pub fn signing_key(pk: Pk) -> Vec<u8> {
    [&[SIGNING_KEY], pk.as_bytes().as_slice()].concat()
}

/// A change.
pub fn change(seq: u64) -> Vec<u8> {
    [&[CHANGE], seq.to_be_bytes().as_slice()].concat()
}

/// The kept answer of a write: an idempotency key belongs to a uid.
pub fn kept(uid: u32, key: Key) -> Vec<u8> {
    [&[KEPT], uid.to_be_bytes().as_slice(), key.0.as_bytes()].concat()
}

/// The wrong codes of a source, by the hash of what names it.
pub fn guesses(source: &Hash) -> Vec<u8> {
    [&[GUESSES], source.as_slice()].concat()
}

/// A family, to walk over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// People by pk.
    People,
    /// Callsigns, folded.
    Callsigns,
    /// Roles of people, by pk.
    PersonRoles,
    /// Roles by name.
    Roles,
    /// Members of roles, by role and pk.
    RoleMembers,
    /// Tokens by hash.
    Tokens,
    /// Login codes by hash.
    Codes,
    /// Signing keys, oldest first.
    SigningKeys,
    /// Changes by number.
    Changes,
    /// Kept answers by uid and key.
    Kept,
}

impl Family {
    fn tag(self) -> u8 {
        match self {
            Self::People => PERSON,
            Self::Callsigns => CALLSIGN,
            Self::PersonRoles => PERSON_ROLES,
            Self::Roles => ROLE,
            Self::RoleMembers => ROLE_MEMBER,
            Self::Tokens => TOKEN,
            Self::Codes => CODE,
            Self::SigningKeys => SIGNING_KEY,
            Self::Changes => CHANGE,
            Self::Kept => KEPT,
        }
    }

    /// Its first key, and the first one behind it.
    pub fn bounds(self) -> (Vec<u8>, Vec<u8>) {
        prefixed(vec![self.tag()])
    }
}

/// The first key with this beginning, and the first one behind all of them.
pub fn prefixed(beginning: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    let mut end = beginning.clone();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    (beginning, end)
}

/// The role whose record this key holds.
pub fn role_name(key: &[u8]) -> Option<RoleName> {
    RoleName::new(std::str::from_utf8(key.get(1..)?).ok()?).ok()
}

/// The pk that a key ends with.
pub fn pk_at_end(key: &[u8]) -> Option<Pk> {
    key.last_chunk::<16>().copied().map(Pk::from_bytes)
}

/// The number that a change's key holds.
pub fn seq_at_end(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().copied().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_these_bytes() {
        let pk = Pk::from_bytes([0xab; 16]);
        let role_name = RoleName::new("member").expect("a role");
        let hex = |key: Vec<u8>| key.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let abs = "ab".repeat(16);
        for (key, expected) in [
            (registry(), "017265676973747279".to_owned()),
            (changes_head(), "016368616e676573".to_owned()),
            (person(pk), format!("10{abs}")),
            (callsign("doggo"), "11646f67676f".to_owned()),
            (person_roles(pk), format!("12{abs}")),
            (role(&role_name), "136d656d626572".to_owned()),
            (role_member(&role_name, pk), format!("146d656d62657200{abs}")),
            (token(&[0xcd; 32]), format!("20{}", "cd".repeat(32))),
            (code(&[0xcd; 32]), format!("21{}", "cd".repeat(32))),
            (signing_key(pk), format!("30{abs}")),
            (change(258), "400000000000000102".to_owned()),
            (kept(1000, Key(pk)), format!("41000003e8{abs}")),
            (guesses(&[0xcd; 32]), format!("42{}", "cd".repeat(32))),
        ] {
            assert_eq!(hex(key), expected);
        }
    }

    #[test]
    fn the_end_of_a_prefix_lies_behind_everything_that_begins_so() {
        assert_eq!(prefixed(vec![0x11, 0x61]), (vec![0x11, 0x61], vec![0x11, 0x62]));
        assert_eq!(prefixed(vec![0x11, 0xff, 0xff]), (vec![0x11, 0xff, 0xff], vec![0x12]));
    }
}
