//! The streams of one connection: requests that are answered with one item after another.
//!
//! - One that is asked is asked for its next items whenever a commit may have brought some. A step is bounded and holds
//!   a snapshot only while it runs.
//! - One that is fed, a walk, has a thread of its own that gives its items and waits while nobody takes them. It keeps
//!   one snapshot to its end, and its end is the end of whoever owns this, too.
//! - Streams take their steps in turn, and whoever owns this lets them only while little output waits: a peer that does
//!   not read costs its output and nothing more.
//! - Nothing is polled. Between commits a stream that has given everything does nothing.
//! - Once the peer has sent its last request and the others are answered, a stream that has given everything ends.

mod fed;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use enroll_protocol::frame::FrameKind;
use enroll_protocol::limits::STREAMS_MAX;
use enroll_protocol::{Code, Refusal, Time};
use tokio::sync::watch;

use super::Shared;
use super::asked::Asked;
use super::output::Output;
use crate::context::Context;
use crate::dispatch::{Handler, Items, StreamJob};
use crate::fault::Fault;
use crate::metrics::Open;
use crate::store::Store;
use fed::Fed;

/// What is asked for, and by whom.
pub(super) struct Request {
    /// As its connection remembers it.
    pub(super) asked: Asked,
    /// Its operation.
    pub(super) handler: &'static Handler,
    /// Who asks.
    pub(super) ctx: Context,
}

/// One stream.
struct Stream {
    request: Request,
    source: Source,
    /// Counts it as open.
    _open: Open,
}

/// Where its items come from.
enum Source {
    /// The rule, and where it is.
    Asked(Box<dyn StreamJob>),
    /// A thread.
    Fed(Fed),
}

/// What a step gave.
enum Step {
    /// Some items; there may be more.
    Items(Vec<Vec<u8>>),
    /// Nothing yet.
    Nothing,
    /// There will be no more.
    End,
}

/// The streams that are open.
pub(super) struct Streams {
    /// Those that may have more to give, in the order of their next steps.
    ready: VecDeque<Stream>,
    /// Those that had given everything when they were last asked.
    idle: Vec<Stream>,
    /// Those whose threads had given nothing more.
    hungry: Vec<Stream>,
    /// The head of the changes; the news is that it moved.
    head: watch::Receiver<u64>,
    /// Those that have given everything are to end.
    is_ending: bool,
}

impl Streams {
    /// None yet; they will be woken when this head moves.
    pub(super) fn new(head: watch::Receiver<u64>) -> Self {
        Self { ready: VecDeque::new(), idle: Vec::new(), hungry: Vec::new(), head, is_ending: false }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ready.len() + self.idle.len() + self.hungry.len()
    }

    /// Whether one may have more to give.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Begins one, and tells the peer where.
    pub(super) fn begin(
        &mut self,
        request: Request,
        items: Items,
        shared: &Shared,
        output: &mut Output,
    ) -> Result<(), Refusal> {
        if self.len() == STREAMS_MAX {
            return Err(Refusal::new(
                Code::INVALID_ARGUMENT,
                format!("a connection has at most {STREAMS_MAX} streams; open another connection for more"),
            ));
        }
        let (source, begun) = match items {
            Items::Stream(mut job) => {
                let begun = request.run(|request| job.start(&*shared.store.view()?, &request.ctx))?;
                (Source::Asked(job), begun)
            }
            Items::Walk(job) => {
                let begun = job.request();
                (Source::Fed(Fed::begin(job, request.handler.row, request.ctx.clone(), shared)), begun)
            }
        };
        request.append(output, FrameKind::StreamBegun, &begun);
        let open = shared.daemon.metrics.stream();
        self.ready.push_back(Stream { request, source, _open: open });
        Ok(())
    }

    /// Has the next one take a step; whether it ended with that.
    pub(super) fn step(&mut self, store: &dyn Store, now: Time, output: &mut Output) -> bool {
        let Some(mut stream) = self.ready.pop_front() else { return false };
        stream.request.ctx.now = now;
        match stream.step(store, output) {
            Err(refusal) => {
                output.refuse(stream.request.asked.id, stream.request.handler.row.number, &refusal);
                stream.request.ctx.daemon.metrics.refused(refusal.code);
                return true;
            }
            Ok(Step::Items(items)) => {
                items.iter().for_each(|item| stream.request.append(output, FrameKind::StreamItem, item));
                stream.request.ctx.daemon.metrics.stream_items.inc_by(items.len() as u64);
                self.ready.push_back(stream);
            }
            Ok(Step::Nothing) => match stream.source {
                Source::Asked(_) if self.is_ending => {
                    stream.request.append(output, FrameKind::StreamEnd, &[]);
                    return true;
                }
                Source::Asked(_) => self.idle.push(stream),
                Source::Fed(_) => self.hungry.push(stream),
            },
            Ok(Step::End) => {
                stream.request.append(output, FrameKind::StreamEnd, &[]);
                return true;
            }
        }
        false
    }

    /// Waits for what may have brought something: a commit, or a thread. For ever where nothing can: nobody listens, or
    /// the writer is gone.
    pub(super) async fn woken(&mut self) {
        tokio::select! {
            Ok(()) = self.head.changed(), if !self.idle.is_empty() => self.ready.extend(self.idle.drain(..)),
            at = fed::any(&mut self.hungry), if !self.hungry.is_empty() => self.ready.push_back(self.hungry.swap_remove(at)),
            else => std::future::pending().await,
        }
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
        self.hungry.clear();
        count
    }
}

impl Stream {
    fn step(&mut self, store: &dyn Store, output: &Output) -> Result<Step, Refusal> {
        let items = match &mut self.source {
            Source::Asked(job) => self.request.run(|request| job.next(&*store.view()?, &request.ctx))?,
            Source::Fed(fed) => match fed.step()? {
                Step::Items(items) => items,
                other => return Ok(other),
            },
        };
        match items {
            items if items.is_empty() => Ok(Step::Nothing),
            items if items.iter().all(|item| output.fits(item)) => Ok(Step::Items(items)),
            _ => Err(Refusal::plain(Code::TOO_LARGE)),
        }
    }
}

impl Request {
    fn run<T>(&self, step: impl FnOnce(&Self) -> Result<T, Fault>) -> Result<T, Refusal> {
        let ran = catch_unwind(AssertUnwindSafe(|| step(self)));
        let result = ran.unwrap_or_else(|panic| Err(Fault::of_panic(&*panic)));
        result.map_err(|fault| fault.told(self.handler.row))
    }

    fn append(&self, output: &mut Output, kind: FrameKind, body: &[u8]) {
        output.frame(kind, self.asked.id, self.asked.operation, body);
    }
}
