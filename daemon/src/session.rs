//! One connection: reads requests, sees to it that they are run, writes answers.
//!
//! What holds for every connection:
//! - Its writes reach the writer in the order sent.
//! - A read sees every write sent before it: it waits until those are answered, while later requests go on.
//! - Only so many requests are in flight, and only so many bytes of answers wait to be taken; past that the connection
//!   is not read.
//! - Nothing is answered for a write before it is durable, and everything that was accepted is answered before the
//!   connection is closed in good order.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use enroll_protocol::frame::{self, Frame, FrameKind, FrameReader, HEADER_BYTES};
use enroll_protocol::limits::{FRAME_BYTES_MAX, IN_FLIGHT_MAX};
use enroll_protocol::{Code, Envelope, Refusal};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::context::{Clock, Context, Daemon, Peer, draw_seed};
use crate::dispatch::{self, Handler, Job, ReadJob};
use crate::fault::Fault;
use crate::handshake::{self, End, READ_BYTES, STALL};
use crate::rules;
use crate::store::Store;
use crate::writer::{self, Outcome};

/// How long a write waits for a place in the writer's queue before it is told that the daemon is busy.
const QUEUE_WAIT: Duration = Duration::from_secs(2);

/// Answers that wait to be taken by the peer; past this no further request of it is begun.
const OUTPUT_BYTES_MAX: usize = FRAME_BYTES_MAX;

/// How long a connection may keep the thread that it shares with the others.
const TURN: Duration = Duration::from_millis(1);

/// What every session needs of the daemon.
pub struct Shared {
    /// Configuration, keys, gauges.
    pub daemon: Arc<Daemon>,
    /// For reads.
    pub store: Arc<dyn Store>,
    /// The clock.
    pub clock: Clock,
    /// How long a silent connection lives.
    pub idle: Duration,
    /// One scan at a time: each looks at every record.
    pub scans: Arc<Semaphore>,
}

/// Serves one connection to its end.
pub async fn serve(
    stream: UnixStream,
    peer: Peer,
    shared: Arc<Shared>,
    writer: mpsc::Sender<writer::Request>,
    mut stopping: watch::Receiver<bool>,
) {
    let (mut input, mut output) = stream.into_split();
    let mut frames = FrameReader::new(FRAME_BYTES_MAX);
    let greeted = tokio::select! {
        greeted = handshake::greet(&mut input, &mut output, &mut frames, &peer) => greeted,
        _ = stopping.changed() => return,
    };
    let result = match greeted {
        Ok(()) => {
            let (answers, inbox) = mpsc::unbounded_channel();
            Session::new(peer, shared, writer, answers, frames).run(input, output, inbox, stopping).await
        }
        Err(end) => Err(end),
    };
    if let Err(end) = result {
        tracing::debug!(uid = peer.uid, pid = peer.pid, %end, "connection closed");
    }
}

struct Session {
    shared: Arc<Shared>,
    peer: Peer,
    writer: mpsc::Sender<writer::Request>,
    answers: mpsc::UnboundedSender<Answered>,
    frames: FrameReader,
    output: Vec<u8>,
    /// How much of `output` the socket has taken.
    written: usize,
    in_flight: usize,
    writes_sent: u64,
    writes_answered: u64,
    /// Reads that were sent behind writes that are not answered yet.
    waiting: VecDeque<WaitingRead>,
    /// A write for which the writer's queue had no place.
    stalled: Option<Stalled>,
    /// The peer has sent its last request.
    input_ended: bool,
    /// Since when a frame has been begun and not finished.
    unfinished_since: Option<Instant>,
    /// No further request is begun, and this is said when everything that was begun is answered.
    farewell: Option<Refusal>,
}

struct WaitingRead {
    behind: u64,
    read: Read,
}

struct Read {
    id: u64,
    handler: &'static Handler,
    ctx: Context,
    job: Box<dyn ReadJob>,
    is_scan: bool,
}

