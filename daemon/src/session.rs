//! One connection: reads requests, sees to it that they are run, writes answers.
//!
//! What holds for every connection:
//! - Its writes reach the writer in the order sent.
//! - A read sees every write sent before it and none sent behind it. While writes are on their way it follows them
//!   through the writer, which runs it in its place; what takes too long for that waits, and what is behind it too.
//! - Only so many requests are in flight, and only so many bytes of answers wait to be taken; past that the connection
//!   is not read.
//! - Nothing is answered for a write before it is durable, and everything that was accepted is answered before the
//!   connection is closed in good order.

mod asked;
pub mod line;
mod output;
mod patience;
mod preparing;
mod streams;
mod writing;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use enroll_protocol::frame::{FrameError, FrameReader};
use enroll_protocol::limits::{FRAME_BYTES_MAX, IN_FLIGHT_MAX};
use enroll_protocol::{Code, Envelope, Refusal};
use enroll_socket::{Incoming, Outgoing};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::config::Limits;
use crate::context::{Clock, Context, Current, Daemon, Peer, draw_seed};
use crate::dispatch::{self, Handler, Items, Job, Look, ReadJob};
use crate::fault::Fault;
use crate::handshake::{self, End};
use crate::server::Terms;
use crate::store::{Store, StoreError, View};
use crate::writer::{self, Outcome, Work};
use asked::{Answered, Asked, Read, Stalled};
use line::{Line, Turns};
use output::Output;
use patience::{Overdue, Patience};
use preparing::Preparing;
use streams::{Request, Streams};

/// Answers that wait to be taken by the peer; past this no further request of it is begun.
const OUTPUT_BYTES_MAX: usize = FRAME_BYTES_MAX;

/// Streams go on while less than this waits, so that they leave room for answers.
const STREAM_OUTPUT_BYTES_MAX: usize = OUTPUT_BYTES_MAX / 2;

/// How long a connection may keep the thread that it shares with the others.
const TURN: Duration = Duration::from_micros(50);

/// Reads and look-ups on their way through the writer: their answers come all at once, and each may be a page.
const LOOKS_IN_WRITER_MAX: usize = 32;

/// What every session needs of the daemon.
pub struct Shared {
    /// Configuration, keys, metrics.
    pub daemon: Arc<Daemon>,
    /// For reads.
    pub store: Arc<dyn Store>,
    /// The clock.
    pub clock: Clock,
    /// For connections that begin.
    pub terms: Current<Terms>,
    /// One scan at a time: each looks at every record.
    pub scans: Arc<Semaphore>,
    /// One walk at a time: each keeps its snapshot as long as somebody takes its items.
    pub walks: Arc<Semaphore>,
    /// For those that want more than one at a time.
    pub turns: Arc<Turns>,
    /// The number of the latest change, told after its commit.
    pub changes: watch::Receiver<u64>,
    /// How many connections there have been.
    pub numbers: AtomicU64,
}

/// Serves one connection to its end.
pub async fn serve(
    (mut input, mut output): (Incoming, Outgoing),
    peer: Peer,
    shared: Arc<Shared>,
    writer: mpsc::Sender<writer::Request>,
    mut stopping: watch::Receiver<bool>,
) {
    let limits = shared.terms.now().limits;
    let mut frames = FrameReader::new(limits.frame_bytes_max);
    let greeted = tokio::select! {
        greeted = handshake::greet(&mut input, &mut output, &mut frames, &peer, &limits, &shared.daemon.metrics) => greeted,
        // Whoever has just come is told to come again, and finds the next daemon.
        _ = stopping.changed() => {
            let stopping = Refusal::plain(Code::SHUTTING_DOWN);
            return handshake::refuse(&mut output, &stopping, &limits, &shared.daemon.metrics).await;
        }
    };
    let result = match greeted {
        Ok(()) => {
            let (answers, inbox) = mpsc::unbounded_channel();
            let session = Session::new(peer, Arc::clone(&shared), limits, writer, answers, frames);
            session.run(&mut input, &mut output, inbox, stopping).await
        }
        Err(end) => Err(end),
    };
    if let Err(end) = result {
        tracing::debug!(uid = peer.uid, pid = peer.pid, %end, "connection closed");
    }
    // Closing takes its time as well, and many may leave at once.
    let _turn = shared.turns.next(false).await;
}

