//! A walk as a stream: a thread goes through one snapshot and gives its items; the connection takes them as the peer
//! does.
//!
//! Between the two there is room for a few items. While it is full the thread waits, and once nobody takes them any more
//! it ends, and its snapshot with it. One thread at a time does so, whoever asked; the others wait for their turn, and
//! take their snapshots then.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::Poll;

use enroll_protocol::{Code, OperationRow, Refusal};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use super::{Source, Step, Stream};
use crate::context::Context;
use crate::dispatch::WalkJob;
use crate::fault::Fault;
use crate::session::Shared;
use crate::store::Store;

/// Items that wait to be taken.
const ITEMS_MAX: usize = 4;

/// An item, the end, or why there will be no more.
type Given = Result<Option<Vec<u8>>, Refusal>;

/// The end of the thread's line.
pub(super) struct Fed {
    items: mpsc::Receiver<Given>,
    /// What came while it was waited for.
    first: Option<Given>,
}

impl Fed {
    /// Has a thread begin as soon as it is its turn.
    pub(super) fn begin(job: Box<dyn WalkJob>, row: &'static OperationRow, ctx: Context, shared: &Shared) -> Self {
        let (giver, items) = mpsc::channel(ITEMS_MAX);
        let (store, walks) = (Arc::clone(&shared.store), Arc::clone(&shared.walks));
        tokio::spawn(async move {
            let turn = tokio::select! {
                turn = walks.acquire_owned() => turn,
                () = giver.closed() => return,
            };
            tokio::task::spawn_blocking(move || {
                let ended = walk(&*job, &*store, &ctx, &giver).map_err(|fault| fault.told(row));
                drop(turn);
                // A connection that is gone needs no end.
                let _ = giver.blocking_send(ended.map(|()| None));
            });
        });
        Self { items, first: None }
    }

    /// What has been given, if anything was.
    pub(super) fn step(&mut self) -> Result<Step, Refusal> {
        let given = match self.first.take() {
            Some(given) => given,
            None => match self.items.try_recv() {
                Ok(given) => given,
                Err(TryRecvError::Empty) => return Ok(Step::Nothing),
                Err(TryRecvError::Disconnected) => Err(Refusal::plain(Code::INTERNAL)),
            },
        };
        Ok(given?.map_or(Step::End, |item| Step::Items(vec![item])))
    }
}

/// Waits until one of these has been given something, and says which.
pub(super) async fn any(streams: &mut [Stream]) -> usize {
    poll_fn(|context| {
        for (at, stream) in streams.iter_mut().enumerate() {
            let Source::Fed(fed) = &mut stream.source else { continue };
            if let Poll::Ready(given) = fed.items.poll_recv(context) {
                fed.first = Some(given.unwrap_or_else(|| Err(Refusal::plain(Code::INTERNAL))));
                return Poll::Ready(at);
            }
        }
        Poll::Pending
    })
    .await
}

fn walk(job: &dyn WalkJob, store: &dyn Store, ctx: &Context, giver: &mpsc::Sender<Given>) -> Result<(), Fault> {
    let view = store.view()?;
    job.run_caught(&*view, ctx, &mut |item| match giver.blocking_send(Ok(Some(item))) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    })
}
