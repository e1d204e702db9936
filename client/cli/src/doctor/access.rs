//! The socket: whether it is there, and whether this user may open it, by its group or only from the next login on.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use enroll_client::protocol::finding::{Finding, Topic};
use nix::unistd::{AccessFlags, Gid, Group, Uid, User, access, getegid, geteuid, getgroups};

use super::{Machine, Outcome};

/// The command that a group's member can run at once.
const COMMAND: &str = "enrollctl doctor";

/// The bits of a mode that let a group into a directory and through a socket.
const SEARCH: u32 = 0o010;
const WRITE: u32 = 0o020;

/// A user before a socket that is not theirs to open.
#[derive(Debug, Clone, Copy)]
struct Visitor<'a> {
    user: &'a str,
    owner: &'a str,
    group: &'a str,
    /// The system lists the user as a member of the group.
    is_member: bool,
    /// This login has the group.
    has_group: bool,
    /// Members of the group may open the socket, and others may become members.
    may_join: bool,
}

/// Looks at the socket, without connecting.
pub(super) fn socket(machine: &Machine) -> Outcome {
    let (path, start) = (&machine.socket, machine.start());
    let shown = path.display().to_string();
    let none = |why: &str| {
        let arguments = [("socket", shown.as_str()), ("why", why), ("start", start.as_str())];
        Outcome::Found(vec![Finding::of(Topic::NoSocket, "", &arguments)])
    };
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(err) if err.kind() == ErrorKind::PermissionDenied => {
            let above = path.parent().and_then(|parent| parent.metadata().ok());
            return Outcome::Found(vec![refused(&shown, above.as_ref(), SEARCH)]);
        }
        Err(err) if err.kind() == ErrorKind::NotFound => return none("it is not there"),
        Err(err) => return none(&err.to_string()),
    };
    if !metadata.file_type().is_socket() {
        return none("it is no socket");
    }
    match access(path, AccessFlags::W_OK) {
        Ok(()) => Outcome::Fine(format!("{shown}, mode {:o}", metadata.mode() & 0o777)),
        Err(_) => Outcome::Found(vec![refused(&shown, Some(&metadata), WRITE)]),
    }
}

/// The finding before a socket, or the directory that it is in, whose mode gives its group this bit or not.
fn refused(socket: &str, closed: Option<&Metadata>, bit: u32) -> Finding {
    let (owner, group) = closed.map_or((0, 0), |closed| (closed.uid(), closed.gid()));
    let user = User::from_uid(geteuid()).ok().flatten();
    let listed = Group::from_gid(Gid::from_raw(group)).ok().flatten();
    let name = user.as_ref().map_or_else(|| geteuid().to_string(), |user| user.name.clone());
    let owner = User::from_uid(Uid::from_raw(owner)).ok().flatten().map_or_else(|| owner.to_string(), |user| user.name);
    let is_first = user.is_some_and(|user| user.gid.as_raw() == group);
    let has_group =
        getegid().as_raw() == group || getgroups().is_ok_and(|groups| groups.iter().any(|held| held.as_raw() == group));
    let visitor = Visitor {
        user: &name,
        owner: &owner,
        group: &listed.as_ref().map_or_else(|| group.to_string(), |group| group.name.clone()),
        is_member: is_first || listed.as_ref().is_some_and(|group| group.mem.contains(&name)),
        has_group,
        // The group of root is not for others to join.
        may_join: group != 0 && closed.is_some_and(|closed| closed.mode() & bit != 0),
    };
    visitor.finding(socket)
}

impl Visitor<'_> {
    fn finding(self, socket: &str) -> Finding {
        let Self { user, owner, group, .. } = self;
        let way = match self.may_join && !self.has_group {
            true => format!("sudo usermod -aG {group} {user}, and log in again"),
            false => format!("ask as {owner}, or have the socket opened for a group of its callers"),
        };
        let arguments = [
            ("user", user),
            ("socket", socket),
            ("owner", owner),
            ("group", group),
            ("command", COMMAND),
            ("way", way.as_str()),
        ];
        let is_early = self.is_member && self.may_join && !self.has_group;
        Finding::of(if is_early { Topic::GroupLogin } else { Topic::SocketAccess }, "", &arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_logs_in_again_and_a_stranger_joins_the_group() {
        let closed = "alice may not open /s, which is for root and the group enrolld";
        for (is_member, has_group, may_join, message, mend) in [
            (
                true,
                false,
                true,
                "alice is in the group enrolld, but not in this login yet",
                "log in again, or at once: sg enrolld -c 'enrollctl doctor'",
            ),
            (false, false, true, closed, "sudo usermod -aG enrolld alice, and log in again"),
            (false, false, false, closed, "ask as root, or have the socket opened for a group of its callers"),
            (true, true, true, closed, "ask as root, or have the socket opened for a group of its callers"),
        ] {
            let visitor = Visitor { user: "alice", owner: "root", group: "enrolld", is_member, has_group, may_join };
            let finding = visitor.finding("/s");
            assert_eq!((finding.message.as_str(), finding.mend.as_str()), (message, mend));
        }
    }
}
