//! The peer check: the user who listens at the socket, by the kernel's credentials (SO_PEERCRED), before anything is
//! sent. Somebody who could put a socket in the daemon's place would otherwise be told tokens and codes.
//!
//! The credentials are those of the process that called listen(2): the daemon, or, for a connection that came while
//! systemd held the socket and no daemon had started yet, systemd, which is root.

use std::fs::read_to_string;

use nix::unistd::{User, geteuid};

/// The user of the packaged service.
const SERVICE_USER: &str = "enrolld";

/// The user that the kernel shows for every user that it can not map.
const OVERFLOW_UID: u32 = 65_534;

/// Refuses a peer that runs as none of these users, by name or uid. Without any: as neither root, nor this user, nor
/// the service's.
pub(crate) fn check(peer: u32, required: &[String]) -> Result<(), String> {
    if required.is_empty() {
        if peer == 0 || peer == geteuid().as_raw() || uid_of(SERVICE_USER) == Some(peer) {
            return Ok(());
        }
        let own = shown(geteuid().as_raw());
        let usual = if geteuid().is_root() {
            format!("root or {SERVICE_USER}")
        } else {
            format!("root, {SERVICE_USER} or {own}")
        };
        return Err(format!(
            "runs as {}, and not as {usual}; if that is right, name the user with --require-peer",
            shown(peer)
        ));
    }
    if required.iter().any(|user| uid_of(user) == Some(peer)) {
        return Ok(());
    }
    Err(format!("runs as {}, and not as {}, as --require-peer demands", shown(peer), required.join(" or ")))
}

/// The uid of a user by name, or a number. The system's own list comes before the name service, which may need a
/// network.
fn uid_of(user: &str) -> Option<u32> {
    let number = || user.parse().ok();
    let listed = || column(|name, _| name == user).and_then(|(_, uid)| uid.parse().ok());
    let served = || User::from_name(user).ok().flatten().map(|user| user.uid.as_raw());
    number().or_else(listed).or_else(served)
}

/// A uid with its name, if the system's own list has one.
fn shown(uid: u32) -> String {
    if uid == OVERFLOW_UID {
        return format!("uid {uid}, which stands for every user that the kernel can not map here");
    }
    let number = uid.to_string();
    match column(|_, listed| listed == number) {
        Some((name, _)) => format!("{name} (uid {uid})"),
        None => format!("uid {uid}"),
    }
}

/// Name and uid of the first line of /etc/passwd that is meant.
fn column(is_meant: impl Fn(&str, &str) -> bool) -> Option<(String, String)> {
    let list = read_to_string("/etc/passwd").ok()?;
    let mut users = list.lines().filter_map(|line| {
        let mut columns = line.split(':');
        Some((columns.next()?, columns.nth(1)?))
    });
    users.find(|(name, uid)| is_meant(name, uid)).map(|(name, uid)| (name.to_owned(), uid.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_this_user_are_accepted_unless_others_are_required() {
        let own = geteuid().as_raw();
        let stranger = own + 12_345;
        for (peer, required, is_accepted) in [
            (0, vec![], true),
            (own, vec![], true),
            (stranger, vec![], false),
            (OVERFLOW_UID, vec![], false),
            (stranger, vec![stranger.to_string()], true),
            (0, vec![stranger.to_string()], false),
            (0, vec!["no-such-user-here".to_owned(), "root".to_owned()], true),
            (stranger, vec!["no-such-user-here".to_owned()], false),
        ] {
            let checked = check(peer, &required);
            assert_eq!(checked.is_ok(), is_accepted, "{peer} {required:?}: {checked:?}");
            if let Err(why) = checked {
                assert!(why.contains(&format!("uid {peer}")) || why.contains("root (uid 0)"), "{why}");
                assert!(why.contains("--require-peer"), "{why}");
            }
        }
    }
}
