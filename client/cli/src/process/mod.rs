//! The process of a command line program: its arguments, its event loop, its exit code, and the servers it starts.
//!
//! `enrollctl` and `enroll-bench` are such programs.

pub mod child_server;
pub(crate) mod private_daemon;
pub mod signals;
pub(crate) mod stdin;
pub mod which;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use nix::sys::signal::{SigSet, Signal};

use crate::failure::Failure;
use crate::options::Options;
use crate::output::Output;
use crate::request::secret;

/// Parses the command line of this process by `command`, whose arguments include those of [`Options`], and runs it.
///
/// Returns the exit code. A failure is printed on standard error under the command's name.
pub fn run(
    command: Command,
    run: impl AsyncFnOnce(&ArgMatches, &Options, &Output) -> Result<ExitCode, Failure>,
) -> ExitCode {
    survive_file_size_limit();
    let program = command.get_name().to_owned();
    let matches = match command.try_get_matches() {
        Ok(matches) => matches,
        Err(err) => return refuse(&program, &secret::redacted(err)),
    };
    let options = Options::of(&program, &matches);
    let output = Output::new(&program, options.json).with_fields(options.fields.clone());
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::Io)
        .and_then(|runtime| runtime.block_on(run(&matches, &options, &output)));
    outcome.unwrap_or_else(|failure| output.failure(&failure))
}

/// Has a write at the file size limit fail, and say so, instead of ending the process without a word.
fn survive_file_size_limit() {
    let mut limit = SigSet::empty();
    limit.add(Signal::SIGXFSZ);
    // Where the signal can not be blocked, the limit ends the process.
    let _ = limit.thread_block();
}

/// Prints the help that was asked for, or why the command line is refused.
fn refuse(program: &str, err: &clap::Error) -> ExitCode {
    let printed = err.print().and_then(|()| io::stdout().flush());
    match printed {
        Err(lost) if !err.use_stderr() => Output::new(program, false).failure(&Failure::lost(&lost)),
        _ => ExitCode::from(u8::try_from(err.exit_code()).unwrap_or(2)),
    }
}
