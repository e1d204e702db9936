//! Process limits and memory protection: file size limit, open files, core dumps, resident memory.

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{SysconfVar, sysconf};

use crate::config::Limits;

/// Files for each connection that there may be; the rest is for the daemon itself and its scans.
const FILES_PER_CONNECTION: u64 = 4;

/// Blocks SIGXFSZ, so that a write beyond the file size limit fails instead of ending the process. Call it while there
/// is only one thread: later ones inherit it.
pub(crate) fn outlive_file_size_limit() {
    let mut limit = SigSet::empty();
    limit.add(Signal::SIGXFSZ);
    if let Err(err) = limit.thread_block() {
        tracing::warn!(%err, "blocking SIGXFSZ failed; a write beyond the file size limit ends the process silently");
    }
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
