//! Grants: users and groups that may connect, and their rights. Decided once per connection by the kernel's credentials of
//! the peer; never by its pid.

use std::sync::Arc;

use enroll_protocol::fold::fold;
use enroll_protocol::{Callsign, plain_name};
use nix::unistd::{Uid, User, geteuid};

use crate::config::{self, Actors, ConfigError, Warned};
use crate::members::{Member, Unknown};
use enroll_core::context::Grant;
use enroll_core::delegation::{ActFor, Delegation};

/// The user that the kernel shows for users it can not map; several may hide behind it, so it is granted nothing.
pub const OVERFLOW_UID: u32 = 65_534;

/// The configuration's grants, names resolved.
#[derive(Debug, Clone)]
pub struct Grants {
    entries: Vec<(Member, Grant)>,
    superusers_through: Vec<Member>,
    act_for: Vec<(Member, ActFor)>,
    proven: Vec<Member>,
    own_uid: u32,
}

impl Grants {
    /// Resolves the names. One that the system does not know grants nothing and is a warning: a user who was removed, or
    /// a directory service that does not answer, must not cost the others their grant. A bound on a peer whose name could
    /// not be looked up is an error: it would be none.
    pub fn resolve(config: &config::Grants) -> Result<(Self, Vec<Warned>), ConfigError> {
        let mut warnings = Vec::new();
        let mut entries = Vec::new();
        for (members, grant) in [
            (&config.metrics, Grant::Metrics),
            (&config.read, Grant::Read),
            (&config.operate, Grant::Operate),
            (&config.decide, Grant::Decide),
            (&config.admin, Grant::Admin),
        ] {
            let members = known(members, grant.name(), "grants nothing", &mut warnings)?;
            entries.extend(members.into_iter().map(|member| (member, grant)));
        }
        let superusers_through =
            known(&config.superusers_through, "superusers_through", "grants nothing", &mut warnings)?;
        let mut act_for = Vec::new();
        for (member, people) in &config.act_for {
            let people = act_for_of(member, people)?;
            act_for.extend(bounded(member, "act_for", &mut warnings)?.map(|member| (member, people)));
        }
        let mut proven = Vec::new();
        for (member, actors) in &config.actors {
            let member = bounded(member, "actors", &mut warnings)?;
            proven.extend(member.filter(|_| *actors == Actors::Proven));
        }
        Ok((Self { entries, superusers_through, act_for, proven, own_uid: geteuid().as_raw() }, warnings))
    }

