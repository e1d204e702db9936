//! Validated strings: one generic newtype, one rule per kind of text.
//!
//! A secret kind (a token, a login code, a JWT) prints nothing through `Debug`, has no `Display`, and is zeroized when
//! it is dropped.

mod names;
mod secrets;
mod unicode;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroize;

use super::{Invalid, MARK, Reference, arrived};
pub use names::*;
pub use secrets::*;
pub use unicode::{is_dash, is_interpreted, is_unseen};

/// The rule of a kind of text.
pub trait TextRule: 'static {
    /// The name of the kind in messages.
    const NAME: &'static str;
    /// A secret text is never printed, and zeroized when it is dropped.
    const SECRET: bool;
    /// Refuses a text that is not of this kind. The words follow [`Self::NAME`]: "must be 1 to 64 bytes; this is 70".
    fn check(text: &str) -> Result<(), String>;
}

/// The rule of a text that may be printed.
pub trait Shown: TextRule {}

/// Declares kinds of text, one a line: its type, its rule, its name in messages, its check.
macro_rules! texts {
    (shown $($(#[$doc:meta])* $text:ident $rule:ident $name:literal $check:expr;)*) => {
        $(impl super::Shown for $rule {})*
        super::texts! { @ false $($(#[$doc])* $text $rule $name $check;)* }
    };
    (secret $($rows:tt)*) => { super::texts! { @ true $($rows)* } };
    (@ $secret:literal $($(#[$doc:meta])* $text:ident $rule:ident $name:literal $check:expr;)*) => {$(
        $(#[$doc])*
        pub type $text = super::Text<$rule>;

        #[doc = concat!("The rule of [`", stringify!($text), "`].")]
        #[derive(Debug)]
        pub enum $rule {}

        impl TextRule for $rule {
            const NAME: &'static str = $name;
            const SECRET: bool = $secret;
            fn check(text: &str) -> Result<(), String> {
                let check: fn(&str) -> Result<(), String> = $check;
                check(text)
            }
        }
    )*};
}

use texts;

fn sized(text: &str, bytes_max: usize) -> Result<(), String> {
    if text.is_empty() || text.len() > bytes_max {
        return Err(format!("must be 1 to {bytes_max} bytes; this is {}", text.len()));
    }
    Ok(())
}

/// A text that satisfies the rule `R`.
pub struct Text<R: TextRule>(String, PhantomData<fn() -> R>);

impl<R: TextRule> Text<R> {
    /// The text, if the rule accepts it.
    ///
    /// The same as `parse`, for a text that is there already:
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::Callsign;
    ///
    /// assert_eq!(Callsign::new("DOGGO01a")?, "DOGGO01a".parse()?);
    /// let refused = Callsign::new("x".repeat(300)).expect_err("it is too long");
    /// assert!(refused.to_string().contains("callsign"), "{refused}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(text: impl Into<String>) -> Result<Self, Invalid> {
        let mut text = text.into();
        // A secret that was saved as a file on another system may bear a byte order mark; it is the same secret.
        while R::SECRET && text.starts_with(MARK) {
            text.remove(0);
        }
        R::check(&text).map_err(|why| Invalid(format!("{} {why}", R::NAME)))?;
        Ok(Self(text, PhantomData))
    }

    /// The text itself. For a secret this is the one way to it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::LoginCode;
    ///
    /// let code: LoginCode = "K7QWM2XA9R4T".parse()?;
    /// assert_eq!(code.as_str(), "K7QWM2XA9R4T");
    /// assert!(!format!("{code:?}").contains("K7QW"), "a log does not have it");
    /// # Ok(())
    /// # }
    /// ```
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

impl<R: Shown> fmt::Display for Text<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&Callsign> for Reference {
    /// Every callsign names a record: the two kinds have the same bounds.
    fn from(callsign: &Callsign) -> Self {
        Self::of_callsign(Text(callsign.0.clone(), PhantomData))
    }
}

impl From<&CourseKey> for Reference {
    /// Every course key names a record: the two kinds have the same bounds.
    fn from(course: &CourseKey) -> Self {
        Self::of_name(Text(course.0.clone(), PhantomData))
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
    fn a_mark_in_front_of_a_secret_is_no_part_of_it() {
        for (text, expected) in [("\u{feff}abc", "abc"), ("\u{feff}\u{feff}abc", "abc"), ("a\u{feff}", "a\u{feff}")] {
            assert_eq!(Token::new(text).expect("a token").as_str(), expected);
            assert_eq!(LoginCode::new(text).expect("a code").as_str(), expected);
            assert_eq!(Jwt::new(text).expect("a JWT").as_str(), expected);
            let json = serde_json::to_string(text).expect("JSON");
            assert_eq!(serde_json::from_str::<Token>(&json).expect("a token").as_str(), expected);
        }
        assert!(Token::new("\u{feff}").is_err());
    }

    #[test]
    fn permissions_are_whole_words_between_slashes() {
        for path in ["/", "/people/", "/events/create/social/", "/a_b-1/"] {
            assert!(PermissionPath::new(path).is_ok(), "{path}");
        }
        for path in ["", "people", "/people", "people/", "//", "/a//b/", "/People/", "/a b/"] {
            assert!(PermissionPath::new(path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_name_that_is_no_word_is_refused_with_the_word_that_it_could_be() {
        for (name, word) in [
            ("Course:Staff", Some("course-staff")),
            ("org.example/Admin", Some("org-example-admin")),
            ("-x", Some("x")),
            ("B!", None),
            ("", None),
            (":::", None),
            ("É", None),
        ] {
            let refusal = RoleName::new(name).expect_err("no word").0;
            let way_out = refusal.split_once("; it could be ").map(|(_, word)| word.trim_matches('"'));
            assert_eq!(way_out, word, "{name}: {refusal}");
        }
        assert!(!RoleName::new("A".repeat(64)).expect_err("too long").0.contains("could"));
    }
}
