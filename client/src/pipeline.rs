//! The request pipeline of a client, without I/O: the open requests, the next to send, and the effect of each frame.
//!
//! A request is open from its call to its answer, across connections. It is unsent or in flight; a lost connection and
//! a `busy` answer make it unsent again. Unsent requests are sent in the order of their ids, which is the order of the
//! calls, so writes take effect in that order even after a connection was lost.

use std::collections::VecDeque;
use std::time::Duration;

use enroll_protocol::frame::{Frame, FrameKind, LENGTH_BYTES};
use enroll_protocol::limits::IN_FLIGHT_MAX;
use enroll_protocol::{Code, Refusal, codec};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::backoff::Jitter;
use crate::error::Error;

/// Bytes of one fill at most, so that large requests are not all copied at once.
const TURN_BYTES_MAX: usize = 128 << 10;

/// The wait after a `busy` that names none.
const BUSY_WAIT: Duration = Duration::from_millis(50);

/// A request with its answer's channel.
#[derive(Debug)]
pub(crate) struct Job {
    /// Ascending in the order of the calls.
    pub(crate) id: u64,
    /// The complete frame, kept until the answer to be sent again.
    pub(crate) frame: Vec<u8>,
    pub(crate) answer: oneshot::Sender<Result<Vec<u8>, Error>>,
}

/// The effect of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A request was answered.
    Answered,
    /// A request is sent again after the pause.
    Again,
    /// The connection has ended; the open requests are sent over the next one.
    Lost,
    /// The connection has ended, and the open requests fail.
    Failed(Error),
}

/// The open requests.
#[derive(Debug)]
pub(crate) struct Pipeline {
    /// The open requests by id, beginning with `first`; `None` where a request is answered.
    open: VecDeque<Option<Open>>,
    first: u64,
    /// Requests in `open`.
    count: usize,
    /// Those of them that are in flight.
    in_flight: usize,
    /// No request before this id is unsent.
    next: u64,
    /// The end of a pause after `busy`. It holds back all requests, so that none overtakes the refused one.
    paused_until: Option<Instant>,
    busy_for: Duration,
    jitter: Jitter,
}

#[derive(Debug)]
struct Open {
    frame: Vec<u8>,
    answer: oneshot::Sender<Result<Vec<u8>, Error>>,
    is_sent: bool,
    busy_since: Option<Instant>,
}

impl Pipeline {
    /// An empty pipeline. A request that is `busy` for this long is answered so.
    pub(crate) fn new(busy_for: Duration) -> Self {
        let (open, jitter) = (VecDeque::new(), Jitter::new());
        Self { open, first: 0, count: 0, in_flight: 0, next: 0, paused_until: None, busy_for, jitter }
    }

    /// The number of open requests.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// True if no request is open.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// True if a request waits to be sent.
    pub(crate) fn has_unsent(&self) -> bool {
        self.in_flight < self.count
    }

    /// The end of the pause, if sending is paused.
    pub(crate) fn paused_until(&self) -> Option<Instant> {
        self.paused_until
    }

    /// Adds a request. Threads may call in another order than that of their ids.
    pub(crate) fn push(&mut self, job: Job) {
        let Job { id, frame, answer } = job;
        if self.open.is_empty() {
            self.first = id;
        }
        while id < self.first {
            self.open.push_front(None);
            self.first -= 1;
        }
        while self.first + self.open.len() as u64 <= id {
            self.open.push_back(None);
        }
        if let Some(place) = self.at(id).and_then(|at| self.open.get_mut(at)) {
            *place = Some(Open { frame, answer, is_sent: false, busy_since: None });
        }
        self.count += 1;
        self.next = self.next.min(id);
    }

    /// Appends the frames that may be sent now.
    pub(crate) fn fill(&mut self, bytes: &mut Vec<u8>, frame_bytes_max: usize, now: Instant) {
        if self.paused_until.is_some_and(|until| now < until) {
            return;
        }
        self.paused_until = None;
        self.next = self.next.max(self.first);
        while self.has_unsent() && bytes.len() < TURN_BYTES_MAX && self.in_flight < IN_FLIGHT_MAX {
            let id = self.next;
            self.next += 1;
            let Some(open) = self.get_mut(id).filter(|open| !open.is_sent) else { continue };
            let frame_bytes = open.frame.len() - LENGTH_BYTES;
            if open.answer.is_closed() {
                self.remove(id);
            } else if frame_bytes > frame_bytes_max {
                self.answer(id, Err(Error::Refused(too_large(frame_bytes, frame_bytes_max))));
            } else {
                open.is_sent = true;
                bytes.extend_from_slice(&open.frame);
                self.in_flight += 1;
            }
        }
    }

