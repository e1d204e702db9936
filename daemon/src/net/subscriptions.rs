//! Subscriptions: the streams of one connection, requests that are answered with one item after another.
//!
//! - A polled stream is asked for its next items after each commit. A step is bounded and holds an MVCC snapshot only
//!   while it runs.
//! - A [snapshot stream](super::snapshot_stream) has a thread of its own and keeps one snapshot to its end.
//! - Streams take their steps round-robin, and only while the outbox has room: a peer that does not read costs its
//!   outbox and nothing more.
//! - Between commits a stream that has given everything does nothing.
//! - Once the peer has sent its last request and the others are answered, a stream that has given everything ends.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use enroll_protocol::frame::FrameKind;
use enroll_protocol::limits::STREAMS_MAX;
use enroll_protocol::{Code, Refusal, Time};
use tokio::sync::watch;

use super::Shared;
use super::outbox::Outbox;
use super::pending::Pending;
use super::snapshot_stream::{self, SnapshotStream};
use crate::daemon::internal_error::to_refusal;
use crate::dispatch::{Handler, Items, StreamJob};
use crate::metrics::{Follower, Open};
use enroll_core::context::Context;
use enroll_core::fault::Fault;
use enroll_core::state::Store;

/// The request of a stream and its peer.
pub(super) struct Subscriber {
    /// As its connection remembers it.
    pub(super) pending: Pending,
    /// Its operation.
    pub(super) handler: &'static Handler,
    /// The context of each step.
    pub(super) ctx: Context,
}

/// One stream.
pub(super) struct Stream {
    subscriber: Subscriber,
    /// The source of its items.
    pub(super) source: Source,
    /// Counts it as open.
    _open: Open,
    /// Its position in the change feed, if it follows that.
    follower: Option<Follower>,
}

/// The source of a stream's items.
pub(super) enum Source {
    /// The rule, whose request is its position.
    Polled(Box<dyn StreamJob>),
    /// A thread over one snapshot.
    Snapshot(SnapshotStream),
}

/// The result of a step.
pub(super) enum Step {
    /// Some items; there may be more.
    Items(Vec<Vec<u8>>),
    /// Nothing yet.
    Nothing,
    /// There will be no more.
    End,
}

/// The streams that are open.
pub(super) struct Subscriptions {
    /// Streams that may have more to give, in the order of their next steps.
    ready: VecDeque<Stream>,
    /// Polled streams that had given everything at their last step.
    idle: Vec<Stream>,
    /// Snapshot streams whose threads had given nothing more.
    starved: Vec<Stream>,
    /// The number of the latest change.
    head: watch::Receiver<u64>,
    /// A stream that has given everything ends.
    is_ending: bool,
}

impl Subscriptions {
    /// None yet; they are woken when the number of the latest change moves.
    pub(super) fn new(head: watch::Receiver<u64>) -> Self {
        Self { ready: VecDeque::new(), idle: Vec::new(), starved: Vec::new(), head, is_ending: false }
    }

    /// The number of open streams.
    pub(super) fn len(&self) -> usize {
        self.ready.len() + self.idle.len() + self.starved.len()
    }

    /// The bytes that the open streams have reserved.
    pub(super) fn reserved(&self) -> usize {
        let all = self.ready.iter().chain(&self.idle).chain(&self.starved);
        all.map(|stream| stream.subscriber.pending.reserved).sum()
    }

    /// True if a stream may have more to give.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Begins one, and sends the peer its position.
    pub(super) fn begin(
        &mut self,
        subscriber: Subscriber,
        items: Items,
        shared: &Shared,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        if self.len() == STREAMS_MAX {
            return Err(Refusal::new(
                Code::INVALID_ARGUMENT,
                format!("a connection has at most {STREAMS_MAX} streams; open another connection for more"),
            ));
        }
        let (source, begun) = match items {
            Items::Stream(mut job) => {
                let begun = subscriber.run(|subscriber| job.start(&*shared.store.view()?, &subscriber.ctx))?;
                (Source::Polled(job), begun)
            }
            Items::Walk(job) => {
                let begun = job.request();
                (
                    Source::Snapshot(SnapshotStream::begin(
                        job,
                        subscriber.handler.row,
                        subscriber.ctx.clone(),
                        shared,
                    )),
                    begun,
                )
            }
        };
        subscriber.append(outbox, FrameKind::StreamBegun, &begun);
        let metrics = &shared.daemon.metrics;
        let follower = source.seq().map(|seq| metrics.followers.begin(seq));
        self.ready.push_back(Stream { subscriber, source, _open: metrics.stream(), follower });
        Ok(())
    }

