//! The parser of a file's rows: CSV with a header, or one JSON object per line, decided by the first character.
//!
//! Rows are streamed, so memory is bounded however long the file or a row. A row that can not be parsed is reported by
//! its line and parsing continues with the next row, or with the next line if a quote is not closed or the row has no
//! end.

use std::fs::File;
use std::io::{self, Read, Seek as _};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::header::{self, Filling, Header};
use super::read_buffer::{ROW_BYTES_MAX, ReadBuffer};
use crate::failure::Failure;

/// The largest number of columns of a row.
const COLUMNS_MAX: usize = 256;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A column of a CSV file.
#[derive(Debug)]
pub(crate) struct Column {
    /// The field that it fills.
    pub(crate) field: &'static str,
    /// Its names in a header.
    pub(crate) names: &'static [&'static str],
    /// True if it may be missing or empty.
    pub(crate) is_optional: bool,
}

/// A row: its line, from 1, and its unit or why it can not be parsed.
pub(crate) struct Row<U> {
    pub(crate) line: u64,
    pub(crate) unit: Result<U, String>,
}

/// The rows of one input.
pub(crate) struct Rows {
    buffer: ReadBuffer,
    /// The CSV parser; `None` for JSON lines.
    csv: Option<Csv>,
}

impl Rows {
    /// Detects the format and reads the header. Refuses UTF-16 and a CSV header without a required column.
    pub(crate) fn open(input: impl Read + 'static, columns: &'static [Column], delimiter: u8) -> Result<Self, Failure> {
        Self::begin(input, Some(columns), delimiter, None)
    }

    /// The same for a file with columns of any names, which are the fields. The format is detected unless it is given.
    pub(crate) fn open_any(input: impl Read + 'static, delimiter: u8, is_json: Option<bool>) -> Result<Self, Failure> {
        Self::begin(input, None, delimiter, is_json)
    }

    fn begin(
        input: impl Read + 'static,
        columns: Option<&'static [Column]>,
        delimiter: u8,
        is_json: Option<bool>,
    ) -> Result<Self, Failure> {
        let mut buffer = ReadBuffer::new(input);
        while buffer.rest().trim_ascii_start().len() < BOM.len() && !buffer.has_ended {
            buffer.fill()?;
        }
        if buffer.rest().starts_with(BOM) {
            buffer.pass(BOM.len());
        }
        header::expect_utf8(buffer.rest())?;
        let is_json = is_json.unwrap_or_else(|| buffer.rest().trim_ascii_start().starts_with(b"{"));
        if !is_json {
            buffer.end_lines_at_cr();
        }
        let csv = if is_json { None } else { Some(Csv::open(&mut buffer, columns, delimiter)?) };
        Ok(Self { buffer, csv })
    }

    /// The columns of a CSV file, in their order; `None` for JSON lines.
    pub(crate) fn columns(&self) -> Option<Vec<String>> {
        let csv = self.csv.as_ref()?;
        Some(csv.header.columns.iter().map(|filling| filling.field.clone()).collect())
    }

    /// Bytes parsed so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.buffer.passed
    }

    /// The next row; `None` at the end of the input.
    pub(crate) fn next<U: DeserializeOwned>(&mut self) -> Result<Option<Row<U>>, Failure> {
        while self.buffer.has_more()? {
            let line = self.buffer.line;
            let unit = match &mut self.csv {
                Some(csv) => match csv.take(&mut self.buffer)? {
                    Ok(()) => csv.unit().map(|unit| unit.map_err(|why| with_extent(why, line, self.buffer.line))),
                    Err(why) => Some(Err(why)),
                },
                None => match self.buffer.take_line()? {
                    Ok(text) if text.trim_ascii().is_empty() => None,
                    Ok(text) => Some(serde_json::from_slice(text).map_err(|err| of_line(&err))),
                    Err(why) => Some(Err(why)),
                },
            };
            if let Some(unit) = unit {
                return Ok(Some(Row { line, unit }));
            }
        }
        Ok(None)
    }
}

/// The error without the line number that serde counts within the row.
fn of_line(err: &serde_json::Error) -> String {
    let why = err.to_string();
    match why.rsplit_once(" at line 1 column ") {
        Some((what, column)) => format!("{what} at column {column}"),
        None => why,
    }
}

