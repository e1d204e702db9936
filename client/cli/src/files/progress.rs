//! Progress bars on standard error, for people at a terminal.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// The styles of a bar over bytes: with a known end, and without one.
pub(super) const BYTES: [&str; 2] = [
    "{bar:40} {percent}%, {bytes} of {total_bytes}, {elapsed}, {eta} left {msg}",
    "{spinner} {bytes}, {elapsed} {msg}",
];

/// A bar over the bytes of a file, in the second style if their number is unknown. Hidden if standard error is no
/// terminal or JSON was asked for.
pub(crate) fn progress_bar(bytes: Option<u64>, [with_end, without]: [&str; 2], output: &Output) -> ProgressBar {
    if output.is_json() || !io::stderr().is_terminal() {
        return hidden();
    }
    let (bar, template) = match bytes {
        Some(bytes) => (ProgressBar::new(bytes), with_end),
        None => (ProgressBar::no_length(), without),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A bar that is not drawn.
pub(super) fn hidden() -> ProgressBar {
    ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
}
