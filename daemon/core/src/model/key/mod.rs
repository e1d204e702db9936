//! Storage keys: one leading byte per family, then parts whose bytes sort like their values.
//!
//! A text part that another part follows ends with a zero byte; no text here contains one. The key of a record that is
//! the only one of its kind is a word.

mod due;
mod families;
mod part;
mod read;

use enroll_protocol::{PkPrefix, Time};

use super::hex;
pub use due::{Due, due_of, dues_after};
pub(super) use families::SHAPES;
pub use families::*;
pub use part::Part;
pub(super) use part::{from_json, to_json};
pub use read::*;

const META: u8 = 0x01;

/// Hexadecimal digits of a pk.
const PK_DIGITS: usize = 32;

/// The schema version and the proof of the secret key: one record, the first ever written.
pub fn registry() -> Vec<u8> {
    single("registry")
}

/// The version of enrolld that wrote last.
pub fn last_writer() -> Vec<u8> {
    single("writer")
}

/// The head of the change feed: last number, last time, and how many records of each kind there are.
pub fn changes_head() -> Vec<u8> {
    single("changes")
}

/// The progress of an import that is not finished.
pub fn importing() -> Vec<u8> {
    single("importing")
}

/// The end of the import that filled this registry.
pub fn imported() -> Vec<u8> {
    single("imported")
}

/// The sealed key that hashes are made with.
pub fn hashing_key() -> Vec<u8> {
    single("hashing")
}

/// The authority.
pub fn authority() -> Vec<u8> {
    single("authority")
}

/// The head of the revoked certificates.
pub fn list_head() -> Vec<u8> {
    single("revoked")
}

/// True for the key of a record of which there is only one.
pub fn is_of_registry(key: &[u8]) -> bool {
    key.first() == Some(&META)
}

/// The range of all keys, without the end.
pub fn everything() -> (Vec<u8>, Vec<u8>) {
    (Vec::new(), vec![u8::MAX])
}

/// The range of the keys with this beginning, without the end.
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

/// The range of the keys of this family, which are pks, that begin so; without the end.
pub fn pks_with(family: Family, prefix: &PkPrefix) -> (Vec<u8>, Vec<u8>) {
    let digits = prefix.as_str().replace('-', "").to_ascii_lowercase();
    let padded = |digit: &str| digits.clone() + &digit.repeat(PK_DIGITS.saturating_sub(digits.len()));
    let key = |digit| [vec![family as u8], hex::decode(&padded(digit)).unwrap_or_default()].concat();
    (key("0"), prefixed(key("f")).1)
}

/// The sign bit is flipped, so that times before 1970 sort first.
fn from_time(at: Time) -> [u8; 8] {
    (at.micros() ^ i64::MIN).to_be_bytes()
}

/// The time that these bytes begin with.
fn time_of(bytes: &[u8]) -> Option<Time> {
    Time::from_micros(i64::from_be_bytes(*bytes.first_chunk()?) ^ i64::MIN).ok()
}

