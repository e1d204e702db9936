//! What the daemon asks of the kernel for its own process.

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::Limits;

/// Files for each connection that there may be; the rest is for the daemon itself and its scans.
const FILES_PER_CONNECTION: u64 = 4;

/// Keeps what is in memory out of core dumps, and from other processes of the same user.
pub(crate) fn keep_memory_private() {
    if let Err(err) = prctl::set_dumpable(false) {
        tracing::warn!(%err, "secrets in memory can not be kept out of core dumps");
    }
}

/// Sees to it that there may be as many open files as the connections need; says so where there may not.
pub(crate) fn raise_file_limit(limits: &Limits) {
    let wanted = (limits.connections as u64).saturating_mul(FILES_PER_CONNECTION);
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
        Err(err) => tracing::warn!(%err, wanted, "the limit of open files can not be raised"),
    }
}
