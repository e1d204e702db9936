//! A session: one connection's requests, from its frames to its outbox.
//!
//! - Its writes reach the writer in the order sent.
//! - Read-your-writes: a read waits until every write sent before it is answered, and nothing sent after it begins
//!   before it runs. So a connection sees its requests done in their order.
//! - A bulk write, and a write that may need something made outside, is a barrier: nothing sent after it begins before
//!   it is answered.
//! - Backpressure: requests in flight and bytes in the outbox are bounded; past a bound the socket is not read.
//! - No write is answered before it is durable, and everything that was accepted is answered before the connection is
//!   closed in good order.

use std::sync::Arc;
use std::time::Duration;

use enroll_protocol::frame::{FrameError, FrameReader};
use enroll_protocol::limits::{FRAME_BYTES_MAX, IN_FLIGHT_MAX};
use enroll_protocol::{Code, Envelope, Refusal};
use enroll_socket::{Incoming, Outgoing};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::deadlines::{Deadlines, Overdue};
use super::handshake::{self, End};
use super::outbox::Outbox;
use super::pending::{Answered, Pending, Read, Stalled};
use super::subscriptions::{Subscriber, Subscriptions};
use super::turns::Turn;
use crate::config::Limits;
use crate::daemon::clock::draw_seed;
use crate::daemon::internal_error::to_refusal;
use crate::dispatch::{self, Handler, Job, Look, ReadJob, WriteJob};
use crate::writer::{self, Ended, Outcome, Queue, SendError};
use enroll_core::context::{Context, Peer};
use enroll_core::fault::Fault;
use enroll_core::state::{StoreError, View};

/// Bytes in the outbox; past this no further request of the peer is begun.
const OUTBOX_BYTES_MAX: usize = FRAME_BYTES_MAX;

/// Streams go on while the outbox holds less than this, so that they leave room for answers.
const STREAM_OUTBOX_BYTES_MAX: usize = OUTBOX_BYTES_MAX / 2;

/// Longest wait of a write for room in the writer's queue; then the connection ends as busy.
const QUEUE_WAIT: Duration = Duration::from_secs(2);

/// Serves one connection to its end.
pub(super) async fn serve(
    (mut input, mut output): (Incoming, Outgoing),
    peer: Peer,
    shared: Arc<Shared>,
    queue: Queue,
    mut stopping: watch::Receiver<bool>,
    turn: Turn,
) {
    let limits = shared.terms.now().limits;
    let mut frames = FrameReader::new(limits.frame_bytes_max);
    let greeted = tokio::select! {
        greeted = handshake::greet(&mut input, &mut output, &mut frames, &peer, &limits, &shared.daemon.metrics) => greeted,
        // A client that is told so comes again, and finds the next daemon.
        _ = stopping.changed() => {
            let stopping = Refusal::plain(Code::SHUTTING_DOWN);
            return handshake::refuse(&mut output, &stopping, &limits, &shared.daemon.metrics).await;
        }
    };
    let result = match greeted {
        Ok(()) => {
            let (answers, inbox) = mpsc::unbounded_channel();
            let session = Session::new(peer.clone(), Arc::clone(&shared), limits, queue, answers, frames, turn);
            session.run(&mut input, &mut output, inbox, stopping).await
        }
        Err(end) => Err(end),
    };
    if let Err(end) = result {
        end.note(&shared.daemon.abuse, peer.uid);
        tracing::debug!(uid = peer.uid, pid = peer.pid, %end, "connection closed");
    }
}

struct Session {
    shared: Arc<Shared>,
    peer: Peer,
    limits: Limits,
    queue: Queue,
    turn: Turn,
    answers: mpsc::UnboundedSender<Answered>,
    frames: FrameReader,
    outbox: Outbox,
    /// Requests that were begun and are not answered, open streams included.
    in_flight: usize,
    /// Writes among them.
    open_writes: usize,
    /// A write that nothing overtakes is not answered yet.
    has_barrier: bool,
    /// A read that waits for the writes that were sent before it.
    waiting: Option<Read>,
    subscriptions: Subscriptions,
    /// A write that waits for room in the writer's queue.
    stalled: Option<Stalled>,
    /// The peer has sent its last request.
    input_ended: bool,
    deadlines: Deadlines,
    /// No further request is begun, and this is sent when everything that was begun is answered.
    closing: Option<Refusal>,
}

