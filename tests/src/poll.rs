//! Polling with a bound, for what a test waits for and has no event.

use std::time::{Duration, Instant};

/// The longest wait; a slow machine does nothing here that takes so long.
const LONGEST: Duration = Duration::from_secs(30);

/// Waits until this is true. Panics with `what` when the time is over.
pub fn until(what: &str, is_true: impl FnMut() -> bool) {
    until_within(LONGEST, what, is_true);
}

/// The same with another longest wait.
pub fn until_within(longest: Duration, what: &str, mut is_true: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < longest, "not within {longest:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
