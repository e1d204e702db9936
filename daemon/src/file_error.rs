//! Errors of files and directories that can not be used, with the way out for people.

use std::io;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::unistd::geteuid;

/// Limits of a process, by the error of a call that exceeds them.
const LIMITS: &[(Errno, &str)] = &[
    (Errno::EFBIG, "the file size limit (LimitFSIZE=, ulimit -f) is reached"),
    (Errno::EMFILE, "the limit of open files (LimitNOFILE=, ulimit -n) is reached"),
];

/// Why a file or directory can not be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Its owner, mode or type is wrong: somebody else can write to it, or a secret can be read.
    #[error("{path}: {problem}")]
    Unsafe {
        /// The file, directory or link at fault.
        path: PathBuf,
        /// The problem and the way out.
        problem: String,
    },
    /// A call of the operating system failed.
    #[error("{path}: {source}{}", way_out(source))]
    Io {
        /// Which one.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl FileError {
    /// True if the disk is full.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_disk_full(source))
    }
}

/// The limit of the process that an error of the operating system is about, as a suffix for its message; empty if none.
pub(crate) fn limit_reached(err: &impl std::fmt::Display) -> String {
    let text = err.to_string();
    let is_of = |errno: Errno| text.contains(&format!("(os error {})", errno as i32));
    let limit = LIMITS.iter().find(|(errno, _)| is_of(*errno));
    limit.map_or_else(String::new, |(_, limit)| format!(": {limit}"))
}

/// True if the process is at its limit of open files.
pub(crate) fn is_out_of_files(err: &io::Error) -> bool {
    err.raw_os_error() == Some(Errno::EMFILE as i32)
}

/// True for an error of a full disk, a quota or the file size limit.
pub(crate) fn is_disk_full(err: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(err.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// The way out, for people, of an error of the operating system.
fn way_out(err: &io::Error) -> String {
    match err.kind() {
        io::ErrorKind::PermissionDenied => format!("; {}", whose_it_must_be()),
        io::ErrorKind::FileTooLarge => format!("{}; raise it, then start again", limit_reached(err)),
        _ if is_disk_full(err) => "; make room there, then start again".to_owned(),
        _ => limit_reached(err),
    }
}

/// The sentence that the file must be this user's.
pub(crate) fn whose_it_must_be() -> String {
    format!("enrolld runs as uid {}; change the owner, or run enrolld as that user", geteuid())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn an_error_at_a_limit_names_the_limit() {
        let cases = [
            (Errno::EFBIG, "file size limit (LimitFSIZE=, ulimit -f)"),
            (Errno::EMFILE, "limit of open files (LimitNOFILE=, ulimit -n)"),
            (Errno::ENOSPC, ""),
        ];
        for (errno, named) in cases {
            let message = limit_reached(&io::Error::from_raw_os_error(errno as i32));
            assert!(message.contains(named) && message.is_empty() == named.is_empty(), "{errno}: {message}");
        }
    }
}
