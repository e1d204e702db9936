//! The memory of a process: what it has in use, the peak of that, and a memory cgroup that bounds it, kernel memory
//! included.

use std::fs;
use std::path::{Path, PathBuf};

use crate::skip::unsupported;

/// A group; it is gone when this is dropped, after its processes.
#[derive(Debug)]
pub struct MemoryGroup {
    directory: PathBuf,
    files: Files,
}

/// The names of the files of one version of cgroups.
#[derive(Debug, Clone, Copy)]
struct Files {
    root: &'static str,
    limit: &'static str,
    peak: &'static str,
}

/// Version 1, then version 2.
const VERSIONS: [Files; 2] = [
    Files { root: "/sys/fs/cgroup/memory", limit: "memory.limit_in_bytes", peak: "memory.max_usage_in_bytes" },
    Files { root: "/sys/fs/cgroup", limit: "memory.max", peak: "memory.peak" },
];

/// Bytes of memory that a process has in use.
pub fn resident_bytes(pid: u32) -> u64 {
    status_bytes(pid, "VmRSS:")
}

/// The most bytes of memory that a process has had in use, since [`forget_peak`].
pub fn peak_bytes(pid: u32) -> u64 {
    status_bytes(pid, "VmHWM:")
}

/// Measures the peak of a process from now on.
pub fn forget_peak(pid: u32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("its own process");
}

fn status_bytes(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("its memory");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib << 10
}

impl MemoryGroup {
    /// Puts a process into a group of its own with this limit; says otherwise that this machine has none.
    pub fn of(test: &str, pid: u32, limit_bytes: u64) -> Option<Self> {
        let made = VERSIONS.into_iter().find_map(|files| {
            let group = Self { directory: Path::new(files.root).join(format!("enroll-test-{pid}")), files };
            fs::create_dir(&group.directory).ok()?;
            fs::write(group.directory.join(files.limit), limit_bytes.to_string()).ok()?;
            fs::write(group.directory.join("cgroup.procs"), pid.to_string()).ok()?;
            Some(group)
        });
        if made.is_none() {
            unsupported(test, "no memory cgroup can be made here");
        }
        made
    }

    /// The most memory that its processes have taken, in bytes.
    pub fn peak_bytes(&self) -> u64 {
        let text = fs::read_to_string(self.directory.join(self.files.peak)).expect("a peak");
        text.trim().parse().expect("a number")
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // Processes that have not ended yet keep it.
        let _ = fs::remove_dir(&self.directory);
    }
}
