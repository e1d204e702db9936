//! Rows of a file: CSV with a header, or one JSON object per line, whichever the first character says. Read one after
//! another, so that a file's length does not matter for memory. A row that can not be read is an answer for its line,
//! and the next one is read.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use csv::ByteRecord;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::failure::Failure;

/// A line of JSON, in bytes at most.
const LINE_BYTES_MAX: u64 = 1 << 20;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A column of a CSV file.
#[derive(Debug)]
pub(crate) struct Column {
    /// The field that it fills.
    pub(crate) field: &'static str,
    /// What it may be called in the header.
    pub(crate) names: &'static [&'static str],
    /// Whether it may be missing, or empty.
    pub(crate) is_optional: bool,
}

/// One row: its line, from 1, and what it says.
pub(crate) struct Row<U> {
    pub(crate) line: u64,
    pub(crate) unit: Result<U, String>,
}

/// The rows of one input.
pub(crate) enum Rows {
    Csv { reader: csv::Reader<Box<dyn Input>>, columns: Vec<(&'static Column, Option<usize>)>, record: ByteRecord },
    Json { input: Box<dyn Input>, line: u64, bytes: u64 },
}

/// What rows are read from.
pub(crate) trait Input: BufRead {}

impl<T: BufRead> Input for T {}

impl Rows {
    /// Finds out what the input is, and what its columns are. Refuses a CSV header without a column that is needed.
    pub(crate) fn open(input: impl Read + 'static, columns: &'static [Column]) -> Result<Self, Failure> {
        // The last line ends as well, so that lines can be told from their ends; an empty one is none.
        let ended = Filled(input).chain(&b"\n"[..]);
        let mut input: Box<dyn Input> = Box::new(BufReader::with_capacity(1 << 16, ended));
        if input.fill_buf().map_err(Failure::Io)?.starts_with(BOM) {
            input.consume(BOM.len());
        }
        let is_json = input.fill_buf().map_err(Failure::Io)?.trim_ascii_start().starts_with(b"{");
        if is_json {
            return Ok(Self::Json { input, line: 0, bytes: 0 });
        }
        let terminator = csv::Terminator::Any(b'\n');
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).terminator(terminator).from_reader(input);
        let mut record = ByteRecord::new();
        reader.read_byte_record(&mut record).map_err(unreadable)?;
        let header: Vec<String> =
            record.iter().map(|name| String::from_utf8_lossy(name).trim().to_ascii_lowercase()).collect();
        let mut found = Vec::new();
        for column in columns {
            let at = header.iter().position(|name| column.names.contains(&name.as_str()));
            if at.is_none() && !column.is_optional {
                let names: Vec<&str> = columns.iter().map(|column| column.names[0]).collect();
                let needed = column.names.join(" or ");
                let why = format!("the header has no column {needed}; it is written as {}", names.join(","));
                return Err(Failure::Usage(why));
            }
            found.push((column, at));
        }
        Ok(Self::Csv { reader, columns: found, record })
    }

    /// How much was read.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Csv { reader, .. } => reader.position().byte(),
            Self::Json { bytes, .. } => *bytes,
        }
    }

    /// The next row; `None` at the end.
    pub(crate) fn next<U: DeserializeOwned>(&mut self) -> Result<Option<Row<U>>, Failure> {
        match self {
            Self::Csv { reader, columns, record } => {
                while reader.read_byte_record(record).map_err(unreadable)? {
                    // A file of another system ends its lines with two characters, an empty one too.
                    if record.len() > 1 || !record.as_slice().trim_ascii().is_empty() {
                        let line = line_of(record, reader);
                        return Ok(Some(Row { line, unit: of_record(record, columns) }));
                    }
                }
                Ok(None)
            }
            Self::Json { input, line, bytes } => loop {
                let mut text = Vec::new();
                let read = input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut text).map_err(Failure::Io)?;
                if read == 0 {
                    return Ok(None);
                }
                *line += 1;
                *bytes += read as u64;
                if read as u64 == LINE_BYTES_MAX && !text.ends_with(b"\n") {
                    return Err(Failure::Own(format!("line {line} is longer than {LINE_BYTES_MAX} bytes")));
                }
                if !text.trim_ascii().is_empty() {
                    let unit = serde_json::from_slice(&text).map_err(|err| err.to_string());
                    return Ok(Some(Row { line: *line, unit }));
                }
            },
        }
    }
}

/// Where the record that was just read begins: a field may hold ends of lines.
fn line_of(record: &ByteRecord, reader: &csv::Reader<Box<dyn Input>>) -> u64 {
    let inside = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
    reader.position().line().saturating_sub(inside + 1)
}

