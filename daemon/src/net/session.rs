//! A session: one connection's requests, from its frames to its outbox.
//!
//! - Its writes reach the writer in the order sent.
//! - Read-your-writes: a read waits until every write sent before it is answered, and nothing sent after it begins
//!   before it runs. So a connection sees its requests done in their order.
//! - A bulk write, a write that may need something made outside, and a scan are barriers: nothing sent after them begins
//!   before they are answered.
//! - Backpressure: requests in flight, bytes in the outbox and the memory of all connections are bounded; past a bound the
//!   socket is not read.
//! - No write is answered before it is durable, and everything that was accepted is answered before the connection is
//!   closed in good order.

mod forward;
mod memory;
mod reads;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use enroll_protocol::encoding::Encoding;
use enroll_protocol::frame::{FrameError, FrameReader};
use enroll_protocol::limits::{FRAME_BYTES_MAX, IN_FLIGHT_MAX};
use enroll_protocol::{Code, Envelope, Refusal};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use self::memory::InFlight;
use super::Shared;
use super::deadlines::{Deadlines, Overdue};
use super::handshake::{self, End};
use super::members::Link;
use super::memory_budget::Account;
use super::outbox::Outbox;
use super::pending::{Answered, Pending, Read, Stalled};
use super::socket::Socket;
use super::subscriptions::Subscriptions;
use super::turns::Turn;
use crate::config::Limits;
use crate::dispatch::{self, Handler, Job};
use crate::writer::{Outcome, Queue, SendError};
use enroll_core::context::Peer;

/// Bytes in the outbox; past this no further request of the peer is begun.
const OUTBOX_BYTES_MAX: usize = FRAME_BYTES_MAX;

/// Streams go on while the outbox holds less than this, so that they leave room for answers.
const STREAM_OUTBOX_BYTES_MAX: usize = OUTBOX_BYTES_MAX / 2;

/// Longest wait of a write for room in the writer's queue; then the connection ends as busy.
const QUEUE_WAIT: Duration = Duration::from_secs(2);

/// Serves one connection to its end.
pub(super) async fn serve<S: Socket>(
    (mut input, mut output, socket): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin, S),
    peer: Peer,
    shared: Arc<Shared>,
    queue: Queue,
    mut stopping: watch::Receiver<bool>,
    turn: Turn,
) {
    let limits = shared.terms.now().limits;
    let mut frames = FrameReader::new(handshake::HELLO_BYTES_MAX);
    let greeted = tokio::select! {
        biased;
        greeted = handshake::greet(&mut input, &mut output, &mut frames, &peer, &limits, &shared.daemon.metrics) => greeted,
        // A client that is told so comes again, and finds the next daemon.
        _ = stopping.changed() => {
            let (leaving, metrics) = (handshake::leaving(), &shared.daemon.metrics);
            return handshake::refuse(&mut output, Encoding::Binary, &leaving, &limits, metrics).await;
        }
    };
    let result = match greeted {
        Ok(encoding) => {
            frames.set_bytes_max(limits.frame_bytes_max);
            let (answers, inbox) = mpsc::unbounded_channel();
            let socket = (socket, frames, encoding);
            let session = Session::new(peer.clone(), Arc::clone(&shared), limits, queue, answers, socket, turn);
            session.run(&mut input, &mut output, inbox, stopping).await
        }
        Err(end) => Err(end),
    };
    if let Err(end) = result {
        end.note(&shared.daemon.abuse, peer.uid);
        tracing::debug!(uid = peer.uid, pid = peer.pid, %end, "connection closed");
    }
}

