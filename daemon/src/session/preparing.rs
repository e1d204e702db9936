//! Writes for which something is made before they reach the writer: certificates. A thread makes it while the connection
//! begins nothing else, so that its writes keep their order.
//!
//! What is to be certified may still be on its way, in a write that was sent before. Then it is made when that is answered.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::Session;
use super::asked::Asked;
use crate::context::Context;
use crate::dispatch::{Handler, WriteJob};
use crate::fault::Fault;
use crate::rules::Prepared;
use crate::writer::Work;

/// A request, and what was made for it.
pub(super) type Made = (Box<dyn WriteJob>, Result<Prepared, Fault>);

/// One write, before it is sent to the writer.
pub(super) struct Preparing {
    asked: Asked,
    handler: &'static Handler,
    ctx: Context,
    stage: Stage,
}

enum Stage {
    /// A thread is at work.
    Making(oneshot::Receiver<Made>),
    /// It is to be tried again when all writes that were sent are answered.
    Waiting(Box<dyn WriteJob>),
}

/// Waits for what the thread has made; for ever where none is at work.
pub(super) async fn made(preparing: &mut Option<Preparing>) -> Option<Made> {
    match preparing {
        Some(Preparing { stage: Stage::Making(made), .. }) => made.await.ok(),
        _ => pending().await,
    }
}

impl Session {
    /// Has a thread make what a write needs.
    pub(super) fn prepare(&mut self, asked: Asked, handler: &'static Handler, ctx: Context, job: Box<dyn WriteJob>) {
        let (store, context) = (Arc::clone(&self.shared.store), ctx.clone());
        let (done, made) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let prepare = || store.view().map_err(Fault::Store).and_then(|view| job.prepare(&*view, &context));
            let prepared = catch_unwind(AssertUnwindSafe(prepare));
            // A connection that is gone needs nothing.
            let _ = done.send((job, prepared.unwrap_or_else(|panic| Err(Fault::of_panic(&*panic)))));
        });
        self.preparing = Some(Preparing { asked, handler, ctx, stage: Stage::Making(made) });
    }

    /// Tries again what had to wait for the writes before it.
    pub(super) fn go_on_preparing(&mut self) {
        let is_due = |waiting: &mut Preparing| matches!(waiting.stage, Stage::Waiting(_));
        if self.writes_answered == self.writes_sent
            && let Some(Preparing { asked, handler, ctx, stage: Stage::Waiting(job) }) = self.preparing.take_if(is_due)
        {
            self.prepare(asked, handler, ctx, job);
        }
    }

    /// Sends the write on with what was made for it.
    pub(super) fn take_made(&mut self, made: Option<Made>) {
        let Some(Preparing { asked, handler, ctx, .. }) = self.preparing.take() else { return };
        let lost = || Fault::Panic("what makes certificates has ended".to_owned());
        let (job, prepared) = match made.ok_or_else(lost) {
            Ok((job, Ok(prepared))) => (job, prepared),
            Ok((_, Err(fault))) | Err(fault) => return self.answer(asked, Err(fault.told(handler.row))),
        };
        let prepared = match prepared {
            Prepared::NotYet if self.writes_answered != self.writes_sent => {
                self.preparing = Some(Preparing { asked, handler, ctx, stage: Stage::Waiting(job) });
                return;
            }
            Prepared::NotYet | Prepared::Nothing => None,
            Prepared::Certificate(issued) => Some(issued),
        };
        self.send_to_writer(asked, handler, Context { prepared, ..ctx }, Work::Write(job));
    }
}
