//! Text rules for what people see: names, keys, words and sentences, each bounded in bytes and free of control
//! characters.

use super::{TextRule, is_unseen, sized};
use crate::limits;
use crate::value::Pk;

/// The length of a hyphenated UUID, and where its hyphens stand.
const PK_CHARACTERS: usize = 36;
const PK_HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// The length of a change's MAC in hexadecimal digits.
const MAC_DIGITS: usize = 32;

super::texts! { shown
    /// A person's or an enrollment's name: 1 to 255 bytes, no invisible characters, no white space at either end.
    Callsign CallsignRule "callsign" name;
    /// The beginning of a callsign, a role's name or a course's key.
    NamePrefix PrefixRule "prefix" printable;
    /// The beginning of a primary key: hexadecimal digits, with the hyphens of a UUID where they stand in one.
    PkPrefix PkPrefixRule "prefix" pk_prefix;
    /// The name of a role: `[a-z0-9][a-z0-9_-]{0,62}`.
    RoleName RoleRule "role" |text| word(text).and_then(|()| no_pk(text));
    /// A permission: `/` for everything, or a path of words such as `/events/create/social/`, which covers the paths
    /// below.
    PermissionPath PermissionRule "permission" permission;
    /// The text of a [`Reference`](crate::Reference).
    ReferenceText ReferenceRule "reference" |text| sized(text, limits::NAME_BYTES_MAX);
    /// The source of an attempt, such as a remote address; wrong codes are counted per origin.
    Origin OriginRule "origin" printable;
    /// The position after a page of a list; opaque.
    Cursor CursorRule "cursor" |text| sized(text, 16 * limits::NAME_BYTES_MAX);
    /// The reason for a decision, for people.
    Reason ReasonRule "reason" printable;
    /// The title of an event.
    Title TitleRule "title" name;
    /// The kind of an event: a word like a role's name, because permissions name it.
    EventKind EventKindRule "kind" word;
    /// An event pool's name.
    EventPoolName EventPoolNameRule "name" |text| name(text).and_then(|()| no_pk(text));
    /// The name of a member of a cluster, as its configuration gives it.
    MemberName MemberNameRule "member" name;
    /// The name of a list of allowed values: a word like a role's name.
    ListName ListNameRule "list" word;
    /// A value of such a list.
    ConstantValue ConstantValueRule "value" name;
    /// The label of such a value, for people.
    ConstantLabel ConstantLabelRule "label" name;
    /// A course's key, such as `course-v1:School+Hiking+2027`. Upper and lower case are different.
    CourseKey CourseKeyRule "course" |text| name(text).and_then(|()| no_pk(text));
    /// A program's own name for a person: 1 to 255 characters, no control characters.
    ExternalKey ExternalKeyRule "external_key" external_key;
    /// The message authentication code (MAC) of a change: 32 hexadecimal digits in lower case.
    ChangeMac ChangeMacRule "mac" change_mac;
    /// The serial number of a certificate: hexadecimal digits, with or without colons between them.
    CertificateSerial CertificateSerialRule "serial" serial;
}

fn change_mac(text: &str) -> Result<(), String> {
    let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    match text.len() == MAC_DIGITS && text.bytes().all(is_digit) {
        true => Ok(()),
        false => Err(format!("must be {MAC_DIGITS} hexadecimal digits in lower case")),
    }
}

fn permission(text: &str) -> Result<(), String> {
    sized(text, limits::NAME_BYTES_MAX)?;
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    let words = text.strip_prefix('/').and_then(|rest| if rest.is_empty() { Some("") } else { rest.strip_suffix('/') });
    match words {
        Some("") if text == "/" => Ok(()),
        Some(words) if words.split('/').all(|word| !word.is_empty() && word.bytes().all(fits)) => Ok(()),
        _ => Err("must be / or words of a-z, 0-9, _ and - between slashes, such as /people/".to_owned()),
    }
}

fn pk_prefix(text: &str) -> Result<(), String> {
    sized(text, PK_CHARACTERS)?;
    let fits = |(at, b): (usize, u8)| if PK_HYPHENS.contains(&at) { b == b'-' } else { b.is_ascii_hexdigit() };
    match text.bytes().enumerate().all(fits) {
        true => Ok(()),
        false => Err("must be the beginning of a pk, such as 01994f3a-7c".to_owned()),
    }
}

fn external_key(text: &str) -> Result<(), String> {
    let (count, most) = (text.chars().count(), limits::EXTERNAL_KEY_CHARACTERS_MAX);
    if count == 0 || count > most {
        return Err(format!("must be 1 to {most} characters; this is {count}"));
    }
    visible(text)
}

fn serial(text: &str) -> Result<(), String> {
    sized(text, limits::SERIAL_BYTES_MAX)?;
    match text.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') {
        true => Ok(()),
        false => Err("must be hexadecimal digits, as certificate show prints them".to_owned()),
    }
}

fn word(text: &str) -> Result<(), String> {
    if is_word(text) {
        return Ok(());
    }
    let most = limits::WORD_BYTES_MAX;
    let way_out = word_of(text).map_or_else(String::new, |word| format!("; it could be \"{word}\""));
    Err(format!("must be 1 to {most} of the characters a-z, 0-9, _ and -, beginning with a letter or digit{way_out}"))
}

fn is_word(text: &str) -> bool {
    let mut bytes = text.bytes();
    let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let fits = bytes.next().is_some_and(lower) && bytes.all(|b| lower(b) || b == b'_' || b == b'-');
    fits && text.len() <= limits::WORD_BYTES_MAX
}

/// The word that a name of another system would be: in lower case, with `-` for colons, points, slashes and blanks. It
/// is proposed and never taken silently, because two names may have the same.
fn word_of(text: &str) -> Option<String> {
    let folded = text.to_ascii_lowercase().replace([':', '.', '/', ' '], "-");
    let word = folded.trim_matches('-');
    is_word(word).then(|| word.to_owned())
}

fn printable(text: &str) -> Result<(), String> {
    sized(text, limits::NAME_BYTES_MAX)?;
    without_control(text)
}

/// A name of at most 255 bytes, every character of it visible.
fn name(text: &str) -> Result<(), String> {
    sized(text, limits::NAME_BYTES_MAX)?;
    visible(text)
}

/// Refuses what makes two names look alike: invisible characters, characters that turn the direction of text, and white
/// space at the ends.
fn visible(text: &str) -> Result<(), String> {
    without_control(text)?;
    if let Some(unseen) = text.chars().find(|c| is_unseen(*c)) {
        let code = u32::from(unseen);
        return Err(format!("must not contain characters that are not seen; U+{code:04X} is one"));
    }
    match text.trim() == text {
        true => Ok(()),
        false => Err("must not begin or end with white space".to_owned()),
    }
}

/// Refuses a name that a reference would read as a primary key.
fn no_pk(text: &str) -> Result<(), String> {
    match Pk::of_ours(text) {
        Some(_) => Err("must not have the form of a pk; choose another".to_owned()),
        None => Ok(()),
    }
}

fn without_control(text: &str) -> Result<(), String> {
    match text.chars().any(char::is_control) {
        true => Err("must not contain control characters".to_owned()),
        false => Ok(()),
    }
}
