//! Process limits and memory protection: file size limit, open files, core dumps, resident memory.

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{SysconfVar, sysconf};

use crate::config::Limits;

/// Files for each connection that there may be; the rest is for the daemon itself and its scans.
const FILES_PER_CONNECTION: u64 = 4;

/// Limits of a process, by the error of a call that exceeds them.
const LIMITS: &[(Errno, &str)] = &[
    (Errno::EFBIG, "the file size limit (LimitFSIZE=, ulimit -f) is reached"),
    (Errno::EMFILE, "the limit of open files (LimitNOFILE=, ulimit -n) is reached"),
];

/// Blocks SIGXFSZ, so that a write beyond the file size limit fails instead of ending the process. Call it while there
/// is only one thread: later ones inherit it.
pub(crate) fn outlive_file_size_limit() {
    let mut limit = SigSet::empty();
    limit.add(Signal::SIGXFSZ);
    if let Err(err) = limit.thread_block() {
        tracing::warn!(%err, "blocking SIGXFSZ failed; a write beyond the file size limit ends the process silently");
    }
}

/// The limit of the process that an error of the operating system is about, as a suffix for its message; empty if none.
pub(crate) fn limit_reached(err: &impl std::fmt::Display) -> String {
    let text = err.to_string();
    let is_of = |errno: Errno| text.contains(&format!("(os error {})", errno as i32));
    let limit = LIMITS.iter().find(|(errno, _)| is_of(*errno));
    limit.map_or_else(String::new, |(_, limit)| format!(": {limit}"))
}

/// Keeps the memory out of core dumps and closed to other processes of the same user.
pub(crate) fn keep_memory_private() {
    if let Err(err) = prctl::set_dumpable(false) {
        tracing::warn!(%err, "disabling core dumps failed; a crash may write secrets to a core dump");
    }
}

/// Has the kernel send SIGTERM when the parent ends. A parent that ended before this call is not noticed.
pub(crate) fn exit_with_parent() {
    if let Err(err) = prctl::set_pdeathsig(Signal::SIGTERM) {
        tracing::warn!(%err, "the end of the parent will not end this process");
    }
}

/// Raises the limit of open files to the number that the connections need; logs a warning if that is not allowed.
pub(crate) fn raise_file_limit(limits: &Limits) {
    let connections = limits.connections.saturating_add(limits.admin_connections) as u64;
    let wanted = connections.saturating_mul(FILES_PER_CONNECTION);
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let files = wanted.min(hard).max(soft);
        if files > soft {
            setrlimit(Resource::RLIMIT_NOFILE, files, hard)?;
        }
        Ok(files)
    });
    match raised {
        Ok(files) if files >= wanted => {}
        Ok(files) => tracing::warn!(
            files,
            wanted,
            "the limit of open files is low for so many connections; raise LimitNOFILE, or lower server.connections"
        ),
        Err(err) => tracing::warn!(
        %err,
        wanted,
        "raising the limit of open files failed; raise LimitNOFILE, or lower server.connections"
        ),
    }
}

/// Bytes of resident memory of the process; 0 if the kernel does not report it.
pub(crate) fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    let page_bytes = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|bytes| u64::try_from(bytes).ok());
    pages.zip(page_bytes).map_or(0, |(pages, bytes)| pages * bytes)
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
