//! The files of the system's daemon: configuration, secret key, state directory, and the disk under it.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use enroll_client::protocol::finding::{DISK_LOW_FACTOR, Finding, Topic};
use nix::sys::statvfs::statvfs;
use nix::unistd::{Uid, User, geteuid};

use super::{Machine, Outcome, systemd};
use crate::output::status::bytes;
use crate::process::which;

const CONFIGURATION: &str = "/etc/enrolld/enrolld.toml";

const KEY: &str = "/etc/enrolld/enrolld.key";

/// The key as `systemd-creds` sealed it to this machine.
const SEALED_KEY: &str = "/etc/enrolld/enrolld.key.sealed";

const STATE: &str = "/var/lib/enrolld";

/// Files in the state directory: the database, and the key where it is not in `/etc`.
const DATABASE: &str = "enrolld.redb";
const KEY_IN_STATE: &str = "enrolld.key";

/// The user of the service.
const SERVICE_USER: &str = "enrolld";

/// MiB of free space below which the default configuration refuses writes.
const NEEDED_MIB: u64 = 64;

const NEEDS_ROOT: &str = "needs root";

/// Has `enrolld --check-config` judge the configuration, as the unit would start it.
pub(super) fn configuration(machine: &Machine) -> Outcome {
    let path = machine.path(CONFIGURATION);
    if !path.exists() {
        return Outcome::Fine("none: the defaults".to_owned());
    }
    if !geteuid().is_root() {
        return Outcome::Unseen(NEEDS_ROOT.to_owned());
    }
    let Some(enrolld) = which::find("enrolld") else {
        return Outcome::Unseen("there is no enrolld in PATH".to_owned());
    };
    let mut command = Command::new(enrolld);
    command.arg("--check-config").arg("--config").arg(&path).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("ENROLLD_STATE_DIR", STATE);
    match command.output() {
        Ok(checked) if checked.status.success() => Outcome::Fine(path.display().to_string()),
        Ok(checked) => {
            let said = String::from_utf8_lossy(&checked.stderr);
            let last = said.lines().last().unwrap_or("enrolld --check-config fails").trim_start_matches("enrolld: ");
            Outcome::Found(vec![Finding::told(Topic::Configuration, "", last)])
        }
        Err(err) => Outcome::Unseen(format!("enrolld can not be run: {err}")),
    }
}

/// Looks at the secret key's place and mode. It is never read. A daemon that answers has one, wherever it is.
pub(super) fn secret_key(machine: &Machine, is_answered: bool) -> Outcome {
    let (path, state) = (machine.path(KEY), machine.path(STATE));
    let inside = state.join(KEY_IN_STATE);
    let named = setting(machine, "", "key_file").and_then(|value| Some(machine.path(value.as_str()?)));
    for key in named.iter().chain([&path, &inside]) {
        match key.metadata() {
            Ok(metadata) => return key_mode(key, &metadata),
            Err(err) if err.kind() == ErrorKind::PermissionDenied => return Outcome::Unseen(NEEDS_ROOT.to_owned()),
            Err(_) => {}
        }
    }
    let sealed = machine.path(SEALED_KEY);
    if sealed.exists() {
        return Outcome::Fine(format!("{}, sealed to this machine", sealed.display()));
    }
    if is_answered || systemd::has_drop_in(machine) {
        return Outcome::Unseen(format!("not at {}: a drop-in of the unit may name another place", path.display()));
    }
    match is_there(&state.join(DATABASE)) {
        Ok(true) => {
            let (key, state) = (path.display().to_string(), state.display().to_string());
            Outcome::Found(vec![Finding::of(Topic::KeyMissing, "", &[("path", &key), ("state_dir", &state)])])
        }
        Ok(false) => Outcome::Fine("none yet, and no registry".to_owned()),
        Err(_) => Outcome::Unseen(NEEDS_ROOT.to_owned()),
    }
}

/// Looks at the owner and the mode of the state directory.
pub(super) fn state_directory(machine: &Machine) -> Outcome {
    let path = machine.path(STATE);
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(err) if err.kind() == ErrorKind::NotFound => return Outcome::Fine("none yet".to_owned()),
        Err(err) => return Outcome::Unseen(err.to_string()),
    };
    let (mode, owner) = (metadata.mode() & 0o777, metadata.uid());
    let service = User::from_name(SERVICE_USER).ok().flatten().map(|user| user.uid.as_raw());
    let (shown, name) = (path.display().to_string(), name_of(owner));
    if mode & 0o077 == 0 && (owner == 0 || service.is_none_or(|service| service == owner)) {
        return Outcome::Fine(format!("{shown} of {name}, mode {mode:o}"));
    }
    let mode = format!("{mode:o}");
    let arguments = [("path", shown.as_str()), ("owner", name.as_str()), ("mode", mode.as_str())];
    Outcome::Found(vec![Finding::of(Topic::StateDirectory, "", &arguments)])
}

/// Looks at the free space of the state directory's disk.
pub(super) fn disk(machine: &Machine) -> Outcome {
    let state = machine.path(STATE);
    let place = state.ancestors().find(|place| place.exists()).unwrap_or(&machine.root).to_owned();
    match statvfs(&place) {
        Ok(disk) => {
            let needed = setting(machine, "database", "free_mib").and_then(|value| value.as_integer());
            let needed = needed.and_then(|mib| u64::try_from(mib).ok()).unwrap_or(NEEDED_MIB).saturating_mul(1 << 20);
            free_space(&place, disk.blocks_available().saturating_mul(disk.fragment_size()), needed)
        }
        Err(errno) => Outcome::Unseen(format!("{}: {errno}", place.display())),
    }
}