/// The error of a row, with its last line if it has several, because a quote may be the cause.
fn with_extent(why: String, line: u64, next: u64) -> String {
    if next > line + 1 { format!("{why}; as its quotes have it, the row goes on to line {}", next - 1) } else { why }
}

/// The CSV parser and its buffers.
struct Csv {
    reader: Reader,
    header: Header,
    delimiter: u8,
    /// The fields of the latest record, concatenated, and the end of each.
    text: Vec<u8>,
    ends: Vec<usize>,
    fields: usize,
}

impl Csv {
    fn open(buffer: &mut ReadBuffer, columns: Option<&'static [Column]>, delimiter: u8) -> Result<Self, Failure> {
        let reader = ReaderBuilder::new().delimiter(delimiter).terminator(Terminator::Any(b'\n')).build();
        let (text, ends) = (vec![0; ROW_BYTES_MAX + 1], vec![0; COLUMNS_MAX + 1]);
        let mut csv =
            Self { reader, header: Header { columns: Vec::new(), named: 0 }, delimiter, text, ends, fields: 0 };
        if buffer.has_more()? {
            csv.take(buffer)?.map_err(|why| Failure::Usage(format!("the header can not be read: {why}")))?;
        }
        let names = (0..csv.fields).map(|at| String::from_utf8_lossy(csv.field(at)).trim().to_owned());
        csv.header = match columns {
            Some(columns) => {
                let names: Vec<String> = names.map(|name| name.to_ascii_lowercase()).collect();
                Header::read(&names, columns, delimiter)?
            }
            None => Header::of_any(&names.collect::<Vec<_>>())?,
        };
        Ok(csv)
    }

    /// Takes the next record. On an error only its first line is passed, so parsing continues with the line after it.
    fn take(&mut self, buffer: &mut ReadBuffer) -> Result<Result<(), String>, Failure> {
        self.reader.reset();
        self.fields = 0;
        // The reader would skip an empty line and lose its number.
        if let Some(end @ 1..=2) = buffer.line_end()?
            && buffer.rest()[..end].trim_ascii().is_empty()
        {
            buffer.pass(end);
            return Ok(Ok(()));
        }
        let (mut read, mut written) = (0, 0);
        let why = loop {
            if read == buffer.rest().len() {
                if buffer.has_ended {
                    break "a quote is opened and not closed".to_owned();
                }
                buffer.fill()?;
                continue;
            }
            let input = &buffer.rest()[read..];
            let (result, some_read, some_written, some_fields) =
                self.reader.read_record(input, &mut self.text[written..], &mut self.ends[self.fields..]);
            read += some_read;
            written += some_written;
            self.fields += some_fields;
            match result {
                ReadRecordResult::Record => {
                    buffer.pass(read);
                    return Ok(Ok(()));
                }
                ReadRecordResult::InputEmpty if read <= ROW_BYTES_MAX => {}
                ReadRecordResult::InputEmpty | ReadRecordResult::OutputFull => {
                    break format!("the row does not end within {ROW_BYTES_MAX} bytes; is a quote not closed?");
                }
                ReadRecordResult::OutputEndsFull => break format!("the row has more than {COLUMNS_MAX} columns"),
                ReadRecordResult::End => break "the row can not be read".to_owned(),
            }
        };
        self.fields = 0;
        buffer.pass_line()?;
        Ok(Err(why))
    }

    fn field(&self, at: usize) -> &[u8] {
        let begin = if at == 0 { 0 } else { self.ends[at - 1] };
        if at < self.fields { &self.text[begin..self.ends[at]] } else { &[] }
    }

