//! The result of an import by row: the rows as they were read, in their order, with what became of each. It has the form
//! of the file, so that it is the file of the next run.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::mapping::RESULT;
use super::outcome::{SETTLED, Told};
use crate::failure::Failure;
use crate::output::{Output, visible};

/// The columns that a result adds, after `import.`.
const COLUMNS: [&str; 5] = ["line", "result", "code", "message", "new"];

/// The rows of a result.
pub(super) struct ResultFile {
    form: Form,
    /// True for a file, which gets every row; standard output gets those that were not carried.
    is_file: bool,
    /// True for a terminal, for which cells are escaped.
    on_terminal: bool,
}

enum Form {
    Json(Box<dyn Write>),
    /// The columns of the file, without those of a result.
    Csv {
        writer: Box<csv::Writer<Box<dyn Write>>>,
        columns: Vec<String>,
        has_begun: bool,
    },
}

impl ResultFile {
    /// A result in this new file, which its owner alone may read, or on standard output. Refuses a file that exists.
    pub(super) fn new(
        path: Option<&Path>,
        columns: Option<Vec<String>>,
        delimiter: u8,
        output: &Output,
    ) -> Result<Self, Failure> {
        let out: Box<dyn Write> = match path {
            None => Box::new(io::stdout()),
            Some(path) => {
                let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
                let file = file.map_err(|err| Failure::Usage(format!("{}: {err}", path.display())))?;
                Box::new(BufWriter::new(file))
            }
        };
        let form = match columns.filter(|_| path.is_some() || !output.is_json()) {
            None => Form::Json(out),
            Some(mut columns) => {
                columns.retain(|column| !is_of_result(column));
                let writer = Box::new(csv::WriterBuilder::new().delimiter(delimiter).from_writer(out));
                Form::Csv { writer, columns, has_begun: false }
            }
        };
        let mut file = Self { form, is_file: path.is_some(), on_terminal: path.is_none() && output.is_for_people() };
        if file.is_file {
            file.begin().map_err(unwritable)?;
        }
        Ok(file)
    }

    /// Writes a row with its line and its outcome.
    pub(super) fn write(&mut self, line: u64, record: &Map<String, Value>, told: &Told<'_>) -> Result<(), Failure> {
        if !self.is_file && SETTLED.contains(&told.result) && told.new.is_empty() {
            return Ok(());
        }
        self.begin().map_err(unwritable)?;
        let line = line.to_string();
        let told = [line.as_str(), told.result, &told.code, told.message, told.new];
        let written = match &mut self.form {
            Form::Csv { writer, columns, .. } => {
                let cells = columns.iter().map(|column| record.get(column).and_then(Value::as_str).unwrap_or_default());
                let cell = |text: &str| if self.on_terminal { visible(text) } else { text.to_owned() };
                writer.write_record(cells.chain(told).map(cell)).map_err(io::Error::from)
            }
            Form::Json(out) => {
                let mut row = record.clone();
                row.retain(|name, _| !is_of_result(name));
                let told = COLUMNS.iter().zip(told).filter(|(_, value)| !value.is_empty());
                let told: Map<String, Value> = told.map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
                row.insert(RESULT.to_owned(), told.into());
                writeln!(out, "{}", Value::Object(row))
            }
        };
        written.map_err(unwritable)
    }

    /// Writes out what is buffered.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        let flushed = match &mut self.form {
            Form::Json(out) => out.flush(),
            Form::Csv { writer, .. } => writer.flush(),
        };
        flushed.map_err(unwritable)
    }

    fn begin(&mut self) -> io::Result<()> {
        let Form::Csv { writer, columns, has_begun } = &mut self.form else { return Ok(()) };
        if std::mem::replace(has_begun, true) {
            return Ok(());
        }
        let added = COLUMNS.iter().map(|name| format!("{RESULT}.{name}"));
        Ok(writer.write_record(columns.iter().cloned().chain(added))?)
    }
}

/// The result that an earlier run wrote to a row.
pub(super) fn result_of(record: &Map<String, Value>) -> Option<&str> {
    let nested = record.get(RESULT).and_then(|told| told.get(COLUMNS[1]));
    record.get("import.result").or(nested)?.as_str()
}

/// The part of a row that an earlier run told.
pub(super) fn told_before(record: &Map<String, Value>) -> Option<Told<'_>> {
    let result = result_of(record)?;
    let result = SETTLED.into_iter().find(|settled| *settled == result)?;
    let text = |name: &str| {
        let nested = record.get(RESULT).and_then(|told| told.get(name));
        record.get(&format!("{RESULT}.{name}")).or(nested).and_then(Value::as_str).unwrap_or_default()
    };
    Some(Told { result, code: text("code").to_owned(), message: text("message"), new: text("new") })
}

fn is_of_result(column: &str) -> bool {
    column == RESULT || column.strip_prefix("import.").is_some_and(|name| COLUMNS.contains(&name))
}

fn unwritable(err: impl Into<io::Error>) -> Failure {
    let err = err.into();
    Failure::Lost(format!("{err}; the rows were dealt with as far as they were read, and the result is not whole"))
}