fn free_space(place: &Path, free: u64, needed: u64) -> Outcome {
    let low = needed.saturating_mul(DISK_LOW_FACTOR);
    let topic = match free {
        _ if free < needed => Topic::DiskFull,
        _ if free < low => Topic::DiskLow,
        _ => return Outcome::Fine(format!("{} free at {}", bytes(free), place.display())),
    };
    let (place, needed, low) = (place.display().to_string(), bytes(needed), bytes(low));
    let arguments = [("state_dir", place.as_str()), ("needed", needed.as_str()), ("low", low.as_str())];
    Outcome::Found(vec![Finding::of(topic, "", &arguments)])
}

fn key_mode(path: &Path, metadata: &Metadata) -> Outcome {
    let (shown, mode) = (path.display().to_string(), metadata.mode() & 0o777);
    if mode & 0o077 == 0 {
        return Outcome::Fine(format!("{shown}, mode {mode:o}"));
    }
    let mode = format!("{mode:o}");
    Outcome::Found(vec![Finding::of(Topic::KeyOpen, "", &[("path", shown.as_str()), ("mode", mode.as_str())])])
}

/// A key of the configuration of this section, or outside of all; `None` where it is not set, or can not be read.
pub(super) fn setting(machine: &Machine, section: &str, key: &str) -> Option<toml::Value> {
    let table: toml::Table = fs::read_to_string(machine.path(CONFIGURATION)).ok()?.parse().ok()?;
    let table = if section.is_empty() { &table } else { table.get(section)?.as_table()? };
    table.get(key).cloned()
}

/// True if the file is there; an error where that can not be seen.
fn is_there(path: &Path) -> io::Result<bool> {
    path.try_exists()
}

fn name_of(uid: u32) -> String {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map_or_else(|| format!("uid {uid}"), |user| user.name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::*;

    /// A machine with these files, each with its mode.
    fn machine(root: &Path, files: &[(&str, u32)]) -> Machine {
        for (path, mode) in files {
            let path = root.join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            if path.extension().is_some() {
                fs::write(&path, "").expect("written");
            } else {
                fs::create_dir_all(&path).expect("a directory");
            }
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).expect("a mode");
        }
        Machine { root: root.to_owned(), socket: PathBuf::new() }
    }

    /// The topics that are found, or `fine` or `unseen`.
    fn told(outcome: Outcome) -> String {
        super::super::Check { name: "", outcome }.told().1
    }

    #[test]
    fn a_key_is_closed_to_others_or_found_and_missing_only_beside_a_registry() {
        for (files, expected) in [
            (&[(KEY, 0o600)][..], "mode 600"),
            (&[(KEY, 0o640)], "key_open"),
            (&[("/var/lib/enrolld/enrolld.key", 0o400)], "mode 400"),
            (&[(SEALED_KEY, 0o644), ("/var/lib/enrolld/enrolld.redb", 0o600)], "sealed to this machine"),
            (&[("/var/lib/enrolld/enrolld.redb", 0o600)], "key_missing"),
            (&[], "none yet, and no registry"),
        ] {
            let root = tempfile::tempdir().expect("a directory");
            let told = told(secret_key(&machine(root.path(), files), false));
            assert!(told.contains(expected), "{files:?}: {told}");
        }
        let root = tempfile::tempdir().expect("a directory");
        let machine = machine(root.path(), &[("/var/lib/enrolld/enrolld.redb", 0o600)]);
        assert!(told(secret_key(&machine, true)).contains("another place"), "a daemon that answers has one");
        fs::create_dir_all(machine.path("/etc/enrolld")).expect("a directory");
        fs::write(machine.path(CONFIGURATION), "key_file = \"/srv/enrolld.key\"\n").expect("written");
        assert!(told(secret_key(&machine, false)).contains("key_missing"));
        fs::create_dir_all(machine.path("/srv")).expect("a directory");
        let key = machine.path("/srv/enrolld.key");
        fs::write(&key, "").expect("written");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("a mode");
        assert!(told(secret_key(&machine, false)).contains("/srv/enrolld.key"));
    }

    #[test]
    fn a_state_directory_is_its_owners_alone() {
        for (mode, expected) in [(0o700, "mode 700"), (0o750, "state_directory")] {
            let root = tempfile::tempdir().expect("a directory");
            let outcome = state_directory(&machine(root.path(), &[(STATE, mode)]));
            // A user who is not the service's owns it where this test is not root and there is such a user.
            if geteuid().is_root() {
                assert!(told(outcome).contains(expected), "{mode:o}");
            }
        }
        let root = tempfile::tempdir().expect("a directory");
        assert_eq!(told(state_directory(&machine(root.path(), &[]))), "none yet");
    }

    #[test]
    fn free_space_is_full_low_or_enough() {
        for (free, expected) in [
            (0, "disk_full"),
            ((64 << 20) - 1, "disk_full"),
            (64 << 20, "disk_low"),
            (256 << 20, "256.0 MiB free at /s"),
        ] {
            assert_eq!(told(free_space(Path::new("/s"), free, 64 << 20)), expected);
        }
    }
}
