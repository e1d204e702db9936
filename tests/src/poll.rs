//! Polling with a bound, for what a test waits for and has no event.

use std::sync::atomic::{AtomicBool, Ordering};
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

/// Raises a flag when it is dropped, also by a panic: threads of a scope that go on until then end, and the panic is told.
pub struct RaisedAtEnd<'a>(pub &'a AtomicBool);

impl Drop for RaisedAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