fn single(word: &str) -> Vec<u8> {
    [&[META], word.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use enroll_protocol::course::CourseRole;
    use enroll_protocol::enrollment::State;
    use enroll_protocol::{CourseKey, Key, ListName, Pk, RoleName};

    use super::*;

    #[test]
    fn keys_have_these_bytes() {
        let pk = Pk::from_bytes([0xab; 16]);
        let role_name = RoleName::new("member").expect("a role");
        let course_key = CourseKey::new("AB").expect("a key");
        let (abs, cds) = ("ab".repeat(16), "cd".repeat(32));
        let keys = [
            (registry(), "017265676973747279".to_owned()),
            (last_writer(), "01777269746572".to_owned()),
            (changes_head(), "016368616e676573".to_owned()),
            (importing(), "01696d706f7274696e67".to_owned()),
            (imported(), "01696d706f72746564".to_owned()),
            (hashing_key(), "0168617368696e67".to_owned()),
            (authority(), "01617574686f72697479".to_owned()),
            (list_head(), "017265766f6b6564".to_owned()),
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
            (erased_callsign(&[0xcd; 32]), format!("15{cds}")),
            (token(&[0xcd; 32]), format!("20{cds}")),
            (token_audit(pk), format!("22{abs}")),
            (code(pk), format!("23{abs}")),
            (code_hash(&[0xcd; 32]), format!("24{cds}")),
            (signing_key(pk), format!("30{abs}")),
            (certificate(pk, &[0xcd; 20]), format!("31{abs}{}", "cd".repeat(20))),
            (certificates(pk), format!("32{abs}")),
            (revoked(258, &[0xcd; 20]), format!("330000000000000102{}", "cd".repeat(20))),
            (enrollment_request(pk), format!("34{abs}")),
            (service("portal"), "35706f7274616c".to_owned()),
            (change(258), "400000000000000102".to_owned()),
            (kept(1000, Key(pk)), format!("41000003e8{abs}")),
            (kept_part(1000, Key(pk), 258), format!("44000003e8{abs}00000102")),
            (guesses(&[0xcd; 32]), format!("42{cds}")),
            (due(Time::EPOCH, &Due::Kept(1000, Key(pk))), format!("43800000000000000041000003e8{abs}")),
            (due(Time::EPOCH, &Due::Parts(1000, Key(pk))), format!("43800000000000000044000003e8{abs}")),
            (event(pk), format!("50{abs}")),
            (event_head(pk), format!("51{abs}")),
            (event_start(Time::EPOCH, pk), format!("528000000000000000{abs}")),
            (registration(pk, pk), format!("53{abs}{abs}")),
            (registered(pk, 258), format!("54{abs}0000000000000102")),
            (person_registration(pk, Time::EPOCH, pk), format!("55{abs}8000000000000000{abs}")),
            (waiting(pk, 258), format!("56{abs}0000000000000102")),
            (waiting_count(pk, 3, 258), format!("57{abs}030000000000000102")),
            (waiting_for(pk, 1000, 258), format!("58{abs}000003e80000000000000102")),
            (seated(pk, 1000, 7, 258), format!("59{abs}000003e8000000070000000000000102")),
            (event_due(Time::EPOCH, pk), format!("5a8000000000000000{abs}")),
            (event_cause(pk), format!("5b{abs}")),
            (pending(pk, pk, pk), format!("5c{abs}{abs}{abs}")),
            (representative(pk, pk), format!("61{abs}{abs}")),
            (represented(pk, pk), format!("62{abs}{abs}")),
            (constant(&ListName::new("colors").expect("a list"), "red"), "63636f6c6f727300726564".to_owned()),
            (course(&course_key), "704142".to_owned()),
            (course_pk(pk), format!("71{abs}")),
            (course_enrollment(&course_key, pk), format!("72414200{abs}")),
            (person_course(pk, &course_key), format!("73{abs}4142")),
            (course_role(&course_key, pk, CourseRole::Staff), format!("74414200{abs}00")),
            (person_course_role(pk, &course_key, CourseRole::Staff), format!("75{abs}41420000")),
            (course_name("ab"), "766162".to_owned()),
            (program_enrollment(pk, "x1"), format!("78{abs}7831")),
            (program_pk(pk, pk), format!("79{abs}{abs}")),
            (person_program(pk, pk, pk), format!("7a{abs}{abs}{abs}")),
        ];
        for (key, expected) in &keys {
            assert_eq!(&hex::encode(key), expected);
        }
        for shape in SHAPES {
            let is_here = keys.iter().any(|(key, _)| shape.reads(key));
            assert!(is_here, "add the bytes of a {} key, or its parts do not come back", shape.name);
        }
    }

    #[test]
    fn pks_that_begin_so_are_a_range() {
        let pk = |first: u8, second: u8, rest: u8| {
            let mut bytes = [rest; 16];
            (bytes[0], bytes[1]) = (first, second);
            pool(Pk::from_bytes(bytes))
        };
        for (prefix, within, beside) in [
            ("0", [pk(0, 0, 0), pk(0x0f, 0xff, 0xff)], pk(0x10, 0, 0)),
            ("aB", [pk(0xab, 0, 0), pk(0xab, 0xff, 0xff)], pk(0xac, 0, 0)),
            ("abC", [pk(0xab, 0xc0, 0), pk(0xab, 0xcf, 0xff)], pk(0xab, 0xd0, 0)),
            ("ffff", [pk(0xff, 0xff, 0), pk(0xff, 0xff, 0xff)], invite_code("")),
            ("01020202-0202-0202-0202-020202020202", [pk(1, 2, 2), pk(1, 2, 2)], pk(1, 2, 3)),
        ] {
            let (from, to) = pks_with(Family::Pools, &prefix.parse().expect("a prefix"));
            assert_eq!(from, within[0], "{prefix}");
            assert!(within[1] < to && to <= beside, "{prefix}");
        }
        for text in ["", "g", "01020202-0202-0202-0202-0202020202020", "0102020-2", "010202020"] {
            assert!(text.parse::<PkPrefix>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_end_of_a_prefix_comes_after_everything_that_begins_so() {
        assert_eq!(prefixed(vec![0x11, 0x61]), (vec![0x11, 0x61], vec![0x11, 0x62]));
        assert_eq!(prefixed(vec![0x11, 0xff, 0xff]), (vec![0x11, 0xff, 0xff], vec![0x12]));
    }
}