struct Session {
    /// No other connection has it.
    number: u64,
    shared: Arc<Shared>,
    peer: Peer,
    limits: Limits,
    writer: mpsc::Sender<writer::Request>,
    answers: mpsc::UnboundedSender<Answered>,
    frames: FrameReader,
    output: Output,
    in_flight: usize,
    writes_sent: u64,
    writes_answered: u64,
    looks_in_writer: usize,
    /// A bulk write is on its way: nothing that was sent behind it is begun, so that it comes behind all its units.
    bulk_in_writer: bool,
    /// A scan or stream that was sent behind writes that are not answered yet.
    waiting: Option<Read>,
    /// A write for which something was or is being made, until it is answered.
    preparing: Option<Preparing>,
    /// They are in flight as long as they last.
    streams: Streams,
    /// A write for which the writer's queue had no place.
    stalled: Option<Stalled>,
    /// The peer has sent its last request.
    input_ended: bool,
    patience: Patience,
    /// No further request is begun, and this is said when everything that was begun is answered.
    farewell: Option<Refusal>,
}

impl Session {
    fn new(
        peer: Peer,
        shared: Arc<Shared>,
        limits: Limits,
        writer: mpsc::Sender<writer::Request>,
        answers: mpsc::UnboundedSender<Answered>,
        frames: FrameReader,
    ) -> Self {
        let streams = Streams::new(shared.changes.clone());
        Self {
            number: shared.numbers.fetch_add(1, Ordering::Relaxed),
            limits,
            shared,
            peer,
            writer,
            answers,
            frames,
            output: Output::new(limits.frame_bytes_max),
            in_flight: 0,
            writes_sent: 0,
            writes_answered: 0,
            looks_in_writer: 0,
            bulk_in_writer: false,
            waiting: None,
            preparing: None,
            streams,
            stalled: None,
            input_ended: false,
            patience: Patience::new(limits),
            farewell: None,
        }
    }

    async fn run(
        mut self,
        input: &mut Incoming,
        output: &mut Outgoing,
        mut inbox: mpsc::UnboundedReceiver<Answered>,
        mut stopping: watch::Receiver<bool>,
    ) -> Result<(), End> {
        let queue = self.writer.clone();
        let timer = sleep_until(Instant::now() + self.limits.idle);
        tokio::pin!(timer);
        let mut line = Line::new(Arc::clone(&self.shared.turns));
        let mut has_more = false;
        loop {
            if !line.is_waiting() {
                let sent = self.writes_sent;
                has_more = self.take_turn().unwrap_or_else(|err| {
                    // Where frames can not be told apart nothing more can be read; what came before is answered.
                    self.part(Refusal::new(Code::INVALID_ARGUMENT, err.to_string()));
                    false
                });
                line.turn_is_over(has_more || self.may_stream(), self.writes_sent > sent);
            }
            if self.is_done() && !has_more {
                if let Some(farewell) = &self.farewell {
                    handshake::refuse(output, farewell, &self.limits, &self.shared.daemon.metrics).await;
                }
                return Ok(());
            }
            self.patience.note_answers(!self.output.is_empty());
            let due = self.patience.due(self.in_flight > 0);
            if let Some((at, _)) = due.filter(|(at, _)| *at < timer.deadline()) {
                timer.as_mut().reset(at);
            }
            let may_read = !self.input_ended && !has_more && self.may_begin();
            let stalled_until = self.stalled.as_ref().map(|stalled| stalled.until);
            tokio::select! {
                biased;
                _ = stopping.changed(), if self.farewell.is_none() => {
                    self.part(Refusal::plain(Code::SHUTTING_DOWN));
                }
                // Before the rest: it comes once a commit at most, and the rest may come without a pause.
                () = self.streams.woken() => {}
                Some(answer) = inbox.recv() => {
                    self.take_answer(answer);
                    while let Ok(answer) = inbox.try_recv() {
                        self.take_answer(answer);
                    }
                }
                written = output.write(self.output.rest()), if !self.output.is_empty() => {
                    self.output.has_written(written?)?;
                    self.patience.taken();
                }
                read = handshake::read_some(input, &mut self.frames), if may_read => {
                    self.input_ended = read? == 0;
                    self.patience.heard();
                }
                made = preparing::made(&mut self.preparing), if self.preparing.is_some() => self.take_made(made),
                permit = queue.reserve(), if stalled_until.is_some() => {
                    match (permit, self.stalled.take()) {
                        (Ok(permit), Some(stalled)) => permit.send(stalled.request),
                        (Err(_), Some(stalled)) => self.refuse_write(stalled.asked, stalled.handler),
                        (_, None) => {}
                    }
                }
                () = sleep_until(stalled_until.unwrap_or_else(Instant::now)), if stalled_until.is_some() => self.give_up(),
                () = &mut timer, if due.is_some() => match due {
                    Some((at, overdue)) if at <= Instant::now() => self.lose_patience(overdue)?,
                    Some((at, _)) => timer.as_mut().reset(at),
                    None => {}
                },
                () = line.advance(), if line.is_waiting() => {}
            }
        }
    }

