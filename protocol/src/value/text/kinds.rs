//! The kinds of text, and what each accepts.

use super::{Text, TextRule, is_unseen};
use crate::limits;
use crate::value::{Invalid, Pk};

/// A person's or an enrollment's name: 1 to 255 bytes, no characters that are not seen, no white space at either end.
pub type Callsign = Text<CallsignRule>;
/// The beginning of a callsign.
pub type CallsignPrefix = Text<PrefixRule>;
/// The name of a role: `[a-z0-9][a-z0-9_-]{0,62}`.
pub type RoleName = Text<RoleRule>;
/// A permission: `/` for everything, or a path of words such as `/events/create/social/`, which covers what lies below.
pub type PermissionPath = Text<PermissionRule>;
/// The text of a [`Reference`](crate::Reference).
pub type ReferenceText = Text<ReferenceRule>;
/// Where an attempt came from, such as a remote address; guesses are counted per origin.
pub type Origin = Text<OriginRule>;
/// The place where a list goes on; opaque.
pub type Cursor = Text<CursorRule>;
/// A one-time token, 1 to 1024 bytes. Secret.
pub type Token = Text<TokenRule>;
/// A login code as issued or as typed. Secret.
pub type LoginCode = Text<LoginCodeRule>;
/// A pool's invite code, as issued or as typed.
pub type InviteCode = Text<InviteCodeRule>;
/// An enrollment's approve code, as issued or as typed.
pub type ApproveCode = Text<ApproveCodeRule>;
/// Why somebody decided so, for people.
pub type Reason = Text<ReasonRule>;
/// What an event is called.
pub type Title = Text<TitleRule>;
/// What kind of event it is: a word like a role's name, because permissions name it.
pub type EventKind = Text<EventKindRule>;
/// An event pool's name.
pub type EventPoolName = Text<EventPoolNameRule>;
/// The name of a moderated list: a word like a role's name.
pub type ListName = Text<ListNameRule>;
/// A value of a moderated list.
pub type ConstantValue = Text<ConstantValueRule>;
/// How people call such a value.
pub type ConstantLabel = Text<ConstantLabelRule>;
/// What names a course, such as `course-v1:School+Hiking+2027`. Upper and lower case are different.
pub type CourseKey = Text<CourseKeyRule>;
/// What somebody outside calls a person: 1 to 255 characters, no control characters.
pub type ExternalKey = Text<ExternalKeyRule>;
/// A signed JSON web token. Secret.
pub type Jwt = Text<JwtRule>;
/// The serial number of a certificate: hexadecimal digits, with or without colons between them.
pub type CertificateSerial = Text<CertificateSerialRule>;
/// What opens a PKCS#12 file, 1 to 1024 bytes. Secret.
pub type Password = Text<PasswordRule>;
/// A private key in PEM. Secret.
pub type PrivateKey = Text<PrivateKeyRule>;
/// A PKCS#12 file in base64. Secret.
pub type Pfx = Text<PfxRule>;

/// See [`Callsign`].
#[derive(Debug)]
pub enum CallsignRule {}
/// See [`CallsignPrefix`].
#[derive(Debug)]
pub enum PrefixRule {}
/// See [`RoleName`].
#[derive(Debug)]
pub enum RoleRule {}
/// See [`PermissionPath`].
#[derive(Debug)]
pub enum PermissionRule {}
/// See [`ReferenceText`].
#[derive(Debug)]
pub enum ReferenceRule {}
/// See [`Origin`].
#[derive(Debug)]
pub enum OriginRule {}
/// See [`Cursor`].
#[derive(Debug)]
pub enum CursorRule {}
/// See [`Token`].
#[derive(Debug)]
pub enum TokenRule {}
/// See [`LoginCode`].
#[derive(Debug)]
pub enum LoginCodeRule {}
/// See [`InviteCode`].
#[derive(Debug)]
pub enum InviteCodeRule {}
/// See [`ApproveCode`].
#[derive(Debug)]
pub enum ApproveCodeRule {}
/// See [`Reason`].
#[derive(Debug)]
pub enum ReasonRule {}
/// See [`Title`].
#[derive(Debug)]
pub enum TitleRule {}
/// See [`EventKind`].
#[derive(Debug)]
pub enum EventKindRule {}
/// See [`EventPoolName`].
#[derive(Debug)]
pub enum EventPoolNameRule {}
/// See [`ListName`].
#[derive(Debug)]
pub enum ListNameRule {}
/// See [`ConstantValue`].
#[derive(Debug)]
pub enum ConstantValueRule {}
/// See [`ConstantLabel`].
#[derive(Debug)]
pub enum ConstantLabelRule {}
/// See [`CourseKey`].
#[derive(Debug)]
pub enum CourseKeyRule {}
/// See [`ExternalKey`].
#[derive(Debug)]
pub enum ExternalKeyRule {}
/// See [`Jwt`].
#[derive(Debug)]
pub enum JwtRule {}
/// See [`CertificateSerial`].
#[derive(Debug)]
pub enum CertificateSerialRule {}
/// See [`Password`].
#[derive(Debug)]
pub enum PasswordRule {}
/// See [`PrivateKey`].
#[derive(Debug)]
pub enum PrivateKeyRule {}
/// See [`Pfx`].
#[derive(Debug)]
pub enum PfxRule {}

