//! An attempt: one run of the command, in a process group of its own, which ends with the runner.
//!
//! The command is started by way of this program: a second process of it asks the kernel to be killed when the runner
//! ends, and then becomes the command. So a runner that was killed leaves no command behind that would run beside the
//! next runner's.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ExitCode, ExitStatus, Stdio};

use enroll_client::protocol::changes::Change;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getppid};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

/// The first argument of the process that becomes the command. No area or option begins so.
const MARK: &str = "\u{1}hook";

/// Exit codes of a command that can not be run, as shells have them.
const NOT_FOUND: u8 = 127;
const NOT_RUN: u8 = 126;

/// This program, also where another version has taken its place on the disk.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// A running command.
#[derive(Debug)]
pub(super) struct Attempt {
    child: Child,
    input: Vec<u8>,
}

/// Becomes the command if this process was started for that; `None` otherwise.
pub(crate) fn become_command() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != MARK {
        return None;
    }
    let (parent, command) = (arguments.next()?, arguments.next()?);
    if set_pdeathsig(Signal::SIGKILL).is_err() || OsString::from(getppid().to_string()) != parent {
        // The runner has ended in between.
        return Some(ExitCode::from(NOT_RUN));
    }
    let err = std::process::Command::new(&command).args(arguments).exec();
    let _ = writeln!(io::stderr(), "enrollctl: {}: {err}", command.display());
    Some(ExitCode::from(if err.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN }))
}

impl Attempt {
    /// Starts the command for these changes.
    pub(super) fn begin(command: &[OsString], socket: &Path, batch: &[Change]) -> Result<Self, String> {
        let mut input = Vec::new();
        for change in batch {
            serde_json::to_writer(&mut input, change).map_err(|err| err.to_string())?;
            input.push(b'\n');
        }
        let seq = |change: Option<&Change>| change.map_or(0, |change| change.seq).to_string();
        let mut process = Command::new(THIS_PROGRAM);
        process.arg(MARK).arg(std::process::id().to_string()).args(command);
        process.env("ENROLLD_CHANGE_SEQ", seq(batch.first())).env("ENROLLD_CHANGE_LAST", seq(batch.last()));
        process.env("ENROLLD_SOCKET", socket).stdin(Stdio::piped()).process_group(0).kill_on_drop(true);
        let child = process.spawn().map_err(|err| format!("it can not be started: {err}"))?;
        Ok(Self { child, input })
    }

    /// The process group of the command and what it starts.
    pub(super) fn group(&self) -> Option<Pid> {
        self.child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw)
    }

    /// Gives the command its input and waits until it has ended. An error says how it failed. A command need not read.
    pub(super) async fn end(mut self) -> Result<(), String> {
        let stdin = self.child.stdin.take();
        let input = std::mem::take(&mut self.input);
        let writing = async move {
            if let Some(mut stdin) = stdin {
                let _ = stdin.write_all(&input).await;
            }
        };
        tokio::pin!(writing);
        let early = tokio::select! {
            biased;
            status = self.child.wait() => Some(status),
            () = &mut writing => None,
        };
        let status = match early {
            Some(status) => status,
            None => self.child.wait().await,
        };
        judge(status)
    }
}

/// Ends a command and what it has started.
pub(super) fn kill(group: Pid) {
    // It may have ended.
    let _ = killpg(group, Signal::SIGKILL);
}

fn judge(status: io::Result<ExitStatus>) -> Result<(), String> {
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) if status.code() == Some(i32::from(NOT_FOUND)) => Err(format!("{status}: not found")),
        Ok(status) => Err(status.to_string()),
        Err(err) => Err(err.to_string()),
    }
}
