//! Deadlines of a connection: for the rest of a frame that the peer began, for taking its answers, and an idle timeout;
//! and when to look again how much of its answers the kernel holds.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Limits;
use crate::daemon::abuse::{Abuse, AbuseLog};

/// The running deadlines of one connection.
pub(super) struct Deadlines {
    limits: Limits,
    heard: Instant,
    /// Since the first byte of a frame; later bytes do not move it.
    frame_since: Option<Instant>,
    /// Since answers wait, or some of them were taken.
    answers_since: Option<Instant>,
    /// Since the kernel was found to hold many bytes.
    unread_since: Option<Instant>,
}

/// Between two looks at a socket whose peer has not read what was written to it.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// A deadline that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Overdue {
    /// The rest of a frame.
    Frame,
    /// Taking answers.
    Answers,
    /// Anything at all.
    Idle,
    /// A look at what the kernel holds.
    Look,
}

impl Overdue {
    /// Notes it in the abuse log, if it belongs there.
    pub(super) fn note(self, log: &AbuseLog, uid: u32) {
        match self {
            Self::Frame => log.note(Abuse::SlowFrame, uid),
            Self::Answers => log.note(Abuse::UntakenAnswers, uid),
            Self::Idle | Self::Look => {}
        }
    }
}

impl Deadlines {
    /// Of a connection that begins now.
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, heard: Instant::now(), frame_since: None, answers_since: None, unread_since: None }
    }

    /// The peer sent something.
    pub(super) fn heard(&mut self) {
        self.heard = Instant::now();
    }

    /// The peer took some of its answers.
    pub(super) fn taken(&mut self) {
        self.heard = Instant::now();
        self.answers_since = Some(self.heard);
    }

    /// Notes if answers wait to be taken.
    pub(super) fn note_answers(&mut self, wait: bool) {
        self.answers_since = wait.then(|| self.answers_since.unwrap_or_else(Instant::now));
    }

    /// True if a frame was begun and not finished.
    pub(super) fn note_frame(&mut self, is_unfinished: bool) {
        self.frame_since = is_unfinished.then(|| self.frame_since.unwrap_or_else(Instant::now));
    }

    /// Notes whether a look found that the kernel holds many bytes.
    pub(super) fn note_look(&mut self, is_much: bool) {
        self.unread_since = is_much.then(Instant::now);
    }

    /// The earliest deadline, and which it is. The idle timeout counts only while no request is in flight.
    pub(super) fn earliest(&self, has_in_flight: bool) -> Option<(Instant, Overdue)> {
        let Limits { finish_frame, take_answer, idle: idle_max, .. } = self.limits;
        let frame = self.frame_since.map(|since| (since + finish_frame, Overdue::Frame));
        let answers = self.answers_since.map(|since| (since + take_answer, Overdue::Answers));
        let idle = (!has_in_flight).then(|| (self.heard + idle_max, Overdue::Idle));
        let look = self.unread_since.map(|since| (since + LOOK_PAUSE, Overdue::Look));
        [frame, answers, idle, look].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn more_bytes_of_a_frame_do_not_give_it_more_time() {
        let mut deadlines = Deadlines::new(Config::default().limits());
        deadlines.note_frame(true);
        let due = deadlines.earliest(true);
        assert!(matches!(due, Some((_, Overdue::Frame))));
        deadlines.heard();
        deadlines.note_frame(true);
        assert_eq!(deadlines.earliest(true), due);
        deadlines.note_frame(false);
        deadlines.note_frame(true);
        assert!(deadlines.earliest(true) > due, "the next frame has its own time");
    }

    #[test]
    fn a_peer_that_sends_and_does_not_read_gains_no_time() {
        let limits = Config::default().limits();
        let mut deadlines = Deadlines::new(limits);
        deadlines.note_answers(true);
        let due = deadlines.earliest(false);
        assert!(matches!(due, Some((_, Overdue::Answers))));
        deadlines.heard();
        deadlines.note_answers(true);
        assert_eq!(deadlines.earliest(false), due);
        deadlines.taken();
        assert_eq!(deadlines.earliest(false), Some((deadlines.heard + limits.take_answer, Overdue::Answers)));
        deadlines.note_answers(false);
        assert_eq!(deadlines.earliest(false), Some((deadlines.heard + limits.idle, Overdue::Idle)));
        assert_eq!(deadlines.earliest(true), None);
    }
}
