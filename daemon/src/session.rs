//! One connection: reads requests, sees to it that they are run, writes answers.
//!
//! What holds for every connection:
//! - Its writes reach the writer in the order sent.
//! - A read sees every write sent before it: it waits until those are answered, while later requests go on.
//! - Only so many requests are in flight; past that the connection is not read until answers have left.
//! - Nothing is answered for a write before it is durable, and everything that was accepted is answered before the
//!   connection is closed in good order.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use enroll_protocol::envelope::{Hello, MAGIC, PROTOCOL_VERSION, Welcome};
use enroll_protocol::frame::{self, Frame, FrameKind, FrameReader, HEADER_BYTES};
use enroll_protocol::limits::{FRAME_BYTES_MAX, IN_FLIGHT_MAX};
use enroll_protocol::{Code, Refusal, codec};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::context::{Clock, Context, Daemon, Peer, draw_seed};
use crate::dispatch::{self, Handler, Job, ReadJob};
use crate::fault::Fault;
use crate::rules;
use crate::store::Store;
use crate::writer::{self, Outcome};

/// How long a peer may take to finish what it began, to take what it is sent, or to say hello.
const STALL: Duration = Duration::from_secs(5);

/// How long a write waits for a place in the writer's queue before it is told that the daemon is busy.
const QUEUE_WAIT: Duration = Duration::from_secs(2);

/// Bytes asked of the socket at a time.
const READ_BYTES: usize = 16 << 10;

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
}

/// Serves one connection to its end.
pub async fn serve(
    stream: UnixStream,
    peer: Peer,
    shared: Arc<Shared>,
    writer: mpsc::Sender<writer::Request>,
    shutdown: watch::Receiver<bool>,
) {
    let (input, output) = stream.into_split();
    let (answers, inbox) = mpsc::unbounded_channel();
    let mut session = Session {
        shared,
        peer,
        writer,
        answers,
        input: FrameReader::new(FRAME_BYTES_MAX),
        output: Vec::new(),
        written: 0,
        in_flight: 0,
        writes_sent: 0,
        writes_answered: 0,
        waiting: VecDeque::new(),
        stalled: None,
        closing: false,
    };
    if let Err(end) = session.run(input, output, inbox, shutdown).await {
        tracing::debug!(uid = peer.uid, pid = peer.pid, %end, "connection closed");
    }
}

/// Refuses a connection: one frame that says why.
pub async fn refuse(mut stream: UnixStream, refusal: &Refusal) {
    let mut bytes = Vec::new();
    frame::append(&mut bytes, FrameKind::Refused, 0, 0, refusal);
    // The peer may be gone or may never read; that is its own affair.
    let _ = timeout(STALL, stream.write_all(&bytes)).await;
}

struct Session {
    shared: Arc<Shared>,
    peer: Peer,
    writer: mpsc::Sender<writer::Request>,
    answers: mpsc::UnboundedSender<Answer>,
    input: FrameReader,
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
    /// No more requests are taken: the peer has sent its last one, or the daemon stops.
    closing: bool,
}

struct WaitingRead {
    behind: u64,
    id: u64,
    handler: &'static Handler,
    ctx: Context,
    job: Box<dyn ReadJob>,
}

struct Stalled {
    until: Instant,
    id: u64,
    handler: &'static Handler,
    request: writer::Request,
}

struct Answer {
    id: u64,
    handler: &'static Handler,
    is_write: bool,
    outcome: Outcome,
}

/// Why a connection ended other than in good order.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Frame(#[from] frame::FrameError),
    #[error("{0}")]
    Refused(&'static str),
}

impl Session {
    async fn run(
        &mut self,
        mut input: OwnedReadHalf,
        mut output: OwnedWriteHalf,
        mut inbox: mpsc::UnboundedReceiver<Answer>,
        mut shutdown: watch::Receiver<bool>,
    ) -> Result<(), End> {
        self.handshake(&mut input, &mut output).await?;
        let mut last_heard = Instant::now();
        let timer = sleep_until(last_heard + self.shared.idle);
        tokio::pin!(timer);
        let queue = self.writer.clone();
        loop {
            if let Err(err) = self.take_frames() {
                return self.leave(&mut output, &Refusal::new(Code::INVALID_ARGUMENT, err.to_string()), err).await;
            }
            if self.closing && self.in_flight == 0 && self.stalled.is_none() && self.output.is_empty() {
                let stopping = *shutdown.borrow();
                return self.farewell(&mut output, stopping).await;
            }
            let due = last_heard + if self.is_owed() { STALL } else { self.shared.idle };
            if due < timer.deadline() {
                timer.as_mut().reset(due);
            }
            let may_read = !self.closing && self.in_flight < IN_FLIGHT_MAX && self.stalled.is_none();
            let stalled_until = self.stalled.as_ref().map(|stalled| stalled.until);
            tokio::select! {
                biased;
                Some(answer) = inbox.recv() => {
                    self.take_answer(answer);
                    while let Ok(answer) = inbox.try_recv() {
                        self.take_answer(answer);
                    }
                    last_heard = Instant::now();
                }
                written = output.write(&self.output[self.written..]), if !self.output.is_empty() => {
                    self.has_written(written?)?;
                    last_heard = Instant::now();
                }
                read = read_some(&mut input, self.input.space()), if may_read => {
                    self.closing |= read? == 0;
                    last_heard = Instant::now();
                }
                permit = queue.reserve(), if stalled_until.is_some() => {
                    if let (Ok(permit), Some(stalled)) = (permit, self.stalled.take()) {
                        permit.send(stalled.request);
                    }
                }
                () = sleep_until(stalled_until.unwrap_or(last_heard)), if stalled_until.is_some() => self.tell_busy(),
                () = &mut timer => {
                    if Instant::now() >= due && (self.is_owed() || self.in_flight == 0) {
                        return Err(End::Refused("it kept us waiting too long"));
                    }
                    timer.as_mut().reset(Instant::now() + STALL);
                }
                _ = shutdown.changed(), if !self.closing => self.closing = true,
            }
        }
    }

