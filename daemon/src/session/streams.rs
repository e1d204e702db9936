//! The streams of one connection: each is asked for its next items whenever a commit may have brought some.
//!
//! - A step is bounded and holds a snapshot only while it runs. Streams take their steps in turn, and whoever owns
//!   this lets them only while little output waits: a peer that does not read costs its output and nothing more.
//! - Nothing is polled. Between commits a stream that has given everything does nothing.
//! - Once the peer has sent its last request and the others are answered, a stream that has given everything ends.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use enroll_protocol::frame::FrameKind;
use enroll_protocol::limits::STREAMS_MAX;
use enroll_protocol::{Code, Refusal, Time};
use tokio::sync::watch;

use super::asked::Asked;
use super::output::Output;
use crate::context::Context;
use crate::dispatch::{Handler, StreamJob};
use crate::fault::Fault;
use crate::metrics::Open;
use crate::store::Store;

/// One stream.
pub(super) struct Stream {
    /// Its request.
    pub(super) asked: Asked,
    handler: &'static Handler,
    /// Who asks.
    ctx: Context,
    /// The rule, and where it is.
    job: Box<dyn StreamJob>,
    /// Counts it as open, from when it begins.
    open: Option<Open>,
}

/// The streams that are open.
pub(super) struct Streams {
    /// Those that may have more to give, in the order of their next steps.
    ready: VecDeque<Stream>,
    /// Those that had given everything when they were last asked.
    idle: Vec<Stream>,
    /// The head of the changes; the news is that it moved.
    head: watch::Receiver<u64>,
    /// Those that have given everything are to end.
    is_ending: bool,
}

impl Streams {
    /// None yet; they will be woken when this head moves.
    pub(super) fn new(head: watch::Receiver<u64>) -> Self {
        Self { ready: VecDeque::new(), idle: Vec::new(), head, is_ending: false }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ready.len() + self.idle.len()
    }

    /// Whether one may have more to give.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Begins one, and tells the peer where.
    pub(super) fn begin(&mut self, mut stream: Stream, store: &dyn Store, output: &mut Output) -> Result<(), Refusal> {
        if self.len() == STREAMS_MAX {
            return Err(Refusal::new(
                Code::INVALID_ARGUMENT,
                format!("a connection has at most {STREAMS_MAX} streams; open another connection for more"),
            ));
        }
        let begun = stream.run(|stream| stream.job.start(&*store.view()?, &stream.ctx))?;
        stream.append(output, FrameKind::StreamBegun, &begun);
        stream.open = Some(stream.ctx.daemon.metrics.stream());
        self.ready.push_back(stream);
        Ok(())
    }

    /// Has the next one take a step; whether it ended with that.
    pub(super) fn step(&mut self, store: &dyn Store, now: Time, output: &mut Output) -> bool {
        let Some(mut stream) = self.ready.pop_front() else { return false };
        stream.ctx.now = now;
        let items = stream.run(|stream| stream.job.next(&*store.view()?, &stream.ctx)).and_then(|items| {
            if items.iter().all(|item| output.fits(item)) { Ok(items) } else { Err(Refusal::plain(Code::TOO_LARGE)) }
        });
        match items {
            Err(refusal) => {
                output.refuse(stream.asked.id, stream.asked.operation, &refusal);
                stream.ctx.daemon.metrics.refused(refusal.code);
                return true;
            }
            Ok(items) if !items.is_empty() => {
                items.iter().for_each(|item| stream.append(output, FrameKind::StreamItem, item));
                stream.ctx.daemon.metrics.stream_items.inc_by(items.len() as u64);
                self.ready.push_back(stream);
            }
            Ok(_) if self.is_ending => {
                stream.append(output, FrameKind::StreamEnd, &[]);
                return true;
            }
            Ok(_) => self.idle.push(stream),
        }
        false
    }

    /// Waits for a commit that may have brought something.
    pub(super) async fn woken(&mut self) {
        if self.idle.is_empty() || self.head.changed().await.is_err() {
            // Nothing will ever come: nobody listens, or the writer is gone.
            return std::future::pending().await;
        }
        self.ready.extend(self.idle.drain(..));
    }

    /// Lets each end as soon as it has given everything: nothing else of this connection is left to be answered.
    pub(super) fn finish(&mut self) {
        self.is_ending = true;
        self.ready.extend(self.idle.drain(..));
    }

    /// Breaks all of them off; how many there were.
    pub(super) fn break_off(&mut self) -> usize {
        let count = self.len();
        self.ready.clear();
        self.idle.clear();
        count
    }
}

impl Stream {
    /// One that is yet to begin.
    pub(super) fn new(asked: Asked, handler: &'static Handler, ctx: Context, job: Box<dyn StreamJob>) -> Self {
        Self { asked, handler, ctx, job, open: None }
    }

    fn run<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Refusal> {
        let ran = catch_unwind(AssertUnwindSafe(|| step(self)));
        let result = ran.unwrap_or_else(|panic| Err(Fault::of_panic(&*panic)));
        result.map_err(|fault| fault.told(self.handler.row))
    }

    fn append(&self, output: &mut Output, kind: FrameKind, body: &[u8]) {
        output.frame(kind, self.asked.id, self.asked.operation, body);
    }
}
