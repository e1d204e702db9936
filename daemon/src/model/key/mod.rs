//! The keys of the map: one leading byte per family, then parts whose bytes sort like their values.
//!
//! A text part that is followed by another ends with a zero byte; no text here contains one. Tags are stable: a family
//! that is given up leaves its tag unused.

mod certificate;
mod event;
mod family;
mod program;

use enroll_protocol::enrollment::State;
use enroll_protocol::{Key, Pk, RoleName, Time};

use crate::identity::Hash;
pub use certificate::*;
pub use event::*;
pub use family::Family;
pub use program::*;

const META: u8 = 0x01;
const PERSON: u8 = 0x10;
const CALLSIGN: u8 = 0x11;
const PERSON_ROLES: u8 = 0x12;
const ROLE: u8 = 0x13;
const ROLE_MEMBER: u8 = 0x14;
const POOL: u8 = 0x18;
const INVITE_CODE: u8 = 0x19;
const OWNER_POOL: u8 = 0x1a;
const ENROLLMENT: u8 = 0x1b;
const APPROVE_CODE: u8 = 0x1c;
const POOL_ENROLLMENT: u8 = 0x1d;
const STATE_ENROLLMENT: u8 = 0x1e;
const TOKEN: u8 = 0x20;
const TOKEN_AUDIT: u8 = 0x22;
const CODE: u8 = 0x23;
const CODE_HASH: u8 = 0x24;
const SIGNING_KEY: u8 = 0x30;
const CHANGE: u8 = 0x40;
const KEPT: u8 = 0x41;
const GUESSES: u8 = 0x42;
const DUE: u8 = 0x43;

/// The families whose keys come in no order, and are mostly asked for before they are there.
pub const WITHOUT_ORDER: &[u8] = &[CALLSIGN, INVITE_CODE, APPROVE_CODE, TOKEN, CODE_HASH, KEPT, GUESSES];

/// The schema version and the proof of the secret key: one record, the first ever written.
pub fn registry() -> Vec<u8> {
    [&[META], b"registry".as_slice()].concat()
}

/// The head of the change feed: last number, last time, and how many records of each kind there are.
pub fn changes_head() -> Vec<u8> {
    [&[META], b"changes".as_slice()].concat()
}

/// How far an import has come that is not finished.
pub fn importing() -> Vec<u8> {
    [&[META], b"importing".as_slice()].concat()
}

/// How the import ended that this registry came by.
pub fn imported() -> Vec<u8> {
    [&[META], b"imported".as_slice()].concat()
}

/// Whether this key is one of the registry as a whole.
pub fn is_of_registry(key: &[u8]) -> bool {
    key.first() == Some(&META)
}

