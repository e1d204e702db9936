//! The writer's queue: bounded, with backpressure. A session finds room at once or waits for a permit, so that a burst
//! of writes waits in its connections and not in memory.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::Request;

/// Writes that may wait in the queue.
pub const QUEUE_MAX: usize = 1024;

/// The sessions' end.
#[derive(Clone)]
pub struct Queue {
    messages: Sender<Message>,
    room: Arc<Semaphore>,
}

/// The writer's end.
pub struct Inbox {
    messages: Receiver<Message>,
    room: Arc<Semaphore>,
}

/// A message to the writer thread.
pub(super) enum Message {
    /// A write, and its permit of the bound.
    Request(Box<Request>, OwnedSemaphorePermit),
    /// Something may be due now: the settings or the clock were changed.
    Wake,
    /// The connections' thread is alive; the writer thread passes that on to the watchdog.
    Heartbeat,
}

/// A write that was not sent.
pub enum SendError {
    /// The queue is full.
    Full(Box<Request>),
    /// The writer has ended.
    Closed,
}

/// A new queue.
pub fn queue() -> (Queue, Inbox) {
    let (sender, receiver) = mpsc::channel();
    let room = Arc::new(Semaphore::new(QUEUE_MAX));
    (Queue { messages: sender, room: Arc::clone(&room) }, Inbox { messages: receiver, room })
}

impl Queue {
    /// Sends a write, if there is room.
    pub fn try_send(&self, request: Box<Request>) -> Result<(), SendError> {
        match Arc::clone(&self.room).try_acquire_owned() {
            Ok(room) => self.send(room, request),
            Err(TryAcquireError::NoPermits) => Err(SendError::Full(request)),
            Err(TryAcquireError::Closed) => Err(SendError::Closed),
        }
    }

    /// Waits for room; `None` once the writer has ended.
    pub async fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).acquire_owned().await.ok()
    }

    /// Sends a write that has room.
    pub fn send(&self, room: OwnedSemaphorePermit, request: Box<Request>) -> Result<(), SendError> {
        self.messages.send(Message::Request(request, room)).map_err(|_| SendError::Closed)
    }

    /// Has the writer look for what is due.
    pub fn wake(&self) {
        // A writer that has ended needs none.
        let _ = self.messages.send(Message::Wake);
    }

    /// Proves to the watchdog that the sender is alive, if the writer is.
    pub fn beat(&self) {
        let _ = self.messages.send(Message::Heartbeat);
    }
}

impl Inbox {
    /// The next message; none within this time, or none any more.
    pub(super) fn wait(&self, longest: Duration) -> Result<Message, RecvTimeoutError> {
        self.messages.recv_timeout(longest)
    }

    /// The next message, if it is there already.
    pub(super) fn next(&self) -> Option<Message> {
        self.messages.try_recv().ok()
    }

    /// Writes that wait.
    pub(super) fn len(&self) -> usize {
        QUEUE_MAX.saturating_sub(self.room.available_permits())
    }

    /// Sends nothing any more: sessions find the queue closed.
    pub(super) fn close(&self) {
        self.room.close();
    }
}