struct Stalled {
    until: Instant,
    id: u64,
    handler: &'static Handler,
    request: writer::Request,
}

struct Answered {
    id: u64,
    handler: &'static Handler,
    is_write: bool,
    outcome: Outcome,
}

impl Session {
    fn new(
        peer: Peer,
        shared: Arc<Shared>,
        writer: mpsc::Sender<writer::Request>,
        answers: mpsc::UnboundedSender<Answered>,
        frames: FrameReader,
    ) -> Self {
        Self {
            shared,
            peer,
            writer,
            answers,
            frames,
            output: Vec::new(),
            written: 0,
            in_flight: 0,
            writes_sent: 0,
            writes_answered: 0,
            waiting: VecDeque::new(),
            stalled: None,
            input_ended: false,
            unfinished_since: None,
            farewell: None,
        }
    }

    async fn run(
        mut self,
        mut input: OwnedReadHalf,
        mut output: OwnedWriteHalf,
        mut inbox: mpsc::UnboundedReceiver<Answered>,
        mut stopping: watch::Receiver<bool>,
    ) -> Result<(), End> {
        let queue = self.writer.clone();
        let mut last_heard = Instant::now();
        let timer = sleep_until(last_heard + self.shared.idle);
        tokio::pin!(timer);
        loop {
            let has_more = match self.take_turn() {
                Ok(has_more) => has_more,
                Err(err) => {
                    handshake::refuse(&mut output, &Refusal::new(Code::INVALID_ARGUMENT, err.to_string())).await;
                    return Err(err.into());
                }
            };
            if self.is_done() && !has_more {
                if let Some(farewell) = &self.farewell {
                    handshake::refuse(&mut output, farewell).await;
                }
                return Ok(());
            }
            let due = self.due(last_heard);
            if due < timer.deadline() {
                timer.as_mut().reset(due);
            }
            let may_read = !self.input_ended && !has_more && self.may_begin();
            let stalled_until = self.stalled.as_ref().map(|stalled| stalled.until);
            tokio::select! {
                biased;
                _ = stopping.changed(), if self.farewell.is_none() => {
                    self.farewell = Some(Refusal::plain(Code::SHUTTING_DOWN));
                }
                Some(answer) = inbox.recv() => {
                    self.take_answer(answer);
                    while let Ok(answer) = inbox.try_recv() {
                        self.take_answer(answer);
                    }
                }
                written = output.write(&self.output[self.written..]), if !self.output.is_empty() => {
                    self.has_written(written?)?;
                    last_heard = Instant::now();
                }
                read = handshake::read_some(&mut input, &mut self.frames), if may_read => {
                    self.input_ended = read? == 0;
                    last_heard = Instant::now();
                }
                permit = queue.reserve(), if stalled_until.is_some() => {
                    match (permit, self.stalled.take()) {
                        (Ok(permit), Some(stalled)) => permit.send(stalled.request),
                        (Err(_), Some(stalled)) => self.refuse_write(stalled.id, stalled.handler),
                        (_, None) => {}
                    }
                }
                () = sleep_until(stalled_until.unwrap_or(due)), if stalled_until.is_some() => self.give_up(),
                () = &mut timer => {
                    let now = Instant::now();
                    if now >= due && (self.is_owed() || self.in_flight == 0) {
                        return Err(End::Refused("it kept us waiting too long"));
                    }
                    timer.as_mut().reset(if due > now { due } else { now + STALL });
                }
                () = tokio::task::yield_now(), if has_more => {}
            }
        }
    }

    /// Whether another request may be begun.
    fn may_begin(&self) -> bool {
        self.farewell.is_none()
            && self.stalled.is_none()
            && self.in_flight < IN_FLIGHT_MAX
            && self.output.len() < OUTPUT_BYTES_MAX
    }

    /// Whether everything is answered and nothing more will come.
    fn is_done(&self) -> bool {
        (self.input_ended || self.farewell.is_some())
            && self.in_flight == 0
            && self.stalled.is_none()
            && self.output.is_empty()
    }

