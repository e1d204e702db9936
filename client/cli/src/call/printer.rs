//! The write buffer of `call`: answers are printed by a thread of their own, so that a program may write many lines before
//! it reads an answer. Up to a bound; beyond it no more lines are read until some were printed.

use std::io;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::failure::Failure;

/// Bytes of answers that wait to be read.
pub(super) const WAITING_BYTES_MAX: usize = 64 << 20;

/// See the module.
pub(super) struct Printer {
    sender: mpsc::UnboundedSender<Vec<u8>>,
    room: Arc<Semaphore>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl Printer {
    /// Starts the thread, which writes with this.
    pub(super) fn start(print: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static) -> Self {
        let (sender, pieces) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        let room = Arc::new(Semaphore::new(WAITING_BYTES_MAX));
        let freed = Arc::clone(&room);
        // Not a task of the runtime: a standard output that nobody reads blocks.
        std::thread::spawn(move || {
            let printed = print_all(pieces, &freed, print);
            freed.close();
            let _ = end.send(printed);
        });
        Self { sender, room, ended }
    }

    /// Hands over what is to be printed, and waits while too much is. Fails where an earlier piece could not be written.
    pub(super) async fn print(&mut self, bytes: Vec<u8>) -> Result<(), Failure> {
        let Ok(room) = self.room.acquire_many(size(&bytes)).await else { return self.end().await };
        room.forget();
        // Where the thread has ended meanwhile, the next piece or the end finds out.
        let _ = self.sender.send(bytes);
        Ok(())
    }

    /// Waits until all was printed.
    pub(super) async fn finish(self) -> Result<(), Failure> {
        let Self { sender, ended, .. } = self;
        drop(sender);
        told(ended.await)
    }

    async fn end(&mut self) -> Result<(), Failure> {
        told((&mut self.ended).await)
    }
}

fn told(ended: Result<io::Result<()>, oneshot::error::RecvError>) -> Result<(), Failure> {
    let printed = ended.unwrap_or_else(|_| Err(io::Error::other("the thread that prints has ended")));
    printed.map_err(|err| Failure::lost(&err))
}

fn print_all(
    mut pieces: mpsc::UnboundedReceiver<Vec<u8>>,
    room: &Semaphore,
    mut print: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    while let Some(bytes) = pieces.blocking_recv() {
        print(&bytes)?;
        room.add_permits(size(&bytes) as usize);
    }
    Ok(())
}

/// The room that a piece takes; one that is larger than all there is takes all.
fn size(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len().min(WAITING_BYTES_MAX)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn pieces_are_printed_in_order_and_what_fails_is_told() {
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
    async fn beyond_the_bound_it_is_waited_for() {
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