    /// Whether another request may be begun.
    fn may_begin(&self) -> bool {
        self.farewell.is_none()
            && self.stalled.is_none()
            && self.waiting.is_none()
            && !self.bulk_in_writer
            && self.preparing.is_none()
            && self.in_flight < IN_FLIGHT_MAX
            && self.looks_in_writer < LOOKS_IN_WRITER_MAX
            && self.output.bytes() < OUTPUT_BYTES_MAX
    }

    /// Whether a stream may go on.
    fn may_stream(&self) -> bool {
        self.streams.is_ready() && self.output.bytes() < STREAM_OUTPUT_BYTES_MAX
    }

    /// Begins nothing more. Whoever followed a stream finds its place again elsewhere.
    fn part(&mut self, farewell: Refusal) {
        self.farewell = Some(farewell);
        self.in_flight -= self.streams.break_off();
    }

    /// Whether everything is answered and nothing more will come.
    fn is_done(&self) -> bool {
        (self.input_ended || self.farewell.is_some())
            && self.in_flight == 0
            && self.stalled.is_none()
            && self.output.is_empty()
    }

    /// Ends the connection, with a word where the peer may still hear it.
    fn lose_patience(&mut self, overdue: Overdue) -> Result<(), End> {
        match overdue {
            Overdue::Frame => self.part(handshake::too_slow("a frame arrives whole", &self.limits)),
            Overdue::Answers => return Err(End::Refused("it does not take its answers")),
            Overdue::Word => return Err(End::Refused("it said nothing for too long")),
        }
        Ok(())
    }

    /// Runs the reads whose turn has come, begins the requests that have arrived and goes on with the streams, as far
    /// as there is room, and for so long only that other connections have their turn as well. Tells whether there are
    /// more requests to begin at once.
    fn take_turn(&mut self) -> Result<bool, FrameError> {
        let end = Instant::now() + TURN;
        let has_more = self.take_requests(end)?;
        if self.input_ended && !has_more && self.may_begin() && self.in_flight == self.streams.len() {
            self.streams.finish();
        }
        while self.may_stream() {
            let now = self.shared.clock.now();
            let has_ended = self.streams.step(&*self.shared.store, now, &mut self.output);
            self.in_flight -= usize::from(has_ended);
            if Instant::now() >= end {
                break;
            }
        }
        Ok(has_more)
    }