fn of_record<U: DeserializeOwned>(
    record: &ByteRecord,
    columns: &[(&'static Column, Option<usize>)],
) -> Result<U, String> {
    let mut object = Map::new();
    for (column, at) in columns {
        let field = at.and_then(|at| record.get(at)).unwrap_or_default();
        let field = field.strip_suffix(b"\r").unwrap_or(field);
        let text = str::from_utf8(field).map_err(|_| format!("{} is not UTF-8", column.names[0]))?;
        let value = if text.is_empty() && column.is_optional { Value::Null } else { text.into() };
        object.insert(column.field.to_owned(), value);
    }
    serde_json::from_value(Value::Object(object)).map_err(|err| err.to_string())
}

fn unreadable(err: csv::Error) -> Failure {
    match err.into_kind() {
        csv::ErrorKind::Io(err) => Failure::Io(err),
        kind => Failure::Own(format!("the file can not be read: {kind:?}")),
    }
}

/// Fills the buffer it is given as far as there is anything: a pipe may give a byte at a time, and the beginning of the
/// input must be seen whole.
struct Filled<R>(R);

impl<R: Read> Read for Filled<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < BOM.len().min(buffer.len()) {
            match self.0.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        }
        Ok(filled)
    }
}

/// Standard input as a file, so that it can be read twice.
pub(crate) fn spooled(mut input: impl Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut input, &mut file)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use enroll_client::protocol::program::CourseUnit;

    use super::*;

    const COLUMNS: &[Column] = &[
        Column { field: "external_key", names: &["external_key"], is_optional: false },
        Column { field: "status", names: &["status"], is_optional: false },
    ];

    /// A line, and its key if it can be read.
    type Read = (u64, Result<String, String>);

    fn read(text: &[u8]) -> Result<Vec<Read>, Failure> {
        let mut rows = Rows::open(io::Cursor::new(text.to_vec()), COLUMNS)?;
        let mut read = Vec::new();
        while let Some(Row { line, unit }) = rows.next::<CourseUnit>()? {
            read.push((line, unit.map(|unit| unit.external_key.to_string())));
        }
        Ok(read)
    }

    #[test]
    fn files_of_all_kinds_are_read() {
        let plain: &[u8] = b"external_key,status\ns-1,active\n\"s,\"\"2\",active\n";
        let with_bom = [BOM, plain].concat();
        let with_crlf = String::from_utf8_lossy(plain).replace('\n', "\r\n");
        let other_order: &[u8] = b"name, Status ,External_Key\nx,active,s-1\ny,active,\"s,\"\"2\"";
        let json: &[u8] =
            b"{\"external_key\":\"s-1\",\"status\":\"active\"}\n{\"external_key\":\"s,\\\"2\",\"status\":\"active\"}";
        for text in [plain, &with_bom, with_crlf.as_bytes(), other_order, json, &[BOM, json].concat()] {
            let expected = vec![(1, Ok("s-1".to_owned())), (2, Ok("s,\"2".to_owned()))];
            let begin = if text.trim_ascii_start().starts_with(b"{") || text.ends_with(b"}") { 0 } else { 1 };
            let expected: Vec<_> = expected.into_iter().map(|(line, key)| (line + begin, key)).collect();
            assert_eq!(read(text).expect("rows"), expected);
        }
    }

    #[test]
    fn a_bad_row_has_its_line_and_the_next_is_read() {
        let text = b"external_key,status\n,active\ns-1\n\xff\xfe,active\ns-2,active\n\n";
        let rows = read(text).expect("rows");
        let lines: Vec<(u64, bool)> = rows.iter().map(|(line, unit)| (*line, unit.is_ok())).collect();
        assert_eq!(lines, [(2, false), (3, true), (4, false), (5, true)], "{rows:?}");
        assert!(rows[0].1.as_ref().is_err_and(|why| why.contains("1 to 255 characters")), "{rows:?}");
        assert!(rows[2].1.as_ref().is_err_and(|why| why.contains("UTF-8")), "{rows:?}");
        let rows = read(
            b"\n{\"external_key\":null,\"status\":\"active\"}\n\n{\xff}\n{\"external_key\":\"a\",\"status\":\"x\"}",
        )
        .expect("rows");
        let lines: Vec<(u64, bool)> = rows.iter().map(|(line, unit)| (*line, unit.is_ok())).collect();
        assert_eq!(lines, [(2, false), (4, false), (5, true)], "{rows:?}");
    }

    #[test]
    fn a_header_without_a_column_is_refused() {
        for text in ["external_key\ns-1\n", "", "key,status\n"] {
            assert!(
                matches!(read(text.as_bytes()), Err(Failure::Usage(why)) if why.contains("external_key")),
                "{text}"
            );
        }
    }
}
