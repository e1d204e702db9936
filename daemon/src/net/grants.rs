//! Grants: users and groups that may connect, and their rights. Decided once per connection by the kernel's credentials of
//! the peer; never by its pid.

use enroll_protocol::plain_name;
use nix::unistd::{Gid, Group, Uid, User, geteuid};

use crate::config::{self, ConfigError};
use crate::daemon::warnings::Warned;
use enroll_core::context::Grant;

/// The user that the kernel shows for users it can not map; several may hide behind it, so it is granted nothing.
pub const OVERFLOW_UID: u32 = 65_534;

/// The configuration's grants, names resolved.
#[derive(Debug, Clone)]
pub struct Grants {
    entries: Vec<(Member, Grant)>,
    own_uid: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    User(u32),
    Group(u32),
}

impl Grants {
    /// Resolves the names. One that the system does not know grants nothing and is a warning: a user who was removed, or
    /// a directory service that does not answer, must not cost the others their grant.
    pub fn resolve(config: &config::Grants) -> Result<(Self, Vec<Warned>), ConfigError> {
        let (mut entries, mut warnings) = (Vec::new(), Vec::new());
        let lists = [(&config.read, Grant::Read), (&config.operate, Grant::Operate), (&config.admin, Grant::Admin)];
        for (members, grant) in lists {
            for member in members {
                match resolve(member, grant)? {
                    Ok(member) => entries.push((member, grant)),
                    Err(why) => {
                        let message = format!("{why}; this line of grants.{} grants nothing", grant.name());
                        warnings.push((format!("{} = {member}", grant.name()), message));
                    }
                }
            }
        }
        Ok((Self { entries, own_uid: geteuid().as_raw() }, warnings))
    }

    /// The most that a user with these groups was granted.
    pub fn of(&self, uid: u32, groups: &[u32]) -> Option<Grant> {
        if uid == OVERFLOW_UID {
            return None;
        }
        if uid == 0 || uid == self.own_uid {
            return Some(Grant::Admin);
        }
        let matches = |member: &Member| match member {
            Member::User(user) => *user == uid,
            Member::Group(group) => groups.contains(group),
        };
        self.entries.iter().filter(|(member, _)| matches(member)).map(|(_, grant)| *grant).max()
    }
}

/// The line of the configuration that would let this user in, where there can be one.
pub fn way_in(uid: u32) -> String {
    if uid == OVERFLOW_UID {
        return "the kernel shows every user it can not map as this one, so it can be granted nothing; \
                use a user of its own"
            .to_owned();
    }
    let name = User::from_uid(Uid::from_raw(uid)).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
    format!("an administrator can give one in enrolld.toml, under [grants]: operate = [\"user:{name}\"]")
}

/// The user or group of an entry; the inner error says why there is none.
fn resolve(member: &str, grant: Grant) -> Result<Result<Member, String>, ConfigError> {
    match member.split_once(':') {
        Some(("user", name)) => {
            let known = User::from_name(name).ok().flatten().map(|user| user.uid);
            Ok(match known.or_else(|| name.parse().ok().map(Uid::from_raw)).map(Uid::as_raw) {
                Some(OVERFLOW_UID) => Err(way_in(OVERFLOW_UID)),
                Some(uid) => Ok(Member::User(uid)),
                None => Err(format!("there is no user {}", plain_name(name))),
            })
        }
        Some(("group", name)) => {
            let known = Group::from_name(name).ok().flatten().map(|group| group.gid);
            let gid = known.or_else(|| name.parse().ok().map(Gid::from_raw));
            Ok(gid
                .map(|gid| Member::Group(gid.as_raw()))
                .ok_or_else(|| format!("there is no group {}", plain_name(name))))
        }
        _ => {
            let (list, member) = (grant.name(), plain_name(member));
            Err(ConfigError(format!("grants.{list}: \"{member}\": expected \"user:NAME\" or \"group:NAME\"")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_grant_of_user_and_groups_counts() {
        let config = config::Grants {
            read: vec!["group:4000".to_owned()],
            operate: vec!["user:3000".to_owned(), "group:4001".to_owned()],
            admin: vec!["user:3001".to_owned()],
        };
        let grants = Grants { own_uid: 2000, ..Grants::resolve(&config).expect("grants").0 };
        for (uid, groups, expected) in [
            (0, [1, 1], Some(Grant::Admin)),
            (2000, [1, 1], Some(Grant::Admin)),
            (3001, [1, 1], Some(Grant::Admin)),
            (3000, [4000, 1], Some(Grant::Operate)),
            (5000, [4000, 1], Some(Grant::Read)),
            (5000, [4000, 4001], Some(Grant::Operate)),
            (5000, [1, 1], None),
            (OVERFLOW_UID, [4001, 4000], None),
        ] {
            assert_eq!(grants.of(uid, &groups), expected, "{uid} {groups:?}");
        }
    }

    #[test]
    fn an_unknown_name_grants_nothing_and_costs_nobody_else() {
        for member in ["user:65534", "user:no-such-user-here", "group:no-such-group-here"] {
            let config =
                config::Grants { read: vec![member.to_owned(), "user:3000".to_owned()], ..config::Grants::default() };
            let (grants, warnings) = Grants::resolve(&config).expect("grants");
            assert_eq!(grants.of(3000, &[1]), Some(Grant::Read), "{member}");
            let [(subject, message)] = &warnings[..] else { panic!("one warning: {warnings:?}") };
            assert!(subject.contains(member) && message.contains("grants nothing"), "{subject}: {message}");
        }
        let config = config::Grants { read: vec!["somebody".to_owned()], ..config::Grants::default() };
        assert!(Grants::resolve(&config).expect_err("refused").0.contains("somebody"));
    }
}
