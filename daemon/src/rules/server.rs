//! How the daemon is.

use enroll_protocol::server::{AcceptClock, Check, ClockStep, DaemonStatus, Database, Metrics, Status, Violation};
use enroll_protocol::{Code, Refusal};

use super::{Call, ReadOp, WriteOp, bootstrap, changes, check};
use crate::fault::Fault;
use crate::model::change::Told;
use crate::model::record::Kind;
use crate::store::{ReadTxn, Txn};
use crate::warnings::CLOCK_DOUBTED;

impl ReadOp for Status {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<DaemonStatus, Fault> {
        call.permit(txn, false)?;
        status(txn, call)
    }
}

impl WriteOp for AcceptClock {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<DaemonStatus, Fault> {
        call.permit(txn.as_read(), false)?;
        let mut status = status(txn.as_read(), call)?;
        let (daemon, now) = (&call.ctx.daemon, call.ctx.now);
        if daemon.doubted_since.now().is_some() || daemon.authority.now().is_ahead(now) {
            call.tell(txn, Vec::new(), None);
            txn.tell(Told::ClockAccepted(now));
            // As it is once this is committed.
            status.changes_head += 1;
            status.warnings.retain(|warning| (&*warning.topic, &*warning.subject) != CLOCK_DOUBTED);
        }
        Ok(status)
    }
}

fn status(txn: &dyn ReadTxn, call: &Call<'_>) -> Result<DaemonStatus, Fault> {
    let daemon = &call.ctx.daemon;
    let head = changes::head(txn)?;
    let count = |kind| head.records.get(&kind).copied().unwrap_or(0);
    let uptime_micros = call.ctx.now.micros() - daemon.started.now().micros();
    Ok(DaemonStatus {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: u64::try_from(uptime_micros / 1_000_000).unwrap_or(0),
        state_dir: call.ctx.settings.state_dir.clone(),
        database: Database {
            bytes: daemon.metrics.database_bytes.get(),
            cache_bytes: call.ctx.settings.cache_bytes,
            schema: bootstrap::SCHEMA,
        },
        registry_created: bootstrap::created(txn)?,
        records: Kind::ALL.iter().map(|(kind, name)| ((*name).to_owned(), count(*kind))).collect(),
        connections: daemon.metrics.connections.get(),
        queue: daemon.metrics.queue.get(),
        changes_head: head.seq,
        clock: head.clock.last_step.map(|step| ClockStep { last_step_seconds: step.seconds, last_step_at: step.at }),
        warnings: daemon.warnings.all(),
    })
}

impl ReadOp for Check {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Vec<Violation>, Fault> {
        call.permit(txn, false)?;
        Ok(check::violations(txn)?)
    }
}

impl ReadOp for Metrics {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<String, Fault> {
        call.permit(txn, false)?;
        let daemon = &call.ctx.daemon;
        let text = daemon.metrics.text(&changes::head(txn)?, daemon.authority.now().ends());
        Ok(text.map_err(|_| Refusal::plain(Code::INTERNAL))?)
    }
}
