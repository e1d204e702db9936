//! Runners of hooks: an `enrollctl changes run` whose command speaks on its standard output, line by line.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::Receiver;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::process::{Home, PATIENCE, Process, lines_of};

/// A command that says the number of its change.
pub const SAY: &str = "echo \"$ENROLLD_CHANGE_SEQ\"";

/// A runner. Dropping it kills it.
#[derive(Debug)]
pub struct Hook {
    process: Process,
    notes: Receiver<String>,
}

/// The position file of the runners of a directory.
pub fn position(home: &Home) -> PathBuf {
    home.path("position")
}

/// The content of the position file.
pub fn record(home: &Home) -> Value {
    let text = std::fs::read_to_string(position(home)).expect("a position");
    serde_json::from_str(&text).expect("JSON")
}

/// A runner of this directory with these options and this shell script.
pub fn command<A: AsRef<OsStr>>(home: &Home, options: &[A], script: &str) -> Command {
    let mut command = home.enrollctl(&["changes", "run", "--position"]);
    command.arg(position(home)).args(options).args(["--", "sh", "-c", script]);
    command
}

impl Hook {
    /// Starts a runner with these options and this shell script.
    pub fn start<A: AsRef<OsStr>>(home: &Home, options: &[A], script: &str) -> Self {
        Self::of(&mut command(home, options, script))
    }

    /// Starts a runner by a command of one's own.
    pub fn of(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("started");
        let lines = lines_of(child.stdout.take().expect("a pipe"));
        let notes = lines_of(child.stderr.take().expect("a pipe"));
        Self { process: Process { child, lines }, notes }
    }

    /// Waits for the next line of the commands.
    pub fn said(&self) -> String {
        self.process.lines.recv_timeout(PATIENCE).expect("a line")
    }

    /// Waits for so many lines of the commands.
    pub fn said_all(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.said()).collect()
    }

    /// Waits for a note of the runner with these words.
    pub fn noted(&self, words: &str) -> String {
        loop {
            let note = self.notes.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no note with \"{words}\""));
            if note.contains(words) {
                return note;
            }
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process.child.id()).expect("a pid");
        kill(Pid::from_raw(pid), signal).expect("a signal");
    }

    /// Asks it to stop. What its commands have said since, and its exit code.
    pub fn stop(self) -> (Vec<String>, Option<i32>) {
        self.signal(Signal::SIGTERM);
        self.end()
    }

    /// Kills it without a warning.
    pub fn kill9(mut self) {
        self.process.kill9();
    }

    /// Waits until it has ended. What its commands have said since, and its exit code.
    pub fn end(mut self) -> (Vec<String>, Option<i32>) {
        let mut said = Vec::new();
        while let Ok(line) = self.process.lines.recv_timeout(PATIENCE) {
            said.push(line);
        }
        (said, self.process.ended(PATIENCE))
    }
}
