//! Conversations: an `enrollctl` that is talked to line by line, and answers in lines of JSON.

use std::ffi::OsStr;
use std::io::Write as _;
use std::process::{ChildStdin, Command, Stdio};

use serde_json::Value;

use crate::process::{Home, PATIENCE, Process, lines_of};

/// An `enrollctl call` that is talked to line by line, or an `enrollctl` that speaks by itself.
#[derive(Debug)]
pub struct Conversation {
    process: Process,
    input: Option<ChildStdin>,
}

impl Conversation {
    /// Begins one with the daemon of this directory.
    pub fn begin(home: &Home) -> Self {
        Self::with(home, &["call"])
    }

    /// Begins one with these arguments.
    pub fn with<A: AsRef<OsStr>>(home: &Home, args: &[A]) -> Self {
        Self::of(&mut home.enrollctl(args))
    }

    /// Begins one with a command of one's own.
    pub fn of(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("started");
        let (input, lines) = (child.stdin.take(), lines_of(child.stdout.take().expect("a pipe")));
        Self { process: Process { child, lines }, input }
    }

    /// Writes a line.
    pub fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("not finished");
        writeln!(input, "{line}").expect("somebody reads it");
    }

    /// Waits for the next answer.
    pub fn answer(&mut self) -> Value {
        let line = self.process.lines.recv_timeout(PATIENCE).expect("an answer");
        serde_json::from_str(&line).unwrap_or_else(|err| panic!("no JSON ({err}): {line}"))
    }

    /// Ends the input; the answers that were not taken yet, and the exit code.
    pub fn finish(mut self) -> (Vec<Value>, Option<i32>) {
        self.input = None;
        let mut answers = Vec::new();
        while let Ok(line) = self.process.lines.recv_timeout(PATIENCE) {
            answers.push(serde_json::from_str(&line).unwrap_or_else(|err| panic!("no JSON ({err}): {line}")));
        }
        (answers, self.process.ended(PATIENCE))
    }
}
