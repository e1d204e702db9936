//! System calls that no maintained library offers. The only module that may be unsafe.
#![expect(
    unsafe_code,
    reason = "SO_PEERGROUPS, SO_PASSRIGHTS, SIOCOUTQ, adjtimex, nice and malloc_trim are missing from nix"
)]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use nix::libc;

/// Room for the groups of nearly everybody.
const GROUPS_USUAL: usize = 64;

/// The kernel's limit of groups of a process.
const GROUPS_MAX: usize = 65_536;

/// The supplementary groups of the process at the other end of a Unix socket, as they were when it connected.
pub fn peer_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    match peer_groups_up_to(socket, GROUPS_USUAL) {
        Err(err) if err.raw_os_error() == Some(libc::ERANGE) => peer_groups_up_to(socket, GROUPS_MAX),
        groups => groups,
    }
}

fn peer_groups_up_to(socket: BorrowedFd<'_>, count: usize) -> io::Result<Vec<u32>> {
    let mut groups = vec![0 as libc::gid_t; count];
    let mut bytes = libc::socklen_t::try_from(size_of_val(groups.as_slice())).map_err(io::Error::other)?;
    // SAFETY: the pointer and the length describe the vector, which outlives the call; the kernel writes at most
    // `bytes` bytes and says how many it wrote.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERGROUPS,
            groups.as_mut_ptr().cast(),
            &raw mut bytes,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    groups.truncate(bytes as usize / size_of::<libc::gid_t>());
    Ok(groups)
}

/// The option's number in Linux's generic list, where the libc crate does not have it yet.
const SO_PASSRIGHTS: libc::c_int = 83;

/// Makes the kernel refuse file descriptors sent to this socket and to those accepted from it. Since Linux 6.16.
pub fn refuse_rights(socket: BorrowedFd<'_>) -> io::Result<()> {
    let off: libc::c_int = 0;
    let bytes = libc::socklen_t::try_from(size_of_val(&off)).map_err(io::Error::other)?;
    // SAFETY: the pointer and the length describe `off`, which outlives the call; the kernel only reads it.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_PASSRIGHTS, (&raw const off).cast(), bytes)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Bytes of kernel memory that hold what was written to a Unix socket and its peer has not read.
pub fn unread_bytes(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the kernel writes one number where the pointer points, and keeps nothing of it.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result == 0 { Ok(usize::try_from(bytes).unwrap_or(0)) } else { Err(io::Error::last_os_error()) }
}

/// True if the kernel reports its clock as not synchronised. If it does not report, the clock counts as synchronised.
pub fn is_clock_unsynchronised() -> bool {
    // SAFETY: `timex` is plain numbers, for which zero is a value; no mode is set, so nothing is changed, and the
    // kernel only writes the structure, which outlives the call.
    let (state, clock) = unsafe {
        let mut clock: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut clock), clock)
    };
    state == libc::TIME_ERROR || (state >= 0 && clock.status & libc::STA_UNSYNC != 0)
}

/// Sets the nice value of the calling thread, and of no other of the process: on Linux each thread has its own. Where
/// that is not allowed the thread works as well, only beside the others.
pub fn lower_priority(nice: i32) {
    if let Err(err) = rustix::process::setpriority_process(None, nice) {
        tracing::debug!(%err, "a background thread keeps its priority");
    }
}

/// Returns free memory to the system, also from between blocks in use. Takes some milliseconds for each 100 MiB. C
/// libraries other than glibc do it by themselves.
pub fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes the allocator's own locks and moves nothing.
    unsafe {
        libc::malloc_trim(0);
    }
}
