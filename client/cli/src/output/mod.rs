//! The output of a command on standard output and standard error. No other module prints.
//!
//! A reply is shown as its JSON, as tables and lines for people on a terminal, or in a plain form that is stable for
//! scripts in a pipe. All forms derive from the reply's JSON. Some lists have a choice of columns for people, an
//! explanation becomes sentences and a status a screen, and a combined reply has its own forms for people and for
//! scripts.

pub(crate) mod findings;
pub(crate) mod names;
pub(crate) mod status;
pub(crate) mod time;

mod columns;
mod explained;
mod plain;
mod terminal;
mod view;

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use serde_json::json;
use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;

use self::names::Names;
use self::terminal::Terminal;
pub(crate) use self::view::{View, items, member, text, visible};
use crate::failure::Failure;

/// Standard output and standard error.
#[derive(Debug)]
pub struct Output {
    /// The name of the program, in front of its failures.
    program: String,
    json: bool,
    /// `None` in a pipe, and where JSON was asked for.
    terminal: Option<Terminal>,
}

/// A reply in three forms, each as JSON.
#[derive(Debug)]
pub struct Summary {
    /// The form for `--json`.
    pub json: String,
    /// The form on a terminal: a record or a text.
    pub people: String,
    /// The form in a pipe: a record, whose names may repeat.
    pub scripts: String,
}

/// Writes and flushes standard output, from any thread.
fn print(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush())
}

/// Writes lines of JSON to standard output. On a terminal control characters are escaped.
pub(crate) fn print_json(lines: &[u8]) -> io::Result<()> {
    match str::from_utf8(lines) {
        Ok(text) if io::stdout().is_terminal() => print(view::visible_json(text).as_bytes()),
        _ => print(lines),
    }
}

impl Output {
    /// The output of `program`: replies as JSON, or in the form for standard output's kind, a terminal or a pipe.
    pub fn new(program: &str, json: bool) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let program = program.to_owned();
        Self { program, json, terminal: (is_terminal && !json).then(Terminal::of_this_process) }
    }

    /// True for the form for people on a terminal.
    pub(crate) fn is_for_people(&self) -> bool {
        self.terminal.is_some()
    }

    /// True if JSON was asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Shows the reply of an operation.
    pub(crate) fn reply(&self, operation: &str, json: &str) -> Result<(), Failure> {
        self.reply_named(operation, json, &Names::default())
    }

    /// Shows the reply of an operation. On a terminal the pks in its tables are replaced by these names.
    pub(crate) fn reply_named(&self, operation: &str, json: &str, names: &Names) -> Result<(), Failure> {
        if self.json {
            return self.json(format!("{json}\n").as_bytes());
        }
        let explained = explained::summary(operation, json).or_else(|| status::summary(operation, json));
        let json = match &explained {
            Some(explained) if self.is_for_people() => &explained.people,
            Some(explained) => &explained.scripts,
            None => json,
        };
        let view = View::of(json);
        match &self.terminal {
            Some(terminal) => self.raw(terminal.by_now().show(operation, &view, names).as_bytes()),
            None => {
                self.raw(plain::show(&view).as_bytes())?;
                let Some(cursor) = view.next() else { return Ok(()) };
                self.note(&format!("more: --after {cursor}"));
                Ok(())
            }
        }
    }

    /// Shows a combined reply.
    pub fn summary(&self, operation: &str, summary: &Summary) -> Result<(), Failure> {
        let form = match (self.json, &self.terminal) {
            (true, _) => &summary.json,
            (false, Some(_)) => &summary.people,
            (false, None) => &summary.scripts,
        };
        self.reply(operation, form)
    }

    /// Prints bytes as they are.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        print(bytes).map_err(|err| Failure::lost(&err))
    }

    /// Prints lines of JSON. On a terminal control characters are escaped as JSON does.
    pub(crate) fn json(&self, lines: &[u8]) -> Result<(), Failure> {
        print_json(lines).map_err(|err| Failure::lost(&err))
    }

    /// Waits until the reader of standard output has closed it. Never returns for a file, which has no reader.
    pub(crate) async fn closed(&self) {
        let stdout = io::stdout().as_fd().try_clone_to_owned();
        // Nothing is written through this handle, so neither its kind nor its blocking mode matters.
        match stdout.and_then(Sender::from_owned_fd_unchecked) {
            Ok(stdout) if stdout.ready(Interest::ERROR).await.is_ok() => {}
            _ => std::future::pending().await,
        }
    }

    /// Prints why the command failed and returns its exit code.
    pub fn failure(&self, failure: &Failure) -> ExitCode {
        self.note(&format!("{}: {}", self.program, failure.line()));
        if let Some(refusal) = failure.refusal().filter(|_| self.json) {
            // A failure of this print can not be reported anywhere.
            let _ = self.json(format!("{}\n", json!({ "error": refusal })).as_bytes());
        }
        failure.exit_code()
    }

    /// Prints a line on standard error.
    pub fn note(&self, line: &str) {
        let _ = writeln!(io::stderr(), "{}", visible(line));
    }

    /// Prompts a person at a terminal for `what`.
    pub(crate) fn ask(&self, what: &str) {
        if io::stdin().is_terminal() {
            self.note(&format!("type the {what} and press Enter"));
        }
    }
}
