//! The sender of a socket, as far as a session knows it: the kernel's in the daemon, one in memory in a simulation.

use std::io;
use std::os::fd::AsFd as _;

use enroll_socket::Sender;

use crate::sys;

/// The sender of a socket.
pub trait Socket: Send + 'static {
    /// Bytes that were written to it and that the peer has not read.
    fn unread_bytes(&self) -> io::Result<usize>;

    /// Lends the socket: a function that writes as many bytes as it takes at once, and gives `None` once it is closed. It
    /// does not keep the socket open.
    fn lend(&self) -> impl Fn(&[u8]) -> Option<io::Result<usize>> + Send + use<Self>;
}

impl Socket for Sender {
    fn unread_bytes(&self) -> io::Result<usize> {
        sys::unread_bytes(self.as_fd())
    }

    fn lend(&self) -> impl Fn(&[u8]) -> Option<io::Result<usize>> + Send + use<> {
        let socket = self.downgrade();
        move |bytes| Some(socket.upgrade()?.try_write(bytes))
    }
}
