//! Parts of storage keys: bytes that sort like the values, and the JSON that stands for them in an export.

use enroll_protocol::course::CourseRole;
use enroll_protocol::enrollment::State;
use enroll_protocol::{CourseKey, Key, ListName, Pk, RoleName, Time};
use serde_json::{Map, Value};

use super::{Due, from_time, time_of};
use crate::model::hex;

/// The kind of a part, by which the key of an exported record is read and written.
#[derive(Clone, Copy)]
pub enum Part {
    /// A pk, as text.
    Pk,
    /// 8 bytes, as a number.
    Number,
    /// 4 bytes, as a number.
    Short,
    /// One byte, as a number.
    Byte,
    /// One byte, as the word at that index.
    Choice(&'static [&'static str]),
    /// A time, as text.
    Time,
    /// So many bytes, as hexadecimal digits.
    Bytes(usize),
    /// All bytes up to the end, as hexadecimal digits.
    Rest,
    /// A text that the function accepts. A zero byte ends it where another part follows.
    Text(fn(&str) -> bool),
}

/// A value that is a part of keys.
pub(super) trait KeyPart {
    /// Its kind.
    const PART: Part;

    /// The bytes between this part and one that follows.
    const END: &'static [u8] = &[];

    /// Its bytes, which sort like the values.
    fn key_bytes(&self) -> impl AsRef<[u8]>;
}

/// The JSON of a key's parts; none if the bytes are no key of such parts.
pub(in crate::model) fn to_json(parts: &[(&str, Part)], key: &[u8]) -> Option<Map<String, Value>> {
    let mut rest = key.get(1..)?;
    let mut json = Map::new();
    for (at, (name, part)) in parts.iter().enumerate() {
        json.insert((*name).to_owned(), part.take(&mut rest, at + 1 == parts.len())?);
    }
    rest.is_empty().then_some(json)
}

/// The key of these parts after its tag; none if the JSON does not have such parts.
pub(in crate::model) fn from_json(tag: u8, parts: &[(&str, Part)], json: &Map<String, Value>) -> Option<Vec<u8>> {
    let mut key = vec![tag];
    for (at, (name, part)) in parts.iter().enumerate() {
        part.put(json.get(*name)?, &mut key, at + 1 == parts.len())?;
    }
    // JSON that comes back otherwise is no such key: a part too many, or a text that another part began in.
    (to_json(parts, &key).as_ref() == Some(json)).then_some(key)
}

impl Part {
    fn take(self, rest: &mut &[u8], is_last: bool) -> Option<Value> {
        let mut take = |count: usize| {
            let (taken, after) = rest.split_at_checked(count)?;
            *rest = after;
            Some(taken)
        };
        Some(match self {
            Self::Pk => Pk::from_bytes(take(16)?.try_into().ok()?).to_string().into(),
            Self::Number => u64::from_be_bytes(take(8)?.try_into().ok()?).into(),
            Self::Short => u32::from_be_bytes(take(4)?.try_into().ok()?).into(),
            Self::Byte => take(1)?.first().copied()?.into(),
            Self::Choice(words) => (*words.get(usize::from(*take(1)?.first()?))?).into(),
            Self::Time => time_of(take(8)?)?.to_string().into(),
            Self::Bytes(count) => hex::encode(take(count)?).into(),
            Self::Rest => hex::encode(std::mem::take(rest)).into(),
            Self::Text(accepts) => {
                let text = match is_last {
                    true => std::mem::take(rest),
                    false => {
                        let end = rest.iter().position(|byte| *byte == 0)?;
                        let (text, after) = (rest.get(..end)?, rest.get(end + 1..)?);
                        *rest = after;
                        text
                    }
                };
                std::str::from_utf8(text).ok().filter(|text| accepts(text))?.into()
            }
        })
    }

    fn put(self, value: &Value, key: &mut Vec<u8>, is_last: bool) -> Option<()> {
        match self {
            Self::Pk => key.extend(value.as_str()?.parse::<Pk>().ok()?.as_bytes()),
            Self::Number => key.extend(value.as_u64()?.to_be_bytes()),
            Self::Short => key.extend(u32::try_from(value.as_u64()?).ok()?.to_be_bytes()),
            Self::Byte => key.push(u8::try_from(value.as_u64()?).ok()?),
            Self::Choice(words) => {
                let at = words.iter().position(|word| Some(*word) == value.as_str())?;
                key.push(u8::try_from(at).ok()?);
            }
            Self::Time => key.extend(from_time(value.as_str()?.parse::<Time>().ok()?)),
            Self::Bytes(_) | Self::Rest => key.extend(hex::decode(value.as_str()?)?),
            Self::Text(_) => {
                key.extend(value.as_str()?.as_bytes());
                key.extend((!is_last).then_some(0));
            }
        }
        Some(())
    }
}

/// One line per type of a part.
macro_rules! key_parts {
    ($($ty:ty: $part:expr, $value:ident => $bytes:expr $(, ends with $end:expr)?;)*) => {$(
        impl KeyPart for $ty {
            const PART: Part = $part;
            $(const END: &'static [u8] = $end;)?

            fn key_bytes(&self) -> impl AsRef<[u8]> {
                let $value = self;
                $bytes
            }
        }
    )*};
}

key_parts! {
    Pk: Part::Pk, pk => *pk.as_bytes();
    Key: Part::Pk, key => *key.0.as_bytes();
    u64: Part::Number, number => number.to_be_bytes();
    u32: Part::Short, number => number.to_be_bytes();
    u8: Part::Byte, number => [*number];
    Time: Part::Time, time => from_time(*time);
    State: Part::Choice(&["pending", "approved", "rejected"]), state => [match state {
        State::Pending => 0_u8,
        State::Approved => 1,
        State::Rejected => 2,
    }];
    CourseRole: Part::Choice(&["staff"]), role => [match role {
        CourseRole::Staff => 0_u8,
    }];
    &Due: Part::Rest, due => due.key();
    &str: Part::Text(|_| true), text => text.as_bytes(), ends with &[0];
    &RoleName: Part::Text(|text| RoleName::new(text).is_ok()), role => role.as_str().as_bytes(), ends with &[0];
    &CourseKey: Part::Text(|text| CourseKey::new(text).is_ok()), course => course.as_str().as_bytes(), ends with &[0];
    &ListName: Part::Text(|text| ListName::new(text).is_ok()), list => list.as_str().as_bytes(), ends with &[0];
}

impl<const N: usize> KeyPart for &[u8; N] {
    const PART: Part = Part::Bytes(N);

    fn key_bytes(&self) -> impl AsRef<[u8]> {
        self.as_slice()
    }
}