    /// Handles a frame.
    pub(crate) fn take(&mut self, frame: Frame<'_>, now: Instant) -> Step {
        match frame.kind {
            FrameKind::Reply => self.answer(frame.id, Ok(frame.body.to_vec())),
            FrameKind::Refused => match codec::decode::<Refusal>(frame.body) {
                Ok(refusal) => self.refused(frame.id, refusal, now),
                Err(err) => Step::Failed(Error::Protocol(format!("a refusal of the daemon: {err}"))),
            },
            kind => Step::Failed(Error::Protocol(format!("the daemon sent an unexpected frame: {kind:?}"))),
        }
    }

    /// Handles a lost connection: requests that are still awaited become unsent.
    pub(crate) fn lost(&mut self) {
        for place in &mut self.open {
            match place {
                Some(open) if open.answer.is_closed() => {
                    *place = None;
                    self.count -= 1;
                }
                Some(open) => open.is_sent = false,
                None => {}
            }
        }
        (self.in_flight, self.next, self.paused_until) = (0, self.first, None);
    }

    /// Answers all open requests with this error.
    pub(crate) fn fail_all(&mut self, error: &Error) {
        (self.count, self.in_flight, self.paused_until) = (0, 0, None);
        for open in std::mem::take(&mut self.open).into_iter().flatten() {
            let _ = open.answer.send(Err(error.clone()));
        }
    }

    fn refused(&mut self, id: u64, refusal: Refusal, now: Instant) -> Step {
        match (id, refusal.code) {
            (0, Code::BUSY | Code::SHUTTING_DOWN | Code::OUTCOME_UNKNOWN) => Step::Lost,
            (0, _) => Step::Failed(Error::Refused(refusal)),
            (_, Code::BUSY) => self.busy(id, refusal, now),
            // Sent again under its idempotency key, the request gets its outcome.
            (_, Code::SHUTTING_DOWN | Code::OUTCOME_UNKNOWN) => Step::Lost,
            _ => self.answer(id, Err(Error::Refused(refusal))),
        }
    }

    fn busy(&mut self, id: u64, refusal: Refusal, now: Instant) -> Step {
        let wait_ms = refusal.details.as_ref().and_then(|details| details.member("retry_after_ms").ok().flatten());
        let wait = self.jitter.spread(wait_ms.map_or(BUSY_WAIT, Duration::from_millis).min(self.busy_for));
        let busy_for = self.busy_for;
        let Some(open) = self.get_mut(id) else { return not_asked(id) };
        if now + wait > *open.busy_since.get_or_insert(now) + busy_for {
            return self.answer(id, Err(Error::Refused(refusal)));
        }
        if std::mem::take(&mut open.is_sent) {
            self.in_flight -= 1;
            self.next = self.next.min(id);
        }
        self.paused_until = self.paused_until.max(Some(now + wait));
        Step::Again
    }

    fn answer(&mut self, id: u64, answer: Result<Vec<u8>, Error>) -> Step {
        let Some(open) = self.remove(id) else { return not_asked(id) };
        // The caller may have dropped the receiver.
        let _ = open.answer.send(answer);
        Step::Answered
    }

    /// The index of an id.
    fn at(&self, id: u64) -> Option<usize> {
        usize::try_from(id.checked_sub(self.first)?).ok()
    }

    fn get_mut(&mut self, id: u64) -> Option<&mut Open> {
        let at = self.at(id)?;
        self.open.get_mut(at)?.as_mut()
    }

    fn remove(&mut self, id: u64) -> Option<Open> {
        let at = self.at(id)?;
        let open = self.open.get_mut(at)?.take()?;
        self.count -= 1;
        self.in_flight -= usize::from(open.is_sent);
        while let Some(None) = self.open.front() {
            self.open.pop_front();
            self.first += 1;
        }
        Some(open)
    }
}

fn not_asked(id: u64) -> Step {
    Step::Failed(Error::Protocol(format!("the daemon answered request {id}, which is not open")))
}

fn too_large(bytes: usize, bytes_max: usize) -> Refusal {
    Refusal::new(Code::TOO_LARGE, format!("the request takes {bytes} bytes; the daemon takes at most {bytes_max}"))
}

#[cfg(test)]
mod tests {
    use enroll_protocol::frame;

    use super::*;

    struct Fixture {
        pipeline: Pipeline,
        answers: Vec<oneshot::Receiver<Result<Vec<u8>, Error>>>,
        now: Instant,
    }

    impl Fixture {
        /// With this many requests, of ids from 1; the body of each is one byte.
        fn new(requests: u64) -> Self {
            let (mut pipeline, mut answers) = (Pipeline::new(Duration::from_secs(10)), Vec::new());
            for id in 1..=requests {
                let (answer, receiver) = oneshot::channel();
                let mut frame = Vec::new();
                frame::append(&mut frame, FrameKind::Request, 7, id, &true);
                pipeline.push(Job { id, frame, answer });
                answers.push(receiver);
            }
            Self { pipeline, answers, now: Instant::now() }
        }

