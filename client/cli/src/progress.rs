//! How far a long command has come, for whoever looks at a terminal.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// A bar over the bytes of a file; without its end, in the second of the two styles, where nobody knows it; nothing where
/// nobody looks.
pub(crate) fn bar(bytes: Option<u64>, [with_end, without]: [&str; 2], output: &Output) -> ProgressBar {
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

/// One that is not seen.
pub(crate) fn hidden() -> ProgressBar {
    ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
}
