//! The way of a connection's requests through the writer and back: writes, and reads that follow them.

use std::time::Duration;

use enroll_protocol::{Code, Kind, Refusal};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Session;
use super::asked::{Answered, Asked, Stalled};
use crate::context::Context;
use crate::dispatch::Handler;
use crate::writer::{self, Work};

/// How long a write waits for a place in the writer's queue before it is told that the daemon is busy.
const QUEUE_WAIT: Duration = Duration::from_secs(2);

impl Session {
    /// Sends it on; it waits where the queue is full.
    pub(super) fn send_to_writer(&mut self, asked: Asked, handler: &'static Handler, ctx: Context, work: Work) {
        let answers = self.answers.clone();
        let answer = move |outcome| {
            // A session that is gone needs no answer.
            let _ = answers.send(Answered { asked, handler, is_write: true, outcome });
        };
        let request = writer::Request { ctx, work, answer: Box::new(answer), connection: self.number };
        self.writes_sent += 1;
        self.looks_in_writer += usize::from(!handler.row.kind.is_write());
        self.bulk_in_writer = handler.row.kind == Kind::Bulk;
        self.shared.turns.writer_is_asked();
        match self.writer.try_send(request) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(request)) => {
                self.stalled = Some(Stalled { until: Instant::now() + QUEUE_WAIT, asked, handler, request });
            }
            Err(mpsc::error::TrySendError::Closed(_)) => self.refuse_write(asked, handler),
        }
    }

    /// The writer has had no place for too long.
    pub(super) fn give_up(&mut self) {
        if let Some(stalled) = self.stalled.take() {
            self.unsend(stalled.handler);
            self.end_busy();
        }
    }

    /// Leaves a write unanswered. Were only this one refused, those behind it might be done before it is sent again; so
    /// the connection ends as busy, and the client sends what was not answered anew, in its order.
    pub(super) fn end_busy(&mut self) {
        self.preparing = None;
        self.in_flight -= 1;
        self.part(Refusal::plain(Code::BUSY).with(json!({"retry_after_ms": 100})));
    }

    fn unsend(&mut self, handler: &Handler) {
        self.writes_sent -= 1;
        self.leave_writer(handler);
    }

    /// It is no longer on its way through the writer.
    fn leave_writer(&mut self, handler: &Handler) {
        self.looks_in_writer -= usize::from(!handler.row.kind.is_write());
        if handler.row.kind == Kind::Bulk {
            self.bulk_in_writer = false;
        }
    }

    /// The writer is gone. This was the last write sent, so those that reads wait for stay the same.
    pub(super) fn refuse_write(&mut self, asked: Asked, handler: &'static Handler) {
        self.unsend(handler);
        self.preparing = None;
        self.answer(asked, Err(Refusal::plain(Code::SHUTTING_DOWN)));
    }

    /// Passes on what the writer or a thread has answered.
    pub(super) fn take_answer(&mut self, answer: Answered) {
        let Answered { asked, handler, is_write, outcome } = answer;
        let outcome = outcome.and_then(|reply| match handler.finish {
            Some(finish) => finish(&reply, &self.shared.daemon.keys.now()).map_err(|fault| fault.told(handler.row)),
            None => Ok(reply),
        });
        if is_write {
            self.writes_answered += 1;
            self.leave_writer(handler);
            if self.writes_answered == self.writes_sent && self.prepares_again(&outcome) {
                return;
            }
        }
        self.answer(asked, outcome);
    }
}
