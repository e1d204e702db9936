//! Writes for which something is made or read before they reach the writer: certificates, the judgement of an import, what a
//! large bulk write will need. A thread does it, and the connection begins nothing else until the write is answered, so that
//! its writes keep their order.
//!
//! What was made may not fit any more, or not be there: what is to be certified may still have been on its way, in a
//! write that was sent before, or somebody else may have changed it. Then the rule answers `busy`, and it is made again
//! from a snapshot in which that has happened. The peer sees nothing of it.

use std::future::pending;
use std::sync::Arc;

use enroll_protocol::Code;
use tokio::task::{JoinHandle, spawn_blocking};

use super::Session;
use super::asked::Asked;
use crate::context::Context;
use crate::dispatch::{Handler, WriteJob};
use crate::fault::Fault;
use crate::rules::Prepared;
use crate::writer::{Outcome, Work};

/// How often it is made for one write: each time but the first somebody else was faster.
const TRIES_MAX: usize = 16;

/// One write, until it is answered.
pub(super) struct Preparing {
    asked: Asked,
    handler: &'static Handler,
    ctx: Context,
    job: Arc<dyn WriteJob>,
    tries: usize,
    /// The thread that is at work; none is while the write is with the writer.
    making: Option<JoinHandle<Result<Prepared, Fault>>>,
}

/// Waits for what the thread makes; for ever where none is at work.
pub(super) async fn made(preparing: &mut Option<Preparing>) -> Result<Prepared, Fault> {
    let Some(Preparing { making: Some(making), .. }) = preparing else { return pending().await };
    let of_panic = |err: tokio::task::JoinError| match err.try_into_panic() {
        Ok(panic) => Fault::of_panic(&*panic),
        Err(err) => Fault::Panic(err.to_string()),
    };
    making.await.unwrap_or_else(|err| Err(of_panic(err)))
}

impl Session {
    /// Has a thread make what a write needs.
    pub(super) fn prepare(&mut self, asked: Asked, handler: &'static Handler, ctx: Context, job: Arc<dyn WriteJob>) {
        self.make(Preparing { asked, handler, ctx, job, tries: 0, making: None });
    }

    fn make(&mut self, write: Preparing) {
        let (store, ctx, job) = (Arc::clone(&self.shared.store), write.ctx.clone(), Arc::clone(&write.job));
        let making =
            spawn_blocking(move || store.view().map_err(Fault::Store).and_then(|view| job.prepare(&*view, &ctx)));
        self.preparing = Some(Preparing { tries: write.tries + 1, making: Some(making), ..write });
    }

    /// Sends the write on with what was made for it.
    pub(super) fn take_made(&mut self, made: Result<Prepared, Fault>) {
        let Some(mut write) = self.preparing.take() else { return };
        let (asked, handler) = (write.asked, write.handler);
        match made {
            Ok(prepared) => {
                let (ctx, job) = (Context { prepared, ..write.ctx.clone() }, Arc::clone(&write.job));
                write.making = None;
                self.preparing = Some(write);
                self.send_to_writer(asked, handler, ctx, Work::Write(job));
            }
            Err(fault) => self.answer(asked, Err(fault.told(handler.row))),
        }
    }

    /// Whether this outcome of the last write that was sent means that something is to be made for it again, which is
    /// then begun. Where that was tried too often the connection ends, as it does when the writer has no place.
    pub(super) fn prepares_again(&mut self, outcome: &Outcome) -> bool {
        let Some(write) = self.preparing.take_if(|write| write.making.is_none()) else { return false };
        if !matches!(outcome, Err(refusal) if refusal.code == Code::BUSY) {
            return false;
        }
        match write.tries {
            ..TRIES_MAX => self.make(write),
            _ => self.end_busy(),
        }
        true
    }
}
