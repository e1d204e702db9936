//! Hooks: a command for each change of the feed, at least once and in order.
//!
//! `changes run` remembers in a position file which changes are passed: done, filtered out, given up into a file of dead
//! letters, or skipped by a human. A change is passed only after its command has succeeded, and the position is durable
//! before the next command of its queue begins; so after any crash at most the commands that ran are repeated, and none
//! is lost. It is deliberately no job queue: it knows no schedule, and no result but success.

mod attempt;
mod dead_letters;
mod feed;
mod filter;
mod passed;
mod position;
mod queues;
mod runner;
mod settings;
mod skip;
mod subjects;
mod textfile;

use std::process::ExitCode;

use clap::{ArgMatches, Args as _, Command, FromArgMatches as _};

use crate::failure::Failure;
use crate::options::Options;
use crate::output::Output;

pub(crate) use self::attempt::become_command;
pub(crate) use self::position::{Record, Stuck};

#[cfg(test)]
pub(crate) use self::subjects::tests;

/// The commands of the area `changes` that are no operation.
pub(crate) fn commands() -> [Command; 2] {
    [settings::Settings::augment_args(Command::new("run")), skip::Skip::augment_args(Command::new("skip"))]
}

/// True for one of these commands.
pub(crate) fn handles(area: &str, verb: &str) -> bool {
    area == "changes" && matches!(verb, "run" | "skip")
}

/// Runs one of the commands.
pub(crate) async fn run(
    (verb, matches): (&str, &ArgMatches),
    options: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let command = format!("changes {verb}");
    options.expect_no_request(&command)?;
    options.expect_no_jwt(&command)?;
    options.expect_no_field(&command)?;
    let usage = |err: clap::Error| Failure::Usage(err.to_string());
    match verb {
        "skip" => skip::run(skip::Skip::from_arg_matches(matches).map_err(usage)?, output).await,
        _ => runner::run(settings::Settings::from_arg_matches(matches).map_err(usage)?, options, output).await,
    }
}
