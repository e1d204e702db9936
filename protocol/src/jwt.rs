//! JSON web tokens (JWTs): made for login codes and for JWTs of trusted issuers, verified, refreshed.

use serde::{Deserialize, Serialize};

use crate::value::{Json, Jwt};

/// Verify a JWT of this daemon and show its claims
///
/// Refused as `jwt_invalid` when it was not signed here, was changed, has expired, or names a deleted person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  printf %s \"$JWT\" | enrollctl jwt verify")
)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// The JWT; `-`, the default, reads it from standard input
    #[cfg_attr(feature = "cli", arg(default_value = "-", hide_default_value = true))]
    pub jwt: Jwt,
}

/// Show the public keys, as a JWK set, that verify this daemon's JWTs
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  enrollctl jwt keys --json > jwks.json")
)]
#[serde(deny_unknown_fields)]
pub struct Keys {}

/// Exchange a JWT of this daemon, while it is valid, for a fresh one with the same claims
///
/// Works until a configured time after the first one was issued. Refusals: `jwt_invalid`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  printf %s \"$JWT\" | enrollctl jwt refresh")
)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The JWT; `-`, the default, reads it from standard input
    #[cfg_attr(feature = "cli", arg(default_value = "-", hide_default_value = true))]
    pub jwt: Jwt,
}

/// Exchange a JWT of an issuer that the configuration trusts, once, for one of this daemon with the same claims
///
/// It must be for this daemon, have an expiry time, and bear a `nonce`, which is spent: the same JWT, or another one of
/// that issuer with the same nonce, is refused as `token_reuse`. Refusals: `jwt_invalid`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(after_help = "Example:\n  printf %s \"$JWT\" | enrollctl jwt exchange")
)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// The JWT; `-`, the default, reads it from standard input
    #[cfg_attr(feature = "cli", arg(default_value = "-", hide_default_value = true))]
    pub jwt: Jwt,
    /// A JSON object to keep with the nonce
    #[cfg_attr(feature = "cli", arg(long, value_name = "JSON"))]
    pub audit: Option<Json>,
}

impl Exchange {
    /// This JWT, without audit.
    ///
    /// The JWT is one of another issuer whom the configuration trusts. Its own are renewed by [`Refresh`].
    pub fn new(jwt: Jwt) -> Self {
        Self { jwt, audit: None }
    }
}

/// Make a new signing key, and answer all public keys as a JWK set
///
/// New JWTs are signed with it; those signed before still verify until they expire. Needs the permission `/`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(after_help = "Example:\n  enrollctl jwt rotate"))]
#[serde(deny_unknown_fields)]
pub struct Rotate {}