impl TextRule for CallsignRule {
    const NAME: &'static str = "callsign";
    fn check(text: &str) -> Result<(), Invalid> {
        name::<Self>(text)
    }
}

impl TextRule for PrefixRule {
    const NAME: &'static str = "prefix";
    fn check(text: &str) -> Result<(), Invalid> {
        printable::<Self>(text)
    }
}

impl TextRule for RoleRule {
    const NAME: &'static str = "role";
    fn check(text: &str) -> Result<(), Invalid> {
        word::<Self>(text)?;
        no_pk::<Self>(text)
    }
}

impl TextRule for EventKindRule {
    const NAME: &'static str = "kind";
    fn check(text: &str) -> Result<(), Invalid> {
        word::<Self>(text)
    }
}

impl TextRule for ListNameRule {
    const NAME: &'static str = "list";
    fn check(text: &str) -> Result<(), Invalid> {
        word::<Self>(text)
    }
}

impl TextRule for TitleRule {
    const NAME: &'static str = "title";
    fn check(text: &str) -> Result<(), Invalid> {
        name::<Self>(text)
    }
}

impl TextRule for EventPoolNameRule {
    const NAME: &'static str = "name";
    fn check(text: &str) -> Result<(), Invalid> {
        name::<Self>(text)?;
        no_pk::<Self>(text)
    }
}

impl TextRule for ConstantValueRule {
    const NAME: &'static str = "value";
    fn check(text: &str) -> Result<(), Invalid> {
        name::<Self>(text)
    }
}

impl TextRule for ConstantLabelRule {
    const NAME: &'static str = "label";
    fn check(text: &str) -> Result<(), Invalid> {
        name::<Self>(text)
    }
}

impl TextRule for PermissionRule {
    const NAME: &'static str = "permission";
    fn check(text: &str) -> Result<(), Invalid> {
        sized::<Self>(text, limits::NAME_BYTES_MAX)?;
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        let words =
            text.strip_prefix('/').and_then(|rest| if rest.is_empty() { Some("") } else { rest.strip_suffix('/') });
        match words {
            Some("") if text == "/" => Ok(()),
            Some(words) if words.split('/').all(|word| !word.is_empty() && word.bytes().all(fits)) => Ok(()),
            _ => Err(Invalid::new(
                "permission must be / or words of a-z, 0-9, _ and - between slashes, such as /people/",
            )),
        }
    }
}

impl TextRule for ReferenceRule {
    const NAME: &'static str = "reference";
    fn check(text: &str) -> Result<(), Invalid> {
        sized::<Self>(text, limits::NAME_BYTES_MAX)
    }
}

impl TextRule for OriginRule {
    const NAME: &'static str = "origin";
    fn check(text: &str) -> Result<(), Invalid> {
        printable::<Self>(text)
    }
}

impl TextRule for CursorRule {
    const NAME: &'static str = "cursor";
    fn check(text: &str) -> Result<(), Invalid> {
        sized::<Self>(text, 16 * limits::NAME_BYTES_MAX)
    }
}

impl TextRule for TokenRule {
    const NAME: &'static str = "token";
    const SECRET: bool = true;
    fn check(text: &str) -> Result<(), Invalid> {
        sized::<Self>(text, limits::TOKEN_BYTES_MAX)
    }
}

impl TextRule for LoginCodeRule {
    const NAME: &'static str = "code";
    const SECRET: bool = true;
    fn check(text: &str) -> Result<(), Invalid> {
        sized::<Self>(text, limits::NAME_BYTES_MAX)
    }
}

impl TextRule for InviteCodeRule {
    const NAME: &'static str = "invitecode";
    const SECRET: bool = true;
    fn check(text: &str) -> Result<(), Invalid> {
        sized::<Self>(text, limits::NAME_BYTES_MAX)
    }
}

impl TextRule for ApproveCodeRule {
    const NAME: &'static str = "approvecode";
    const SECRET: bool = true;
    fn check(text: &str) -> Result<(), Invalid> {
        sized::<Self>(text, limits::NAME_BYTES_MAX)
    }
}