        /// The ids that are sent now.
        fn sent(&mut self) -> Vec<u64> {
            let (mut reader, mut bytes) = (frame::FrameReader::new(1024), Vec::new());
            self.pipeline.fill(&mut bytes, 1024, self.now);
            reader.push(&bytes);
            let mut ids = Vec::new();
            while let Some(frame) = reader.next_frame().expect("frames") {
                ids.push(frame.id);
            }
            ids
        }

        fn reply(&mut self, id: u64) -> Step {
            self.pipeline.take(Frame { kind: FrameKind::Reply, operation: 7, id, body: b"!" }, self.now)
        }

        fn refuse(&mut self, id: u64, refusal: &Refusal) -> Step {
            self.pipeline
                .take(Frame { kind: FrameKind::Refused, operation: 0, id, body: &codec::encode(refusal) }, self.now)
        }
    }

    #[test]
    fn no_more_than_the_window_is_in_flight() {
        let window = IN_FLIGHT_MAX as u64;
        let mut fixture = Fixture::new(window + 2);
        assert_eq!(fixture.sent(), (1..=window).collect::<Vec<_>>());
        assert!(fixture.sent().is_empty());
        assert_eq!(fixture.reply(9), Step::Answered);
        assert_eq!(fixture.sent(), [window + 1]);
    }

    #[test]
    fn a_lost_connection_sends_what_is_open_again_in_order() {
        let mut fixture = Fixture::new(5);
        assert_eq!(fixture.sent(), [1, 2, 3, 4, 5]);
        assert_eq!(fixture.reply(2), Step::Answered);
        drop(fixture.answers.remove(3));
        fixture.pipeline.lost();
        assert_eq!(fixture.sent(), [1, 3, 5], "2 is answered, and 4 is no longer awaited");
    }

    #[test]
    fn requests_that_come_out_of_order_are_sent_and_answered_each_once() {
        let mut fixture = Fixture::new(0);
        for id in [5, 3, 9, 4] {
            let (answer, receiver) = oneshot::channel();
            let mut frame = Vec::new();
            frame::append(&mut frame, FrameKind::Request, 7, id, &true);
            fixture.pipeline.push(Job { id, frame, answer });
            fixture.answers.push(receiver);
        }
        assert_eq!(fixture.sent(), [3, 4, 5, 9]);
        for id in [3, 9, 5, 4] {
            assert_eq!(fixture.reply(id), Step::Answered, "{id}");
            assert_eq!(fixture.reply(id), not_asked(id));
        }
        assert!(fixture.pipeline.is_empty() && !fixture.pipeline.has_unsent());
    }

    #[test]
    fn refusals_end_the_request_the_connection_or_everything() {
        let known = |code| Refusal::plain(code);
        for (id, refusal, expected) in [
            (1, known(Code::NOT_FOUND), Step::Answered),
            (1, known(Code::BUSY), Step::Again),
            (1, known(Code::SHUTTING_DOWN), Step::Lost),
            (1, known(Code::OUTCOME_UNKNOWN), Step::Lost),
            (0, known(Code::SHUTTING_DOWN), Step::Lost),
            (0, known(Code::INVALID_ARGUMENT), Step::Failed(Error::Refused(known(Code::INVALID_ARGUMENT)))),
            (9, known(Code::NOT_FOUND), not_asked(9)),
        ] {
            let mut fixture = Fixture::new(1);
            assert_eq!(fixture.sent(), [1]);
            assert_eq!(fixture.refuse(id, &refusal), expected, "{id} {refusal:?}");
        }
    }

    #[test]
    fn busy_holds_everything_back_for_its_time() {
        let mut fixture = Fixture::new(2);
        assert_eq!(fixture.sent(), [1, 2]);
        let busy = Refusal::plain(Code::BUSY).with(serde_json::json!({"retry_after_ms": 1000}));
        assert_eq!(fixture.refuse(2, &busy), Step::Again);
        assert_eq!(fixture.refuse(1, &busy), Step::Again);
        assert!(fixture.sent().is_empty());
        fixture.now += Duration::from_millis(1500);
        assert_eq!(fixture.sent(), [1, 2]);
        fixture.now += Duration::from_secs(8);
        assert_eq!(fixture.refuse(1, &busy), Step::Answered, "ten seconds would have passed");
        assert_eq!(fixture.answers[0].try_recv(), Ok(Err(Error::Refused(busy))));
    }

    #[test]
    fn a_request_over_the_frame_limit_is_refused_here() {
        let mut fixture = Fixture::new(1);
        fixture.pipeline.fill(&mut Vec::new(), 5, fixture.now);
        let answer = fixture.answers[0].try_recv().expect("an answer");
        assert_eq!(answer.expect_err("a refusal").refusal().map(|refusal| refusal.code), Some(Code::TOO_LARGE));
    }
}
