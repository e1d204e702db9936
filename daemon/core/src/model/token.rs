//! Stored records of one-time tokens and login codes.
//!
//! Both are looked up by their hashes, which are random, so the records under a hash are small; large parts are stored
//! under a pk, in order of time.

use enroll_protocol::enrollment::Decider;
use enroll_protocol::{Json, Pk, Time};
use serde::{Deserialize, Serialize};

use super::record::{Record, stored_bytes, stored_json};
use crate::identity::Hash;

/// A used token. The token itself is not stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The pk of the token in changes.
    pub pk: Pk,
    /// The time of use.
    pub created: Time,
    /// The expiry that its issuer gave it.
    pub expires: Option<Time>,
    /// Its user; not known of one that was used before version 2.
    #[serde(default)]
    pub used_by: Option<Decider>,
}

/// The audit object of a token. It has a record of its own, because records of tokens have random keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenAudit {
    /// The token's hash.
    #[serde(with = "stored_bytes")]
    pub hash: Hash,
    /// The object as it was attached.
    #[serde(with = "stored_json")]
    pub audit: Json,
}

/// A login code. The code itself is not stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// Its hash.
    #[serde(with = "stored_bytes")]
    pub hash: Hash,
    /// The time at which it was made.
    pub created: Time,
    /// The claims it carries.
    #[serde(with = "stored_json")]
    pub claims: Json,
    /// The attached JSON.
    #[serde(with = "stored_json::optional")]
    pub audit: Option<Json>,
    /// The life of the person whom `sub` names: it is refused in another one.
    #[serde(default)]
    pub subject_life: u32,
    /// The time of the exchange.
    pub used_on: Option<Time>,
    /// Its user; not known of one that was used before version 2.
    #[serde(default)]
    pub used_by: Option<Decider>,
    /// The time at which it expires.
    pub expires: Option<Time>,
}

impl Record for TokenAudit {}
