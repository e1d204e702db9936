//! The read buffer of a file: lines and line ends of its input, in memory bounded by a row and a chunk.

use std::io::Read;

use crate::failure::Failure;

/// Bytes of a row at most: many times the longest key and person, quoted, with other columns beside them.
pub(super) const ROW_BYTES_MAX: usize = 64 << 10;

/// Bytes of one read.
const CHUNK_BYTES: u64 = 64 << 10;

/// The buffer and its position. The last line is given a line end, so only an open quote has no end.
pub(super) struct ReadBuffer {
    input: Box<dyn Read>,
    bytes: Vec<u8>,
    /// The number of passed bytes in `bytes`.
    at: usize,
    /// True once the input is at its end.
    pub(super) has_ended: bool,
    /// The number of the next line.
    pub(super) line: u64,
    /// Bytes passed so far.
    pub(super) passed: u64,
    /// True for CSV, where a carriage return alone ends a line too, as in files of old systems.
    cr_ends_lines: bool,
}

impl ReadBuffer {
    /// A buffer at the begin of the input.
    pub(super) fn new(input: impl Read + 'static) -> Self {
        let (input, bytes) = (Box::new(input), Vec::new());
        Self { input, bytes, at: 0, has_ended: false, line: 1, passed: 0, cr_ends_lines: false }
    }

    /// The bytes that are read and not passed.
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Reads a chunk and drops the passed bytes.
    pub(super) fn fill(&mut self) -> Result<(), Failure> {
        self.bytes.drain(..self.at);
        self.at = 0;
        let before = self.bytes.len();
        let mut read = self.input.by_ref().take(CHUNK_BYTES).read_to_end(&mut self.bytes).map_err(Failure::Io)?;
        // The byte after a carriage return decides if it ends a line.
        while read > 0 && self.bytes.last() == Some(&b'\r') {
            let more = self.input.by_ref().take(1).read_to_end(&mut self.bytes).map_err(Failure::Io)?;
            if more == 0 {
                break;
            }
            read += more;
        }
        self.end_lines_from(before);
        if read == 0 {
            self.has_ended = true;
            if self.bytes.last().is_some_and(|last| *last != b'\n') {
                self.bytes.push(b'\n');
            }
        }
        Ok(())
    }

    /// From here on a carriage return ends a line too, also in the bytes already read.
    pub(super) fn end_lines_at_cr(&mut self) {
        self.cr_ends_lines = true;
        self.end_lines_from(self.at);
    }

    fn end_lines_from(&mut self, from: usize) {
        for at in from..self.bytes.len() {
            if self.cr_ends_lines && self.bytes[at] == b'\r' && self.bytes.get(at + 1) != Some(&b'\n') {
                self.bytes[at] = b'\n';
            }
        }
    }

    /// True if a byte is left, which is read if need be.
    pub(super) fn has_more(&mut self) -> Result<bool, Failure> {
        while self.rest().is_empty() && !self.has_ended {
            self.fill()?;
        }
        Ok(!self.rest().is_empty())
    }

    /// Passes this many bytes of the rest.
    pub(super) fn pass(&mut self, bytes: usize) {
        let passed = &self.rest()[..bytes];
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.at += bytes;
        self.passed += bytes as u64;
    }

    /// The length of the next line; `None` if it is too long for a row.
    pub(super) fn line_end(&mut self) -> Result<Option<usize>, Failure> {
        loop {
            if let Some(end) = self.rest().iter().take(ROW_BYTES_MAX).position(|byte| *byte == b'\n') {
                return Ok(Some(end + 1));
            }
            if self.rest().len() >= ROW_BYTES_MAX || self.has_ended {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    /// Takes the next line; a line that is too long is passed and its error returned.
    pub(super) fn take_line(&mut self) -> Result<Result<&[u8], String>, Failure> {
        let Some(bytes) = self.line_end()? else {
            self.pass_line()?;
            return Ok(Err(format!("the line is longer than {ROW_BYTES_MAX} bytes")));
        };
        self.pass(bytes);
        Ok(Ok(&self.bytes[self.at - bytes..self.at]))
    }

    /// Passes the next line of any length.
    pub(super) fn pass_line(&mut self) -> Result<(), Failure> {
        loop {
            let end = self.rest().iter().position(|byte| *byte == b'\n');
            self.pass(end.map_or(self.rest().len(), |end| end + 1));
            if end.is_some() || self.has_ended {
                return Ok(());
            }
            self.fill()?;
        }
    }
}
