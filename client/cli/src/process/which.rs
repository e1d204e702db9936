//! Finding executables in `PATH`, as `which` does.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The directories of `PATH`, in their order.
pub fn directories() -> Vec<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect()
}

/// True for a file that may be executed.
pub fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
