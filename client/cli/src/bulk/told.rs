//! The report on a file: each row that failed, by its line and in the order of the lines, and how it went in all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::json;

use super::send::Count;
use crate::failure::Failure;
use crate::output::{Output, visible};

/// Formula injection: a cell that begins with one of these is calculated by spreadsheets.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A key that failed.
pub(super) struct Failed {
    pub(super) key: String,
    pub(super) code: String,
    pub(super) message: String,
}

/// Where failures go.
pub(super) struct Told {
    json: bool,
    /// The report goes to a terminal, so it is escaped for that and not for a spreadsheet.
    on_terminal: bool,
    /// `None` while nothing has failed and no file was named.
    csv: Option<csv::Writer<Box<dyn Write>>>,
    /// Lines that may still fail, and those behind the first of them that have.
    open: BTreeSet<u64>,
    waiting: BTreeMap<u64, Vec<Failed>>,
    /// Why something could not be written. The file goes on all the same: it would be done by half.
    lost: Option<Failure>,
}

impl Told {
    /// Failures go to this file, which must not be there yet, or to standard output.
    pub(super) fn new(path: Option<&PathBuf>, output: &Output) -> Result<Self, Failure> {
        let (open, waiting, on_terminal) = (BTreeSet::new(), BTreeMap::new(), path.is_none() && output.is_for_people());
        let mut told = Self { json: output.is_json(), on_terminal, csv: None, open, waiting, lost: None };
        if let Some(path) = path {
            let file = File::options().write(true).create_new(true).open(path);
            let file = file.map_err(|err| Failure::Usage(format!("{}: {err}", path.display())))?;
            let begun = told.begin(Box::new(file));
            told.keep(begun);
        }
        Ok(told)
    }

    /// A row is on its way: what comes behind it waits.
    pub(super) fn sent(&mut self, line: u64) {
        self.open.insert(line);
    }

    /// It is known how these rows went.
    pub(super) fn decided(&mut self, lines: impl IntoIterator<Item = u64>, output: &Output) {
        for line in lines {
            self.open.remove(&line);
        }
        let first_open = self.open.first().copied().unwrap_or(u64::MAX);
        while let Some(entry) = self.waiting.first_entry().filter(|entry| *entry.key() < first_open) {
            let (line, failed) = entry.remove_entry();
            for failed in failed {
                let written = if self.lost.is_some() { Ok(()) } else { self.write(line, &failed, output) };
                self.keep(written);
            }
        }
    }

    /// Tells of one row, as soon as it is known how those before it went.
    pub(super) fn failed(&mut self, line: u64, failed: Failed, output: &Output) {
        self.waiting.entry(line).or_default().push(failed);
        self.decided([], output);
    }

    fn write(&mut self, line: u64, Failed { key, code, message }: &Failed, output: &Output) -> Result<(), Failure> {
        if self.json && self.csv.is_none() {
            let told = json!({"line": line, "external_key": key, "code": code, "message": message});
            return output.json(format!("{told}\n").as_bytes());
        }
        if self.csv.is_none() {
            self.begin(Box::new(io::stdout()))?;
        }
        let row = [&line.to_string(), key, code, message].map(|text| self.cell(text));
        self.csv.as_mut().map_or(Ok(()), |csv| csv.write_record(&row)).map_err(unwritable)
    }

    fn cell(&self, text: &str) -> String {
        if self.on_terminal { visible(text) } else { inert(text) }
    }

    /// Tells how it went.
    pub(super) fn end(mut self, count: &Count, nothing_was_done: bool, output: &Output) -> Result<(), Failure> {
        self.flush();
        if self.json {
            let done = if nothing_was_done { 0 } else { count.rows - count.failed };
            let told = json!({"rows": count.rows, "done": done, "moved": count.moved, "failed": count.failed});
            let written = output.json(format!("{told}\n").as_bytes());
            self.keep(written);
        } else {
            output.note(&count.words());
            if nothing_was_done {
                output.note("nothing was written");
            }
        }
        self.lost.map_or(Ok(()), Err)
    }

    /// What was told so far is there to be read.
    pub(super) fn flush(&mut self) {
        let flushed = self.csv.as_mut().map_or(Ok(()), csv::Writer::flush);
        self.keep(flushed.map_err(|err| lost(&err)));
    }

    /// Where nothing more is known of the rows on their way: what was found behind them is told.
    pub(super) fn give_up(&mut self, output: &Output) {
        self.open.clear();
        self.decided([], output);
        self.flush();
    }

    fn keep(&mut self, written: Result<(), Failure>) {
        if let Err(failure) = written {
            self.lost.get_or_insert(failure);
        }
    }

    fn begin(&mut self, out: Box<dyn Write>) -> Result<(), Failure> {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(["line", "external_key", "code", "message"]).map_err(unwritable)?;
        self.csv = Some(csv);
        Ok(())
    }
}

/// The text with an apostrophe in front where a spreadsheet would calculate it.
fn inert(text: &str) -> String {
    if text.starts_with(FORMULA) { format!("'{text}") } else { text.to_owned() }
}

fn unwritable(err: csv::Error) -> Failure {
    match err.into_kind() {
        csv::ErrorKind::Io(err) => lost(&err),
        kind => Failure::Own(format!("what failed can not be written: {kind:?}")),
    }
}

fn lost(err: &io::Error) -> Failure {
    Failure::Lost(format!("{err}; the rows were dealt with, and those that failed could not be written down"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spreadsheet_calculates_nothing_of_it() {
        for text in ["=1+1", "+1", "-1", "@a", "\ta", "\ra"] {
            assert_eq!(inert(text), format!("'{text}"));
        }
        assert_eq!(inert("a=1"), "a=1");
    }

    #[test]
    fn failures_are_told_in_the_order_of_the_lines() {
        let output = Output::new("enrollctl", false);
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("failures.csv");
        let mut told = Told::new(Some(&path), &output).expect("a file");
        let failed = |key: &str| Failed { key: key.to_owned(), code: "c".to_owned(), message: "m".to_owned() };
        (2..=4).for_each(|line| told.sent(line));
        told.failed(5, failed("e"), &output);
        told.failed(4, failed("=d"), &output);
        told.decided([4, 2], &output);
        told.failed(3, failed("c"), &output);
        told.decided([3], &output);
        told.flush();
        let written = std::fs::read_to_string(&path).expect("a file");
        assert_eq!(written, "line,external_key,code,message\n3,c,c,m\n4,'=d,c,m\n5,e,c,m\n");
    }
}