    fn take_requests(&mut self, end: Instant) -> Result<bool, FrameError> {
        if let Some(waiting) = self.waiting.take_if(|_| self.writes_answered == self.writes_sent) {
            self.run_read(waiting);
        }
        while self.may_begin() {
            let Some(frame) = self.frames.next_frame()? else {
                self.patience.note_frame(self.frames.is_inside_frame() && !self.input_ended);
                return Ok(false);
            };
            if frame.id == 0 {
                return Err(FrameError::ReservedId);
            }
            self.patience.note_frame(false);
            self.in_flight += 1;
            let asked = Asked::now(&frame);
            match dispatch::request(&frame, &self.peer) {
                Ok((handler, envelope, job)) => self.begin(asked, handler, envelope, job),
                Err(refusal) => self.answer(asked, Err(refusal)),
            }
            if Instant::now() >= end {
                return Ok(true);
            }
        }
        // It is we who do not read on, so nobody can finish a frame.
        self.patience.note_frame(false);
        Ok(false)
    }

    fn begin(&mut self, asked: Asked, handler: &'static Handler, envelope: Envelope, job: Job) {
        let (now, daemon) = (self.shared.clock.now(), Arc::clone(&self.shared.daemon));
        let seed = if matches!(job, Job::Write(_)) { draw_seed() } else { [0; 32] };
        let ctx =
            Context { now, seed, peer: self.peer, envelope, settings: daemon.settings.now(), daemon, prepared: None };
        match job {
            Job::Write(job) if job.needs_preparing() => self.prepare(asked, handler, ctx, job),
            Job::Write(job) => self.send_to_writer(asked, handler, ctx, Work::Write(job)),
            Job::Look(look) if self.writes_answered == self.writes_sent => {
                self.run_read(Read { asked, handler, ctx, look });
            }
            Job::Look(Look::Read(job)) => self.send_to_writer(asked, handler, ctx, Work::Read(handler.row, job)),
            Job::Look(look) => self.waiting = Some(Read { asked, handler, ctx, look }),
        }
    }

    fn run_read(&mut self, read: Read) {
        let Read { asked, handler, ctx, look } = read;
        let job = match look {
            Look::Read(job) => {
                let outcome = run_job(self.shared.store.view(), &*job, &ctx, handler);
                return self.answer(asked, outcome);
            }
            Look::Items(items) => return self.begin_stream(Request { asked, handler, ctx }, items),
            Look::Scan(job) => job,
        };
        // The snapshot is taken here: what is sent behind the scan is not in it.
        let (view, scans, answers) = (self.shared.store.view(), Arc::clone(&self.shared.scans), self.answers.clone());
        tokio::spawn(async move {
            let permit = scans.acquire_owned().await;
            tokio::task::spawn_blocking(move || {
                let outcome = run_job(view, &*job, &ctx, handler);
                drop(permit);
                let _ = answers.send(Answered { asked, handler, is_write: false, outcome });
            });
        });
    }

    fn begin_stream(&mut self, request: Request, items: Items) {
        let asked = request.asked;
        let begun = match &self.farewell {
            Some(farewell) => Err(farewell.clone()),
            None => self.streams.begin(request, items, &self.shared, &mut self.output),
        };
        match begun {
            Ok(()) => asked.answered(&self.shared.daemon.metrics, None),
            Err(refusal) => self.answer(asked, Err(refusal)),
        }
    }

    fn answer(&mut self, asked: Asked, outcome: Outcome) {
        self.in_flight -= 1;
        let refused = self.output.answer(asked.id, asked.operation, outcome);
        asked.answered(&self.shared.daemon.metrics, refused);
    }
}

fn run_job(view: Result<View, StoreError>, job: &dyn ReadJob, ctx: &Context, handler: &Handler) -> Outcome {
    view.map_err(Fault::Store).and_then(|view| job.run_caught(&*view, ctx)).map_err(|fault| fault.told(handler.row))
}
