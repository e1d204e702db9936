//! Where the writer works: on the thread that drives the connections as long as little is asked of it, else on one of
//! its own.
//!
//! A thread that has to be woken costs more than a few requests, and whoever asks alone would wait for two: the
//! writer's, and then that of the connections. Where many ask it is worth it: while one batch is committed the next is
//! read. And connections must not wait for what takes long, or might: when something is due by itself, or when the batch
//! before took long, as they do on a slow disk. A single request is bounded like a read is, and reads are run there too.
//!
//! A commit is worth sharing. So a batch with a write that is run here first lets the connections go on as long as that
//! brings more: whoever sends much at once takes turns at it. And whoever was answered together asks again at about the
//! same time, so it is waited for, a few looks at the sockets long; else each would wait for a commit of the others and
//! then for its own. Whoever asks alone waits for nobody.
//!
//! There is one desk with the queue and the writer at it, and whoever has it owns it. So batches are serial wherever they
//! are run, and the watchdog is fed only while whoever drives the connections is not stuck and the desk comes back to it.

use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use enroll_protocol::{Code, Kind, Refusal};
use tokio::sync::mpsc;
use tokio::task::{spawn_blocking, yield_now};

use super::{Answers, BATCH_MAX, Request, Work, Writer};
use crate::context::{Clock, Moment, StepWatch};
use crate::session::line::Turns;
use crate::store::StoreError;
use crate::systemd::Watchdog;

/// How long it is waited for what is due: the clock may be set to another time meanwhile.
const LOOK_PAUSE: Duration = Duration::from_secs(60);

/// How often the connections may go on in vain before a batch begins: where nobody is missed, and where somebody is who
/// wrote lately. Those who yield at the same time go on in no certain order, so once would not be enough.
const IN_VAIN_MAX: [usize; 2] = [2, 16];

/// What the thread that drives the connections may take upon itself.
#[derive(Debug, Clone, Copy)]
pub struct Here {
    /// Requests of a batch at most. Those that only look something up need no commit, so there may be many.
    pub requests_max: usize,
    /// Writes among them at most.
    pub writes_max: usize,
    /// How long the batch before may have taken.
    pub seconds_max: f64,
}

impl Here {
    /// Where one thread drives the connections: about as much as is done before a thread has been woken twice.
    pub const ONE_THREAD: Self = Self { requests_max: 64, writes_max: 8, seconds_max: 0.001 };

    /// Where several do, they would have to wake each other anyway: nothing.
    pub const SEVERAL_THREADS: Self = Self { requests_max: 0, writes_max: 0, seconds_max: 0.0 };
}

/// The writer and its queue.
pub struct Desk {
    writer: Writer,
    queue: mpsc::Receiver<Request>,
    clock: Clock,
    steps: StepWatch,
    here: Here,
    turns: Arc<Turns>,
    /// Taken from the queue, and to be served next.
    batch: Vec<Request>,
    /// How long the last batch took.
    seconds: f64,
    /// The connections that wrote in the last batch, and in the one before.
    lately: [Vec<u64>; 2],
}

/// What a batch has come to.
struct Served {
    answers: Answers,
    /// The number of the latest change.
    head: u64,
}

impl Desk {
    /// Nothing is served yet.
    pub fn new(writer: Writer, queue: mpsc::Receiver<Request>, clock: Clock, here: Here, turns: Arc<Turns>) -> Self {
        Self {
            writer,
            queue,
            steps: StepWatch::of(clock.clone()),
            clock,
            here,
            turns,
            batch: Vec::with_capacity(BATCH_MAX),
            seconds: 0.0,
            lately: Default::default(),
        }
    }

