//! Text values: one generic newtype, one rule per kind of text.
//!
//! A secret kind (a token, a login code, a JWT) prints nothing through `Debug`, has no `Display`, and is wiped from
//! memory when it is dropped.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroize;

use super::{Invalid, arrived};
use crate::limits;

/// What a kind of text accepts.
pub trait TextRule: 'static {
    /// How messages call it.
    const NAME: &'static str;
    /// Whether it must never be shown.
    const SECRET: bool = false;
    /// Refuses what is not of this kind, with a sentence that says what is.
    fn check(text: &str) -> Result<(), Invalid>;
}

/// A text that satisfies the rule `R`.
pub struct Text<R: TextRule>(String, PhantomData<fn() -> R>);

/// A person's or an enrollment's name: 1 to 255 bytes, no control characters, no white space at either end.
pub type Callsign = Text<CallsignRule>;
/// The beginning of a callsign.
pub type CallsignPrefix = Text<PrefixRule>;
/// The name of a role: `[a-z0-9][a-z0-9_-]{0,62}`.
pub type RoleName = Text<RoleRule>;
/// A permission: `/` for everything, or a path of words such as `/events/create/social/`, which covers what lies below.
pub type PermissionPath = Text<PermissionRule>;
/// Something that names a record: its pk as a UUID or in base64url, or its natural name.
pub type Reference = Text<ReferenceRule>;
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
/// A signed JSON web token. Secret.
pub type Jwt = Text<JwtRule>;

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
/// See [`Reference`].
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
/// See [`Jwt`].
#[derive(Debug)]
pub enum JwtRule {}

impl TextRule for CallsignRule {
    const NAME: &'static str = "callsign";
    fn check(text: &str) -> Result<(), Invalid> {
        printable::<Self>(text)?;
        if text.trim() != text {
            return Err(Invalid::new("callsign must not begin or end with white space"));
        }
        Ok(())
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
        let mut bytes = text.bytes();
        let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let fits = bytes.next().is_some_and(lower) && bytes.all(|b| lower(b) || b == b'_' || b == b'-');
        if fits && text.len() <= 63 {
            return Ok(());
        }
        Err(Invalid::new("role must be 1 to 63 of the characters a-z, 0-9, _ and -, beginning with a letter or digit"))
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

impl TextRule for JwtRule {
    const NAME: &'static str = "jwt";
    const SECRET: bool = true;
    fn check(text: &str) -> Result<(), Invalid> {
        sized::<Self>(text, limits::JWT_BYTES_MAX)
    }
}

fn sized<R: TextRule>(text: &str, bytes_max: usize) -> Result<(), Invalid> {
    if text.is_empty() || text.len() > bytes_max {
        return Err(Invalid(format!("{} must be 1 to {bytes_max} bytes; this is {}", R::NAME, text.len())));
    }
    Ok(())
}

fn printable<R: TextRule>(text: &str) -> Result<(), Invalid> {
    sized::<R>(text, limits::NAME_BYTES_MAX)?;
    if text.chars().any(char::is_control) {
        return Err(Invalid(format!("{} must not contain control characters", R::NAME)));
    }
    Ok(())
}

impl<R: TextRule> Text<R> {
    /// The text, if the rule accepts it.
    pub fn new(text: impl Into<String>) -> Result<Self, Invalid> {
        let text = text.into();
        R::check(&text)?;
        Ok(Self(text, PhantomData))
    }

    /// The text itself. For a secret this is the one way to it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<R: TextRule> FromStr for Text<R> {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl<R: TextRule> TryFrom<&str> for Text<R> {
    type Error = Invalid;
    fn try_from(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl<R: TextRule> fmt::Debug for Text<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if R::SECRET { f.write_str("[secret]") } else { fmt::Debug::fmt(&self.0, f) }
    }
}

impl fmt::Display for Callsign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for PermissionPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&Callsign> for Reference {
    /// Every callsign names a record: the two kinds have the same bounds.
    fn from(callsign: &Callsign) -> Self {
        Self(callsign.0.clone(), PhantomData)
    }
}

impl<R: TextRule> Drop for Text<R> {
    fn drop(&mut self) {
        if R::SECRET {
            self.0.zeroize();
        }
    }
}

impl<R: TextRule> Clone for Text<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<R: TextRule> PartialEq for Text<R> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<R: TextRule> Eq for Text<R> {}

impl<R: TextRule> PartialOrd for Text<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<R: TextRule> Ord for Text<R> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl<R: TextRule> Hash for Text<R> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<R: TextRule> Serialize for Text<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de, R: TextRule> Deserialize<'de> for Text<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(arrived(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_whole_words_between_slashes() {
        for path in ["/", "/people/", "/events/create/social/", "/a_b-1/"] {
            assert!(PermissionPath::new(path).is_ok(), "{path}");
        }
        for path in ["", "people", "/people", "people/", "//", "/a//b/", "/People/", "/a b/"] {
            assert!(PermissionPath::new(path).is_err(), "{path}");
        }
    }
}
