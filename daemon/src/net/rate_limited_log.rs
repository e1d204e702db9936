//! A rate-limited log: what others can cause as often as they like fills no disk.

use std::time::{Duration, Instant};

/// Least time between two lines of one kind.
const LOG_PAUSE: Duration = Duration::from_secs(1);

/// One kind of line at most once in [`LOG_PAUSE`], with the count of those left out.
#[derive(Default)]
pub(super) struct RateLimitedLog {
    last: Option<Instant>,
    unsaid: u64,
}

impl RateLimitedLog {
    /// Writes the line, or counts it for the next one.
    pub(super) fn say(&mut self, line: impl FnOnce(u64)) {
        if self.last.is_some_and(|last| last.elapsed() < LOG_PAUSE) {
            self.unsaid += 1;
            return;
        }
        self.last = Some(Instant::now());
        line(std::mem::take(&mut self.unsaid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_often_is_said_log_and_counted() {
        let (mut log, mut said) = (RateLimitedLog::default(), Vec::new());
        for _ in 0..10 {
            log.say(|unsaid| said.push(unsaid));
        }
        log.last = log.last.and_then(|last| last.checked_sub(LOG_PAUSE));
        log.say(|unsaid| said.push(unsaid));
        assert_eq!(said, [0, 9]);
    }
}
