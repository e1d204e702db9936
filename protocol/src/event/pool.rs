//! Pools of an event: places for people of some roles, added, changed and removed.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::POOL_ROLES_MAX;
use crate::value::{EventPoolName, Invalid, Pk, Reference, RoleName, Time, at_most, read_json};

/// A pool of an event: places for people of some roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPool {
    /// Primary key.
    pub pk: Pk,
    /// Unique in its event.
    pub name: EventPoolName,
    /// Capacity in places; 0 for any number.
    pub capacity: u32,
    /// Opening time; none for a pool that is open from the beginning.
    pub opens: Option<Time>,
    /// The pool admits people who have one of these roles.
    pub roles: Vec<RoleName>,
    /// People who hold a place in it.
    pub places_taken: u32,
    /// People who wait for a place in it.
    pub waiting_count: u32,
}

/// A pool to be made with its event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPool {
    /// Unique in its event.
    pub name: EventPoolName,
    /// Capacity in places; 0 for any number.
    pub capacity: u32,
    /// The pool admits people who have one of these roles.
    #[serde(deserialize_with = "at_most::<POOL_ROLES_MAX, _, _>")]
    pub roles: Vec<RoleName>,
    /// Opening time; none for a pool that is open from the beginning.
    pub opens: Option<Time>,
}

impl FromStr for NewPool {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let example = r#"{"name":"members","capacity":40,"roles":["member"]}"#;
        let read =
            if text.trim_start().starts_with('{') { read_json(text) } else { Err(Invalid::new("no JSON object")) };
        read.map_err(|err| Invalid(format!("{err}; a pool is written as {example}")))
    }
}

/// Add a pool to an event
///
/// People who wait are seated in it. A first pool is refused while somebody has registered (`pool_has_registrations`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(
        after_help = "Example:\n  enrollctl --as BOSS event add_pool 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b guests \
                      --capacity 10 --role guest"
    )
)]
#[serde(deny_unknown_fields)]
pub struct AddPool {
    /// The event's pk
    pub event: Reference,
    /// The pool's name, unique in its event
    pub name: EventPoolName,
    /// Capacity in places; 0 for any number
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub capacity: u32,
    /// Admit people who have this role; may be repeated
    #[cfg_attr(feature = "cli", arg(long = "role", value_name = "ROLE", required = true))]
    #[serde(deserialize_with = "at_most::<POOL_ROLES_MAX, _, _>")]
    pub roles: Vec<RoleName>,
    /// Opening time (RFC 3339); without one the pool is open
    #[cfg_attr(feature = "cli", arg(long, value_name = "TIME"))]
    pub opens: Option<Time>,
}

/// Change a pool of an event
///
/// A field that is not given stays. Fewer places than are taken move nobody; they only stop new ones. Roles that no
/// longer fit unseat nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(
        after_help = "Example:\n  enrollctl --as BOSS event update_pool 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b members \
                      --capacity 60"
    )
)]
#[serde(deny_unknown_fields)]
pub struct UpdatePool {
    /// The event's pk
    pub event: Reference,
    /// The pool: name or pk
    pub pool: Reference,
    /// Another name
    #[cfg_attr(feature = "cli", arg(long))]
    pub name: Option<EventPoolName>,
    /// Capacity in places; 0 for any number
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub capacity: Option<u32>,
    /// Admit people who have this role, in place of the roles before; may be repeated
    #[cfg_attr(feature = "cli", arg(long = "role", value_name = "ROLE"))]
    pub roles: Option<Vec<RoleName>>,
    /// Opening time (RFC 3339)
    #[cfg_attr(feature = "cli", arg(long, value_name = "TIME"))]
    pub opens: Option<Time>,
}

/// Remove a pool from an event
///
/// Refused while somebody holds a place in it, and for the last pool while somebody has registered
/// (`pool_has_registrations`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(clap::Args),
    command(
        after_help = "Example:\n  enrollctl --as BOSS event remove_pool 01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b guests"
    )
)]
#[serde(deny_unknown_fields)]
pub struct RemovePool {
    /// The event's pk
    pub event: Reference,
    /// The pool: name or pk
    pub pool: Reference,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_that_can_not_be_read_says_what_is_wrong_and_how_it_is_written() {
        for (text, wrong) in [
            ("members=40", "no JSON object"),
            ("[]", "no JSON object"),
            (r#"{"name":"a""#, "EOF while parsing an object"),
            (r#"{"name":"a","capacity":1}"#, "missing field `roles`"),
            (r#"{"name":"a","capacity":1,"roles":["b"],"open":1}"#, "open: unknown field `open`"),
            (r#"{"name":"a","capacity":4294967296,"roles":["b"]}"#, "capacity: invalid value: integer `4294967296`"),
            (r#"{"name":"a","capacity":1,"roles":["B"]}"#, "roles[0]: role must be"),
            (r#"{"name":"a","capacity":1,"roles":["b"]} {}"#, "trailing characters"),
        ] {
            let told = text.parse::<NewPool>().expect_err(text).0;
            assert!(told.starts_with(wrong) && told.contains(r#"{"name":"members","#), "{text}: {told}");
            assert!(!told.contains(" at line "), "{text}: {told}");
        }
        let pool: NewPool = r#"{"name":"a","capacity":0,"roles":["b","c"]}"#.parse().expect("a pool");
        assert_eq!((pool.name.as_str(), pool.capacity, pool.roles.len(), pool.opens), ("a", 0, 2, None));
    }
}