    /// The most that a user with these groups was granted, and the bounds on whom they may act for: `proven` wins, and
    /// the lists of every entry that matches hold together.
    pub fn of(&self, uid: u32, groups: &[u32]) -> Option<(Grant, Arc<Delegation>)> {
        let matches = |member: &Member| match member {
            Member::User(user) => *user == uid,
            Member::Group(group) => groups.contains(group),
        };
        let grant = match uid {
            OVERFLOW_UID => None,
            uid if uid == 0 || uid == self.own_uid => Some(Grant::Admin),
            _ => self.entries.iter().filter(|(member, _)| matches(member)).map(|(_, grant)| *grant).max(),
        }?;
        let act_for = self.act_for.iter().filter(|(member, _)| matches(member)).map(|(_, people)| people.clone());
        let delegation = Delegation {
            superusers: self.superusers_through.iter().any(matches),
            act_for: act_for.collect(),
            proven: self.proven.iter().any(matches),
        };
        Some((grant, Arc::new(delegation)))
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

/// The members of a list that the system knows, and a warning for each other one.
fn known(
    members: &[String],
    list: &str,
    follows: &str,
    warnings: &mut Vec<Warned>,
) -> Result<Vec<Member>, ConfigError> {
    let mut found = Vec::new();
    for member in members {
        match resolve(member, list)? {
            Ok(member) => found.push(member),
            Err(Unknown { why, .. }) => {
                warnings.push((format!("{list} = {member}"), format!("{why}; this line of grants.{list} {follows}")));
            }
        }
    }
    Ok(found)
}

/// The member that an entry bounds; none, and a warning, where there is nobody of that name.
fn bounded(member: &str, list: &str, warnings: &mut Vec<Warned>) -> Result<Option<Member>, ConfigError> {
    match resolve(member, list)? {
        Ok(member) => Ok(Some(member)),
        Err(Unknown { why, is_certain: true }) => {
            warnings.push((format!("{list} = {member}"), format!("{why}; this line of grants.{list} bounds nobody")));
            Ok(None)
        }
        Err(Unknown { why, is_certain: false }) => {
            let member = plain_name(member);
            Err(ConfigError(format!("grants.{list}: \"{member}\": {why}; name it by its number")))
        }
    }
}

/// The people that a peer may act for.
fn act_for_of(member: &str, people: &[String]) -> Result<ActFor, ConfigError> {
    let mut list = ActFor::default();
    for person in people {
        let wrong = |why: String| {
            let (member, person) = (plain_name(member), plain_name(person));
            ConfigError(format!("grants.act_for: \"{member}\": \"{person}\": {why}"))
        };
        match person.split_once(':') {
            Some(("role", role)) => {
                list.roles.insert(role.parse().map_err(|err: enroll_protocol::Invalid| wrong(err.0))?);
            }
            Some(("callsign", callsign)) => {
                let callsign = Callsign::new(callsign).map_err(|err| wrong(err.0))?;
                list.callsigns.insert(fold(callsign.as_str()));
            }
            _ => return Err(wrong("expected \"role:ROLE\" or \"callsign:CALLSIGN\"".to_owned())),
        }
    }
    Ok(list)
}

/// The user or group of an entry of this list.
fn resolve(member: &str, list: &str) -> Result<Result<Member, Unknown>, ConfigError> {
    match Member::of(member) {
        Some(Ok(Member::User(OVERFLOW_UID))) => Ok(Err(Unknown { why: way_in(OVERFLOW_UID), is_certain: true })),
        Some(found) => Ok(found),
        None => {
            let member = plain_name(member);
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
            ..config::Grants::default()
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
            assert_eq!(grants.of(uid, &groups).map(|(grant, _)| grant), expected, "{uid} {groups:?}");
        }
    }

    #[test]
    fn an_unknown_name_grants_nothing_and_costs_nobody_else() {
        for member in ["user:65534", "user:no-such-user-here", "group:no-such-group-here"] {
            let config =
                config::Grants { read: vec![member.to_owned(), "user:3000".to_owned()], ..config::Grants::default() };
            let (grants, warnings) = Grants::resolve(&config).expect("grants");
            assert_eq!(grants.of(3000, &[1]).map(|(grant, _)| grant), Some(Grant::Read), "{member}");
            let [(subject, message)] = &warnings[..] else { panic!("one warning: {warnings:?}") };
            assert!(subject.contains(member) && message.contains("grants nothing"), "{subject}: {message}");
        }
        let config = config::Grants { read: vec!["somebody".to_owned()], ..config::Grants::default() };
        assert!(Grants::resolve(&config).expect_err("refused").0.contains("somebody"));
    }

    #[test]
    fn every_entry_that_matches_bounds_a_peer() {
        let config: config::Grants = toml::from_str(
            r#"
            operate = ["group:4000"]
            metrics = ["user:3002"]
            superusers_through = ["user:3001"]
            [act_for]
            "user:3000" = ["role:member", "callsign:KIOSK1"]
            "group:4000" = ["role:guest"]
            [actors]
            "user:3000" = "named"
            "group:4001" = "proven"
            "#,
        )
        .expect("a section");
        let (grants, warnings) = Grants::resolve(&config).expect("grants");
        assert!(warnings.is_empty(), "{warnings:?}");
        let of = |uid, groups: &[u32]| grants.of(uid, groups).map(|(grant, bounds)| (grant, (*bounds).clone()));
        let guests = act_for_of("", &["role:guest".to_owned()]).expect("a list");
        let members = act_for_of("", &["role:member".to_owned(), "callsign:kiosk1".to_owned()]).expect("a list");
        let guests_only = Delegation { act_for: vec![guests.clone()], ..Delegation::default() };
        assert_eq!(of(3002, &[1]), Some((Grant::Metrics, Delegation::default())));
        assert_eq!(of(3003, &[4000]), Some((Grant::Operate, guests_only.clone())));
        assert_eq!(of(3001, &[4000]), Some((Grant::Operate, Delegation { superusers: true, ..guests_only })));
        let both = Delegation { act_for: vec![guests, members], proven: true, superusers: false };
        assert_eq!(of(3000, &[4000, 4001]), Some((Grant::Operate, both)));
        assert_eq!(of(3000, &[4001]), None);
    }

    #[test]
    fn a_bound_that_can_not_be_read_is_an_error_that_names_it() {
        for (section, named) in [
            (r#"act_for = { "portal" = [] }"#, "portal"),
            (r#"act_for = { "user:3000" = ["everybody"] }"#, "everybody"),
            (r#"act_for = { "user:3000" = ["role:Not a role"] }"#, "Not a role"),
            (r#"actors = { "portal" = "proven" }"#, "portal"),
        ] {
            let config: config::Grants = toml::from_str(section).expect("a section");
            let err = Grants::resolve(&config).expect_err("refused").0;
            assert!(err.contains(named) && err.starts_with("grants."), "{err}");
        }
    }
}