struct Session<S: Socket> {
    shared: Arc<Shared>,
    peer: Peer,
    limits: Limits,
    queue: Queue,
    turn: Turn,
    answers: mpsc::UnboundedSender<Answered>,
    socket: S,
    frames: FrameReader,
    encoding: Encoding,
    outbox: Outbox,
    /// Requests that were begun and are not answered, open streams included.
    in_flight: usize,
    /// The bytes that they have reserved, open streams not included.
    reserved: usize,
    /// Kept by those that another thread has.
    in_flight_memory: Arc<InFlight>,
    /// The reservation of the frame that has not arrived whole.
    frame_reserved: usize,
    memory: Account,
    /// Writes in flight.
    open_writes: usize,
    /// The socket is lent to the writer: until its answer is sent, nothing else is written.
    socket_is_lent: bool,
    /// A write that nothing overtakes is not answered yet.
    has_barrier: bool,
    /// A scan is not answered yet; nothing overtakes it.
    has_scan: bool,
    /// A write was refused here while this daemon was a standby.
    was_standby: bool,
    /// The link to the member that leads, once something was forwarded.
    link: Option<Link>,
    /// Requests that were forwarded and are not answered.
    forwarded: usize,
    /// A read waits at the barrier; nothing overtakes it.
    has_look: bool,
    /// A read that waits for the writes that were sent before it, or for memory.
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

impl<S: Socket> Session<S> {
    fn new(
        peer: Peer,
        shared: Arc<Shared>,
        limits: Limits,
        queue: Queue,
        answers: mpsc::UnboundedSender<Answered>,
        (socket, frames, encoding): (S, FrameReader, Encoding),
        turn: Turn,
    ) -> Self {
        let subscriptions = Subscriptions::new(shared.changes.clone());
        let memory = shared.memory.open(peer.uid);
        Self {
            limits,
            shared,
            peer,
            queue,
            turn,
            answers,
            socket,
            frames,
            encoding,
            outbox: Outbox::new(encoding, limits.frame_bytes_max),
            in_flight: 0,
            reserved: 0,
            in_flight_memory: Arc::default(),
            frame_reserved: 0,
            memory,
            open_writes: 0,
            socket_is_lent: false,
            has_barrier: false,
            has_scan: false,
            was_standby: false,
            link: None,
            forwarded: 0,
            has_look: false,
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
        input: &mut (impl AsyncRead + Unpin),
        output: &mut (impl AsyncWrite + Unpin),
        mut inbox: mpsc::UnboundedReceiver<Answered>,
        mut stopping: watch::Receiver<bool>,
    ) -> Result<(), End> {
        let (queue, uid) = (self.queue.clone(), self.peer.uid);
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
                    let metrics = &self.shared.daemon.metrics;
                    handshake::refuse(output, self.encoding, closing, &self.limits, metrics).await;
                }
                return Ok(());
            }
            let may_write = !self.outbox.is_empty() && !self.socket_is_lent;
            self.deadlines.note_answers(may_write);
            let due = self.deadlines.earliest(self.in_flight > 0 || self.memory.is_waiting());
            if let Some((at, _)) = due.filter(|(at, _)| *at < timer.deadline()) {
                timer.as_mut().reset(at);
            }
            let may_read = !self.input_ended && !has_more && self.may_begin() && !self.memory.is_waiting();
            let stalled_until = self.stalled.as_ref().map(|stalled| stalled.until);
            tokio::select! {
                biased;
                _ = stopping.changed(), if self.closing.is_none() => {
                    self.close(handshake::leaving());
                }
                // Before the rest: it comes once a commit at most, and the rest may come without a pause.
                () = self.subscriptions.woken() => {}
                Some(answer) = inbox.recv() => {
                    self.take_answer(answer);
                    while let Ok(answer) = inbox.try_recv() {
                        self.take_answer(answer);
                    }
                }
                written = output.write(self.outbox.rest()), if may_write => {
                    match written? {
                        0 => return Err(End::Refused("it takes nothing any more")),
                        bytes => self.outbox.has_written(bytes),
                    }
                    self.deadlines.taken();
                }
                read = handshake::read_some(input, &mut self.frames), if may_read => {
                    self.input_ended = read? == 0;
                    self.deadlines.heard();
                }
                () = self.memory.granted(), if self.memory.is_waiting() => {}
                room = queue.room(uid), if stalled_until.is_some() => {
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
            && !self.has_scan
            && !self.has_look
            && self.in_flight < IN_FLIGHT_MAX
            && self.outbox.bytes() < OUTBOX_BYTES_MAX
    }

    /// True if a stream may go on.
    fn may_stream(&mut self) -> bool {
        self.subscriptions.is_ready() && self.outbox.bytes() < STREAM_OUTBOX_BYTES_MAX && self.may_make_step()
    }

    /// Begins nothing more. A client that followed a stream resumes it elsewhere.
    fn close(&mut self, closing: Refusal) {
        self.closing = Some(closing);
        self.in_flight -= self.subscriptions.break_off();
    }

    /// True if everything is answered and nothing more will come.
    fn is_done(&self) -> bool {
        let will_begin = !self.input_ended || self.memory.is_waiting();
        (!will_begin || self.closing.is_some()) && self.in_flight == 0 && self.outbox.is_empty()
    }

    /// Ends the connection, with the reason where the peer may still read it.
    fn time_out(&mut self, overdue: Overdue) -> Result<(), End> {
        overdue.note(&self.shared.daemon.abuse, self.peer.uid);
        match overdue {
            Overdue::Frame => self.close(handshake::too_slow("a frame arrives whole", &self.limits)),
            Overdue::Answers => return Err(End::Refused("it does not take its answers")),
            Overdue::Look => {}
            Overdue::Idle => return Err(End::Refused("it said nothing for too long")),
        }
        Ok(())
    }

    /// Runs what may run, until the turn is over: a read whose writes are answered, requests that arrived, streams.
    /// Tells whether there is more to do at once.
    fn use_turn(&mut self) -> Result<bool, FrameError> {
        let has_more = self.try_turn();
        self.settle_memory();
        has_more
    }

    fn try_turn(&mut self) -> Result<bool, FrameError> {
        let end = self.turn.end();
        if let Some(read) = self.waiting.take_if(|_| self.open_writes == 0 && !self.memory.is_waiting()) {
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
            if Instant::now() >= end {
                return Ok(self.may_stream());
            }
        }
        Ok(false)
    }

    fn take_requests(&mut self, end: Instant) -> Result<bool, FrameError> {
        while self.may_begin() {
            let Some(reserved) = self.reserve_frame() else { break };
            let Some(frame) = self.frames.next_frame()? else {
                self.deadlines.note_frame(self.frames.is_inside_frame() && !self.input_ended);
                return Ok(false);
            };
            if frame.id == 0 {
                return Err(FrameError::ReservedId);
            }
            self.deadlines.note_frame(false);
            self.in_flight += 1;
            self.reserved += reserved;
            let mut pending = Pending::now(&frame, reserved);
            match dispatch::request(&frame, self.encoding, &self.peer) {
                Ok((handler, envelope, job)) => {
                    pending.operation = handler.row.number;
                    self.begin(pending, handler, envelope, job);
                }
                Err(refusal) => self.answer(pending, Err(refusal)),
            }
            if Instant::now() >= end {
                return Ok(true);
            }
        }
        // It is we who do not read on, so the peer can not finish a frame.
        self.deadlines.note_frame(false);
        Ok(false)
    }

    fn begin(&mut self, pending: Pending, handler: &'static Handler, envelope: Envelope, job: Job) {
        if self.shared.barrier.is_some() && Self::is_for_leader(&job) {
            if self.shared.daemon.role.is_standby() {
                return self.forward(pending, envelope, &job);
            }
            // The writes that were refused or have no outcome are sent again first, on the next connection.
            if self.was_standby || self.forwarded > 0 {
                return self.refuse_out_of_order(pending);
            }
        }
        let seed = if matches!(job, Job::Write(_)) { self.shared.seeds.draw() } else { [0; 32] };
        let ctx = match self.shared.daemon.context(self.shared.clock.now(), seed, self.peer.clone(), envelope) {
            Ok(ctx) => ctx,
            Err(refusal) => return self.answer(pending, Err(refusal)),
        };
        match job {
            Job::Write(job) => self.write(pending, handler, ctx, job),
            Job::Look(look) => {
                let is_confirmed = self.shared.barrier.is_none() || self.may_read_locally();
                let read = Read { pending, handler, ctx, look, is_confirmed, answer_bytes: 0 };
                match self.open_writes {
                    0 => self.run_read(read),
                    _ => self.waiting = Some(read),
                }
            }
        }
    }

    fn answer(&mut self, pending: Pending, outcome: Outcome) {
        let refused = self.outbox.answer(pending.id, pending.operation, outcome);
        self.count_answer(pending, refused);
    }

    fn count_answer(&mut self, pending: Pending, refused: Option<Code>) {
        self.in_flight -= 1;
        self.reserved -= pending.reserved;
        pending.answered(&self.shared.daemon.metrics, refused);
    }
}
