//! Finding executables in `PATH`, as `which` does.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The executable of this name, beside that of this process or in `PATH`.
pub fn find(name: &str) -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().map(|path| path.with_file_name(name));
    let in_path = directories().into_iter().map(|directory| directory.join(name));
    beside.into_iter().chain(in_path).find(|path| is_executable(path))
}

/// The directories of `PATH`, in their order.
pub fn directories() -> Vec<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect()
}

/// True for a file that may be executed.
pub fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