    /// Whether the peer owes us something: to take its answers, or the rest of a frame.
    fn is_owed(&self) -> bool {
        !self.output.is_empty() || self.unfinished_since.is_some()
    }

    /// Until when the peer must do what it owes us, or say anything at all.
    fn due(&self, last_heard: Instant) -> Instant {
        match self.unfinished_since {
            _ if !self.output.is_empty() => last_heard + STALL,
            Some(since) => since + STALL,
            None => last_heard + self.shared.idle,
        }
    }

    /// Runs the reads whose turn has come, then begins the requests that have arrived, as far as there is room, and
    /// for so long only that other connections have their turn as well. Tells whether there is more to do at once.
    fn take_turn(&mut self) -> Result<bool, frame::FrameError> {
        let end = Instant::now() + TURN;
        while self.output.len() < OUTPUT_BYTES_MAX
            && let Some(waiting) = self.waiting.pop_front_if(|waiting| waiting.behind <= self.writes_answered)
        {
            self.run_read(waiting.read);
            if Instant::now() >= end {
                return Ok(true);
            }
        }
        while self.may_begin() {
            let Some(frame) = self.frames.next_frame()? else {
                let is_inside = self.frames.is_inside_frame() && !self.input_ended;
                self.unfinished_since = is_inside.then(|| self.unfinished_since.unwrap_or_else(Instant::now));
                return Ok(false);
            };
            if frame.id == 0 {
                return Err(frame::FrameError::ReservedId);
            }
            self.unfinished_since = None;
            self.in_flight += 1;
            let id = frame.id;
            match read_request(&frame, &self.peer) {
                Ok((handler, envelope, job)) => self.begin(id, handler, envelope, job),
                Err(refusal) => {
                    let operation = frame.operation;
                    self.answer(id, operation, Err(refusal));
                }
            }
            if Instant::now() >= end {
                return Ok(true);
            }
        }
        // It is we who do not read on, so nobody can finish a frame.
        self.unfinished_since = None;
        Ok(false)
    }

    fn begin(&mut self, id: u64, handler: &'static Handler, envelope: Envelope, job: Job) {
        let now = self.shared.clock.now();
        let (peer, daemon) = (self.peer, Arc::clone(&self.shared.daemon));
        match job {
            Job::Write(job) => {
                let ctx = Context { now, seed: draw_seed(), peer, envelope, daemon };
                let answers = self.answers.clone();
                let answer = move |outcome| {
                    // A session that is gone needs no answer.
                    let _ = answers.send(Answered { id, handler, is_write: true, outcome });
                };
                self.send_write(id, handler, writer::Request { ctx, job, answer: Box::new(answer) });
            }
            Job::Read(job) | Job::Scan(job) => {
                let ctx = Context { now, seed: [0; 32], peer, envelope, daemon };
                let is_scan = handler.row.kind == enroll_protocol::Kind::Scan;
                let read = Read { id, handler, ctx, job, is_scan };
                if self.writes_answered < self.writes_sent {
                    self.waiting.push_back(WaitingRead { behind: self.writes_sent, read });
                } else {
                    self.run_read(read);
                }
            }
        }
    }

