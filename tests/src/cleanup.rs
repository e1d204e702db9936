//! Cleanup checks: a program that must clean up leaves no temporary files, and no processes that were started for it.

use std::path::Path;

use nix::unistd::Pid;

/// No file in a directory for temporary files, and no process that was started for something in it.
pub fn expect_nothing_left(directory: &Path) {
    let left: Vec<_> = std::fs::read_dir(directory).expect("a directory").collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(processes_naming(directory), Vec::new());
}

/// The processes whose command lines contain this path; none where the system does not show them.
pub fn processes_naming(path: &Path) -> Vec<(Pid, String)> {
    let process = |entry: std::fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some((Pid::from_raw(pid), String::from_utf8_lossy(&line).replace('\0', " ")))
    };
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(process);
    all.filter(|(_, line)| line.contains(&*path.to_string_lossy())).collect()
}
