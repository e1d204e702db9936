//! A connection in memory: two pipes of bytes between a client and a session, of which the client's side decides how many
//! bytes arrive when, and which ones never do.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use enrolld::net::socket::Socket;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that wait for the client before the daemon finds the socket full.
const ROOM: usize = 16 << 10;

/// The client's end.
pub(super) struct Wire(Arc<Mutex<Pipes>>);

/// The reading half of the daemon's end.
pub(super) struct Incoming(Arc<Mutex<Pipes>>);

/// The writing half of the daemon's end.
pub(super) struct Outgoing(Arc<Mutex<Pipes>>);

/// The sender of the daemon's end.
pub(super) struct Sender(Arc<Mutex<Pipes>>);

#[derive(Default)]
struct Pipes {
    /// Bytes that the daemon can read.
    to_daemon: VecDeque<u8>,
    /// Bytes that it has written.
    to_client: VecDeque<u8>,
    /// The client is gone.
    is_cut: bool,
    /// The daemon has closed its end.
    is_closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// A new connection: the client's end, and the daemon's.
pub(super) fn connection() -> (Wire, (Incoming, Outgoing, Sender)) {
    let pipes = Arc::<Mutex<Pipes>>::default();
    let end = || Arc::clone(&pipes);
    (Wire(end()), (Incoming(end()), Outgoing(end()), Sender(end())))
}

impl Wire {
    /// Has these bytes arrive at the daemon.
    pub(super) fn deliver(&self, bytes: impl Iterator<Item = u8>) {
        let mut pipes = locked(&self.0);
        pipes.to_daemon.extend(bytes);
        pipes.wake_reader();
    }

    /// Takes so many of the bytes that the daemon has written, at most.
    pub(super) fn take(&self, most: usize) -> Vec<u8> {
        let mut pipes = locked(&self.0);
        let count = most.min(pipes.to_client.len());
        let taken = pipes.to_client.drain(..count).collect();
        if let Some(writer) = pipes.writer.take() {
            writer.wake();
        }
        taken
    }

    /// The number of bytes that can be taken.
    pub(super) fn waiting(&self) -> usize {
        locked(&self.0).to_client.len()
    }

    /// True if the daemon has closed the connection.
    pub(super) fn is_closed(&self) -> bool {
        locked(&self.0).is_closed
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let mut pipes = locked(&self.0);
        pipes.is_cut = true;
        pipes.wake_reader();
        if let Some(writer) = pipes.writer.take() {
            writer.wake();
        }
    }
}

impl Pipes {
    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_cut {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        match bytes.len().min(ROOM.saturating_sub(self.to_client.len())) {
            0 if !bytes.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            count => {
                self.to_client.extend(&bytes[..count]);
                Ok(count)
            }
        }
    }
}

impl AsyncRead for Incoming {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut pipes = locked(&self.0);
        if pipes.to_daemon.is_empty() {
            if pipes.is_cut {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            pipes.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let count = buf.remaining().min(pipes.to_daemon.len());
        let bytes: Vec<u8> = pipes.to_daemon.drain(..count).collect();
        buf.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Outgoing {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut pipes = locked(&self.0);
        match pipes.write(bytes) {
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => {
                pipes.writer = Some(context.waker().clone());
                Poll::Pending
            }
            written => Poll::Ready(written),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        locked(&self.0).is_closed = true;
    }
}

impl Socket for Sender {
    fn unread_bytes(&self) -> io::Result<usize> {
        Ok(locked(&self.0).to_client.len())
    }

    fn lend(&self) -> impl Fn(&[u8]) -> Option<io::Result<usize>> + Send + use<> {
        let pipes = Arc::clone(&self.0);
        move |bytes| {
            let mut pipes = locked(&pipes);
            (!pipes.is_closed).then(|| pipes.write(bytes))
        }
    }
}

fn locked(pipes: &Mutex<Pipes>) -> MutexGuard<'_, Pipes> {
    pipes.lock().unwrap_or_else(PoisonError::into_inner)
}
