//! A Unix socket under tokio that is woken for what it waits for and nothing else.
//!
//! Whoever has asked to be told of room is woken by each read of the other side, whether there was room before or not.
//! Between two that ask and answer this is every second time that they are woken at all. So room is asked for only while
//! there is none.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// Bytes of a path that the kernel takes.
const PATH_BYTES_MAX: usize = 107;

/// Refuses a path that no socket can have, with a sentence for people that both ends say.
pub fn check_path(path: &Path) -> Result<(), String> {
    let length = path.as_os_str().len();
    if length <= PATH_BYTES_MAX {
        return Ok(());
    }
    Err(format!(
        "a socket's path has at most {PATH_BYTES_MAX} bytes, and this one has {length}; choose another with --socket"
    ))
}

/// What arrives.
#[derive(Debug)]
pub struct Incoming(Arc<AsyncFd<UnixStream>>);

/// What is sent.
#[derive(Debug)]
pub struct Outgoing {
    socket: Arc<AsyncFd<UnixStream>>,
    /// The same socket, while it has no room.
    room: Option<AsyncFd<UnixStream>>,
}

/// Takes a socket apart that does not block. It is closed when both parts are gone. To be called within a runtime.
pub fn split(stream: UnixStream) -> io::Result<(Incoming, Outgoing)> {
    let socket = Arc::new(watch(stream, Interest::READABLE)?);
    Ok((Incoming(Arc::clone(&socket)), Outgoing { socket, room: None }))
}

#[expect(deprecated, reason = "its successor is unsafe, for values that change their descriptor; these do not")]
fn watch(stream: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    AsyncFd::with_interest(stream, interest)
}

impl AsyncRead for Incoming {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            let space = buf.initialize_unfilled();
            let room = space.len();
            match ready.try_io(|socket| socket.get_ref().read(space)) {
                Ok(Ok(bytes)) => {
                    // There was no more; what comes later wakes us again.
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

impl Outgoing {
    /// Writes what there is room for now; [`io::ErrorKind::WouldBlock`] if there is none.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.socket.get_ref().write(bytes) {
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

impl AsyncWrite for Outgoing {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.try_write(bytes) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    self.room = None;
                    return Poll::Ready(result);
                }
            }
            let room = match self.room.take() {
                Some(room) => room,
                None => watch(self.socket.get_ref().try_clone()?, Interest::WRITABLE)?,
            };
            let room = self.room.insert(room);
            ready!(room.poll_write_ready(cx))?.clear_ready();
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.get_ref().shutdown(Shutdown::Write))
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
