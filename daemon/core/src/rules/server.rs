//! Operations on the server itself: status, metrics, check, and accepting the clock.

use enroll_protocol::server::{AcceptClock, Check, ClockStep, DaemonStatus, Database, Metrics, Status, Violation};

use super::{Call, ReadOp, WriteOp, bootstrap, changes, check, health};
use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::change::ChangeEvent;
use crate::model::record::Kind;
use crate::needs::{Made, Needed, Process};
use crate::state::ReadTxn;

impl ReadOp for Status {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<DaemonStatus, Fault> {
        call.permit(txn, false)?;
        status(txn, call)
    }
}

impl WriteOp for AcceptClock {
    fn may_need(&self) -> bool {
        true
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<DaemonStatus, Fault> {
        call.permit(txn.as_read(), false)?;
        let (mut status, now) = (status(txn.as_read(), call)?, call.ctx.now);
        if call.ctx.doubted_since.is_some() || call.ctx.identity.authority.is_ahead(now) {
            call.emit(txn, Vec::new(), None);
            txn.emit(ChangeEvent::ClockAccepted(now));
            // The status after the commit of this write.
            status.changes_head += 1;
            let doubted = process(call)?.clock_doubted;
            status.warnings.retain(|warning| (&*warning.topic, &*warning.subject) != doubted);
        }
        Ok(status)
    }
}

fn status(txn: &dyn ReadTxn, call: &Call<'_>) -> Result<DaemonStatus, Fault> {
    let process = process(call)?;
    let head = changes::head(txn)?;
    let count = |kind| head.records.get(&kind).copied().unwrap_or(0);
    let uptime_micros = call.ctx.now.micros() - process.started.micros();
    Ok(DaemonStatus {
        version: process.version.to_owned(),
        uptime_seconds: u64::try_from(uptime_micros / 1_000_000).unwrap_or(0),
        state_dir: call.ctx.settings.state_dir.clone(),
        database: Database {
            bytes: process.database_bytes,
            cache_bytes: call.ctx.settings.cache_bytes,
            schema: bootstrap::SCHEMA,
        },
        registry_created: bootstrap::created(txn)?,
        records: Kind::ALL.iter().map(|(kind, name)| ((*name).to_owned(), count(*kind))).collect(),
        connections: process.connections,
        queue: process.queue,
        changes_head: head.seq,
        clock: head.clock.last_step.map(|step| ClockStep { last_step_seconds: step.seconds, last_step_at: step.at }),
        warnings: process.warnings.clone(),
        written: process.written.clone(),
        last_backup: process.last_backup,
        backup_directory: call.ctx.settings.backup_directory.as_ref().map(|path| path.display().to_string()),
        waiting: health::waiting(txn)?,
        requests: process.requests,
        disk: process.disk,
        clock_synchronised: process.clock_synchronised,
        authority_ends: call.ctx.identity.authority.ends(),
        certificate_ends: process.certificate_ends,
    })
}

/// The figures of the process. Answers that they are needed if they were not made for this request.
fn process<'a>(call: &'a Call<'_>) -> Result<&'a Process, Fault> {
    match &call.ctx.made {
        Some(Made::Process(process)) => Ok(process),
        _ => Err(Fault::Needs(Needed::Process)),
    }
}

impl ReadOp for Check {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Vec<Violation>, Fault> {
        call.permit(txn, false)?;
        let kept = self.head.as_ref();
        let mut violations = check::violations(txn, Some(&call.ctx.identity.secrets))?;
        if let Some(kept) = kept {
            violations.extend(check::of_kept_head(txn, kept)?);
        }
        Ok(violations)
    }
}

impl ReadOp for Metrics {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<String, Fault> {
        call.permit(txn, false)?;
        match &call.ctx.made {
            Some(Made::Metrics(text)) => Ok((**text).to_owned()),
            _ => Err(Fault::Needs(Needed::Metrics)),
        }
    }
}
