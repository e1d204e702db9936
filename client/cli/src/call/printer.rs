//! The write buffer of `call`, with backpressure: a thread prints the answers, so that a program may write many lines
//! before it reads one. At the bound of the buffer no more lines are read until some answers were printed.

use std::io;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::failure::Failure;

/// Bytes of answers in the buffer at most.
pub(super) const WAITING_BYTES_MAX: usize = 64 << 20;

/// A thread that prints, and its bounded buffer.
pub(super) struct Printer {
    sender: mpsc::UnboundedSender<Vec<u8>>,
    free: Arc<Semaphore>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl Printer {
    /// Starts the thread, which writes with `print`.
    pub(super) fn start(print: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static) -> Self {
        let (sender, pieces) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        let free = Arc::new(Semaphore::new(WAITING_BYTES_MAX));
        let released = Arc::clone(&free);
        // Not a task of the runtime, because a write to a pipe that is full blocks.
        std::thread::spawn(move || {
            let printed = print_all(pieces, &released, print);
            released.close();
            let _ = end.send(printed);
        });
        Self { sender, free, ended }
    }

    /// Adds bytes to the buffer, and waits while it is full. Fails if an earlier write failed.
    pub(super) async fn print(&mut self, bytes: Vec<u8>) -> Result<(), Failure> {
        let Ok(space) = self.free.acquire_many(size(&bytes)).await else { return self.end().await };
        space.forget();
        // If the thread has ended, the next call returns its error.
        let _ = self.sender.send(bytes);
        Ok(())
    }

    /// Waits until the buffer is printed. Fails if a write failed.
    pub(super) async fn finish(self) -> Result<(), Failure> {
        let Self { sender, ended, .. } = self;
        drop(sender);
        result_of(ended.await)
    }

    async fn end(&mut self) -> Result<(), Failure> {
        result_of((&mut self.ended).await)
    }
}

fn result_of(ended: Result<io::Result<()>, oneshot::error::RecvError>) -> Result<(), Failure> {
    let printed = ended.unwrap_or_else(|_| Err(io::Error::other("the thread that prints has ended")));
    printed.map_err(|err| Failure::lost(&err))
}

fn print_all(
    mut pieces: mpsc::UnboundedReceiver<Vec<u8>>,
    free: &Semaphore,
    mut print: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    while let Some(bytes) = pieces.blocking_recv() {
        print(&bytes)?;
        free.add_permits(size(&bytes) as usize);
    }
    Ok(())
}

/// The share of the buffer that these bytes take; at most all of it.
fn size(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len().min(WAITING_BYTES_MAX)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn pieces_are_printed_in_order_and_a_failed_write_is_returned() {
        let printed = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&printed);
        let mut printer = Printer::start(move |bytes| {
            kept.lock().expect("a lock").extend_from_slice(bytes);
            Ok(())
        });
        for piece in [&b"a"[..], b"bc", b"d"] {
            printer.print(piece.to_vec()).await.expect("printed");
        }
        printer.finish().await.expect("printed");
        assert_eq!(*printed.lock().expect("a lock"), b"abcd");
        let full = Printer::start(|_| Err(io::ErrorKind::StorageFull.into()));
        full.sender.send(vec![b'x']).expect("a thread");
        assert!(matches!(full.finish().await, Err(Failure::Lost(_))));
    }

    #[tokio::test]
    async fn a_full_buffer_makes_the_writer_wait() {
        let (go, wait) = std::sync::mpsc::channel();
        let mut printer = Printer::start(move |_| wait.recv().map_err(io::Error::other));
        printer.print(vec![b'x'; WAITING_BYTES_MAX]).await.expect("room");
        {
            let mut second = std::pin::pin!(printer.print(vec![b'y']));
            let waiting = std::future::poll_fn(|context| std::task::Poll::Ready(second.as_mut().poll(context))).await;
            assert!(waiting.is_pending());
            go.send(()).expect("a thread");
            second.await.expect("room");
        }
        go.send(()).expect("a thread");
        printer.finish().await.expect("printed");
    }
}
