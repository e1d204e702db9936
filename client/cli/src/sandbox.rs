//! The command `sandbox`: runs a command beside a private daemon, as a test environment.
//!
//! The command reaches the daemon by `ENROLLD_SOCKET`. Daemon, registry and socket are in a temporary directory, which is
//! removed when the command has ended, failed or been interrupted.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{self, Child};

use crate::failure::Failure;
use crate::options::Options;
use crate::output::Output;
use crate::process::private_daemon::PrivateDaemon;
use crate::process::signals::{self, Signals};

/// Lines of the daemon's log that are shown when the command has failed.
const LOG_LINES: usize = 30;

/// A command that has not ended this long after it was asked to is killed.
const STOP: Duration = Duration::from_secs(10);

/// Run a command with a daemon of its own
///
/// Starts an enrolld with an empty registry in a temporary directory, runs the command with ENROLLD_SOCKET set to its
/// socket, and removes everything when the command ends. It is for tests, of a service or of a script: no configuration of
/// this machine, no registry and no other daemon is touched, and any number of sandboxes can run at once. Without a
/// command it is a shell.
///
/// You are the daemon's user, so you may do everything there. The exit code is the command's, and 128 and the signal's
/// number where a signal ended it; if it is not 0, the last lines of the daemon's log are shown on standard error.
/// Signals go to the command, which has 10 seconds to end.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  enrollctl sandbox -- sh -c 'enrollctl person create DOGGO01a && enrollctl person list'
  enrollctl sandbox")]
struct Sandbox {
    /// The daemon's configuration; state_dir and socket in it do not count [default: every default]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The command and its arguments [default: $SHELL]
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// The command line.
pub(crate) fn command() -> Command {
    Sandbox::augment_args(Command::new("sandbox"))
}

/// Runs the command, and stops and removes the daemon also on a failure or a signal.
pub(crate) async fn run(matches: &ArgMatches, options: &Options, output: &Output) -> Result<ExitCode, Failure> {
    options.expect_no_daemon("sandbox")?;
    let sandbox = Sandbox::from_arg_matches(matches).map_err(|err| Failure::Usage(err.to_string()))?;
    // From here on no signal ends the process before its daemon is removed.
    let mut signals = Signals::listen().map_err(Failure::Io)?;
    let mut daemon = PrivateDaemon::spawn("sandbox", sandbox.config.as_deref())?;
    let started = tokio::select! {
        biased;
        signal = signals.next() => Ok(Some(signal)),
        started = daemon.await_start() => started.map(|()| None),
    };
    let outcome = match started {
        Ok(None) => sandbox.run(&mut daemon, &mut signals).await,
        Ok(Some(signal)) => Ok(signals::exit_code(signal)),
        Err(failure) => Err(failure),
    };
    if !matches!(outcome, Ok(0)) {
        daemon.log(LOG_LINES).iter().for_each(|line| output.note(&format!("enrolld's log: {line}")));
    }
    let stopped = daemon.stop().await;
    outcome.and_then(|code| stopped.map(|()| ExitCode::from(code)))
}

impl Sandbox {
    /// Runs the command to its end and returns its exit code. Fails if the daemon ends first.
    async fn run(&self, daemon: &mut PrivateDaemon, signals: &mut Signals) -> Result<u8, Failure> {
        let shell = || std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".into());
        let (program, args) = match self.command.split_first() {
            Some((program, args)) => (program.clone(), args),
            None => (shell(), &[][..]),
        };
        let mut command = process::Command::new(&program);
        command.args(args).env("ENROLLD_SOCKET", daemon.socket());
        // The private daemon runs as this user, whom these could exclude.
        command.env_remove("ENROLL_REQUIRE_PEER");
        let mut child = command
            .spawn()
            .map_err(|err| Failure::Own(format!("{}: {err}; the sandbox can not run it", program.display())))?;
        let ended = daemon.during(async { Ok(await_end(&mut child, signals).await) }).await;
        match ended {
            Ok(status) => Ok(code(status.map_err(Failure::Io)?)),
            Err(why) => {
                forward(&child, Signal::SIGTERM);
                let _ = end(&mut child).await;
                Err(Failure::Own(format!("the sandbox's daemon ended before the command: {why}")))
            }
        }
    }
}

/// Waits until the command has ended. A signal is passed on, and then it has to end in time.
async fn await_end(child: &mut Child, signals: &mut Signals) -> io::Result<ExitStatus> {
    let signal = tokio::select! {
        biased;
        status = child.wait() => return status,
        signal = signals.next() => signal,
    };
    // What is typed at a terminal reaches the command by itself.
    if signal != Signal::SIGINT || !io::stdin().is_terminal() {
        forward(child, signal);
    }
    end(child).await
}

/// Waits until the command has ended, and kills it when its time is over.
async fn end(child: &mut Child) -> io::Result<ExitStatus> {
    if let Ok(status) = tokio::time::timeout(STOP, child.wait()).await {
        return status;
    }
    child.kill().await?;
    child.wait().await
}

fn forward(child: &Child, signal: Signal) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        // It may have ended in between.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// The exit code of a shell for a command that ended so.
fn code(status: ExitStatus) -> u8 {
    let of_signal = || status.signal().map(|number| number.saturating_add(128));
    status.code().or_else(of_signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
