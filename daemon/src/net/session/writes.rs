//! Writes of a session: on their way to the writer, while its queue is full, and back with their answers.
//!
//! Where a connection has one write in flight and nothing else, its socket is lent to the writer, which sends the answer
//! by itself. Between the commit and the peer there is then one wake-up of a thread less; for a lone client of a durable
//! write that is a fifteenth of its latency.

use std::io;
use std::sync::Arc;

use enroll_protocol::encoding::Encoding;
use enroll_protocol::{Code, Refusal};
use serde_json::json;
use tokio::time::Instant;

use super::{QUEUE_WAIT, Session};
use crate::daemon::internal_error::to_refusal;
use crate::dispatch::{self, Handler, WriteJob};
use crate::net::handshake;
use crate::net::outbox::Outbox;
use crate::net::pending::{Answered, Pending, Sent, Stalled};
use crate::net::socket::Socket;
use crate::writer::{self, Ended, Outcome, Queue, SendError};
use enroll_core::context::Context;
use enroll_core::fault::Fault;

impl<S: Socket> Session<S> {
    /// Sends a write to the writer; it waits here while the queue is full.
    pub(super) fn write(&mut self, pending: Pending, handler: &'static Handler, ctx: Context, job: Arc<dyn WriteJob>) {
        let (answers, memory) = (self.answers.clone(), Arc::clone(&self.in_flight_memory));
        let lent = self.may_lend_socket(handler, &*job).then(|| self.socket.lend());
        self.socket_is_lent |= lent.is_some();
        let frame_bytes_max = self.limits.frame_bytes_max;
        let answer = move |ended| {
            let answered = match (ended, lent) {
                (Ended::Outcome(outcome), Some(write)) => {
                    Answered::Sent(pending, send(write, pending, outcome, frame_bytes_max))
                }
                (ended, _) => Answered::Write(pending, handler, ended),
            };
            // A session that is gone needs no answer.
            let _ = answers.send(answered);
            drop(memory);
        };
        self.open_writes += 1;
        self.has_barrier = job.is_barrier();
        let request = Box::new(writer::Request { ctx, job, answer: Box::new(answer) });
        self.try_send(pending, handler, |queue| queue.try_send(request));
    }

    pub(super) fn try_send(
        &mut self,
        pending: Pending,
        handler: &'static Handler,
        send: impl FnOnce(&Queue) -> Result<(), SendError>,
    ) {
        match send(&self.queue) {
            Ok(()) => {}
            Err(SendError::Full(request)) => {
                self.stalled = Some(Stalled { until: Instant::now() + QUEUE_WAIT, pending, handler, request });
            }
            Err(SendError::Closed) => {
                self.end_write();
                self.answer(pending, Err(Refusal::plain(Code::SHUTTING_DOWN)));
            }
        }
    }

    /// True if the writer may send the answer of this write by itself: the socket is nobody else's, and the answer needs
    /// nothing but the commit and no time of the writer's.
    fn may_lend_socket(&self, handler: &Handler, job: &dyn WriteJob) -> bool {
        self.encoding == Encoding::Binary
            && self.open_writes == 0
            && self.outbox.is_empty()
            && self.subscriptions.len() == 0
            && !job.is_barrier()
            && handler.finish.is_none()
    }

    pub(super) fn end_write(&mut self) {
        self.open_writes -= 1;
        // A barrier is the last write that was sent.
        self.has_barrier &= self.open_writes > 0;
        // The socket is lent to the first of those in flight.
        self.socket_is_lent &= self.open_writes > 0;
    }

    /// The queue has been full for too long. Were only this write refused, those after it might be done before it is
    /// sent again; so the connection ends as busy, and the client sends what was not answered anew, in its order.
    pub(super) fn end_busy(&mut self) {
        if let Some(stalled) = self.stalled.take() {
            self.end_write();
            self.drop_unanswered(stalled.pending);
            self.close(Refusal::plain(Code::BUSY).with(json!({"retry_after_ms": 100})));
        }
    }