impl Session {
    fn new(
        peer: Peer,
        shared: Arc<Shared>,
        limits: Limits,
        queue: Queue,
        answers: mpsc::UnboundedSender<Answered>,
        frames: FrameReader,
        turn: Turn,
    ) -> Self {
        let subscriptions = Subscriptions::new(shared.changes.clone());
        Self {
            limits,
            shared,
            peer,
            queue,
            turn,
            answers,
            frames,
            outbox: Outbox::new(limits.frame_bytes_max),
            in_flight: 0,
            open_writes: 0,
            has_barrier: false,
            waiting: None,
            subscriptions,
            stalled: None,
            input_ended: false,
            deadlines: Deadlines::new(limits),
            closing: None,
        }
    }

    async fn run(
        mut self,
        input: &mut Incoming,
        output: &mut Outgoing,
        mut inbox: mpsc::UnboundedReceiver<Answered>,
        mut stopping: watch::Receiver<bool>,
    ) -> Result<(), End> {
        let queue = self.queue.clone();
        let timer = sleep_until(Instant::now() + self.limits.idle);
        tokio::pin!(timer);
        let turn = self.turn.clone();
        loop {
            turn.wait().await;
            let has_more = self.use_turn().unwrap_or_else(|err| {
                // Where frames can not be told apart nothing more can be read; earlier requests are answered.
                self.close(Refusal::new(Code::INVALID_ARGUMENT, err.to_string()));
                End::Frame(err).note(&self.shared.daemon.abuse, self.peer.uid);
                false
            });
            if self.is_done() && !has_more {
                if let Some(closing) = &self.closing {
                    handshake::refuse(output, closing, &self.limits, &self.shared.daemon.metrics).await;
                }
                return Ok(());
            }
            self.deadlines.note_answers(!self.outbox.is_empty());
            let due = self.deadlines.earliest(self.in_flight > 0);
            if let Some((at, _)) = due.filter(|(at, _)| *at < timer.deadline()) {
                timer.as_mut().reset(at);
            }
            let may_read = !self.input_ended && !has_more && self.may_begin();
            let stalled_until = self.stalled.as_ref().map(|stalled| stalled.until);
            tokio::select! {
                biased;
                _ = stopping.changed(), if self.closing.is_none() => {
                    self.close(Refusal::plain(Code::SHUTTING_DOWN));
                }
                // Before the rest: it comes once a commit at most, and the rest may come without a pause.
                () = self.subscriptions.woken() => {}
                Some(answer) = inbox.recv() => {
                    self.take_answer(answer);
                    while let Ok(answer) = inbox.try_recv() {
                        self.take_answer(answer);
                    }
                }
                written = output.write(self.outbox.rest()), if !self.outbox.is_empty() => {
                    self.outbox.has_written(written?)?;
                    self.deadlines.taken();
                }
                read = handshake::read_some(input, &mut self.frames), if may_read => {
                    self.input_ended = read? == 0;
                    self.deadlines.heard();
                }
                room = queue.room(), if stalled_until.is_some() => {
                    if let Some(stalled) = self.stalled.take() {
                        self.try_send(stalled.pending, stalled.handler, |queue| match room {
                            Some(room) => queue.send(room, stalled.request),
                            None => Err(SendError::Closed),
                        });
                    }
                }
                () = sleep_until(stalled_until.unwrap_or_else(Instant::now)), if stalled_until.is_some() => self.end_busy(),
                () = &mut timer, if due.is_some() => match due {
                    Some((at, overdue)) if at <= Instant::now() => self.time_out(overdue)?,
                    Some((at, _)) => timer.as_mut().reset(at),
                    None => {}
                },
                // The turn is over: the other connections have theirs before the next one.
                () = turn.next(), if has_more => {}
            }
        }
    }

    /// True if another request may be begun.
    fn may_begin(&self) -> bool {
        self.closing.is_none()
            && self.stalled.is_none()
            && self.waiting.is_none()
            && !self.has_barrier
            && self.in_flight < IN_FLIGHT_MAX
            && self.outbox.bytes() < OUTBOX_BYTES_MAX
    }

    /// True if a stream may go on.
    fn may_stream(&self) -> bool {
        self.subscriptions.is_ready() && self.outbox.bytes() < STREAM_OUTBOX_BYTES_MAX
    }

    /// Begins nothing more. A client that followed a stream resumes it elsewhere.
    fn close(&mut self, closing: Refusal) {
        self.closing = Some(closing);
        self.in_flight -= self.subscriptions.break_off();
    }

