//! The line reader of standard input, with backpressure: a thread reads and parses lines while others are answered.
//!
//! At most a few pieces of input wait in the channel, and a line is kept up to the largest frame, so memory is bounded
//! however long the input or a line.

use std::collections::VecDeque;
use std::io::Read;

use enroll_client::protocol::limits::FRAME_BYTES_MAX;
use tokio::sync::mpsc;

use super::line::Question;

const READ_BYTES: usize = 64 << 10;

/// Pieces in the channel at most.
const PIECES: usize = 4;

/// The lines to come.
#[derive(Debug)]
pub(crate) struct Questions {
    pieces: mpsc::Receiver<Vec<Question>>,
    piece: VecDeque<Question>,
}

/// Starts a thread that reads `source` to its end.
pub(crate) fn questions(source: impl Read + Send + 'static) -> Questions {
    let (sender, pieces) = mpsc::channel(PIECES);
    // Not a task of the runtime, whose end would wait for the read of a terminal.
    std::thread::spawn(move || read(source, &sender));
    Questions { pieces, piece: VecDeque::new() }
}

impl Questions {
    /// The next line; `None` at the end of the input. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Question> {
        while self.piece.is_empty() {
            self.piece = self.pieces.recv().await?.into();
        }
        self.piece.pop_front()
    }
}

/// Reads to the end of the input. A read error is treated as the end, as for a closed terminal.
fn read(mut source: impl Read, pieces: &mpsc::Sender<Vec<Question>>) {
    let mut buffer = vec![0; READ_BYTES];
    let mut lines = Lines::default();
    loop {
        let piece = match source.read(&mut buffer) {
            Ok(bytes @ 1..) => lines.push(&buffer[..bytes]),
            Err(err) if err.kind() == std::io::ErrorKind::Interrupted => continue,
            Ok(_) | Err(_) => {
                let _ = pieces.blocking_send(lines.end());
                return;
            }
        };
        if !piece.is_empty() && pieces.blocking_send(piece).is_err() {
            return;
        }
    }
}

/// Splits bytes into lines, and parses each as a [`Question`].
#[derive(Debug, Default)]
pub struct Lines {
    /// The number of complete lines.
    number: u64,
    /// The beginning of the incomplete line; empty for one that is too long.
    begun: Vec<u8>,
    is_too_long: bool,
}

impl Lines {
    /// Parses the lines that end in these bytes.
    pub fn push(&mut self, mut bytes: &[u8]) -> Vec<Question> {
        let mut questions = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.begin(&bytes[..end]);
            questions.extend(self.finish());
            bytes = &bytes[end + 1..];
        }
        self.begin(bytes);
        questions
    }

    /// Parses the last line, if it has no line end.
    pub fn end(&mut self) -> Vec<Question> {
        self.finish().into_iter().collect()
    }

    fn begin(&mut self, bytes: &[u8]) {
        self.is_too_long |= self.begun.len() + bytes.len() > FRAME_BYTES_MAX;
        if self.is_too_long {
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(bytes);
        }
    }

    /// Parses the line that was begun; `None` if it is blank.
    fn finish(&mut self) -> Option<Question> {
        self.number += 1;
        let question = if std::mem::take(&mut self.is_too_long) {
            Some(Question::refused(self.number, format!("a line must be at most {FRAME_BYTES_MAX} bytes")))
        } else if without_mark(&self.begun).trim_ascii().is_empty() {
            None
        } else {
            Some(Question::of(self.number, without_mark(&self.begun)))
        };
        self.begun.clear();
        question
    }
}

/// The line without a byte order mark, which some programs write before their output.
fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut questions: Vec<Question> = pieces.iter().flat_map(|piece| lines.push(piece)).collect();
        questions.extend(lines.end());
        questions.into_iter().map(|question| question.id).collect()
    }

    #[test]
    fn lines_are_counted_wherever_the_bytes_are_cut() {
        let input = b"{\"id\":\"a\"}\n\n  \r\n{}\r\n{\"id\":7}";
        for cut in 0..=input.len() {
            assert_eq!(ids(&[&input[..cut], &input[cut..]]), ["\"a\"", "4", "7"], "cut at {cut}");
        }
        assert!(ids(&[]).is_empty());
        assert_eq!(ids(&[b"\xef\xbb\xbf{\"id\":7}\n\xef\xbb\xbf\n{}\n"]), ["7", "3"]);
    }

    #[test]
    fn a_line_over_the_limit_is_refused_and_the_next_one_read() {
        let half = vec![b'x'; FRAME_BYTES_MAX / 2 + 1];
        let mut lines = Lines::default();
        let mut questions = Vec::new();
        for piece in [&half[..], &half, &half, b"\n{\"op\":\"server.status\"}\n"] {
            questions.extend(lines.push(piece));
            assert!(lines.begun.len() <= FRAME_BYTES_MAX);
        }
        let refusal = questions[0].ask.as_ref().expect_err("too long");
        assert!(refusal.message.contains("1048576 bytes"), "{}", refusal.message);
        assert!(questions[1].ask.is_ok());
    }
}
