//! The writer's queue: bounded for each uid, with backpressure. A session finds room at once or waits for a permit, so
//! that a burst of writes waits in its connections and not in memory, and takes nobody else's room.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::{BATCH_MAX, Request};

/// Writes of one uid that may wait in the queue: two batches.
pub const QUEUE_MAX: usize = 2 * BATCH_MAX;

/// Uids whose room is remembered though nothing of them waits.
const IDLE_UIDS_MAX: usize = 64;

/// The sessions' end.
#[derive(Clone)]
pub struct Queue {
    messages: Sender<Message>,
    rooms: Arc<Rooms>,
}

/// The writer's end.
pub struct Inbox {
    messages: Receiver<Message>,
    rooms: Arc<Rooms>,
}

/// The room that each uid has.
#[derive(Default)]
struct Rooms(Mutex<Uids>);

#[derive(Default)]
struct Uids {
    rooms: BTreeMap<u32, Arc<Semaphore>>,
    is_closed: bool,
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
    let rooms = Arc::<Rooms>::default();
    (Queue { messages: sender, rooms: Arc::clone(&rooms) }, Inbox { messages: receiver, rooms })
}

impl Queue {
    /// Sends a write, if its uid has room.
    pub fn try_send(&self, request: Box<Request>) -> Result<(), SendError> {
        match self.rooms.of(request.ctx.peer.uid).try_acquire_owned() {
            Ok(room) => self.send(room, request),
            Err(TryAcquireError::NoPermits) => Err(SendError::Full(request)),
            Err(TryAcquireError::Closed) => Err(SendError::Closed),
        }
    }

    /// Waits for room of this uid; `None` once the writer has ended.
    pub async fn room(&self, uid: u32) -> Option<OwnedSemaphorePermit> {
        self.rooms.of(uid).acquire_owned().await.ok()
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

    /// Sends nothing any more: sessions find the queue closed.
    pub(super) fn close(&self) {
        let mut uids = self.rooms.0.lock().unwrap_or_else(PoisonError::into_inner);
        uids.is_closed = true;
        uids.rooms.values().for_each(|room| room.close());
    }
}

impl Rooms {
    fn of(&self, uid: u32) -> Arc<Semaphore> {
        let mut uids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = uids.rooms.get(&uid) {
            return Arc::clone(room);
        }
        if uids.rooms.len() >= IDLE_UIDS_MAX {
            // Whoever has a permit or waits for one has the semaphore, too.
            uids.rooms.retain(|_, room| Arc::strong_count(room) > 1);
        }
        let room = Arc::new(Semaphore::new(QUEUE_MAX));
        if uids.is_closed {
            room.close();
        }
        uids.rooms.insert(uid, Arc::clone(&room));
        room
    }
}
