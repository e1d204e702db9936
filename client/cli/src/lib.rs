//! enrollctl, the command line of enrolld.
//!
//! Its verbs are not written here: they are made from the table of operations. What is written here is what is the
//! same for all of them, and the commands that are no operation: `call`, `bench`, `tour`, `completions`, and the
//! verbs that put several operations together: `pool show`, `event show`, `certificate show`, `certificate install`.

mod backup;
mod export;
mod extra;
mod failure;
mod import;
mod options;
mod place;
mod secret;
mod stream;
mod text;
mod tree;
mod verb;

mod bench;
mod bulk;
mod call;
mod certificate_install;
mod certificate_show;
mod event_show;
mod pool_show;
mod tour;

mod members;
mod names;
mod output;
mod private;
mod program;
mod progress;
mod signals;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::ArgMatches;
use nix::sys::signal::{SigSet, Signal};

use crate::failure::Failure;
use crate::options::Options;
use crate::output::Output;

pub use crate::call::{Ask, Lines, Question};

/// Does what this process's command line says.
pub fn main() -> ExitCode {
    outlive_file_size_limit();
    let matches = match tree::command().try_get_matches() {
        Ok(matches) => matches,
        Err(err) => return refuse(&secret::without(err)),
    };
    let options = Options::of(&matches);
    let output = Output::new(options.json);
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::Io)
        .and_then(|runtime| runtime.block_on(run(&matches, &options, &output)));
    outcome.unwrap_or_else(|failure| output.failure(&failure))
}

/// Has a write at the file size limit fail, and say so, instead of ending the process without a word.
fn outlive_file_size_limit() {
    let mut limit = SigSet::empty();
    limit.add(Signal::SIGXFSZ);
    // Where it can not be, the limit ends the process.
    let _ = limit.thread_block();
}

/// Prints the help that was asked for, or what is wrong with the command line.
fn refuse(err: &clap::Error) -> ExitCode {
    let printed = err.print().and_then(|()| io::stdout().flush());
    match printed {
        Err(lost) if !err.use_stderr() => Output::new(false).failure(&Failure::lost(&lost)),
        _ => ExitCode::from(u8::try_from(err.exit_code()).unwrap_or(2)),
    }
}

async fn run(matches: &ArgMatches, options: &Options, output: &Output) -> Result<ExitCode, Failure> {
    if let Some((command @ ("call" | "bench" | "tour" | "completions"), _)) = matches.subcommand() {
        options.expect_no_request(command)?;
    }
    if !matches!(matches.subcommand_name(), Some("completions" | "tour")) {
        options.expect_socket()?;
    }
    match matches.subcommand() {
        Some(("call", _)) => call::run(options).await,
        Some(("bench", matches)) => bench::run(options, matches, output).await,
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