    /// Whether the peer owes us something: the rest of a frame, or to take its answers.
    fn is_owed(&self) -> bool {
        !self.output.is_empty() || (self.input.is_inside_frame() && self.in_flight == 0)
    }

    async fn handshake(&mut self, input: &mut OwnedReadHalf, output: &mut OwnedWriteHalf) -> Result<(), End> {
        let hello = timeout(STALL, self.read_hello(input)).await.map_err(|_| End::Refused("it said no hello"))?;
        let refusal = match hello? {
            Some(hello) if hello.magic == MAGIC && hello.protocol == PROTOCOL_VERSION => {
                tracing::debug!(uid = self.peer.uid, pid = self.peer.pid, client = hello.client, "connected");
                let welcome = Welcome {
                    protocol: PROTOCOL_VERSION,
                    daemon: env!("CARGO_PKG_VERSION").to_owned(),
                    grant: self.peer.grant.name().to_owned(),
                    frame_bytes_max: u32::try_from(FRAME_BYTES_MAX).unwrap_or(u32::MAX),
                };
                frame::append(&mut self.output, FrameKind::Welcome, 0, 0, &welcome);
                return Ok(());
            }
            Some(hello) if hello.magic == MAGIC => format!(
                "this daemon speaks protocol version {PROTOCOL_VERSION}, the client {}; use the same version of both",
                hello.protocol
            ),
            _ => "this is enrolld; a client says hello first".to_owned(),
        };
        let end = End::Refused("it said no hello that we understand");
        self.leave(output, &Refusal::new(Code::INVALID_ARGUMENT, refusal), end).await
    }

    async fn read_hello(&mut self, input: &mut OwnedReadHalf) -> Result<Option<Hello>, End> {
        loop {
            if let Some(frame) = self.input.next_frame()? {
                let hello = (frame.kind == FrameKind::Hello).then(|| codec::decode(frame.body).ok());
                return Ok(hello.flatten());
            }
            if read_some(input, self.input.space()).await? == 0 {
                return Err(End::Refused("it said nothing"));
            }
        }
    }

    /// Says why, and ends the connection.
    async fn leave(&mut self, output: &mut OwnedWriteHalf, why: &Refusal, end: impl Into<End>) -> Result<(), End> {
        let mut bytes = self.output.split_off(self.written);
        frame::append(&mut bytes, FrameKind::Refused, 0, 0, why);
        let _ = timeout(STALL, output.write_all(&bytes)).await;
        Err(end.into())
    }

    /// Everything is answered; if it is us who end, say so.
    async fn farewell(&mut self, output: &mut OwnedWriteHalf, stopping: bool) -> Result<(), End> {
        if stopping {
            let mut bytes = Vec::new();
            frame::append(&mut bytes, FrameKind::Refused, 0, 0, &Refusal::plain(Code::SHUTTING_DOWN));
            let _ = timeout(STALL, output.write_all(&bytes)).await;
        }
        Ok(())
    }

    /// Serves the frames that have arrived, as far as there is room for requests in flight.
    fn take_frames(&mut self) -> Result<(), frame::FrameError> {
        while self.in_flight < IN_FLIGHT_MAX && self.stalled.is_none() && !(self.closing && self.in_flight == 0) {
            let Some(frame) = self.input.next_frame()? else { break };
            let id = frame.id;
            let handler = dispatch::handler(frame.operation);
            let result = read_request(&frame, handler, &self.peer);
            self.in_flight += 1;
            match (handler, result) {
                (Some(handler), Ok((envelope, job))) => {
                    let now = self.shared.clock.now();
                    let seed = if matches!(job, Job::Write(_)) { draw_seed() } else { [0; 32] };
                    let daemon = Arc::clone(&self.shared.daemon);
                    self.start(id, handler, Context { now, seed, peer: self.peer, envelope, daemon }, job);
                }
                (_, Err(refusal)) => self.answer(id, 0, Err(refusal)),
                (None, Ok(_)) => self.answer(id, 0, Err(Refusal::plain(Code::UNKNOWN_OPERATION))),
            }
        }
        Ok(())
    }

