//! A Unix stream socket for tokio that asks epoll for write readiness (EPOLLOUT) only under backpressure.
//!
//! With write interest registered, epoll wakes a task whenever its peer reads, also when the send buffer had room
//! before. Between two processes that ask and answer in turn this is every second wake-up. So write interest is
//! registered only after a write was refused with EAGAIN.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// The longest socket path that the kernel takes, in bytes.
const PATH_BYTES_MAX: usize = 107;

/// Refuses a path that is too long for a socket, with the same sentence for people in daemon and client.
pub fn check_path(path: &Path) -> Result<(), String> {
    let length = path.as_os_str().len();
    if length <= PATH_BYTES_MAX {
        return Ok(());
    }
    Err(format!(
        "a socket's path has at most {PATH_BYTES_MAX} bytes, and this one has {length}; choose another with --socket"
    ))
}

/// A listening socket.
#[derive(Debug)]
pub struct Listener(AsyncFd<UnixListener>);

/// The reading half of a socket.
#[derive(Debug)]
pub struct Incoming(Arc<AsyncFd<UnixStream>>);

/// A sender of a socket: it writes without waiting. Its clones write to the same socket, which is closed when they and
/// both halves are dropped.
#[derive(Debug, Clone)]
pub struct Sender(Arc<AsyncFd<UnixStream>>);

/// A sender that does not keep its socket open.
#[derive(Debug, Clone)]
pub struct WeakSender(Weak<AsyncFd<UnixStream>>);

/// The writing half of a socket.
#[derive(Debug)]
pub struct Outgoing {
    socket: Sender,
    /// The same socket registered for write readiness, while its send buffer is full.
    room: Option<AsyncFd<UnixStream>>,
}

/// Splits a non-blocking socket into halves; it is closed when both are dropped. To be called within a runtime.
pub fn split(stream: UnixStream) -> io::Result<(Incoming, Outgoing)> {
    let socket = Arc::new(watch(stream, Interest::READABLE)?);
    Ok((Incoming(Arc::clone(&socket)), Outgoing { socket: Sender(socket), room: None }))
}

#[expect(deprecated, reason = "its successor is unsafe, for values that change their descriptor; these do not")]
fn watch<S: AsRawFd>(socket: S, interest: Interest) -> io::Result<AsyncFd<S>> {
    AsyncFd::with_interest(socket, interest)
}

impl Listener {
    /// Takes over a non-blocking socket. To be called within a runtime.
    pub fn new(listener: UnixListener) -> io::Result<Self> {
        watch(listener, Interest::READABLE).map(Self)
    }

    /// Waits until a connection may be there.
    pub async fn readable(&self) -> io::Result<()> {
        self.0.readable().await.map(|_| ())
    }

    /// The next connection, non-blocking and not yet watched; `None` if none is there, until the socket is readable
    /// again.
    pub fn try_accept(&self) -> io::Result<Option<UnixStream>> {
        match self.0.try_io(Interest::READABLE, |listener| listener.accept()) {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                Ok(Some(stream))
            }
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(err) => Err(err),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

impl AsyncRead for Incoming {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            let space = buf.initialize_unfilled();
            let room = space.len();
            match ready.try_io(|socket| socket.get_ref().read(space)) {
                Ok(Ok(bytes)) => {
                    // A short read empties the receive buffer; epoll wakes us when more arrives.
                    if (1..room).contains(&bytes) {
                        ready.clear_ready();
                    }
                    buf.advance(bytes);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(err)) if err.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(err)) => return Poll::Ready(Err(err)),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsFd for Sender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

impl Outgoing {
    /// The socket's sender.
    pub fn sender(&self) -> &Sender {
        &self.socket
    }
}

impl WeakSender {
    /// The sender, unless the socket is closed.
    pub fn upgrade(&self) -> Option<Sender> {
        self.0.upgrade().map(Sender)
    }
}

impl Sender {
    /// A sender of the same socket that does not keep it open.
    pub fn downgrade(&self) -> WeakSender {
        WeakSender(Arc::downgrade(&self.0))
    }

    /// Writes as many bytes as the send buffer takes; [`io::ErrorKind::WouldBlock`] if it is full.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.get_ref().write(bytes) {
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

impl AsyncWrite for Outgoing {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.socket.try_write(bytes) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    self.room = None;
                    return Poll::Ready(result);
                }
            }
            let room = match self.room.take() {
                Some(room) => room,
                None => watch(self.socket.0.get_ref().try_clone()?, Interest::WRITABLE)?,
            };
            let room = self.room.insert(room);
            ready!(room.poll_write_ready(cx))?.clear_ready();
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.0.get_ref().shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn a_path_is_refused_from_the_first_byte_that_is_too_many() {
        assert_eq!(check_path(Path::new(&"x".repeat(107))), Ok(()));
        let refused = check_path(Path::new(&"x".repeat(108))).expect_err("too long");
        assert!(refused.contains("at most 107 bytes, and this one has 108; choose another with --socket"), "{refused}");
    }

    #[tokio::test]
    async fn more_than_there_is_room_for_arrives_in_order_and_then_the_end() {
        let [(_, mut sender), (mut receiver, _kept)] = {
            let (ours, theirs) = UnixStream::pair().expect("a pair");
            [ours, theirs].map(|stream| {
                stream.set_nonblocking(true).expect("set");
                split(stream).expect("split")
            })
        };
        let sent: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
        let expected = sent.clone();
        let sending = tokio::spawn(async move { sender.write_all(&sent).await });
        let mut received = Vec::new();
        receiver.read_to_end(&mut received).await.expect("read");
        sending.await.expect("sent").expect("sent");
        assert!(received == expected, "{} of {} bytes", received.len(), expected.len());
    }
}
