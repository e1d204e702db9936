//! The calls of a client: its request pipeline, which callers and the worker task share behind one lock.
//!
//! A caller hands its request over and wakes the worker, which writes the requests of many callers with one system call.
//! A lone caller writes its request itself, which saves a switch to the worker: it is alone if the request before it was
//! answered before it began, and no other was open in between. Else callers that share a client would split their
//! requests, and the daemon its batches.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use enroll_socket::Sender;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::Error;
use crate::pipeline::{Job, Pipeline};

/// The open requests of a client and its clones.
#[derive(Debug)]
pub(crate) struct Calls {
    state: Mutex<State>,
    changed: Notify,
}

/// The state behind the lock.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) pipeline: Pipeline,
    /// The connection that callers may write to, while there is one.
    pub(crate) direct: Option<Direct>,
    /// Bytes of a caller's request that the socket did not take. The worker writes them.
    pub(crate) rest: Vec<u8>,
    /// The most requests that were open at once since none was.
    peak: usize,
    /// The client and its clones are gone.
    pub(crate) is_abandoned: bool,
    /// The worker is gone.
    has_ended: bool,
}

/// A connection for callers.
#[derive(Debug)]
pub(crate) struct Direct {
    pub(crate) socket: Sender,
    pub(crate) frame_bytes_max: usize,
}

impl Calls {
    /// No calls. A request that is `busy` for this long is answered so.
    pub(crate) fn new(busy_for: Duration) -> Self {
        let state = State {
            pipeline: Pipeline::new(busy_for),
            direct: None,
            rest: Vec::new(),
            peak: 0,
            is_abandoned: false,
            has_ended: false,
        };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the worker may have something to do.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Waits until a request is open; false if none is and no further call will come. Cancel safe.
    pub(crate) async fn awaited(&self) -> bool {
        loop {
            {
                let state = self.lock();
                if !state.pipeline.is_empty() || state.is_abandoned {
                    return !state.pipeline.is_empty();
                }
            }
            self.changed().await;
        }
    }

    /// Answers all open requests with this error.
    pub(crate) fn fail_all(&self, error: &Error) {
        self.lock().pipeline.fail_all(error);
    }

    /// Sends a request, now or by the worker. Without a worker it is dropped, and its caller finds the channel closed.
    pub(crate) fn send(&self, job: Job) {
        let mut state = self.lock();
        if !state.has_ended && state.push(job) {
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Lets the worker end once everything is answered: no further call will come.
    pub(crate) fn abandon(&self) {
        self.lock().is_abandoned = true;
        self.changed.notify_one();
    }

    /// Drops the open requests: their callers find the channel closed.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.has_ended = true;
        state.direct = None;
        state.pipeline = Pipeline::new(Duration::ZERO);
    }
}

impl State {
    /// Adds a request and writes it, if its caller is alone. True if the worker must be woken.
    fn push(&mut self, job: Job) -> bool {
        let is_alone = self.pipeline.is_empty() && self.peak <= 1;
        if self.pipeline.is_empty() {
            self.peak = 0;
        }
        self.pipeline.push(job);
        self.peak = self.peak.max(self.pipeline.len());
        let Some(Direct { socket, frame_bytes_max }) = self.direct.as_ref().filter(|_| is_alone) else { return true };
        self.pipeline.fill(&mut self.rest, *frame_bytes_max, Instant::now());
        // After an error the worker reads the end of the connection, and sends the request over the next one.
        let written = socket.try_write(&self.rest).unwrap_or(0);
        self.rest.drain(..written);
        !self.rest.is_empty() || self.pipeline.has_unsent()
    }
}
