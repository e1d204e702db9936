//! Reads of a session: on a snapshot in its own turn, on a thread of their own, or as a stream.

use std::sync::Arc;

use enroll_protocol::{Code, Kind, Refusal};
use serde_json::json;

use super::Session;
use crate::daemon::internal_error::to_refusal;
use crate::dispatch::{self, Handler, Look, ReadJob};
use crate::net::Shared;
use crate::net::handshake;
use crate::net::pending::{Answered, Read};
use crate::net::request_memory::READ_ANSWER_BYTES;
use crate::net::socket::Socket;
use crate::net::subscriptions::Subscriber;
use crate::writer::Outcome;
use enroll_core::context::Context;
use enroll_core::fault::Fault;
use enroll_core::state::{StoreError, View};

impl<S: Socket> Session<S> {
    /// Runs a read, or keeps it until it has passed the barrier and there is memory for its answer.
    pub(super) fn run_read(&mut self, mut read: Read) {
        if !read.is_confirmed {
            return self.wait_at_barrier(read);
        }
        if matches!(read.look, Look::Read(_)) && !self.has_memory_for(&mut read) {
            self.waiting = Some(read);
            return;
        }
        let Read { pending, handler, ctx, look, .. } = read;
        let job = match look {
            Look::Read(job) => {
                let outcome = run_job(&self.shared, self.shared.store.view(), &*job, ctx, handler);
                if job.takes_code() && self.shared.daemon.guesses.lock().take_wants_writer() {
                    self.queue.wake();
                }
                return self.answer(pending, outcome);
            }
            Look::Items(items) => return self.subscribe(Subscriber { pending, handler, ctx }, items),
            Look::Scan(job) => job,
        };
        // Nothing of the connection begins before it is answered: so it takes its snapshot when it runs, and while it
        // waits it keeps none.
        self.has_scan = true;
        let (shared, answers) = (Arc::clone(&self.shared), self.answers.clone());
        let memory = Arc::clone(&self.in_flight_memory);
        self.shared.scans.run(self.peer.uid, move || {
            if !answers.is_closed() {
                let outcome = run_job(&shared, shared.store.view(), &*job, ctx, handler);
                let _ = answers.send(Answered::Scan(pending, outcome));
            }
            drop(memory);
        });
    }

    /// Has a read wait for a look that begins now or later.
    fn wait_at_barrier(&mut self, read: Read) {
        let Some(barrier) = self.shared.barrier.clone() else { return };
        self.has_look = true;
        let (answers, memory) = (self.answers.clone(), Arc::clone(&self.in_flight_memory));
        tokio::spawn(async move {
            let looked = barrier.pass().await;
            // A session that is gone needs no answer.
            let _ = answers.send(Answered::Confirmed(Box::new(read), looked));
            drop(memory);
        });
    }

    /// Runs a read that has waited at the barrier. Where the look failed an active daemon ends, and the client finds the
    /// next one; a standby is busy until it has caught up.
    pub(super) fn take_confirmed(&mut self, read: Read, looked: Result<(), StoreError>) {
        self.has_look = false;
        match looked {
            Ok(()) => self.run_read(Read { is_confirmed: true, ..read }),
            Err(err) => {
                tracing::warn!(%err, operation = read.handler.row.name, "a read can not be confirmed, and is not answered");
                let refusal = match self.shared.daemon.role.is_standby() {
                    true => {
                        Refusal::new(Code::BUSY, "this standby can not tell yet if it has the latest change; try again")
                            .with(json!({"retry_after_ms": handshake::RETRY_AFTER_MS}))
                    }
                    false => handshake::leaving(),
                };
                self.answer(read.pending, Err(refusal));
            }
        }
    }

    /// True if the answer of a read may be made. Of a uid that holds its share, one that turns out to be small is; a
    /// larger one is dropped, and made again once there is room for it. A code is looked up once, because that counts.
    fn has_memory_for(&mut self, read: &mut Read) -> bool {
        let held = self.held() - read.pending.reserved;
        let Look::Read(job) = &read.look else { return true };
        if read.answer_bytes == 0 && !self.memory.is_under_share() {
            read.answer_bytes = match read.handler.row.kind {
                Kind::Read => {
                    let view = self.shared.store.view();
                    run_job(&self.shared, view, &**job, read.ctx.clone(), read.handler).map_or(0, |reply| reply.len())
                }
                _ => READ_ANSWER_BYTES,
            };
        }
        self.memory.may_answer(held, read.answer_bytes)
    }

    fn subscribe(&mut self, subscriber: Subscriber, items: dispatch::Items) {
        let pending = subscriber.pending;
        let begun = match &self.closing {
            Some(closing) => Err(closing.clone()),
            None => self.subscriptions.begin(subscriber, items, &self.shared, &mut self.outbox),
        };
        match begun {
            Ok(()) => {
                // Its subscription has the reservation from now on.
                self.reserved -= pending.reserved;
                pending.answered(&self.shared.daemon.metrics, None);
            }
            Err(refusal) => self.answer(pending, Err(refusal)),
        }
    }
}

fn run_job(
    shared: &Shared,
    view: Result<View, StoreError>,
    job: &dyn ReadJob,
    mut ctx: Context,
    handler: &Handler,
) -> Outcome {
    let peer = ctx.peer.clone();
    // It may have waited while the clock was set. By the time before that, wrong codes since then would be dropped from
    // the rate limit as ones that lie ahead.
    ctx.now = shared.clock.now();
    let ended = view.map_err(Fault::Store).and_then(|view| dispatch::run_read(job, &shared.daemon, &*view, ctx));
    ended.map_err(|fault| to_refusal(&fault, handler.row, &peer))
}
