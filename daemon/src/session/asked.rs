//! A request as its connection remembers it until it is answered, and where it is meanwhile.

use enroll_protocol::Code;
use enroll_protocol::frame::Frame;
use tokio::time::Instant;

use crate::context::{Context, Moment};
use crate::dispatch::{Handler, Look};
use crate::metrics::Metrics;
use crate::writer::{self, Outcome};

/// What was asked, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// The peer's number for it.
    pub(super) id: u64,
    /// The operation's number, which may be one that we do not know.
    pub(super) operation: u16,
    since: Moment,
}

impl Asked {
    /// Just now.
    pub(super) fn now(frame: &Frame<'_>) -> Self {
        Self { id: frame.id, operation: frame.operation, since: Moment::now() }
    }

    /// Counts its answer.
    pub(super) fn answered(self, metrics: &Metrics, refused: Option<Code>) {
        metrics.answered(self.operation, refused, self.since.elapsed_seconds());
    }
}

/// One that only looks, before it is run.
pub(super) struct Read {
    pub(super) asked: Asked,
    pub(super) handler: &'static Handler,
    pub(super) ctx: Context,
    pub(super) look: Look,
}

/// One that waits for a place in the writer's queue.
pub(super) struct Stalled {
    pub(super) until: Instant,
    pub(super) asked: Asked,
    pub(super) handler: &'static Handler,
    pub(super) request: writer::Request,
}

/// One that was run elsewhere.
pub(super) struct Answered {
    pub(super) asked: Asked,
    pub(super) handler: &'static Handler,
    pub(super) is_write: bool,
    pub(super) outcome: Outcome,
}
