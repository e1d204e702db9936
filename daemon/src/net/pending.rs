//! Pending requests: a request of a connection from its frame to its answer, and where it waits meanwhile.

use enroll_protocol::frame::Frame;
use enroll_protocol::{Code, Refusal};
use tokio::time::Instant;

use super::outbox::Outbox;
use crate::daemon::clock::Moment;
use crate::dispatch::{Handler, Look};
use crate::metrics::Metrics;
use crate::writer::{self, Ended, Outcome, Write};
use enroll_core::context::Context;
use enroll_core::state::StoreError;

/// A request that is not answered yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    /// The peer's number for it.
    pub(super) id: u64,
    /// The operation's number, which may be an unknown one.
    pub(super) operation: u16,
    /// The bytes that it has reserved.
    pub(super) reserved: usize,
    since: Moment,
}

impl Pending {
    /// It arrived just now, and has reserved so many bytes.
    pub(super) fn now(frame: &Frame<'_>, reserved: usize) -> Self {
        Self { id: frame.id, operation: frame.operation, reserved, since: Moment::now() }
    }

    /// Counts its answer.
    pub(super) fn answered(self, metrics: &Metrics, refused: Option<Code>) {
        metrics.answered(self.operation, refused, self.since.elapsed_seconds());
    }
}

/// A read before it is run.
pub(super) struct Read {
    pub(super) pending: Pending,
    pub(super) handler: &'static Handler,
    pub(super) ctx: Context,
    pub(super) look: Look,
    /// It has passed the barrier, or there is none.
    pub(super) is_confirmed: bool,
    /// The bytes of its answer, where it waits for memory; 0 as long as they are not known.
    pub(super) answer_bytes: usize,
}

/// A write that waits for room in the writer's queue.
pub(super) struct Stalled {
    pub(super) until: Instant,
    pub(super) pending: Pending,
    pub(super) handler: &'static Handler,
    pub(super) request: Box<writer::Request>,
}

/// An answer that the writer has sent.
pub(super) struct Sent {
    /// Its code, if it is a refusal.
    pub(super) refused: Option<Code>,
    /// With what the socket did not take.
    pub(super) outbox: Outbox,
}

/// An answer from another thread.
pub(super) enum Answered {
    /// The look that a read waited for.
    Confirmed(Box<Read>, Result<(), StoreError>),
    /// The leader, to which it was forwarded.
    Forwarded(Pending, Outcome),
    /// The link to the leader has ended: of some the outcome is unknown, the others were not sent.
    Unforwarded { unanswered: Vec<Pending>, unsent: Vec<Pending> },
    /// A scan.
    Scan(Pending, Outcome),
    /// The writer.
    Write(Pending, &'static Handler, Ended),
    /// The writer, to which the socket was lent.
    Sent(Pending, Sent),
    /// A write that needed something: what it was sent with, and now has in its context.
    Made(Pending, &'static Handler, Result<Box<Write>, Refusal>),
}