    fn start(&mut self, id: u64, handler: &'static Handler, ctx: Context, job: Job) {
        match job {
            Job::Write(job) => {
                let answers = self.answers.clone();
                let answer = move |outcome| {
                    // A session that is gone needs no answer.
                    let _ = answers.send(Answer { id, handler, is_write: true, outcome });
                };
                let request = writer::Request { ctx, job, answer: Box::new(answer) };
                self.writes_sent += 1;
                match self.writer.try_send(request) {
                    Ok(()) => {}
                    Err(mpsc::error::TrySendError::Full(request)) => {
                        self.stalled = Some(Stalled { until: Instant::now() + QUEUE_WAIT, id, handler, request });
                    }
                    Err(mpsc::error::TrySendError::Closed(_)) => self.refuse_write(id, handler, Code::SHUTTING_DOWN),
                }
            }
            Job::Read(job) if self.writes_answered < self.writes_sent => {
                self.waiting.push_back(WaitingRead { behind: self.writes_sent, id, handler, ctx, job });
            }
            Job::Read(job) => {
                let outcome = run_read(&*self.shared.store, &*job, &ctx, handler);
                self.answer(id, handler.row.number, outcome);
            }
            Job::Scan(job) => {
                let (store, answers) = (Arc::clone(&self.shared.store), self.answers.clone());
                tokio::task::spawn_blocking(move || {
                    let outcome = run_read(&*store, &*job, &ctx, handler);
                    let _ = answers.send(Answer { id, handler, is_write: false, outcome });
                });
            }
        }
    }

    /// The writer has had no place for too long: its queue is not getting shorter.
    fn tell_busy(&mut self) {
        if let Some(stalled) = self.stalled.take() {
            self.refuse_write(stalled.id, stalled.handler, Code::BUSY);
        }
    }

    fn refuse_write(&mut self, id: u64, handler: &'static Handler, code: Code) {
        let refusal = Refusal::plain(code).with(json!({"retry_after_ms": 100}));
        self.take_answer(Answer { id, handler, is_write: true, outcome: Err(refusal) });
    }

    fn take_answer(&mut self, answer: Answer) {
        let Answer { id, handler, is_write, outcome } = answer;
        let outcome = outcome.and_then(|reply| match handler.finish {
            Some(finish) => finish(&reply, &self.shared.daemon.keys).map_err(|fault| told(&fault, handler)),
            None => Ok(reply),
        });
        self.answer(id, handler.row.number, outcome);
        if is_write {
            self.writes_answered += 1;
            while let Some(read) = self.waiting.pop_front_if(|read| read.behind <= self.writes_answered) {
                let outcome = run_read(&*self.shared.store, &*read.job, &read.ctx, read.handler);
                self.answer(read.id, read.handler.row.number, outcome);
            }
        }
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
        if self.written == self.output.len() {
            self.output.clear();
            self.output.shrink_to(READ_BYTES);
            self.written = 0;
        }
        Ok(())
    }
}

async fn read_some(input: &mut OwnedReadHalf, buffer: &mut Vec<u8>) -> std::io::Result<usize> {
    buffer.reserve(READ_BYTES);
    input.read_buf(buffer).await
}

/// Decodes a request and refuses what needs no state to be refused: its shape, its values, and what the peer's grant
/// does not allow.
fn read_request(
    frame: &Frame<'_>,
    handler: Option<&'static Handler>,
    peer: &Peer,
) -> Result<(enroll_protocol::Envelope, Job), Refusal> {
    if frame.kind != FrameKind::Request {
        return Err(Refusal::new(Code::INVALID_ARGUMENT, "after the hello a client sends requests only"));
    }
    let Some(handler) = handler else {
        let why = format!("this daemon has no operation {}; it may be older than the client", frame.operation);
        return Err(Refusal::new(Code::UNKNOWN_OPERATION, why));
    };
    let (envelope, body) = dispatch::envelope(frame.body)?;
    let job = (handler.job)(body)?;
    if let Job::Write(job) = &job {
        job.check()?;
    }
    rules::admit(handler.row, peer, envelope.actor.is_some())?;
    Ok((envelope, job))
}

fn run_read(store: &dyn Store, job: &dyn ReadJob, ctx: &Context, handler: &Handler) -> Outcome {
    let ran = catch_unwind(AssertUnwindSafe(|| job.run(&*store.view()?, ctx)));
    let result = ran.unwrap_or_else(|_| Err(Fault::Panic("in a read".to_owned())));
    result.map_err(|fault| told(&fault, handler))
}

/// What the caller is told; what went wrong inside is logged.
fn told(fault: &Fault, handler: &Handler) -> Refusal {
    if fault.is_internal() {
        tracing::error!(operation = handler.row.name, %fault, "a request failed inside");
    }
    fault.refusal()
}