    /// Ends the connection as busy: its client sends what was not answered anew, in its order. Were this write done, it
    /// would overtake those that were refused while the daemon was a standby.
    pub(super) fn refuse_out_of_order(&mut self, pending: Pending) {
        self.drop_unanswered(pending);
        self.close(Refusal::plain(Code::BUSY).with(json!({"retry_after_ms": 100})));
    }

    /// Forgets a request that was not begun; the connection ends.
    pub(super) fn drop_unanswered(&mut self, pending: Pending) {
        self.in_flight -= 1;
        self.reserved -= pending.reserved;
    }

    /// Passes on what the writer or another thread has answered.
    pub(super) fn take_answer(&mut self, answer: Answered) {
        match answer {
            Answered::Confirmed(read, looked) => self.take_confirmed(*read, looked),
            Answered::Forwarded(pending, outcome) => self.take_forwarded(pending, outcome),
            Answered::Unforwarded { unanswered, unsent } => self.end_unforwarded(unanswered, unsent),
            Answered::Scan(pending, outcome) => {
                self.has_scan = false;
                self.answer(pending, outcome);
            }
            Answered::Sent(pending, sent) => {
                self.socket_is_lent = false;
                self.end_write();
                if sent.outbox.unread() > 0 {
                    self.deadlines.taken();
                }
                self.outbox.put_before(sent.outbox);
                self.count_answer(pending, sent.refused);
            }
            Answered::Write(pending, handler, Ended::Outcome(outcome)) => {
                self.end_write();
                let outcome = outcome.and_then(|reply| match handler.finish {
                    Some(finish) => finish(&reply, &self.shared.daemon.identity.now().keys)
                        .map_err(|fault| to_refusal(&fault, handler.row, &self.peer)),
                    None => Ok(reply),
                });
                self.answer(pending, outcome);
            }
            Answered::Write(pending, handler, Ended::Needs(needed, write)) => {
                let (shared, answers) = (Arc::clone(&self.shared), self.answers.clone());
                let memory = Arc::clone(&self.in_flight_memory);
                self.shared.makers.run(self.peer.uid, move || {
                    if answers.is_closed() {
                        return;
                    }
                    let (mut ctx, job) = *write;
                    // What is refused here is answered without the writer, which confirms what it answers.
                    let confirmed = shared.barrier.as_ref().map_or(Ok(()), |_| shared.store.confirm());
                    let made = confirmed.map_err(|err| {
                        tracing::warn!(%err, operation = handler.row.name, "a write can not be confirmed, and is left");
                        handshake::leaving()
                    });
                    let made = made.and_then(|()| {
                        let view = shared.store.view().map_err(Fault::Store);
                        let made = view.and_then(|view| dispatch::make(&needed, &shared.daemon, &*view, &ctx));
                        made.map(|made| ctx.made = Some(made))
                            .map_err(|fault| to_refusal(&fault, handler.row, &ctx.peer))
                    });
                    let _ = answers.send(Answered::Made(pending, handler, made.map(|()| Box::new((ctx, job)))));
                    drop(memory);
                });
            }
            Answered::Made(pending, handler, made) => {
                self.end_write();
                match made {
                    Ok(write) => self.write(pending, handler, write.0, write.1),
                    Err(refusal) => self.answer(pending, Err(refusal)),
                }
            }
        }
    }
}

/// Sends an answer, as far as the socket takes it at once.
fn send(
    write: impl Fn(&[u8]) -> Option<io::Result<usize>>,
    pending: Pending,
    outcome: Outcome,
    frame_bytes_max: usize,
) -> Sent {
    let mut outbox = Outbox::new(Encoding::Binary, frame_bytes_max);
    let refused = outbox.answer(pending.id, pending.operation, outcome);
    // The session meets an error again, when it writes the rest.
    if let Some(Ok(bytes)) = write(outbox.rest()) {
        outbox.has_written(bytes);
    }
    Sent { refused, outbox }
}