    /// True if everything is answered and nothing more will come.
    fn is_done(&self) -> bool {
        (self.input_ended || self.closing.is_some()) && self.in_flight == 0 && self.outbox.is_empty()
    }

    /// Ends the connection, with the reason where the peer may still read it.
    fn time_out(&mut self, overdue: Overdue) -> Result<(), End> {
        overdue.note(&self.shared.daemon.abuse, self.peer.uid);
        match overdue {
            Overdue::Frame => self.close(handshake::too_slow("a frame arrives whole", &self.limits)),
            Overdue::Answers => return Err(End::Refused("it does not take its answers")),
            Overdue::Idle => return Err(End::Refused("it said nothing for too long")),
        }
        Ok(())
    }

    /// Runs what may run, until the turn is over: a read whose writes are answered, requests that arrived, streams.
    /// Tells whether there is more to do at once.
    fn use_turn(&mut self) -> Result<bool, FrameError> {
        let end = self.turn.end();
        if let Some(read) = self.waiting.take_if(|_| self.open_writes == 0) {
            self.run_read(read);
        }
        if self.take_requests(end)? {
            return Ok(true);
        }
        if self.input_ended && self.may_begin() && self.in_flight == self.subscriptions.len() {
            self.subscriptions.finish();
        }
        while self.may_stream() {
            let now = self.shared.clock.now();
            let has_ended = self.subscriptions.step(&self.shared, now, &mut self.outbox);
            self.in_flight -= usize::from(has_ended);
            if std::time::Instant::now() >= end {
                return Ok(self.may_stream());
            }
        }
        Ok(false)
    }

    fn take_requests(&mut self, end: std::time::Instant) -> Result<bool, FrameError> {
        while self.may_begin() {
            let Some(frame) = self.frames.next_frame()? else {
                self.deadlines.note_frame(self.frames.is_inside_frame() && !self.input_ended);
                return Ok(false);
            };
            if frame.id == 0 {
                return Err(FrameError::ReservedId);
            }
            self.deadlines.note_frame(false);
            self.in_flight += 1;
            let pending = Pending::now(&frame);
            match dispatch::request(&frame, &self.peer) {
                Ok((handler, envelope, job)) => self.begin(pending, handler, envelope, job),
                Err(refusal) => self.answer(pending, Err(refusal)),
            }
            if std::time::Instant::now() >= end {
                return Ok(true);
            }
        }
        // It is we who do not read on, so the peer can not finish a frame.
        self.deadlines.note_frame(false);
        Ok(false)
    }

    fn begin(&mut self, pending: Pending, handler: &'static Handler, envelope: Envelope, job: Job) {
        let seed = if matches!(job, Job::Write(_)) { draw_seed() } else { [0; 32] };
        let ctx = match self.shared.daemon.context(self.shared.clock.now(), seed, self.peer.clone(), envelope) {
            Ok(ctx) => ctx,
            Err(refusal) => return self.answer(pending, Err(refusal)),
        };
        match job {
            Job::Write(job) => self.write(pending, handler, ctx, job),
            Job::Look(look) => {
                let read = Read { pending, handler, ctx, look };
                match self.open_writes {
                    0 => self.run_read(read),
                    _ => self.waiting = Some(read),
                }
            }
        }
    }

    fn run_read(&mut self, read: Read) {
        let Read { pending, handler, ctx, look } = read;
        let job = match look {
            Look::Read(job) => {
                let outcome = run_job(&self.shared, self.shared.store.view(), &*job, ctx, handler);
                if job.takes_code() && self.shared.daemon.guesses.lock().take_wants_writer() {
                    self.queue.wake();
                }
                return self.answer(pending, outcome);
            }
            Look::Items(items) => return self.subscribe(Subscriber { pending, handler, ctx }, items),
            Look::Scan(job) => job,
        };
        // The snapshot is taken here: later writes of the connection are not in it.
        let (view, shared, answers) = (self.shared.store.view(), Arc::clone(&self.shared), self.answers.clone());
        tokio::spawn(async move {
            let permit = Arc::clone(&shared.scans).acquire_owned().await;
            tokio::task::spawn_blocking(move || {
                let outcome = run_job(&shared, view, &*job, ctx, handler);
                drop(permit);
                let _ = answers.send(Answered::Read(pending, outcome));
            });
        });
    }

