//! What is told of a file: each row that failed, by its line, and how it went in all.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::json;

use super::send::Count;
use crate::failure::Failure;
use crate::output::Output;

/// A key that failed.
pub(super) struct Failed {
    pub(super) key: String,
    pub(super) code: String,
    pub(super) message: String,
}

/// Where failures go.
pub(super) struct Told {
    json: bool,
    /// `None` while nothing has failed and no file was named.
    csv: Option<csv::Writer<Box<dyn Write>>>,
}

impl Told {
    /// Failures go to this file, which must not be there yet, or to standard output.
    pub(super) fn new(path: Option<&PathBuf>, json: bool) -> Result<Self, Failure> {
        let mut told = Self { json, csv: None };
        if let Some(path) = path {
            let file = File::options().write(true).create_new(true).open(path);
            let file = file.map_err(|err| Failure::Usage(format!("{}: {err}", path.display())))?;
            told.begin(Box::new(file))?;
        }
        Ok(told)
    }

    /// Tells of one row.
    pub(super) fn failed(&mut self, line: u64, failed: &Failed, output: &Output) -> Result<(), Failure> {
        let Failed { key, code, message } = failed;
        if self.json && self.csv.is_none() {
            let told = json!({"line": line, "external_key": key, "code": code, "message": message});
            return output.raw(format!("{told}\n").as_bytes());
        }
        if self.csv.is_none() {
            self.begin(Box::new(io::stdout()))?;
        }
        let row = [line.to_string().as_str(), key, code, message].map(str::to_owned);
        self.csv.as_mut().map_or(Ok(()), |csv| csv.write_record(&row)).map_err(unwritable)
    }

    /// Tells how it went.
    pub(super) fn end(mut self, count: &Count, nothing_was_done: bool, output: &Output) -> Result<(), Failure> {
        self.flush()?;
        if self.json {
            let done = if nothing_was_done { 0 } else { count.rows - count.failed };
            let told = json!({"rows": count.rows, "done": done, "moved": count.moved, "failed": count.failed});
            return output.raw(format!("{told}\n").as_bytes());
        }
        output.note(&count.words());
        if nothing_was_done {
            output.note("nothing was written");
        }
        Ok(())
    }

    /// What was told so far is there to be read.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.csv.as_mut().map_or(Ok(()), csv::Writer::flush).map_err(Failure::Io)
    }

    fn begin(&mut self, out: Box<dyn Write>) -> Result<(), Failure> {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(["line", "external_key", "code", "message"]).map_err(unwritable)?;
        self.csv = Some(csv);
        Ok(())
    }
}

fn unwritable(err: csv::Error) -> Failure {
    match err.into_kind() {
        csv::ErrorKind::Io(err) => Failure::Io(err),
        kind => Failure::Own(format!("what failed can not be written: {kind:?}")),
    }
}
