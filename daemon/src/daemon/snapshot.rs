//! The daemon's part of a snapshot: its counts, its connections, and the fullest pools.

use std::sync::PoisonError;

use enroll_core::context::{Context, Grant};
use enroll_core::fault::Fault;
use enroll_core::rules::changes;
use enroll_core::state::ReadTxn;
use enroll_protocol::server::DaemonSnapshot;

use super::Daemon;

impl Daemon {
    /// The figures for `server.snapshot`, and the fullest pools for a peer that may read.
    pub(super) fn snapshot(&self, txn: &dyn ReadTxn, ctx: &Context) -> Result<DaemonSnapshot, Fault> {
        let mut snapshot = self.metrics.snapshot();
        snapshot.at = ctx.now;
        env!("CARGO_PKG_VERSION").clone_into(&mut snapshot.version);
        snapshot.uptime_micros = u64::try_from(ctx.now.micros() - self.started.now().micros()).unwrap_or(0);
        snapshot.connections.by_uid = self.connections.by_uid();
        snapshot.disk = self.disk();
        snapshot.changes_head = changes::head(txn)?.seq;
        snapshot.follower_lag = self.metrics.followers.lag(snapshot.changes_head);
        snapshot.warnings = self.warnings.all().len() as u64;
        if ctx.peer.grant >= Grant::Read {
            let mut watch = self.fullest_pools.lock().unwrap_or_else(PoisonError::into_inner);
            watch.look(txn, ctx.now)?;
            snapshot.fullest_pools = Some(watch.shown(txn, ctx)?);
        }
        Ok(snapshot)
    }
}
