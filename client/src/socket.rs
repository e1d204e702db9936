//! The default path of the daemon's socket, by the same rule as the daemon's own.

use std::path::{Path, PathBuf};

const SYSTEM_SOCKET: &str = "/run/enrolld/enrolld.sock";

/// The directory of the system's socket: visible to every user, while the socket is visible to its group only.
const SYSTEM_DIRECTORY: &str = "/run/enrolld";

/// Refuses a path that no socket can have, with the same message as the daemon.
///
/// ```
/// use std::path::Path;
///
/// assert!(enroll_client::check_socket(Path::new("/run/enrolld/enrolld.sock")).is_ok());
/// assert!(enroll_client::check_socket(Path::new(&"x".repeat(108))).is_err());
/// ```
pub fn check_socket(path: &Path) -> Result<(), String> {
    enroll_socket::check_path(path).map_err(|why| format!("{}: {why}", path.display()))
}

/// The socket of `$ENROLLD_SOCKET`, of the system for root, and else of this user, in `$XDG_RUNTIME_DIR` or below the
/// state directory. A user without a socket of their own gets the system's, if there is its directory.
///
/// ```
/// assert!(enroll_client::default_socket().ends_with("enrolld.sock") || std::env::var_os("ENROLLD_SOCKET").is_some());
/// ```
pub fn default_socket() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    choose(variable, nix::unistd::geteuid().is_root(), Path::exists)
}

fn choose(variable: impl Fn(&str) -> Option<PathBuf>, is_root: bool, exists: impl Fn(&Path) -> bool) -> PathBuf {
    if let Some(named) = variable("ENROLLD_SOCKET") {
        return named;
    }
    let system = PathBuf::from(SYSTEM_SOCKET);
    if is_root {
        return system;
    }
    // The XDG specification has relative paths ignored.
    let directory = |name| variable(name).filter(|path| path.is_absolute());
    let own = match directory("XDG_RUNTIME_DIR") {
        Some(runtime) => Some(runtime.join("enrolld/enrolld.sock")),
        None => directory("XDG_STATE_HOME")
            .or_else(|| variable("HOME").map(|home| home.join(".local/state")))
            .map(|state| state.join("enrolld/run/enrolld.sock")),
    };
    match own {
        Some(own) if exists(&own) || !exists(Path::new(SYSTEM_DIRECTORY)) => own,
        _ => system,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNTIME: (&str, &str) = ("XDG_RUNTIME_DIR", "/run/user/7");
    const STATE: (&str, &str) = ("XDG_STATE_HOME", "/state");
    const HOME: (&str, &str) = ("HOME", "/home/dog");
    const OWN: &str = "/run/user/7/enrolld/enrolld.sock";

    #[test]
    fn socket_follows_variable_then_user_then_system() {
        #[rustfmt::skip]
        let cases = [
            (vec![("ENROLLD_SOCKET", "x.sock"), RUNTIME], true, vec![], "x.sock"),
            (vec![RUNTIME], true, vec![OWN], SYSTEM_SOCKET),
            (vec![RUNTIME, STATE, HOME], false, vec![], OWN),
            (vec![RUNTIME], false, vec![OWN, SYSTEM_DIRECTORY], OWN),
            (vec![RUNTIME], false, vec![SYSTEM_DIRECTORY], SYSTEM_SOCKET),
            (vec![("XDG_RUNTIME_DIR", "relative"), STATE, HOME], false, vec![], "/state/enrolld/run/enrolld.sock"),
            (vec![HOME], false, vec![], "/home/dog/.local/state/enrolld/run/enrolld.sock"),
            (vec![HOME], false, vec![SYSTEM_DIRECTORY], SYSTEM_SOCKET),
            (vec![], false, vec![], SYSTEM_SOCKET),
        ];
        for (variables, is_root, existing, expected) in cases {
            let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, v)| v.into());
            let exists = |path: &Path| existing.iter().any(|known| Path::new(known) == path);
            assert_eq!(choose(variable, is_root, exists), Path::new(expected), "{variables:?} {existing:?}");
        }
    }
}