    /// The unit of the latest record; `None` for an empty line.
    fn unit<U: DeserializeOwned>(&self) -> Option<Result<U, String>> {
        if self.fields == 0 || (self.fields == 1 && self.field(0).trim_ascii().is_empty()) {
            return None;
        }
        let mut object = Map::new();
        let filled = (0..self.fields).rposition(|at| !self.field(at).trim_ascii().is_empty());
        if let Some(last) = filled.filter(|last| *last >= self.header.named) {
            return Some(Err(format!(
                "the row has {} columns and the header {}; a value with a {:?} in it must stand in quotes",
                last + 1,
                self.header.named,
                char::from(self.delimiter)
            )));
        }
        for Filling { field: name, column, at, is_optional } in &self.header.columns {
            let field = at.map_or(&[][..], |at| self.field(at));
            // A file of another system ends its lines with two characters.
            let field = field.strip_suffix(b"\r").unwrap_or(field);
            let Ok(text) = str::from_utf8(field) else { return Some(Err(format!("{column} is not UTF-8"))) };
            let value = if text.is_empty() && *is_optional { Value::Null } else { text.into() };
            object.insert(name.clone(), value);
        }
        Some(serde_json::from_value(Value::Object(object)).map_err(|err| err.to_string()))
    }
}

/// Copies the input to a temporary file, so that it can be read twice.
pub(crate) fn spooled(mut input: impl Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut input, &mut file)?;
    file.rewind()?;
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

    /// A line, and its key if it can be parsed.
    type Read = (u64, Result<String, String>);

    fn read(text: &[u8]) -> Result<Vec<Read>, Failure> {
        let mut rows = Rows::open(io::Cursor::new(text.to_vec()), COLUMNS, b',')?;
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
        let with_cr = String::from_utf8_lossy(plain).replace('\n', "\r");
        let other_order: &[u8] = b" Status ,External_Key,\nactive,s-1\nactive,\"s,\"\"2\",";
        let json: &[u8] =
            b"{\"external_key\":\"s-1\",\"status\":\"active\"}\n{\"external_key\":\"s,\\\"2\",\"status\":\"active\"}";
        for text in
            [plain, &with_bom, with_crlf.as_bytes(), with_cr.as_bytes(), other_order, json, &[BOM, json].concat()]
        {
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
        assert!(rows[1].1.as_ref().is_err_and(|why| why.ends_with(" at column 2")), "{rows:?}");
    }

    #[test]
    fn a_row_without_an_end_is_reported_and_the_next_line_is_read() {
        let long = "x".repeat(ROW_BYTES_MAX);
        for (text, expected) in [
            // A quote that is not closed, to the end and for too long.
            ("external_key,status\n\"a,active\nb,active\n".to_owned(), vec![(2, false), (3, true)]),
            (format!("external_key,status\n\"a,active\nb,active\n{}", "c,x\n".repeat(1 << 15)), {
                (2..=3 + (1 << 15)).map(|line| (line, line > 2)).collect()
            }),
            // One that another row's quote closes.
            ("external_key,status\n\"a,active\nb,\"active\"\nc,active".to_owned(), vec![(2, false), (4, true)]),
            (format!("external_key,status\n{long},active\nb,active\n"), vec![(2, false), (3, true)]),
            (format!("external_key,status\n{long}{long}"), vec![(2, false)]),
            (format!("external_key,status\na,active{}\nb,active", ",x".repeat(300)), vec![(2, false), (3, true)]),
            (
                format!("external_key,status\na,active,\"{}\"\n\r\n\nb,active", "\n".repeat(9)),
                vec![(2, true), (14, true)],
            ),
            (
                format!("{{\"external_key\":\"{long}\"}}\n{{\"external_key\":\"b\",\"status\":\"x\"}}"),
                vec![(1, false), (2, true)],
            ),
        ] {
            let rows = read(text.as_bytes()).expect("rows");
            let lines: Vec<(u64, bool)> = rows.iter().map(|(line, unit)| (*line, unit.is_ok())).collect();
            assert_eq!(lines, expected, "{:?}", &text[..text.len().min(60)]);
        }
        assert!(matches!(read(format!("\"external_key{long}").as_bytes()), Err(Failure::Usage(_))));
    }

    #[test]
    fn a_row_with_more_than_the_header_is_refused_by_its_line() {
        let rows = read(b"external_key,status,\n1,5,active\n1,active,,\n").expect("rows");
        assert!(matches!(&rows[0], (2, Err(why)) if why.contains("3 columns and the header 2")), "{rows:?}");
        assert_eq!(rows[1], (3, Ok("1".to_owned())));
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