    /// Has the next one take a step; true if the stream ended.
    pub(super) fn step(&mut self, shared: &Shared, now: Time, outbox: &mut Outbox) -> bool {
        let Some(mut stream) = self.ready.pop_front() else { return false };
        stream.subscriber.ctx.now = now;
        match stream.step(&*shared.store, outbox) {
            Err(refusal) => {
                outbox.refuse(stream.subscriber.pending.id, stream.subscriber.handler.row.number, &refusal);
                shared.daemon.metrics.refused(refusal.code);
                return true;
            }
            Ok(Step::Items(items)) => {
                items.iter().for_each(|item| stream.subscriber.append(outbox, FrameKind::StreamItem, item));
                shared.daemon.metrics.stream_items.inc_by(items.len() as u64);
                if let (Some(follower), Some(seq)) = (&stream.follower, stream.source.seq()) {
                    follower.reached(seq);
                }
                self.ready.push_back(stream);
            }
            Ok(Step::Nothing) => match stream.source {
                Source::Polled(_) if self.is_ending => {
                    stream.subscriber.append(outbox, FrameKind::StreamEnd, &[]);
                    return true;
                }
                Source::Polled(_) => self.idle.push(stream),
                Source::Snapshot(_) => self.starved.push(stream),
            },
            Ok(Step::End) => {
                stream.subscriber.append(outbox, FrameKind::StreamEnd, &[]);
                return true;
            }
        }
        false
    }

    /// Waits for a commit or for an item of a snapshot stream. Pending for ever where neither can come.
    pub(super) async fn woken(&mut self) {
        tokio::select! {
            Ok(()) = self.head.changed(), if !self.idle.is_empty() => self.ready.extend(self.idle.drain(..)),
            at = snapshot_stream::any(&mut self.starved), if !self.starved.is_empty() => self.ready.push_back(self.starved.swap_remove(at)),
            else => std::future::pending().await,
        }
    }

    /// Lets each end as soon as it has given everything: nothing else of this connection is left to be answered.
    pub(super) fn finish(&mut self) {
        self.is_ending = true;
        self.ready.extend(self.idle.drain(..));
    }

    /// Breaks all of them off; answers their count.
    pub(super) fn break_off(&mut self) -> usize {
        let count = self.len();
        self.ready.clear();
        self.idle.clear();
        self.starved.clear();
        count
    }
}

impl Source {
    /// The number of the last change that was given, of a stream of changes.
    fn seq(&self) -> Option<u64> {
        match self {
            Self::Polled(job) => job.seq(),
            Self::Snapshot(_) => None,
        }
    }
}

impl Stream {
    fn step(&mut self, store: &dyn Store, outbox: &Outbox) -> Result<Step, Refusal> {
        let items = match &mut self.source {
            Source::Polled(job) => self.subscriber.run(|subscriber| job.next(&*store.view()?, &subscriber.ctx))?,
            Source::Snapshot(snapshot) => match snapshot.step()? {
                Step::Items(items) => items,
                other => return Ok(other),
            },
        };
        match items {
            items if items.is_empty() => Ok(Step::Nothing),
            items if items.iter().all(|item| outbox.fits(item)) => Ok(Step::Items(items)),
            _ => Err(Refusal::plain(Code::TOO_LARGE)),
        }
    }
}

impl Subscriber {
    fn run<T>(&self, step: impl FnOnce(&Self) -> Result<T, Fault>) -> Result<T, Refusal> {
        let ran = catch_unwind(AssertUnwindSafe(|| step(self)));
        let result = ran.unwrap_or_else(|panic| Err(Fault::of_panic(&*panic)));
        result.map_err(|fault| to_refusal(&fault, self.handler.row, &self.ctx.peer))
    }

    fn append(&self, outbox: &mut Outbox, kind: FrameKind, body: &[u8]) {
        outbox.frame(kind, self.pending.id, self.pending.operation, body);
    }
}
