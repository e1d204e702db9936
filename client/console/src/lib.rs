//! The console of enrolld, `enrollctl-console`: a local web page for the one who starts it.
//!
//! `serve` owns the port, `owner` asks the kernel whose a connection is, `guard` judges each request, and `session` is
//! the one session there is. A page is a module of `pages`: it asks the daemon, makes a view model, and draws that.
//!
//! How a page is added:
//! 1. A module in `pages` with `routes() -> Router<Arc<Console>>`, merged in `pages::router`, and a row of
//!    `layout::SECTIONS` if it is in the navigation. Addresses of records are made in `address`.
//! 2. A view model: a struct of what the page shows, made from replies of operations, with
//!    `fn markup(&self, context: &Context) -> Markup`. It is pure, and tests make both by hand (`Context::for_tests`).
//! 3. A handler `async fn show(visit: Visit, ...) -> Answer`, which ends in `visit.page(section, title, markup)`. An
//!    error of the client is `.map_err(|error| visit.failed(error))?`, which says what the command line says.
//! 4. A write: the form is drawn by `context.form(action, inside)`, which gives it token and idempotency key and draws
//!    nothing in a read-only console. Its handler takes `form::Sent`, asks with `sent.key` (or `sent.unit_key(pk)` for
//!    each of several), and ends in `sent.done(outcomes)`: a 303 to the page it came from, which then shows each
//!    outcome. Where an input is wrong, the page is drawn again by `visit.page_with(.., problems)`, input kept.
//!
//! Never: a `style=` attribute, an inline script, an address of another host, a `PreEscaped` of anything but text that
//! is part of this program. Text of people is drawn by `shown::shown`.

mod address;
mod assets;
mod browser;
mod console;
mod context;
mod extra;
mod field;
mod form;
mod guard;
mod key;
mod layout;
mod live;
mod outcome;
mod owner;
mod pages;
mod paging;
mod records;
mod refusal;
mod report;
mod secret;
mod serve;
mod session;
mod shown;
mod told;
mod visit;
mod when;

use std::process::ExitCode;

use clap::{ArgMatches, Args as _, Command, FromArgMatches as _};
use enrollctl::console::Arguments;
use enrollctl::failure::Failure;
use enrollctl::options::Options;
use enrollctl::output::Output;

/// Runs the console with the command line of this process and returns its exit code.
pub fn main() -> ExitCode {
    enrollctl::process::run(command(), run)
}

fn command() -> Command {
    let command = Options::augment_args(Command::new("enrollctl-console"));
    Arguments::augment_args(command).version(env!("CARGO_PKG_VERSION"))
}

async fn run(matches: &ArgMatches, options: &Options, output: &Output) -> Result<ExitCode, Failure> {
    options.expect_no_request("console")?;
    options.expect_no_field("console")?;
    options.read_jwt(output)?;
    options.expect_socket()?;
    let arguments = Arguments::from_arg_matches(matches).map_err(|err| Failure::Usage(err.to_string()))?;
    serve::run(&arguments, options, output).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }
}
