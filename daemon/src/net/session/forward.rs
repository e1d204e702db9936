//! Forwarded requests of a session: at a standby, writes and look-ups of codes go to the member that leads.

use enroll_protocol::{Code, Envelope, Refusal};
use serde_json::json;

use super::Session;

use crate::dispatch::{Job, Look};
use crate::net::handshake::RETRY_AFTER_MS;
use crate::net::members::Carried;
use crate::net::pending::Pending;
use crate::net::socket::Socket;
use crate::writer::Outcome;

impl<S: Socket> Session<S> {
    /// True if only the daemon that leads may do this.
    pub(super) fn is_for_leader(job: &Job) -> bool {
        match job {
            Job::Write(_) => true,
            // Wrong codes are counted by one daemon, so that nobody has more guesses than the limit.
            Job::Look(Look::Read(job)) => job.takes_code(),
            Job::Look(_) => false,
        }
    }

    /// True for a standby that reads its own copy as it is, while nothing was forwarded here that it may not have yet.
    pub(super) fn may_read_locally(&self) -> bool {
        self.shared.reads_locally && self.link.is_none() && self.shared.daemon.role.is_standby()
    }

    /// Sends a request to the leader. Where that takes none from here it is refused as busy.
    pub(super) fn forward(&mut self, pending: Pending, envelope: Envelope, job: &Job) {
        // One that was forwarded here once is not forwarded again: another member leads by now.
        let is_own = self.peer.member.as_ref() == self.shared.daemon.role.member();
        let way = self.shared.forwarding.as_ref().filter(|way| is_own && way.is_open());
        let Some(way) = way else {
            self.was_standby = true;
            let refused = self.shared.daemon.role.check_active().err();
            return self.answer(pending, Err(refused.unwrap_or_else(|| Refusal::plain(Code::BUSY))));
        };
        // The writes that were refused are sent again first, on the next connection.
        if self.was_standby {
            return self.refuse_out_of_order(pending);
        }
        let (request, is_barrier) = match job {
            Job::Write(job) => (job.request(), job.is_barrier()),
            Job::Look(Look::Read(job)) => (job.request(), false),
            Job::Look(_) => return,
        };
        let mut carried = Carried { pending, envelope, request };
        if let Some(link) = &self.link {
            match link.send(carried) {
                Ok(()) => return self.has_forwarded(is_barrier),
                // Those before it have no outcome, so it must not overtake them.
                Err(_) if self.forwarded > 0 => return self.refuse_out_of_order(pending),
                Err(unsent) => carried = *unsent,
            }
        }
        let link = way.open(&self.peer, self.answers.clone());
        match link.send(carried) {
            Ok(()) => self.has_forwarded(is_barrier),
            Err(_) => self.refuse_out_of_order(pending),
        }
        self.link = Some(link);
    }

    fn has_forwarded(&mut self, is_barrier: bool) {
        self.open_writes += 1;
        self.forwarded += 1;
        self.has_barrier = is_barrier;
    }

    /// Passes on what the leader has answered.
    pub(super) fn take_forwarded(&mut self, pending: Pending, outcome: Outcome) {
        self.end_write();
        self.forwarded -= 1;
        self.answer(pending, outcome);
    }

    /// Answers what a link that has ended did not. Where the outcome of a request is unknown the connection ends, and its
    /// client sends what has none anew, in its order.
    pub(super) fn end_unforwarded(&mut self, unanswered: Vec<Pending>, unsent: Vec<Pending>) {
        let leader = self.shared.daemon.role.leader().unwrap_or_default();
        let why = format!("this daemon is a standby, and {leader}, which leads or led, does not answer; try again");
        let busy = Refusal::new(Code::BUSY, why).with(json!({"retry_after_ms": RETRY_AFTER_MS, "leader": leader}));
        let is_open = unanswered.is_empty();
        for pending in unanswered {
            self.take_forwarded(pending, Err(Refusal::plain(Code::OUTCOME_UNKNOWN)));
        }
        for pending in unsent {
            if is_open {
                self.was_standby = true;
                self.take_forwarded(pending, Err(busy.clone()));
            } else {
                self.end_write();
                self.forwarded -= 1;
                self.drop_unanswered(pending);
            }
        }
        if !is_open {
            self.close(busy);
        }
    }
}