impl TextRule for ReasonRule {
    const NAME: &'static str = "reason";
    fn check(text: &str) -> Result<(), Invalid> {
        printable::<Self>(text)
    }
}

impl TextRule for CourseKeyRule {
    const NAME: &'static str = "course";
    fn check(text: &str) -> Result<(), Invalid> {
        name::<Self>(text)?;
        no_pk::<Self>(text)
    }
}

impl TextRule for ExternalKeyRule {
    const NAME: &'static str = "external_key";
    fn check(text: &str) -> Result<(), Invalid> {
        let count = text.chars().count();
        if count == 0 || count > limits::EXTERNAL_KEY_CHARACTERS_MAX {
            let most = limits::EXTERNAL_KEY_CHARACTERS_MAX;
            return Err(Invalid(format!("external_key must be 1 to {most} characters; this is {count}")));
        }
        visible::<Self>(text)
    }
}

impl TextRule for JwtRule {
    const NAME: &'static str = "jwt";
    const SECRET: bool = true;
    fn check(text: &str) -> Result<(), Invalid> {
        sized::<Self>(text, limits::JWT_BYTES_MAX)
    }
}

impl TextRule for CertificateSerialRule {
    const NAME: &'static str = "serial";
    fn check(text: &str) -> Result<(), Invalid> {
        sized::<Self>(text, limits::SERIAL_BYTES_MAX)?;
        match text.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') {
            true => Ok(()),
            false => Err(Invalid::new("serial must be hexadecimal digits, as certificate show prints them")),
        }
    }
}

impl TextRule for PasswordRule {
    const NAME: &'static str = "password";
    const SECRET: bool = true;
    fn check(text: &str) -> Result<(), Invalid> {
        sized::<Self>(text, limits::PASSWORD_BYTES_MAX)
    }
}

impl TextRule for PrivateKeyRule {
    const NAME: &'static str = "key";
    const SECRET: bool = true;
    fn check(text: &str) -> Result<(), Invalid> {
        sized::<Self>(text, limits::PEM_BYTES_MAX)
    }
}

impl TextRule for PfxRule {
    const NAME: &'static str = "pfx";
    const SECRET: bool = true;
    fn check(text: &str) -> Result<(), Invalid> {
        sized::<Self>(text, limits::PFX_BYTES_MAX)
    }
}

fn sized<R: TextRule>(text: &str, bytes_max: usize) -> Result<(), Invalid> {
    if text.is_empty() || text.len() > bytes_max {
        return Err(Invalid(format!("{} must be 1 to {bytes_max} bytes; this is {}", R::NAME, text.len())));
    }
    Ok(())
}

fn word<R: TextRule>(text: &str) -> Result<(), Invalid> {
    let mut bytes = text.bytes();
    let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let fits = bytes.next().is_some_and(lower) && bytes.all(|b| lower(b) || b == b'_' || b == b'-');
    if fits && text.len() <= limits::WORD_BYTES_MAX {
        return Ok(());
    }
    Err(Invalid(format!(
        "{} must be 1 to {} of the characters a-z, 0-9, _ and -, beginning with a letter or digit",
        R::NAME,
        limits::WORD_BYTES_MAX
    )))
}

fn printable<R: TextRule>(text: &str) -> Result<(), Invalid> {
    sized::<R>(text, limits::NAME_BYTES_MAX)?;
    without_control::<R>(text)
}

/// A name of at most 255 bytes that people see whole.
fn name<R: TextRule>(text: &str) -> Result<(), Invalid> {
    sized::<R>(text, limits::NAME_BYTES_MAX)?;
    visible::<R>(text)
}

/// Refuses what would make two names look alike: characters that are not seen or turn the direction of text, and white
/// space at the ends.
fn visible<R: TextRule>(text: &str) -> Result<(), Invalid> {
    without_control::<R>(text)?;
    if let Some(unseen) = text.chars().find(|c| is_unseen(*c)) {
        let code = u32::from(unseen);
        return Err(Invalid(format!("{} must not contain characters that are not seen; U+{code:04X} is one", R::NAME)));
    }
    if text.trim() != text {
        return Err(Invalid(format!("{} must not begin or end with white space", R::NAME)));
    }
    Ok(())
}

/// Refuses a name that a reference would read as a primary key.
fn no_pk<R: TextRule>(text: &str) -> Result<(), Invalid> {
    match Pk::of_ours(text) {
        Some(_) => Err(Invalid(format!("{} must not have the form of a pk; choose another", R::NAME))),
        None => Ok(()),
    }
}

fn without_control<R: TextRule>(text: &str) -> Result<(), Invalid> {
    if text.chars().any(char::is_control) {
        return Err(Invalid(format!("{} must not contain control characters", R::NAME)));
    }
    Ok(())
}
