//! The run of one rule by the writer: on an overlay of its own, with a panic caught, and a wrong code counted.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::daemon::Daemon;
use crate::dispatch::{Progress, Ran, WriteJob, finish_before_kept};
use enroll_core::context::Context;
use enroll_core::draft::Draft;
use enroll_core::fault::Fault;
use enroll_core::model::change::ChangeEvent;
use enroll_core::rules::Call;
use enroll_core::state::Writes;
use enroll_core::state::overlay::Overlay;

/// Runs the rule; a wrong code counts.
pub(super) fn run_rule(
    daemon: &Daemon,
    batch: &Overlay<'_>,
    ctx: &mut Context,
    job: &dyn WriteJob,
    progress: Progress,
    units: &mut usize,
) -> Result<(Writes, Vec<ChangeEvent>, Ran), Fault> {
    let (writes, events, ran) = match job.takes_code() {
        true => daemon.counted(job.row(), batch, ctx, |ctx| run_draft(batch, ctx, job, progress, units))?,
        false => run_draft(batch, ctx, job, progress, units)?,
    };
    Ok((writes, events, finish_before_kept(ran, job.row(), ctx)?))
}

/// Runs the rule on an overlay of its own, which is dropped unless it succeeds.
fn run_draft(
    batch: &Overlay<'_>,
    ctx: &Context,
    job: &dyn WriteJob,
    progress: Progress,
    units: &mut usize,
) -> Result<(Writes, Vec<ChangeEvent>, Ran), Fault> {
    let mut draft = Draft::new(batch);
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let call = Call::begin(&draft, ctx, job.row())?;
        job.run(&mut draft, &call, progress, units)
    }));
    let ran = ran.unwrap_or_else(|panic| Err(Fault::of_panic(&*panic)))?;
    let (writes, events) = draft.into_parts();
    Ok((writes, events, ran))
}