    /// Serves the queue until it is closed and empty, or until a commit fails, and wakes by itself for what is due, for
    /// another configuration, and for the watchdog. The answers of a batch are given out together, then `tell` is told
    /// the number of the latest change.
    pub async fn serve(mut self, mut watchdog: Watchdog, mut tell: impl FnMut(u64)) -> Result<(), StoreError> {
        let mut reloads = self.writer.daemon.settings.subscribe();
        loop {
            let due = self.writer.due().map(|at| self.clock.until(at).min(LOOK_PAUSE));
            let wait = due.into_iter().chain(watchdog.feed()).min();
            if self.batch.is_empty() {
                tokio::select! {
                    biased;
                    count = self.queue.recv_many(&mut self.batch, BATCH_MAX) => if count == 0 {
                        return Ok(());
                    },
                    Ok(()) = reloads.changed() => {}
                    () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
                }
                self.gather().await;
            }
            let is_for_here = self.is_for_here();
            self.turns.writer_begins(is_for_here);
            let result = if is_for_here {
                let (served, result) = self.serve_batch();
                served.give_out(&mut tell);
                result
            } else {
                let (giver, mut given) = mpsc::unbounded_channel();
                let working = spawn_blocking(move || self.serve_batches(&giver));
                while let Some(served) = given.recv().await {
                    served.give_out(&mut tell);
                    watchdog.feed();
                }
                let result;
                (self, result) = working.await.map_err(|_| StoreError::Closed("the writer ended"))?;
                self.turns.writer_begins(true);
                result
            };
            if let Err(err) = result {
                self.refuse_rest();
                return Err(err);
            }
        }
    }

    /// Lets the connections go on before a commit, as long as the batch may be run here and it is not in vain. Those
    /// in the line have no turn meanwhile: theirs are long.
    async fn gather(&mut self) {
        let mut in_vain = 0;
        while self.writes().next().is_some()
            && self.is_for_here()
            && in_vain < IN_VAIN_MAX[usize::from(self.misses_somebody())]
        {
            let before = self.batch.len();
            yield_now().await;
            self.take_queued();
            in_vain = if self.batch.len() == before { in_vain + 1 } else { 0 };
        }
    }

    /// Whether somebody who wrote lately is not among those who write now.
    fn misses_somebody(&self) -> bool {
        let is_here = |number: &u64| self.writes().any(|request| request.connection == *number);
        !self.lately.iter().flatten().all(is_here)
    }

    fn writes(&self) -> impl Iterator<Item = &Request> {
        self.batch.iter().filter(|request| matches!(&request.work, Work::Write(job) if job.row().kind.is_write()))
    }

    fn has_bulk(&self) -> bool {
        self.batch.iter().any(|request| matches!(&request.work, Work::Write(job) if job.row().kind == Kind::Bulk))
    }

    /// Whether the batch may be run on the thread that drives the connections.
    fn is_for_here(&self) -> bool {
        (1..=self.here.requests_max).contains(&self.batch.len())
            && self.writes().count() <= self.here.writes_max
            && !self.has_bulk()
            && self.seconds <= self.here.seconds_max
            && self.writer.due().is_none_or(|at| at > self.clock.now())
    }

    fn take_queued(&mut self) {
        while self.batch.len() < BATCH_MAX
            && let Ok(request) = self.queue.try_recv()
        {
            self.batch.push(request);
        }
    }

    /// On a thread of its own: serves this batch, and those that came meanwhile as long as they are not for here. Goes on
    /// with bulk writes as long as somebody could wait for them.
    fn serve_batches(mut self, giver: &mpsc::UnboundedSender<Served>) -> (Self, Result<(), StoreError>) {
        loop {
            let (served, result) = self.serve_batch();
            // Where nobody gives out answers any more, nobody waits for one.
            let _ = giver.send(served);
            self.take_queued();
            let has_more = !self.batch.is_empty() || (self.writer.is_busy() && !self.queue.is_closed());
            if result.is_err() || !has_more || self.is_for_here() {
                return (self, result);
            }
        }
    }

    fn serve_batch(&mut self) -> (Served, Result<(), StoreError>) {
        let begun = Moment::now();
        let writing = self.writes().map(|request| request.connection).take(self.here.writes_max).collect();
        self.lately = [writing, take(&mut self.lately[0])];
        self.writer.daemon.metrics.queue.set(self.queue.len() as u64);
        if let Some(seconds) = self.steps.step_seconds() {
            self.writer.clock_stepped(seconds);
        }
        let (answers, result) = self.writer.serve(self.batch.drain(..), self.clock.now());
        self.seconds = begun.elapsed_seconds();
        (Served { answers, head: self.writer.head.seq }, result)
    }

    /// Nothing may be served any more.
    fn refuse_rest(&mut self) {
        self.queue.close();
        let rest = self.batch.drain(..).chain(std::iter::from_fn(|| self.queue.try_recv().ok()));
        rest.for_each(|request| (request.answer)(Err(Refusal::plain(Code::SHUTTING_DOWN))));
    }
}

impl Served {
    fn give_out(self, tell: &mut impl FnMut(u64)) {
        self.answers.into_iter().for_each(|(answer, outcome)| answer(outcome));
        tell(self.head);
    }
}
