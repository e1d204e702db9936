//! One-time tokens: values that another issuer made and nobody may use twice, such as a nonce or a JWT's id.

use serde::{Deserialize, Serialize};

use crate::value::{Json, Time, Token};

/// A token that was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// The token, as it was given in this request; only its hash is stored.
    pub token: Token,
    /// Time of the first use.
    pub created: Time,
    /// The audit attached by the first use.
    pub audit: Option<Json>,
    /// Expiry time, as its issuer set it.
    pub expires: Option<Time>,
}

/// Use a one-time token
///
/// The first use stores it; every later one is refused as `token_reuse`, with the time and the user of the first in the
/// details. Never do two succeed. A token whose `expires` has passed is refused as `expired`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  printf %s \"$NONCE\" | enrollctl token use --audit '{\"ip\":\"203.0.113.9\"}'")
)]
#[serde(deny_unknown_fields)]
pub struct Use {
    /// The token; `-`, the default, reads it from standard input
    #[cfg_attr(feature = "cli", arg(default_value = "-", hide_default_value = true))]
    pub token: Token,
    /// A JSON object to keep with it
    #[cfg_attr(feature = "cli", arg(long, value_name = "JSON"))]
    pub audit: Option<Json>,
    /// Expiry time, as its issuer set it (RFC 3339)
    #[cfg_attr(feature = "cli", arg(long, value_name = "TIME"))]
    pub expires: Option<Time>,
}

impl Use {
    /// This token, without audit and expiry.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use enroll_protocol::token;
    ///
    /// let spend = token::Use::new("nonce-4711".parse()?);
    /// let audited = token::Use { audit: Some(r#"{"ip":"203.0.113.9"}"#.parse()?), ..spend };
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(token: Token) -> Self {
        Self { token, audit: None, expires: None }
    }
}

/// Tell when a token was used
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  printf %s \"$NONCE\" | enrollctl token get")
)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The token; `-`, the default, reads it from standard input
    #[cfg_attr(feature = "cli", arg(default_value = "-", hide_default_value = true))]
    pub token: Token,
}

/// Refused, always: a token that could be forgotten could be used twice
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  printf %s \"$NONCE\" | enrollctl token delete")
)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// The token; `-`, the default, reads it from standard input
    #[cfg_attr(feature = "cli", arg(default_value = "-", hide_default_value = true))]
    pub token: Token,
}
