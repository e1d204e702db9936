//! The socket's side: a connection is accepted, admitted or refused, greeted, and served by a session, which decodes
//! requests, runs reads on snapshots, sends writes to the writer, and writes answers.

mod admission;
pub mod barrier;
mod deadlines;
pub mod grants;
pub mod handshake;
pub mod listener;
pub mod members;
mod memory;
pub mod memory_budget;
mod outbox;
mod pending;
mod rate_limited_log;
pub mod request_memory;
mod session;
mod snapshot_stream;
pub mod socket;
mod subscriptions;
mod turns;
pub mod worker_pool;

use std::sync::Arc;

use enroll_core::state::Store;
use socket::Socket;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};

use crate::daemon::clock::{Clock, Seeds};
use crate::daemon::{Daemon, Swap};
use crate::writer::Queue;
use barrier::Barrier;
use enroll_core::context::Peer;
use listener::Terms;
use members::Forwarding;
use memory_budget::MemoryBudget;
use turns::Turns;
use worker_pool::WorkerPool;

/// The state that every session shares with the rest of the daemon.
pub struct Shared {
    /// Configuration, keys, metrics.
    pub daemon: Arc<Daemon>,
    /// For reads.
    pub store: Arc<dyn Store>,
    /// Passed by a read before it takes its view; `None` where nobody else may commit.
    pub barrier: Option<Arc<Barrier>>,
    /// True if a standby reads its own copy as it is.
    pub reads_locally: bool,
    /// The way of writes to the member that leads; `None` where the registry is on one host.
    pub forwarding: Option<Arc<Forwarding>>,
    /// The clock.
    pub clock: Clock,
    /// The seeds of writes.
    pub seeds: Seeds,
    /// For connections that begin.
    pub terms: Swap<Terms>,
    /// For what connections hold.
    pub memory: Arc<MemoryBudget>,
    /// For scans: one thread, as each looks at every record.
    pub scans: WorkerPool,
    /// For keys and certificates that are made.
    pub makers: WorkerPool,
    /// One snapshot stream at a time: each keeps its snapshot as long as its peer takes items.
    pub walks: Arc<Semaphore>,
    /// The number of the latest change, sent after its commit.
    pub changes: watch::Receiver<u64>,
}

/// Serves one connection, without the limits of a listener, in a lane of its own. The socket is the sender of the output.
pub async fn serve_alone<S: Socket>(
    halves: (impl AsyncRead + Unpin + Send + 'static, impl AsyncWrite + Unpin + Send + 'static, S),
    peer: Peer,
    shared: Arc<Shared>,
    queue: Queue,
    stopping: watch::Receiver<bool>,
) {
    let (uid, number) = (peer.uid, peer.connection);
    let session = move |turn| session::serve(halves, peer, shared, queue, stopping, turn);
    if let Some(lane) = Turns::new(1).add(uid, number, |turn| Box::pin(session(turn))) {
        lane.await;
    }
}
