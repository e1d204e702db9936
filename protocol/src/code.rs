//! Login codes: twelve characters that carry claims and can be exchanged, once, for a JWT with those claims.

use serde::{Deserialize, Serialize};

use crate::value::{Json, Jwt, LoginCode, Time};

/// A new login code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// The code. It is answered this once, because only its hash is stored; `None` in a dry run.
    pub code: Option<LoginCode>,
    /// Expiry time; none for never.
    pub expires: Option<Time>,
}

/// A JWT that was issued in exchange for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchanged {
    /// The signed JWT. `None` in a dry run.
    pub jwt: Option<Jwt>,
    /// Expiry time of the JWT.
    pub expires: Time,
}

/// The JWT that a login code was exchanged for, and what the code carried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// The signed JWT. `None` in a dry run.
    pub jwt: Option<Jwt>,
    /// Expiry time of the JWT.
    pub expires: Time,
    /// The claims of the code. The JWT has its own beside them.
    pub claims: Json,
}

/// A login code as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Creation time.
    pub created: Time,
    /// The claims it carries.
    pub claims: Json,
    /// The audit attached when it was made, and when it was used.
    pub audit: Option<Json>,
    /// Time of the exchange; none for a code that was not used yet.
    pub used_on: Option<Time>,
    /// Expiry time; none for never.
    pub expires: Option<Time>,
}

/// Make a login code for these claims
///
/// The claims must not contain `iss`, `aud`, `iat`, `nbf`, `exp`, `jti` or `orig_iat`: the JWT gets those when it is
/// made. They are at most 60 KiB, so that all of them together are an object within the bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl code create '{\"sub\":\"DOGGO01a\"}' --expires 2030-01-31T18:00:00Z")
)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// The claims, a JSON object
    #[cfg_attr(feature = "cli", arg(value_name = "CLAIMS"))]
    pub claims: Json,
    /// A JSON object to keep with it
    #[cfg_attr(feature = "cli", arg(long, value_name = "JSON"))]
    pub audit: Option<Json>,
    /// Expiry time (RFC 3339)
    #[cfg_attr(feature = "cli", arg(long, value_name = "TIME"))]
    pub expires: Option<Time>,
}

impl Create {
    /// A code for these claims, without audit and expiry.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::{Time, code};
    ///
    /// let login = code::Create::new(r#"{"sub":"DOGGO01a"}"#.parse()?);
    /// let now: Time = "2027-07-01T10:00:00Z".parse()?;
    /// let for_a_minute = code::Create { expires: Some(now.plus_seconds(60)), ..login };
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(claims: Json) -> Self {
        Self { claims, audit: None, expires: None }
    }
}

/// Exchange a login code for a JWT
///
/// Works once; later uses are refused as `token_reuse`, with the time and the user of the first in the details. Lower
/// case, blanks and dashes do not matter. A code that does not exist counts as a guess, and guesses are limited
/// (`too_many_attempts`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  printf %s \"$CODE\" | enrollctl code use --origin 203.0.113.9")
)]
#[serde(deny_unknown_fields)]
pub struct Use {
    /// The code; `-`, the default, reads it from standard input
    #[cfg_attr(feature = "cli", arg(default_value = "-", hide_default_value = true))]
    pub code: LoginCode,
    /// A JSON object to add to what is kept with it
    #[cfg_attr(feature = "cli", arg(long, value_name = "JSON"))]
    pub audit: Option<Json>,
}

impl Use {
    /// This code, without audit.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::code;
    ///
    /// let exchange = code::Use::new("K7QWM2XA9R4T".parse()?);
    /// let audited = code::Use { audit: Some(r#"{"browser":"links"}"#.parse()?), ..exchange };
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(code: LoginCode) -> Self {
        Self { code, audit: None }
    }
}

/// Show what a login code carries and whether it was used
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  printf %s \"$CODE\" | enrollctl code get")
)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The code; `-`, the default, reads it from standard input
    #[cfg_attr(feature = "cli", arg(default_value = "-", hide_default_value = true))]
    pub code: LoginCode,
}

/// Refused, always: using a code is how it is revoked
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  printf %s \"$CODE\" | enrollctl code delete")
)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// The code; `-`, the default, reads it from standard input
    #[cfg_attr(feature = "cli", arg(default_value = "-", hide_default_value = true))]
    pub code: LoginCode,
}
