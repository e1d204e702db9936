//! The report on a file: the failed rows in the order of their lines, and the counts.

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

/// The failure of a key.
pub(super) struct Failed {
    pub(super) key: String,
    pub(super) code: String,
    pub(super) message: String,
}

/// Writes failures to a file or to standard output.
pub(super) struct Report {
    json: bool,
    /// True for a terminal, for which cells are escaped instead of for a spreadsheet.
    on_terminal: bool,
    /// `None` while nothing has failed and no file was named.
    csv: Option<csv::Writer<Box<dyn Write>>>,
    /// Lines in flight, which may still fail.
    open: BTreeSet<u64>,
    /// Failures after the first line in flight, which wait for it.
    waiting: BTreeMap<u64, Vec<Failed>>,
    /// The first error of writing the report. The rows are sent all the same.
    lost: Option<Failure>,
}

impl Report {
    /// A report to this new file, or to standard output. Refuses a file that exists.
    pub(super) fn new(path: Option<&PathBuf>, output: &Output) -> Result<Self, Failure> {
        let (open, waiting, on_terminal) = (BTreeSet::new(), BTreeMap::new(), path.is_none() && output.is_for_people());
        let mut report = Self { json: output.is_json(), on_terminal, csv: None, open, waiting, lost: None };
        if let Some(path) = path {
            let file = File::options().write(true).create_new(true).open(path);
            let file = file.map_err(|err| Failure::Usage(format!("{}: {err}", path.display())))?;
            let begun = report.begin(Box::new(file));
            report.keep(begun);
        }
        Ok(report)
    }

    /// Notes a line in flight; failures of later lines wait for it.
    pub(super) fn sent(&mut self, line: u64) {
        self.open.insert(line);
    }

    /// Notes that the outcome of these lines is known, and writes the failures that waited for them.
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

    /// Reports the failure of a line, as soon as the outcome of all lines before it is known.
    pub(super) fn failed(&mut self, line: u64, failed: Failed, output: &Output) {
        self.waiting.entry(line).or_default().push(failed);
        self.decided([], output);
    }

    fn write(&mut self, line: u64, Failed { key, code, message }: &Failed, output: &Output) -> Result<(), Failure> {
        if self.json && self.csv.is_none() {
            let entry = json!({"line": line, "external_key": key, "code": code, "message": message});
            return output.json(format!("{entry}\n").as_bytes());
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

    /// Ends the report with the counts. Fails if a part of it could not be written.
    pub(super) fn end(mut self, count: &Count, nothing_was_done: bool, output: &Output) -> Result<(), Failure> {
        self.flush();
        if self.json {
            let done = if nothing_was_done { 0 } else { count.rows - count.failed };
            let entry = json!({"rows": count.rows, "done": done, "moved": count.moved, "failed": count.failed});
            let written = output.json(format!("{entry}\n").as_bytes());
            self.keep(written);
        } else {
            output.note(&count.words());
            if nothing_was_done {
                output.note("nothing was written");
            }
        }
        self.lost.map_or(Ok(()), Err)
    }

    /// Flushes the report.
    pub(super) fn flush(&mut self) {
        let flushed = self.csv.as_mut().map_or(Ok(()), csv::Writer::flush);
        self.keep(flushed.map_err(|err| lost(&err)));
    }

    /// Gives up on the lines in flight, whose outcome is unknown, and writes the failures that waited for them.
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

/// Puts an apostrophe before a text that a spreadsheet would calculate.
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
    fn failures_are_in_the_order_of_the_lines() {
        let output = Output::new("enrollctl", false);
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("failures.csv");
        let mut report = Report::new(Some(&path), &output).expect("a file");
        let failed = |key: &str| Failed { key: key.to_owned(), code: "c".to_owned(), message: "m".to_owned() };
        (2..=4).for_each(|line| report.sent(line));
        report.failed(5, failed("e"), &output);
        report.failed(4, failed("=d"), &output);
        report.decided([4, 2], &output);
        report.failed(3, failed("c"), &output);
        report.decided([3], &output);
        report.flush();
        let written = std::fs::read_to_string(&path).expect("a file");
        assert_eq!(written, "line,external_key,code,message\n3,c,c,m\n4,'=d,c,m\n5,e,c,m\n");
    }
}
