//! The only place that prints. Everything else returns what is to be printed.
//!
//! A reply is shown as its JSON, as tables and lines for people on a terminal, or in a plain form that stays the same
//! for scripts in a pipe. What is shown derives from the reply's JSON; a list may say which of its columns a
//! person looks for, an explanation is told in sentences, and a reply that is put together from several has its own words
//! for people and for scripts.

mod explained;
mod glance;
mod plain;
mod terminal;
mod view;
pub(crate) mod when;

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use serde_json::json;
use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;

use self::terminal::Terminal;
pub(crate) use self::view::{View, items, member, text, visible};
use crate::failure::Failure;
use crate::names::Names;

/// Standard output and standard error.
#[derive(Debug)]
pub struct Output {
    /// The name of the program, in front of its failures.
    program: String,
    json: bool,
    /// `None` in a pipe.
    terminal: Option<Terminal>,
}

/// One reply in three forms, each as JSON.
#[derive(Debug)]
pub struct Summary {
    /// Where JSON is asked for.
    pub json: String,
    /// A record, or a text, on a terminal.
    pub people: String,
    /// A record, in a pipe. A name may stand in it more than once.
    pub scripts: String,
}

/// Writes to standard output at once. Anybody may, on any thread.
fn print(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush())
}

/// Writes lines of JSON to standard output at once.
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

    /// Whether a person looks at it, on a terminal.
    pub(crate) fn is_for_people(&self) -> bool {
        self.terminal.is_some()
    }

    /// Whether JSON was asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Shows the reply of an operation.
    pub(crate) fn reply(&self, operation: &str, json: &str) -> Result<(), Failure> {
        self.reply_named(operation, json, &Names::default())
    }

    /// Shows the reply of an operation. On a terminal pks in its tables are shown by these names.
    pub(crate) fn reply_named(&self, operation: &str, json: &str, names: &Names) -> Result<(), Failure> {
        if self.json {
            return self.json(format!("{json}\n").as_bytes());
        }
        let told = explained::summary(operation, json);
        let json = match &told {
            Some(told) if self.is_for_people() => &told.people,
            Some(told) => &told.scripts,
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

    /// Shows what was put together from several replies.
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

    /// Prints lines of JSON. On a terminal what it would obey is written in another way, which means the same in JSON.
    pub(crate) fn json(&self, lines: &[u8]) -> Result<(), Failure> {
        print_json(lines).map_err(|err| Failure::lost(&err))
    }

    /// Waits until nobody can read standard output any more; for ever where that can not be known, as of a file.
    pub(crate) async fn closed(&self) {
        let stdout = io::stdout().as_fd().try_clone_to_owned();
        // Nothing is written through this, so it need not be a pipe, nor in the mode that the name warns of.
        match stdout.and_then(Sender::from_owned_fd_unchecked) {
            Ok(stdout) if stdout.ready(Interest::ERROR).await.is_ok() => {}
            _ => std::future::pending().await,
        }
    }

    /// Says why the command failed, and with which code it exits.
    pub fn failure(&self, failure: &Failure) -> ExitCode {
        self.note(&format!("{}: {}", self.program, failure.line()));
        if let Some(refusal) = failure.refusal().filter(|_| self.json) {
            // Nothing is left to be done where this can not be printed.
            let _ = self.json(format!("{}\n", json!({ "error": refusal })).as_bytes());
        }
        failure.exit_code()
    }

    /// A line beside the output, on standard error.
    pub fn note(&self, line: &str) {
        let _ = writeln!(io::stderr(), "{}", visible(line));
    }

    /// Tells a person who would be waited for without a word.
    pub(crate) fn ask(&self, what: &str) {
        if io::stdin().is_terminal() {
            self.note(&format!("type the {what} and press Enter"));
        }
    }
}
