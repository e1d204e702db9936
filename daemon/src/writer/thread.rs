//! The writer thread: group commit. It takes what is queued, runs it as one batch with one commit, answers, and waits for
//! the next request or for what is due by itself.
//!
//! It is the only thread that writes, and it drives no connection: a slow sync delays writes, never a read, an accept or
//! a stream. Writes that arrive during a commit share the next one, so batches grow with the load and no timer gathers
//! them.

use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use enroll_protocol::{Code, Refusal};

use super::queue::{Inbox, Message};
use super::{BATCH_MAX, Ended, Request, Writer};
use crate::daemon::clock::{Clock, StepWatch};
use enroll_core::state::StoreError;

/// The longest wait for what is due: the clock may be set meanwhile.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The writer, its queue and its clock.
pub struct WriterThread {
    writer: Writer,
    inbox: Inbox,
    clock: Clock,
    steps: StepWatch,
    /// Feeds the watchdog.
    beat: Box<dyn Fn() + Send>,
    batch: Vec<Request>,
}

impl WriterThread {
    /// Nothing is served yet. Each heartbeat that comes through the queue is passed on to `beat`.
    pub fn new(writer: Writer, inbox: Inbox, clock: Clock, beat: impl Fn() + Send + 'static) -> Self {
        let steps = StepWatch::of(clock.clone());
        Self { writer, inbox, steps, clock, beat: Box::new(beat), batch: Vec::with_capacity(BATCH_MAX) }
    }

    /// Serves until every sender is gone and the queue is empty, or until a commit fails. After each batch its answers
    /// are given out, then `committed` gets the number of the latest change.
    pub fn run(mut self, mut committed: impl FnMut(u64)) -> Result<(), StoreError> {
        let mut is_last = false;
        while !is_last {
            let due = self.writer.due().map_or(WAIT_MAX, |at| self.clock.until(at).min(WAIT_MAX));
            match self.inbox.wait(due) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                // A last batch, with what waits to be recorded of refused attempts.
                Err(RecvTimeoutError::Disconnected) => is_last = true,
            }
            while self.batch.len() < BATCH_MAX
                && let Some(message) = self.inbox.next()
            {
                self.take(message);
            }
            if let Err(err) = self.serve_batch() {
                self.refuse_rest();
                return Err(err);
            }
            committed(self.writer.head());
        }
        Ok(())
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Request(request, room) => {
                drop(room);
                self.batch.push(*request);
            }
            Message::Wake => {}
            Message::Heartbeat => (self.beat)(),
        }
    }

    fn serve_batch(&mut self) -> Result<(), StoreError> {
        self.writer.daemon.metrics.queue.set(self.inbox.len() as u64);
        if let Some(seconds) = self.steps.step_seconds() {
            self.writer.clock_stepped(seconds);
        }
        let (answers, result) = self.writer.serve(self.batch.drain(..), self.clock.now());
        answers.into_iter().for_each(|(answer, ended)| answer(ended));
        result
    }

    /// Nothing may be served any more.
    fn refuse_rest(&mut self) {
        self.inbox.close();
        while let Some(message) = self.inbox.next() {
            if let Message::Request(request, _) = message {
                (request.answer)(Ended::Outcome(Err(Refusal::plain(Code::SHUTTING_DOWN))));
            }
        }
    }
}
