//! Rules on a view of one's own, such as one that can not be read: what they write is kept nowhere.

use std::ops::ControlFlow;

use enroll_core::context::Context;
use enroll_core::draft::Draft;
use enroll_core::fault::Fault;
use enroll_core::model::change::ChangeEvent;
use enroll_core::rules::Call;
use enroll_core::state::{ReadTxn, Writes};
use enroll_protocol::Envelope;
use enrolld::dispatch::{self, Items, Job, Look, Progress, Ran, WriteJob};
use enrolld::writer::UNITS_MAX;

use super::{Registry, body};

impl Registry {
    /// Runs an operation on a view, and keeps nothing of what it writes.
    pub fn run_on(&mut self, view: &dyn ReadTxn, number: u16, request: &[u8]) -> Result<(), Fault> {
        let admitted = self.admitted(number, &body(&Envelope::default(), request));
        let (_, job, mut ctx) = admitted.map_err(Fault::Refused)?;
        match job {
            Job::Look(Look::Read(job) | Look::Scan(job)) => {
                dispatch::run_read(&*job, &self.daemon, view, ctx).map(drop)
            }
            Job::Look(Look::Items(Items::Stream(mut job))) => {
                job.start(view, &ctx)?;
                job.next(view, &ctx).map(drop)
            }
            Job::Look(Look::Items(Items::Walk(job))) => {
                dispatch::run_walk(&*job, &self.daemon, view, ctx, &mut |_| ControlFlow::Continue(()))
            }
            Job::Write(job) => loop {
                ctx.guesses = job.takes_code().then(|| self.daemon.guesses.lock().window(&ctx));
                match run_write(view, &*job, &ctx).1 {
                    Err(Fault::Needs(needed)) => {
                        ctx.made = Some(dispatch::make(&needed, &self.daemon, view, &ctx)?);
                    }
                    ended => return ended.map(drop),
                }
            },
        }
    }
}

/// The writes of a rule, and its end.
pub(super) fn run_write(
    view: &dyn ReadTxn,
    job: &dyn WriteJob,
    ctx: &Context,
) -> ((Writes, Vec<ChangeEvent>), Result<Ran, Fault>) {
    let (mut draft, mut units) = (Draft::new(view), UNITS_MAX);
    let call = Call::begin(&draft, ctx, job.row());
    let result = call.and_then(|call| job.run(&mut draft, &call, Progress::default(), &mut units));
    (draft.into_parts(), result)
}