    fn send_write(&mut self, id: u64, handler: &'static Handler, request: writer::Request) {
        self.writes_sent += 1;
        match self.writer.try_send(request) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(request)) => {
                self.stalled = Some(Stalled { until: Instant::now() + QUEUE_WAIT, id, handler, request });
            }
            Err(mpsc::error::TrySendError::Closed(_)) => self.refuse_write(id, handler),
        }
    }

    fn run_read(&mut self, read: Read) {
        let Read { id, handler, ctx, job, is_scan } = read;
        if !is_scan {
            let outcome = run_job(&*self.shared.store, &*job, &ctx, handler);
            return self.answer(id, handler.row.number, outcome);
        }
        let (store, scans, answers) =
            (Arc::clone(&self.shared.store), Arc::clone(&self.shared.scans), self.answers.clone());
        tokio::spawn(async move {
            let permit = scans.acquire_owned().await;
            tokio::task::spawn_blocking(move || {
                let outcome = run_job(&*store, &*job, &ctx, handler);
                drop(permit);
                let _ = answers.send(Answered { id, handler, is_write: false, outcome });
            });
        });
    }

    /// The writer has had no place for too long. Were only this write refused, those behind it might be done before
    /// it is sent again; so the connection ends as busy, and the client sends what was not answered anew, in its order.
    fn give_up(&mut self) {
        if self.stalled.take().is_some() {
            self.writes_sent -= 1;
            self.in_flight -= 1;
            self.farewell = Some(Refusal::plain(Code::BUSY).with(json!({"retry_after_ms": 100})));
        }
    }

    /// The writer is gone. This was the last write sent, so those that reads wait for stay the same.
    fn refuse_write(&mut self, id: u64, handler: &'static Handler) {
        self.writes_sent -= 1;
        self.answer(id, handler.row.number, Err(Refusal::plain(Code::SHUTTING_DOWN)));
    }

    fn take_answer(&mut self, answer: Answered) {
        let Answered { id, handler, is_write, outcome } = answer;
        let outcome = outcome.and_then(|reply| match handler.finish {
            Some(finish) => finish(&reply, &self.shared.daemon.keys).map_err(|fault| fault.told(handler.row)),
            None => Ok(reply),
        });
        self.writes_answered += u64::from(is_write);
        self.answer(id, handler.row.number, outcome);
    }

    fn answer(&mut self, id: u64, operation: u16, outcome: Outcome) {
        self.in_flight -= 1;
        let outcome = outcome.and_then(|reply| {
            if reply.len() + HEADER_BYTES > FRAME_BYTES_MAX { Err(Refusal::plain(Code::TOO_LARGE)) } else { Ok(reply) }
        });
        match outcome {
            Ok(reply) => frame::append_with(&mut self.output, FrameKind::Reply, operation, id, |bytes| {
                bytes.extend_from_slice(&reply);
            }),
            Err(refusal) => frame::append(&mut self.output, FrameKind::Refused, operation, id, &refusal),
        }
    }

    fn has_written(&mut self, bytes: usize) -> Result<(), End> {
        if bytes == 0 {
            return Err(End::Refused("it takes nothing any more"));
        }
        self.written += bytes;
        if self.written == self.output.len() || self.written >= READ_BYTES {
            self.output.drain(..self.written);
            self.written = 0;
        }
        if self.output.is_empty() {
            self.output.shrink_to(READ_BYTES);
        }
        Ok(())
    }
}

/// Decodes a request and refuses what needs no state to be refused: its shape, its values, and what the peer's grant
/// does not allow.
fn read_request(frame: &Frame<'_>, peer: &Peer) -> Result<(&'static Handler, Envelope, Job), Refusal> {
    if frame.kind != FrameKind::Request {
        return Err(Refusal::new(Code::INVALID_ARGUMENT, "after the hello a client sends requests only"));
    }
    let handler = dispatch::handler(frame.operation).ok_or_else(|| {
        let why = format!("this daemon has no operation {}; it may be older than the client", frame.operation);
        Refusal::new(Code::UNKNOWN_OPERATION, why)
    })?;
    let (envelope, body) = dispatch::envelope(frame.body)?;
    let job = (handler.job)(body)?;
    if let Job::Write(job) = &job {
        job.check()?;
    }
    rules::admit(handler.row, peer, envelope.actor.is_some())?;
    Ok((handler, envelope, job))
}

fn run_job(store: &dyn Store, job: &dyn ReadJob, ctx: &Context, handler: &Handler) -> Outcome {
    let ran = catch_unwind(AssertUnwindSafe(|| job.run(&*store.view()?, ctx)));
    let result = ran.unwrap_or_else(|_| Err(Fault::Panic("in a read".to_owned())));
    result.map_err(|fault| fault.told(handler.row))
}
