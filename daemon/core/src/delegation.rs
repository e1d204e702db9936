//! Delegation: the bounds on whom a peer may act for, from the configuration's grants.

use std::collections::BTreeSet;

use enroll_protocol::RoleName;
use serde::{Deserialize, Serialize};

/// Whom a peer may act for. The default is anybody but holders of the permission `/`, on the peer's word.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delegation {
    /// True if the peer may act for holders of `/` too.
    pub superusers: bool,
    /// Lists of people. An actor must be on every one of them.
    pub act_for: Vec<ActFor>,
    /// True if only a session JWT proves an actor, and a name is refused.
    pub proven: bool,
}

/// A list of people: those who have one of the roles, and those who have one of the callsigns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActFor {
    /// Roles.
    pub roles: BTreeSet<RoleName>,
    /// Callsigns, case-folded.
    pub callsigns: BTreeSet<String>,
}

impl Delegation {
    /// True if the peer acts for some people only, or must prove its actors.
    pub fn is_bounded(&self) -> bool {
        self.proven || !self.act_for.is_empty()
    }
}