/// The key that hashes are made with.
pub fn hashing_key() -> Vec<u8> {
    [&[META], b"hashing".as_slice()].concat()
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

/// An invite pool.
pub fn pool(pk: Pk) -> Vec<u8> {
    [&[POOL], pk.as_bytes().as_slice()].concat()
}

/// The pool of an invite code.
pub fn invite_code(code: &str) -> Vec<u8> {
    [&[INVITE_CODE], code.as_bytes()].concat()
}

/// A pool in the order of its owner's.
pub fn owner_pool(owner: Pk, pool: Pk) -> Vec<u8> {
    [owner_pools(owner).as_slice(), pool.as_bytes()].concat()
}

/// What begins every pool of an owner.
pub fn owner_pools(owner: Pk) -> Vec<u8> {
    [&[OWNER_POOL], owner.as_bytes().as_slice()].concat()
}

/// An enrollment.
pub fn enrollment(pk: Pk) -> Vec<u8> {
    [&[ENROLLMENT], pk.as_bytes().as_slice()].concat()
}

/// The enrollment of an approve code.
pub fn approve_code(code: &str) -> Vec<u8> {
    [&[APPROVE_CODE], code.as_bytes()].concat()
}

/// An enrollment in the order of its pool's.
pub fn pool_enrollment(pool: Pk, enrollment: Pk) -> Vec<u8> {
    [pool_enrollments(pool).as_slice(), enrollment.as_bytes()].concat()
}

/// What begins every enrollment of a pool.
pub fn pool_enrollments(pool: Pk) -> Vec<u8> {
    [&[POOL_ENROLLMENT], pool.as_bytes().as_slice()].concat()
}

/// An enrollment in the order of those in its state.
pub fn state_enrollment(state: State, enrollment: Pk) -> Vec<u8> {
    [state_enrollments(state).as_slice(), enrollment.as_bytes()].concat()
}

/// What begins every enrollment in a state.
pub fn state_enrollments(state: State) -> Vec<u8> {
    let state = match state {
        State::Pending => 0,
        State::Approved => 1,
        State::Rejected => 2,
    };
    vec![STATE_ENROLLMENT, state]
}

/// A used token, by its keyed hash.
pub fn token(hash: &Hash) -> Vec<u8> {
    [&[TOKEN], hash.as_slice()].concat()
}

/// What was attached to a token.
pub fn token_audit(pk: Pk) -> Vec<u8> {
    [&[TOKEN_AUDIT], pk.as_bytes().as_slice()].concat()
}

/// A login code.
pub fn code(pk: Pk) -> Vec<u8> {
    [&[CODE], pk.as_bytes().as_slice()].concat()
}

/// The login code of a keyed hash.
pub fn code_hash(hash: &Hash) -> Vec<u8> {
    [&[CODE_HASH], hash.as_slice()].concat()
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

/// Something that will be due, by what its own key is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// A kept answer.
    Kept(u32, Key),
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
    /// Where it is.
    pub fn place(&self) -> Vec<u8> {
        match self {
            Self::Kept(uid, key) => kept(*uid, *key),
            Self::Guesses(source) => guesses(source),
            Self::Token(hash) => token(hash),
            Self::Code(pk) => code(*pk),
            Self::List => list_head(),
        }
    }

    /// What lies there, if that can be due.
    pub fn of_place(place: &[u8]) -> Option<Self> {
        let (tag, rest) = place.split_first()?;
        let hash = || Hash::try_from(rest).ok();
        match *tag {
            KEPT => {
                let (uid, key) = rest.split_first_chunk::<4>()?;
                Some(Self::Kept(u32::from_be_bytes(*uid), Key(Pk::from_bytes(key.try_into().ok()?))))
            }
            GUESSES => hash().map(Self::Guesses),
            TOKEN => hash().map(Self::Token),
            CODE => rest.try_into().ok().map(Pk::from_bytes).map(Self::Code),
            META => (*place == *list_head()).then_some(Self::List),
            _ => None,
        }
    }
}

/// When something is due.
pub fn due(at: Time, due: &Due) -> Vec<u8> {
    [&dues_from(at), due.place().as_slice()].concat()
}

/// When and what a key of that index says.
pub fn due_of(key: &[u8]) -> Option<(Time, Due)> {
    let at = key.get(1..)?;
    Some((time_of(at)?, Due::of_place(at.get(8..)?)?))
}

/// The first key of what is due later than this.
pub fn dues_behind(now: Time) -> Vec<u8> {
    prefixed(dues_from(now)).1
}

fn dues_from(at: Time) -> Vec<u8> {
    [&[DUE], from_time(at).as_slice()].concat()
}

/// The sign bit is turned, so that times before 1970 sort first.
pub(in crate::model) fn from_time(at: Time) -> [u8; 8] {
    (at.micros() ^ i64::MIN).to_be_bytes()
}

/// The time that these bytes begin with.
pub(in crate::model) fn time_of(bytes: &[u8]) -> Option<Time> {
    Time::from_micros(i64::from_be_bytes(*bytes.first_chunk()?) ^ i64::MIN).ok()
}

/// The first key there can be, and one behind every key there is.
pub fn everything() -> (Vec<u8>, Vec<u8>) {
    (Vec::new(), vec![u8::MAX])
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

/// The pk that a key of two pks begins with.
pub fn pk_at_front(key: &[u8]) -> Option<Pk> {
    key.get(1..)?.first_chunk::<16>().copied().map(Pk::from_bytes)
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
            (pool(pk), format!("18{abs}")),
            (invite_code("AB"), "194142".to_owned()),
            (owner_pool(pk, pk), format!("1a{abs}{abs}")),
            (enrollment(pk), format!("1b{abs}")),
            (approve_code("AB"), "1c4142".to_owned()),
            (pool_enrollment(pk, pk), format!("1d{abs}{abs}")),
            (state_enrollment(State::Rejected, pk), format!("1e02{abs}")),
            (token(&[0xcd; 32]), format!("20{}", "cd".repeat(32))),
            (token_audit(pk), format!("22{abs}")),
            (code(pk), format!("23{abs}")),
            (code_hash(&[0xcd; 32]), format!("24{}", "cd".repeat(32))),
            (signing_key(pk), format!("30{abs}")),
            (change(258), "400000000000000102".to_owned()),
            (kept(1000, Key(pk)), format!("41000003e8{abs}")),
            (certificate(pk, &[0xcd; 20]), format!("31{abs}{}", "cd".repeat(20))),
            (certificates(pk), format!("32{abs}")),
            (revoked(258, &[0xcd; 20]), format!("330000000000000102{}", "cd".repeat(20))),
            (enrollment_request(pk), format!("34{abs}")),
            (guesses(&[0xcd; 32]), format!("42{}", "cd".repeat(32))),
            (due(Time::EPOCH, &Due::Kept(1000, Key(pk))), format!("43800000000000000041000003e8{abs}")),
        ] {
            assert_eq!(hex(key), expected);
        }
    }

    #[test]
    fn dues_sort_by_time_and_come_back_whole() {
        let at = |micros| Time::from_micros(micros).expect("a time");
        let dues = [
            Due::Kept(7, Key(Pk::from_bytes([1; 16]))),
            Due::Guesses([2; 32]),
            Due::Token([3; 32]),
            Due::Code(Pk::from_bytes([4; 16])),
            Due::List,
        ];
        for pair in [-5, 0, 5, 1 << 40].windows(2) {
            assert!(due(at(pair[0]), &dues[3]) < due(at(pair[1]), &dues[0]));
            assert!(due(at(pair[0]), &dues[3]) < dues_behind(at(pair[0])));
            assert!(dues_behind(at(pair[0])) <= due(at(pair[1]), &dues[0]));
        }
        for what in dues {
            assert_eq!(due_of(&due(at(-5), &what)), Some((at(-5), what)));
        }
    }

    #[test]
    fn the_end_of_a_prefix_lies_behind_everything_that_begins_so() {
        assert_eq!(prefixed(vec![0x11, 0x61]), (vec![0x11, 0x61], vec![0x11, 0x62]));
        assert_eq!(prefixed(vec![0x11, 0xff, 0xff]), (vec![0x11, 0xff, 0xff], vec![0x12]));
    }
}