    fn subscribe(&mut self, subscriber: Subscriber, items: dispatch::Items) {
        let pending = subscriber.pending;
        let begun = match &self.closing {
            Some(closing) => Err(closing.clone()),
            None => self.subscriptions.begin(subscriber, items, &self.shared, &mut self.outbox),
        };
        match begun {
            Ok(()) => pending.answered(&self.shared.daemon.metrics, None),
            Err(refusal) => self.answer(pending, Err(refusal)),
        }
    }

    /// Sends a write to the writer; it waits here while the queue is full.
    fn write(&mut self, pending: Pending, handler: &'static Handler, ctx: Context, job: Arc<dyn WriteJob>) {
        let answers = self.answers.clone();
        let answer = move |ended| {
            // A session that is gone needs no answer.
            let _ = answers.send(Answered::Write(pending, handler, ended));
        };
        self.open_writes += 1;
        self.has_barrier = job.is_barrier();
        let request = Box::new(writer::Request { ctx, job, answer: Box::new(answer) });
        self.try_send(pending, handler, |queue| queue.try_send(request));
    }

    fn try_send(
        &mut self,
        pending: Pending,
        handler: &'static Handler,
        send: impl FnOnce(&Queue) -> Result<(), SendError>,
    ) {
        match send(&self.queue) {
            Ok(()) => {}
            Err(SendError::Full(request)) => {
                self.stalled = Some(Stalled { until: Instant::now() + QUEUE_WAIT, pending, handler, request });
            }
            Err(SendError::Closed) => {
                self.end_write();
                self.answer(pending, Err(Refusal::plain(Code::SHUTTING_DOWN)));
            }
        }
    }

    fn end_write(&mut self) {
        self.open_writes -= 1;
        // A barrier is the last write that was sent.
        self.has_barrier &= self.open_writes > 0;
    }

    /// The queue has been full for too long. Were only this write refused, those after it might be done before it is
    /// sent again; so the connection ends as busy, and the client sends what was not answered anew, in its order.
    fn end_busy(&mut self) {
        if self.stalled.take().is_some() {
            self.end_write();
            self.in_flight -= 1;
            self.close(Refusal::plain(Code::BUSY).with(json!({"retry_after_ms": 100})));
        }
    }

    /// Passes on what the writer or another thread has answered.
    fn take_answer(&mut self, answer: Answered) {
        match answer {
            Answered::Read(pending, outcome) => self.answer(pending, outcome),
            Answered::Write(pending, handler, Ended::Outcome(outcome)) => {
                self.end_write();
                let outcome = outcome.and_then(|reply| match handler.finish {
                    Some(finish) => finish(&reply, &self.shared.daemon.identity.now().keys)
                        .map_err(|fault| to_refusal(&fault, handler.row, &self.peer)),
                    None => Ok(reply),
                });
                self.answer(pending, outcome);
            }
            Answered::Write(pending, handler, Ended::Needs(needed, write)) => {
                let (shared, answers) = (Arc::clone(&self.shared), self.answers.clone());
                tokio::task::spawn_blocking(move || {
                    let (mut ctx, job) = *write;
                    let view = shared.store.view().map_err(Fault::Store);
                    let made = view.and_then(|view| dispatch::make(&needed, &shared.daemon, &*view, &ctx));
                    let made = made
                        .map(|made| ctx.made = Some(made))
                        .map_err(|fault| to_refusal(&fault, handler.row, &ctx.peer));
                    let _ = answers.send(Answered::Made(pending, handler, made.map(|()| Box::new((ctx, job)))));
                });
            }
            Answered::Made(pending, handler, made) => {
                self.end_write();
                match made {
                    Ok(write) => self.write(pending, handler, write.0, write.1),
                    Err(refusal) => self.answer(pending, Err(refusal)),
                }
            }
        }
    }

    fn answer(&mut self, pending: Pending, outcome: Outcome) {
        self.in_flight -= 1;
        let refused = self.outbox.answer(pending.id, pending.operation, outcome);
        pending.answered(&self.shared.daemon.metrics, refused);
    }
}

fn run_job(
    shared: &Shared,
    view: Result<View, StoreError>,
    job: &dyn ReadJob,
    ctx: Context,
    handler: &Handler,
) -> Outcome {
    let peer = ctx.peer.clone();
    let ended = view.map_err(Fault::Store).and_then(|view| dispatch::run_read(job, &shared.daemon, &*view, ctx));
    ended.map_err(|fault| to_refusal(&fault, handler.row, &peer))
}
