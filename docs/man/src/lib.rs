//! The manual pages (man pages) of enrolld, in roff: `enrolld(8)`, `enrollctl(1)` with one page for each area
//! and one for the console, `enrolld.toml(5)` and `enrolld-backup(7)`.
//!
//! Nothing is written twice. Commands, options and examples come from the command lines of both programs, keys from the
//! example configuration, and the rest from the pages in `docs/`.

mod commands;
mod configuration;
mod manual;
mod markdown;

pub use commands::{Example, examples};
pub use manual::Page;

/// Every page.
pub fn pages() -> Vec<Page> {
    let mut pages =
        vec![commands::enrolld(), commands::enrollctl(), commands::console(), configuration::page(), backup()];
    pages.extend(commands::areas());
    pages
}

/// `enrolld-backup(7)`: the page on backups.
fn backup() -> Page {
    let mut manual = manual::Manual::new("enrolld-backup", 7, "what to copy, how to rehearse, and how to restore");
    manual.heading("DESCRIPTION");
    markdown::write(&mut manual, include_str!("../../backup.md"));
    manual.see_also(&["enrolld(8)", "enrollctl-server(1)", "enrolld.toml(5)"]);
    manual.finish()
}
