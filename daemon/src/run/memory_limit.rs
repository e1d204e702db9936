//! The memory limit of the process, which is that of its control groups (cgroups, both versions) or the machine's memory,
//! and the warning where it is smaller than what the configuration may take.

use std::fs;
use std::path::Path;

use nix::sys::sysinfo::sysinfo;

use crate::config::{Config, Warned};

/// The file of a limit in a group's directory, and where the groups of that version are. Version 2 has no controllers
/// in its line of `/proc/self/cgroup`.
const VERSIONS: [(&str, &str, &str); 2] =
    [("", "/sys/fs/cgroup", "memory.max"), ("memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes")];

/// The warning that the daemon may be killed for want of memory, if it may.
pub(super) fn warning(config: &Config) -> Option<Warned> {
    let wanted_mib = config.memory_mib() as u64;
    let of_group = fs::read_to_string("/proc/self/cgroup").ok().and_then(|groups| limit(&groups, Path::new("/")));
    let of_machine = sysinfo().ok().map(|machine| machine.ram_total());
    let (bytes, whose) = [(of_group, "its control group"), (of_machine, "the machine")]
        .into_iter()
        .filter_map(|(bytes, whose)| Some((bytes?, whose)))
        .min()?;
    let mib = bytes >> 20;
    (mib < wanted_mib).then(|| {
        let message = format!(
            "the configuration may take {wanted_mib} MiB of memory, and {whose} has {mib} MiB: under load the kernel may \
             kill the daemon; raise the limit (MemoryMax={wanted_mib}M), or lower database.cache_mib, journal.memory_mib, \
             server.memory_mib or server.connections"
        );
        (String::new(), message)
    })
}

/// The least limit of the groups that `/proc/self/cgroup` lists and of those above them, in bytes.
fn limit(groups: &str, root: &Path) -> Option<u64> {
    let lines = groups.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let limits = lines.flat_map(|(controllers, group)| {
        let version = VERSIONS.iter().filter(move |(name, ..)| controllers.split(',').any(|other| other == *name));
        version.flat_map(move |(_, mount, file)| {
            let mount = root.join(mount.trim_start_matches('/'));
            let of = |group: &Path| {
                let text = fs::read_to_string(mount.join(group).join(file)).ok()?;
                // `max` is none; version 1 writes a number that no machine has.
                text.trim().parse::<u64>().ok()
            };
            Path::new(group.trim_start_matches('/')).ancestors().filter_map(of).collect::<Vec<_>>()
        })
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_of_a_group_and_those_above_it_counts() {
        let root = tempfile::tempdir().expect("a directory");
        for (path, text) in [
            ("sys/fs/cgroup/system.slice/enrolld.service/memory.max", "500000\n"),
            ("sys/fs/cgroup/system.slice/memory.max", "max\n"),
            ("sys/fs/cgroup/other/memory.max", "1\n"),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "300000\n"),
            ("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n"),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        }
        for (groups, expected) in [
            ("0::/system.slice/enrolld.service\n", Some(500_000)),
            ("0::/system.slice\n", None),
            ("4:memory:/a/b\n1:cpu,cpuacct:/\n0::/\n", Some(300_000)),
            ("4:cpu,memory:/a\n", Some(300_000)),
            ("", None),
        ] {
            assert_eq!(limit(groups, root.path()), expected, "{groups}");
        }
    }
}
