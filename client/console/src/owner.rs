//! The owner of a connection: the user whose process is at the other end, as the kernel tells it (`sock_diag(7)`).
//!
//! A cookie is no proof of who asks: a browser hands it to every port of 127.0.0.1. The kernel is asked for exactly one
//! socket, the other end of the connection. A socket that is closing has no owner any more and is reported with uid 0,
//! so that only an established one with an inode counts: anything else is nobody's.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

/// `SOCK_DIAG_BY_FAMILY` of linux/sock_diag.h.
const SOCK_DIAG_BY_FAMILY: u16 = 20;

/// `NLM_F_REQUEST` of linux/netlink.h: one socket, no list.
const REQUEST: u16 = 1;

/// Bytes of a `nlmsghdr`.
const HEADER_BYTES: usize = 16;

/// Bytes of a header and a `inet_diag_msg`.
const ANSWER_BYTES: usize = HEADER_BYTES + 72;

/// `TCP_ESTABLISHED` of linux/tcp.h.
const ESTABLISHED: u8 = 1;

/// The uid that stands for every user that the kernel can not map here.
const OVERFLOW_UID: u32 = 65_534;

/// The uid of the process at the other end of a connection between two sockets of this machine: `remote` is its
/// address, `local` the one that it connected to. `None` where the kernel does not know.
pub(crate) fn of(remote: SocketAddr, local: SocketAddr) -> io::Result<Option<u32>> {
    // A socket for each question: an answer can only be to this one.
    let kernel =
        socket(AddressFamily::Netlink, SockType::Datagram, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkSockDiag)?;
    ask(&kernel, remote, local)
        .map(|answer| answer.as_deref().and_then(|answer| uid(answer, remote.port(), local.port())))
}

/// The answer to a request for one socket. The kernel answers while the request is sent, so that none is waited for.
fn ask(kernel: &OwnedFd, own: SocketAddr, other: SocketAddr) -> io::Result<Option<Vec<u8>>> {
    let (IpAddr::V4(own_ip), IpAddr::V4(other_ip)) = (own.ip(), other.ip()) else { return Ok(None) };
    let mut id = Vec::with_capacity(48);
    id.extend(own.port().to_be_bytes());
    id.extend(other.port().to_be_bytes());
    for ip in [own_ip, other_ip] {
        id.extend(ip.octets());
        id.extend([0; 12]);
    }
    // Any interface, and INET_DIAG_NOCOOKIE.
    id.extend([0; 4]);
    id.extend([0xff; 8]);
    let mut request = vec![2, 6, 0, 0];
    request.extend(u32::MAX.to_ne_bytes());
    request.extend(id);
    let length = u32::try_from(HEADER_BYTES + request.len()).unwrap_or(u32::MAX);
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message.extend(REQUEST.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(request);
    send(kernel.as_raw_fd(), &message, MsgFlags::empty())?;
    let mut answer = vec![0; 4096];
    let length = recv(kernel.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT)?;
    answer.truncate(length);
    Ok(Some(answer))
}

/// The uid in an answer, if it is about an established socket between these ports that a process holds.
fn uid(answer: &[u8], own_port: u16, other_port: u16) -> Option<u32> {
    if answer.len() < ANSWER_BYTES || answer[4..6] != SOCK_DIAG_BY_FAMILY.to_ne_bytes() {
        return None;
    }
    let body = &answer[HEADER_BYTES..ANSWER_BYTES];
    let number = |at: usize| Some(u32::from_ne_bytes(body[at..at + 4].try_into().ok()?));
    let is_asked = body[4..6] == own_port.to_be_bytes() && body[6..8] == other_port.to_be_bytes();
    let is_held = body[1] == ESTABLISHED && number(68)? != 0;
    number(64).filter(|uid| is_asked && is_held && *uid != OVERFLOW_UID)
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener, TcpStream};

    use nix::unistd::geteuid;

    use super::*;

    #[test]
    fn an_open_connection_is_ours_and_a_closed_one_nobodys() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let here = listener.local_addr().expect("an address");
        for is_half_closed in [false, true] {
            let client = TcpStream::connect(here).expect("a connection");
            let (_served, there) = listener.accept().expect("it arrives");
            assert_eq!(of(there, here).expect("the kernel answers"), Some(geteuid().as_raw()));
            if is_half_closed {
                client.shutdown(Shutdown::Write).expect("shut down");
            } else {
                drop(client);
            }
            assert_eq!(of(there, here).expect("the kernel answers"), None, "half closed: {is_half_closed}");
        }
    }

    #[test]
    fn what_is_no_connection_is_nobodys() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let here = listener.local_addr().expect("an address");
        // Nothing is at port 1; and the listener itself is no connection.
        let there = SocketAddr::from(([127, 0, 0, 1], 1));
        for (remote, local) in [(there, here), (here, there)] {
            assert_eq!(of(remote, local).expect("the kernel answers"), None);
        }
        assert_eq!(uid(&[0; 20], 1, 2), None);
    }
}
