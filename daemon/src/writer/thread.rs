//! The writer thread: group commit. It takes what is queued, runs it as one batch with one commit, answers, and waits for
//! the next request or for what is due by itself.
//!
//! It is the only thread that writes, and it drives no connection: a slow sync delays writes, never a read, an accept or
//! a stream. Writes that arrive during a commit share the next one, so batches grow with the load, and on one host no timer
//! gathers them. Where a commit is a round trip to other hosts, a batch [lingers](Linger) for those that were just
//! answered. Where more waits than a batch takes, uids have their turns in it.

use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use enroll_protocol::{Code, Refusal};

use tokio::sync::OwnedSemaphorePermit;

use super::queue::{Inbox, Message};
use super::{BATCH_MAX, Ended, Request, Writer};
use crate::daemon::clock::{Clock, StepWatch};
use crate::fair_queue::FairQueue;
use crate::linger::Linger;
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
    /// Writes for this batch and later ones.
    waiting: FairQueue<(Box<Request>, OwnedSemaphorePermit)>,
    batch: Vec<Request>,
    /// The wait of the next batch; none on one host.
    linger: Linger,
    /// Every sender is gone.
    is_last: bool,
}

impl WriterThread {
    /// Nothing is served yet. Each heartbeat that comes through the queue is passed on to `beat`.
    pub fn new(writer: Writer, inbox: Inbox, clock: Clock, beat: impl Fn() + Send + 'static) -> Self {
        let (steps, batch) = (StepWatch::of(clock.clone()), Vec::with_capacity(BATCH_MAX));
        let (waiting, linger) = (FairQueue::default(), Linger::default());
        Self { writer, inbox, steps, clock, beat: Box::new(beat), waiting, batch, linger, is_last: false }
    }

    /// Waits until there is a writer, which `begin` makes when it is woken and may, and then serves with it like
    /// [`WriterThread::run`]. Until then the watchdog is fed and no write is taken.
    pub fn run_when(
        inbox: Inbox,
        clock: Clock,
        beat: impl Fn() + Send + 'static,
        mut begin: impl FnMut() -> Option<Result<Writer, StoreError>>,
        committed: impl FnMut(u64),
    ) -> Result<(), StoreError> {
        loop {
            match inbox.wait(WAIT_MAX) {
                Ok(Message::Heartbeat) => beat(),
                Ok(Message::Request(request, _)) => {
                    (request.answer)(Ended::Outcome(Err(Refusal::plain(Code::SHUTTING_DOWN))));
                }
                Ok(Message::Wake) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if let Some(writer) = begin() {
                return Self::new(writer?, inbox, clock, beat).run(committed);
            }
        }
    }

    /// Serves until every sender is gone and the queue is empty, or until a commit fails. After each batch its answers
    /// are given out, then `committed` gets the number of the latest change.
    pub fn run(mut self, mut committed: impl FnMut(u64)) -> Result<(), StoreError> {
        while let Some(head) = self.step(self.longest_wait())? {
            committed(head);
        }
        Ok(())
    }

    /// Waits so long for a message, then serves one batch and gives out its answers. Returns the number of the latest
    /// change, or `None` once every sender is gone and the queue is empty. After an error nothing is served any more.
    pub fn step(&mut self, longest: Duration) -> Result<Option<u64>, StoreError> {
        if self.is_last && self.waiting.is_empty() {
            return Ok(None);
        }
        match self.inbox.wait(longest) {
            Ok(message) => self.take(message),
            Err(RecvTimeoutError::Timeout) => {}
            // A last batch, with what waits to be recorded of refused attempts.
            Err(RecvTimeoutError::Disconnected) => self.is_last = true,
        }
        self.take_queued();
        self.linger();
        while self.batch.len() < BATCH_MAX
            && let Some((request, room)) = self.waiting.pop()
        {
            drop(room);
            self.batch.push(*request);
        }
        if let Err(err) = self.serve_batch() {
            self.refuse_rest();
            return Err(err);
        }
        Ok(Some(self.writer.head()))
    }

    /// Until something is due, or there is a look at the clock anyway.
    pub fn longest_wait(&self) -> Duration {
        if !self.waiting.is_empty() {
            return Duration::ZERO;
        }
        self.writer.due().map_or(WAIT_MAX, |at| self.clock.until(at).min(WAIT_MAX))
    }

    /// Waits for the requests that are expected for this batch.
    fn linger(&mut self) {
        let expected = usize::try_from(self.linger.expected).unwrap_or(BATCH_MAX).min(BATCH_MAX);
        while !self.waiting.is_empty()
            && self.waiting.len() < expected
            && let Some(left) = self.linger.left()
        {
            match self.inbox.wait(left) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
            self.take_queued();
        }
    }

    fn take_queued(&mut self) {
        while let Some(message) = self.inbox.next() {
            self.take(message);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Request(request, room) => self.waiting.push(request.ctx.peer.uid, (request, room)),
            Message::Wake => {}
            Message::Heartbeat => (self.beat)(),
        }
    }

    fn serve_batch(&mut self) -> Result<(), StoreError> {
        self.writer.daemon.metrics.queue.set(self.waiting.len() as u64);
        if let Some(seconds) = self.steps.step_seconds() {
            self.writer.clock_stepped(seconds);
        }
        let began = Instant::now();
        let (answers, result) = self.writer.serve(self.batch.drain(..), self.clock.now());
        if self.writer.store.is_shared() {
            self.take_queued();
            self.linger = Linger::after(began, answers.len() as u64, self.waiting.len() as u64);
        }
        answers.into_iter().for_each(|(answer, ended)| answer(ended));
        result
    }

    /// Nothing may be served any more.
    fn refuse_rest(&mut self) {
        self.inbox.close();
        self.take_queued();
        while let Some((request, _)) = self.waiting.pop() {
            (request.answer)(Ended::Outcome(Err(Refusal::plain(Code::SHUTTING_DOWN))));
        }
    }
}
