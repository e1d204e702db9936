//! The socket's side: a connection is accepted, admitted or refused, greeted, and served by a session, which decodes
//! requests, runs reads on snapshots, sends writes to the writer, and writes answers.

mod admission;
mod connection_limit;
mod deadlines;
pub mod grants;
pub mod handshake;
pub mod listener;
mod memory;
pub mod memory_budget;
mod outbox;
mod pending;
pub mod request_memory;
mod session;
mod snapshot_stream;
mod subscriptions;
mod turns;

use std::sync::Arc;

use enroll_core::state::Store;
use tokio::sync::{Semaphore, watch};

use crate::daemon::clock::Clock;
use crate::daemon::{Daemon, Swap};
use listener::Terms;
use memory_budget::MemoryBudget;

/// The state that every session shares with the rest of the daemon.
pub struct Shared {
    /// Configuration, keys, metrics.
    pub daemon: Arc<Daemon>,
    /// For reads.
    pub store: Arc<dyn Store>,
    /// The clock.
    pub clock: Clock,
    /// For connections that begin.
    pub terms: Swap<Terms>,
    /// For what connections hold.
    pub memory: Arc<MemoryBudget>,
    /// One scan at a time: each looks at every record.
    pub scans: Arc<Semaphore>,
    /// One snapshot stream at a time: each keeps its snapshot as long as its peer takes items.
    pub walks: Arc<Semaphore>,
    /// The number of the latest change, sent after its commit.
    pub changes: watch::Receiver<u64>,
}
