//! The command line of enrolld, `enrollctl`.
//!
//! Its commands are derived from the table of operations. Written here is what all of them share, and the commands
//! that are no operation: `call`, `tour`, `completions`, and those that combine several operations: `pool show`,
//! `event show`, `certificate show` and `certificate install`.
//!
//! The modules that are public are the base of `enroll-bench` too.

pub mod failure;
pub mod options;
pub mod output;
pub mod process;

mod backup;
mod export;
mod extra;
mod import;
mod place;
mod secret;
mod stream;
mod text;
mod tree;
mod verb;

mod bulk;
mod call;
mod certificate_install;
mod certificate_show;
mod event_show;
mod pool_show;
mod tour;

mod members;
mod names;
mod progress;

use std::process::ExitCode;

use clap::ArgMatches;

use crate::failure::Failure;
use crate::options::Options;
use crate::output::Output;

pub use crate::call::{Ask, Lines, Question};

/// Does what this process's command line says.
pub fn main() -> ExitCode {
    process::run(tree::command(), run)
}

async fn run(matches: &ArgMatches, options: &Options, output: &Output) -> Result<ExitCode, Failure> {
    if let Some((command @ ("call" | "tour" | "completions"), _)) = matches.subcommand() {
        options.expect_no_request(command)?;
    }
    if !matches!(matches.subcommand_name(), Some("completions" | "tour")) {
        options.expect_socket()?;
    }
    match matches.subcommand() {
        Some(("call", _)) => call::run(options).await,
        Some(("tour", _)) => tour::run(options, output).await,
        Some(("completions", matches)) => output.raw(&tree::completions(matches)).map(|()| ExitCode::SUCCESS),
        Some(("pool", matches)) if let Some(("show", matches)) = matches.subcommand() => {
            pool_show::run(matches, options, output).await
        }
        Some(("event", matches)) if let Some(("show", matches)) = matches.subcommand() => {
            event_show::run(matches, options, output).await
        }
        Some(("certificate", matches)) if let Some(("show", matches)) = matches.subcommand() => {
            certificate_show::run(matches, options, output).await
        }
        Some(("certificate", matches)) if let Some(("install", matches)) = matches.subcommand() => {
            options.expect_no_request("certificate install")?;
            certificate_install::run(matches, options, output).await
        }
        Some((area, matches)) => verb::run(area, matches, options, output).await,
        None => Err(Failure::Usage("expected a command; see enrollctl --help".to_owned())),
    }
}
