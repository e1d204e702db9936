//! Programs of this machine, and where they are.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The directories in which a shell of this user would look for programs, in their order.
pub(crate) fn directories() -> Vec<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect()
}

/// Whether this is a program.
pub(crate) fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
