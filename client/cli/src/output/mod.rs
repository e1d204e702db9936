//! The output of a command on standard output and standard error. No other module prints.
//!
//! A reply is shown as its JSON, as the bare values of some fields, as tables and lines for people on a terminal, or in
//! a plain form that is stable for scripts in a pipe. All forms derive from the reply's JSON. Some lists have a choice
//! of columns for people, an explanation becomes sentences and a status a screen, and a combined reply has its own forms
//! for people and for
//! scripts.

pub mod findings;
pub mod time;

pub(crate) mod names;
pub(crate) mod status;

mod cluster;
mod columns;
mod explained;
mod fields;
mod plain;
mod terminal;
mod view;

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use enroll_client::protocol::OperationRow;
use enroll_client::protocol::shape::Shape;
use serde_json::json;
use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;

pub use self::fields::Field;
pub(crate) use self::fields::Fields;
use self::names::Names;
pub(crate) use self::plain::escaped;
use self::terminal::Terminal;
pub use self::view::visible;
pub(crate) use self::view::{View, items, member, text};
use crate::failure::Failure;

/// Standard output and standard error.
#[derive(Debug)]
pub struct Output {
    /// The name of the program, in front of its failures.
    program: String,
    json: bool,
    /// The fields that were asked for, if not the whole reply.
    fields: Fields,
    /// `None` in a pipe, and where JSON or fields were asked for.
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
        let terminal = (is_terminal && !json).then(Terminal::of_this_process);
        Self { program, json, fields: Fields::default(), terminal }
    }

    /// The same output with these fields of replies, if there are any, in place of whole replies.
    pub(crate) fn with_fields(self, fields: Vec<Field>) -> Self {
        let terminal = self.terminal.filter(|_| fields.is_empty());
        Self { fields: Fields::new(fields), terminal, ..self }
    }

    /// True for the form for people on a terminal.
    pub(crate) fn is_for_people(&self) -> bool {
        self.terminal.is_some()
    }

    /// The width of the terminal in characters; the usual one where there is none.
    pub(crate) fn width(&self) -> usize {
        self.terminal.unwrap_or_else(Terminal::of_this_process).width()
    }

    /// True if JSON was asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// True if fields were asked for, and not whole replies.
    pub(crate) fn has_fields(&self) -> bool {
        !self.fields.is_empty()
    }

    /// Refuses a field that the replies of this operation do not have.
    pub(crate) fn expect_fields(&self, row: &OperationRow) -> Result<(), Failure> {
        if self.fields.is_empty() { Ok(()) } else { self.fields.expect_in(row.name, &row.reply_shape()) }
    }

    /// Refuses a field that is none of these, for a command whose reply has them.
    pub(crate) fn expect_members(&self, command: &str, members: &[&str]) -> Result<(), Failure> {
        let members = members.iter().map(|name| ((*name).to_owned(), Shape::Any)).collect();
        self.fields.expect_in(command, &Shape::Record(members))
    }

    /// Shows the reply of a command. Refuses a field that it does not have.
    pub(crate) fn reply(&self, command: &str, json: &str) -> Result<(), Failure> {
        self.fields.expect_in_reply(command, json)?;
        self.reply_named(command, json, &Names::default())
    }

    /// Shows one item of a stream of them, on one line.
    pub(crate) fn item(&self, json: &str) -> Result<(), Failure> {
        match self.fields.is_empty() {
            true => self.json(format!("{json}\n").as_bytes()),
            false => self.lines(&self.fields.line(json)),
        }
    }

    /// Shows the reply of an operation. On a terminal the pks in its tables are replaced by these names.
    pub(crate) fn reply_named(&self, operation: &str, json: &str, names: &Names) -> Result<(), Failure> {
        if self.json {
            return self.json(format!("{json}\n").as_bytes());
        }
        if !self.fields.is_empty() {
            self.lines(&self.fields.show(json))?;
            if !self.fields.are_of_page() {
                self.note_next(&View::of(json));
            }
            return Ok(());
        }
        let explained = explained::summary(operation, json)
            .or_else(|| status::summary(operation, json))
            .or_else(|| cluster::summary(operation, json));
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
                self.note_next(&view);
                Ok(())
            }
        }
    }

    /// Shows a combined reply.
    pub fn summary(&self, operation: &str, summary: &Summary) -> Result<(), Failure> {
        let form = match (self.json || self.has_fields(), &self.terminal) {
            (true, _) => &summary.json,
            (false, Some(_)) => &summary.people,
            (false, None) => &summary.scripts,
        };
        self.reply(operation, form)
    }

    /// Prints lines as they are, or on a terminal with control characters escaped.
    pub fn lines(&self, lines: &str) -> Result<(), Failure> {
        match io::stdout().is_terminal() {
            true => self.raw(lines.split_inclusive('\n').map(visible_line).collect::<String>().as_bytes()),
            false => self.raw(lines.as_bytes()),
        }
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

    /// Tells of the page after this one, if there is one.
    fn note_next(&self, page: &View<'_>) {
        if let Some(cursor) = page.next() {
            self.note(&format!("more: --after {cursor}"));
        }
    }

    /// Prompts a person at a terminal for `what`.
    pub(crate) fn ask(&self, what: &str) {
        if io::stdin().is_terminal() {
            self.note(&format!("type the {what} and press Enter"));
        }
    }
}

/// Escapes control characters but for the line's end and its tabs.
fn visible_line(line: &str) -> String {
    line.split_inclusive(['\n', '\t'])
        .map(|part| match part.strip_suffix(['\n', '\t']) {
            Some(text) => visible(text) + &part[text.len()..],
            None => visible(part),
        })
        .collect()
}
