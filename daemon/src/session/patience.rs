//! How long a peer may keep its connection waiting: for the rest of a frame that it began, for taking its answers, for
//! any word at all.

use tokio::time::Instant;

use crate::config::Limits;

/// What a peer is waited for, and since when.
pub(super) struct Patience {
    limits: Limits,
    heard: Instant,
    /// Since the first byte of a frame; later bytes do not move it.
    frame_since: Option<Instant>,
    /// Since answers wait, or some of them were taken.
    answers_since: Option<Instant>,
}

/// What was waited for in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Overdue {
    /// The rest of a frame.
    Frame,
    /// Taking answers.
    Answers,
    /// Any word.
    Word,
}

impl Patience {
    /// Of a connection that begins now.
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, heard: Instant::now(), frame_since: None, answers_since: None }
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

    /// Whether answers wait to be taken.
    pub(super) fn note_answers(&mut self, wait: bool) {
        self.answers_since = wait.then(|| self.answers_since.unwrap_or_else(Instant::now));
    }

    /// Whether a frame was begun and not finished.
    pub(super) fn note_frame(&mut self, is_unfinished: bool) {
        self.frame_since = is_unfinished.then(|| self.frame_since.unwrap_or_else(Instant::now));
    }

    /// Until when the peer must do what it is waited for, if it is; only while nothing of it is at work must it say
    /// anything.
    pub(super) fn due(&self, is_at_work: bool) -> Option<(Instant, Overdue)> {
        let Limits { finish_frame, take_answer, idle, .. } = self.limits;
        let frame = self.frame_since.map(|since| (since + finish_frame, Overdue::Frame));
        let answers = self.answers_since.map(|since| (since + take_answer, Overdue::Answers));
        let word = (!is_at_work).then(|| (self.heard + idle, Overdue::Word));
        [frame, answers, word].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn more_bytes_of_a_frame_do_not_give_it_more_time() {
        let mut patience = Patience::new(Config::default().limits());
        patience.note_frame(true);
        let due = patience.due(true);
        assert!(matches!(due, Some((_, Overdue::Frame))));
        patience.heard();
        patience.note_frame(true);
        assert_eq!(patience.due(true), due);
        patience.note_frame(false);
        patience.note_frame(true);
        assert!(patience.due(true) > due, "the next frame has its own time");
    }

    #[test]
    fn who_talks_and_does_not_listen_gains_nothing() {
        let limits = Config::default().limits();
        let mut patience = Patience::new(limits);
        patience.note_answers(true);
        let due = patience.due(false);
        assert!(matches!(due, Some((_, Overdue::Answers))));
        patience.heard();
        patience.note_answers(true);
        assert_eq!(patience.due(false), due);
        patience.taken();
        assert_eq!(patience.due(false), Some((patience.heard + limits.take_answer, Overdue::Answers)));
        patience.note_answers(false);
        assert_eq!(patience.due(false), Some((patience.heard + limits.idle, Overdue::Word)));
        assert_eq!(patience.due(true), None);
    }
}
