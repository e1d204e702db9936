//! Members of lists in the configuration: users and groups by the names that the system knows, or by numbers.

use enroll_protocol::plain_name;
use nix::unistd::{Group, User};

/// A user or a group, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Member {
    User(u32),
    Group(u32),
}

/// Why an entry has no member.
#[derive(Debug)]
pub(crate) struct Unknown {
    pub(crate) why: String,
    /// True if there is none; false if it could not be looked up.
    pub(crate) is_certain: bool,
}

impl Member {
    /// The member of an entry `user:NAME` or `group:NAME`; a name that the system does not know may be a number. `None`
    /// for an entry of another form.
    pub(crate) fn of(entry: &str) -> Option<Result<Self, Unknown>> {
        let (kind, name) = entry.split_once(':')?;
        let looked_up = match kind {
            "user" => User::from_name(name).map(|user| user.map(|user| user.uid.as_raw())),
            "group" => Group::from_name(name).map(|group| group.map(|group| group.gid.as_raw())),
            _ => return None,
        };
        let number = looked_up.unwrap_or_default().or_else(|| name.parse().ok());
        let member = number.map(if kind == "user" { Self::User } else { Self::Group });
        Some(member.ok_or_else(|| {
            let name = plain_name(name);
            match looked_up {
                Ok(_) => Unknown { why: format!("there is no {kind} {name}"), is_certain: true },
                Err(err) => {
                    Unknown { why: format!("the {kind} {name} can not be looked up: {err}"), is_certain: false }
                }
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_resolved_and_what_is_unknown_is_named() {
        for (entry, expected) in [
            ("user:root", Some(Ok(Member::User(0)))),
            ("group:root", Some(Ok(Member::Group(0)))),
            ("user:4000", Some(Ok(Member::User(4000)))),
            ("group:4000", Some(Ok(Member::Group(4000)))),
            ("user:no-such-user-here", Some(Err("there is no user no-such-user-here"))),
            ("group:no-such-group-here", Some(Err("there is no group no-such-group-here"))),
            ("user:", Some(Err("there is no user "))),
            ("root", None),
            ("role:root", None),
            ("User:root", None),
        ] {
            let found = Member::of(entry);
            let found = found.as_ref().map(|found| found.as_ref().copied().map_err(|unknown| &*unknown.why));
            assert_eq!(found, expected, "{entry}");
        }
    }
}
