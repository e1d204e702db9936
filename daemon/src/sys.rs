//! The one module that may be unsafe: what the operating system offers and no maintained library does.
#![expect(unsafe_code, reason = "SO_PEERGROUPS is missing from nix")]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use nix::libc;

/// As many groups as the kernel lets a process have.
const GROUPS_MAX: usize = 65_536;

/// The supplementary groups of the process at the other end of a Unix socket, as they were when it connected.
pub fn peer_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups = vec![0 as libc::gid_t; GROUPS_MAX];
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
