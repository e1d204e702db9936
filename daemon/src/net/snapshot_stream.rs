//! A snapshot stream: a walk over one MVCC snapshot on a thread of its own, with backpressure.
//!
//! Between the thread and the connection there is room for a few items. While it is full the thread waits; once the
//! connection takes no more the thread ends, and its snapshot with it. One such thread runs at a time, for any
//! connection; the others wait, and take their snapshots then.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::Poll;

use enroll_protocol::{OperationRow, Refusal};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use super::Shared;
use super::subscriptions::{Source, Step, Stream};
use crate::daemon::Daemon;
use crate::daemon::internal_error::to_refusal;
use crate::dispatch::{self, WalkJob};
use enroll_core::context::{Context, Peer};
use enroll_core::fault::Fault;
use enroll_core::state::Store;

/// Items that wait for the connection.
const ITEMS_MAX: usize = 4;

/// An item, the end, or why there will be no more.
type Given = Result<Option<Vec<u8>>, Refusal>;

/// The connection's end.
pub(super) struct SnapshotStream {
    items: mpsc::Receiver<Given>,
    /// An item that came while the connection waited for it.
    first: Option<Given>,
    /// Its operation and its peer, for the log.
    row: &'static OperationRow,
    peer: Peer,
}

impl SnapshotStream {
    /// Starts the thread as soon as no other runs.
    pub(super) fn begin(job: Box<dyn WalkJob>, row: &'static OperationRow, ctx: Context, shared: &Shared) -> Self {
        let (giver, items) = mpsc::channel(ITEMS_MAX);
        let peer = ctx.peer.clone();
        let stream_peer = peer.clone();
        let (store, daemon) = (Arc::clone(&shared.store), Arc::clone(&shared.daemon));
        let walks = Arc::clone(&shared.walks);
        tokio::spawn(async move {
            let turn = tokio::select! {
                turn = walks.acquire_owned() => turn,
                () = giver.closed() => return,
            };
            tokio::task::spawn_blocking(move || {
                let ended = walk(&*job, &*store, &daemon, ctx, &giver);
                let ended = ended.map_err(|fault| to_refusal(&fault, row, &peer));
                drop(turn);
                // A connection that is gone needs no end.
                let _ = giver.blocking_send(ended.map(|()| None));
            });
        });
        Self { items, first: None, row, peer: stream_peer }
    }

    /// The next item, if the thread has given one.
    pub(super) fn step(&mut self) -> Result<Step, Refusal> {
        let given = match self.first.take() {
            Some(given) => given,
            None => match self.items.try_recv() {
                Ok(given) => given,
                Err(TryRecvError::Empty) => return Ok(Step::Nothing),
                Err(TryRecvError::Disconnected) => Err(self.broken()),
            },
        };
        Ok(given?.map_or(Step::End, |item| Step::Items(vec![item])))
    }

    /// The refusal where the thread is gone and gave no end.
    fn broken(&self) -> Refusal {
        to_refusal(&Fault::Broken("the thread of a snapshot stream is gone".to_owned()), self.row, &self.peer)
    }
}

/// Waits until the thread of one of these streams has given something; its index.
pub(super) async fn any(streams: &mut [Stream]) -> usize {
    poll_fn(|context| {
        for (at, stream) in streams.iter_mut().enumerate() {
            let Source::Snapshot(snapshot) = &mut stream.source else { continue };
            if let Poll::Ready(given) = snapshot.items.poll_recv(context) {
                snapshot.first = Some(given.unwrap_or_else(|| Err(snapshot.broken())));
                return Poll::Ready(at);
            }
        }
        Poll::Pending
    })
    .await
}

fn walk(
    job: &dyn WalkJob,
    store: &dyn Store,
    daemon: &Daemon,
    ctx: Context,
    giver: &mpsc::Sender<Given>,
) -> Result<(), Fault> {
    let view = store.view()?;
    dispatch::run_walk(job, daemon, &*view, ctx, &mut |item| match giver.blocking_send(Ok(Some(item))) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    })
}
