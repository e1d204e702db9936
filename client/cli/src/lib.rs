//! The command line of enrolld, `enrollctl`.
//!
//! Its commands are derived from the table of operations. Written here is what all of them share, and the commands
//! that are no operation: `call`, `wait`, `doctor`, `top`, `console`, `tour`, `sandbox`, `import`, `completions`,
//! `explain-error`,
//! `certificate install`, `changes of`, `changes run`, `changes skip`, `event history`, and the `show` of pools, events and
//! certificates.
//!
//! The modules that are public are the base of `enroll-bench` and `enroll-console` too.

pub mod console;
pub mod explain;
pub mod failure;
pub mod options;
pub mod output;
pub mod process;

mod commands;
mod operation;
mod request;
mod stream;

mod bulk;
mod call;
mod completion;
mod decisions;
mod doctor;
mod files;
mod history;
mod hooks;
mod migration;
mod sandbox;
mod show;
mod story;
mod top;
mod tour;
mod wait;

use std::process::ExitCode;

use clap::ArgMatches;
use enroll_client::protocol::raw_object;

use crate::failure::Failure;
use crate::files::credentials;
use crate::options::Options;
use crate::output::Output;

pub use crate::call::{Ask, Lines, Question};
pub use crate::commands::command;
pub use crate::show::certificate_fields;

/// Runs the command line of this process and returns its exit code.
pub fn main() -> ExitCode {
    hooks::become_command().or_else(completion::answer).unwrap_or_else(|| process::run(command(), run))
}

async fn run(matches: &ArgMatches, options: &Options, output: &Output) -> Result<ExitCode, Failure> {
    if matches.subcommand_matches("console").is_some() {
        return console::run();
    }
    let alone = ["call", "doctor", "tour", "sandbox", "completions", "explain-error", "wait", "top"];
    if let Some(command) = matches.subcommand_name().filter(|name| alone.contains(name)) {
        options.expect_no_request(command)?;
        options.expect_no_jwt(command)?;
        options.expect_no_field(command)?;
    }
    options.expect_one_form()?;
    options.read_jwt(output)?;
    if !matches!(matches.subcommand_name(), Some("completions" | "tour" | "sandbox" | "explain-error")) {
        options.expect_socket()?;
    }
    match matches.subcommand() {
        Some(("call", _)) => call::run(options, output).await,
        Some(("wait", matches)) => wait::run(matches, options, output).await,
        Some(("top", matches)) => top::run(matches, options, output).await,
        Some(("doctor", _)) => doctor::run(options, output).await,
        Some(("tour", matches)) => tour::run(matches, options, output).await,
        Some(("sandbox", matches)) => sandbox::run(matches, options, output).await,
        Some(("import", matches)) => migration::run(matches, options, output).await,
        Some(("explain-error", matches)) => explain::run(matches, output).map(|()| ExitCode::SUCCESS),
        Some(("completions", matches)) => completion::run(matches, output),
        Some((area, matches))
            if let Some((verb, matches)) = matches.subcommand()
                && hooks::handles(area, verb) =>
        {
            hooks::run((verb, matches), options, output).await
        }
        Some(("changes", matches)) if let Some(("of", matches)) = matches.subcommand() => {
            story::run(matches, options, output).await
        }
        Some(("event", matches)) if let Some(("history", matches)) = matches.subcommand() => {
            history::run(matches, options, output).await
        }
        Some((area, matches)) if let Some(("show", matches)) = matches.subcommand() => {
            show::run(area, matches, options, output).await
        }
        Some(("certificate", matches)) if let Some(("install", matches)) = matches.subcommand() => {
            options.expect_no_request("certificate install")?;
            options.expect_no_field("certificate install")?;
            credentials::run(matches, options, output).await
        }
        Some((area, matches)) => operation::run(area, matches, options, output).await,
        None => Err(Failure::Usage("expected a command; see enrollctl --help".to_owned())),
    }
}
