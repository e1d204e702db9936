//! The record of a member about itself: version, host, digests of its settings, and which state directory it runs on.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use twox_hash::XxHash3_64;

use super::roster::Member;
use crate::config::Config;

/// Keys of the configuration that belong to a host, so that members may differ in them.
const OF_A_HOST: &[&str] = &[
    "state_dir",
    "socket",
    "key_file",
    "log",
    "log_format",
    "store",
    "grants",
    "database",
    "journal",
    "etcd",
    "cluster",
    "backup",
    "server",
];

/// The record of the daemon with this configuration on this state directory.
pub fn about(config: &Config, state_dir: &Path) -> Member {
    Member {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: host(),
        address: None,
        settings: settings(config),
        instance: instance(state_dir),
        clock: 0,
        applied: 0,
    }
}

/// A digest of each key of the configuration that the rules of all members should have in common.
fn settings(config: &Config) -> BTreeMap<String, String> {
    let Ok(serde_json::Value::Object(keys)) = serde_json::to_value(config) else { return BTreeMap::new() };
    let common = keys.into_iter().filter(|(key, _)| !OF_A_HOST.contains(&key.as_str()));
    common.map(|(key, value)| (key, digest(value.to_string().as_bytes()))).collect()
}

/// Tells this state directory from every other one for as long as the machine runs: a daemon that was killed and started
/// again has it again, and one on a copy of the machine has another. A unit of systemd may hide `/proc/sys` from it.
fn instance(state_dir: &Path) -> String {
    let read = |path: &str| std::fs::read(path).unwrap_or_default();
    let machine = [read("/proc/sys/kernel/random/boot_id"), read("/etc/machine-id"), host().into_bytes()].concat();
    let file = std::fs::metadata(state_dir).map(|found| (found.dev(), found.ino())).unwrap_or_default();
    digest(&[&machine[..], &file.0.to_be_bytes(), &file.1.to_be_bytes()].concat())
}

/// The address that other members are told: the configured one, or the one listened on, by the host's name where it is all
/// of the host's.
pub fn address(configured: &str, bound: SocketAddr) -> String {
    match (configured, bound.ip().is_unspecified()) {
        ("", true) => format!("{}:{}", host(), bound.port()),
        ("", false) => bound.to_string(),
        (configured, _) => configured.to_owned(),
    }
}

/// The name of this host.
fn host() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn digest(bytes: &[u8]) -> String {
    format!("{:016x}", XxHash3_64::oneshot(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_differ_in_what_rules_read_and_not_in_what_belongs_to_a_host() {
        let (one, mut other) = (Config::default(), Config::default());
        other.socket = "/elsewhere".into();
        other.etcd.prefix = "other/".to_owned();
        assert_eq!(settings(&one), settings(&other));
        other.code_size += 1;
        let (one, other) = (settings(&one), settings(&other));
        let differing: Vec<_> =
            one.iter().filter(|(key, digest)| other[*key] != **digest).map(|(key, _)| key).collect();
        assert_eq!(differing, ["code_size"]);
    }
}
