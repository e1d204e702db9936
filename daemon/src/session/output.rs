//! What a connection has to say and the peer has not taken yet.

use enroll_protocol::frame::{self, FrameKind, HEADER_BYTES};
use enroll_protocol::{Code, Refusal};

use crate::handshake::{End, READ_BYTES};
use crate::writer::Outcome;

/// Frames on their way to the socket.
#[derive(Debug)]
pub(super) struct Output {
    bytes: Vec<u8>,
    /// How much of them the socket has taken.
    written: usize,
    frame_bytes_max: usize,
}

impl Output {
    /// Nothing yet; no frame will be larger than this.
    pub(super) fn new(frame_bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), written: 0, frame_bytes_max }
    }

    /// Whether the peer has taken everything.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// What is to be written next.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// Adds the answer of a request; with which code, if it is a refusal.
    pub(super) fn answer(&mut self, id: u64, operation: u16, outcome: Outcome) -> Option<Code> {
        let fitting = |reply: Vec<u8>| if self.fits(&reply) { Ok(reply) } else { Err(Refusal::plain(Code::TOO_LARGE)) };
        match outcome.and_then(fitting) {
            Ok(reply) => {
                self.frame(FrameKind::Reply, id, operation, &reply);
                None
            }
            Err(refusal) => {
                self.refuse(id, operation, &refusal);
                Some(refusal.code)
            }
        }
    }

    /// Adds the refusal of a request or of the rest of a stream.
    pub(super) fn refuse(&mut self, id: u64, operation: u16, refusal: &Refusal) {
        frame::append(&mut self.bytes, FrameKind::Refused, operation, id, refusal);
    }

    /// Adds a frame whose encoded body [`fits`](Self::fits).
    pub(super) fn frame(&mut self, kind: FrameKind, id: u64, operation: u16, body: &[u8]) {
        frame::append_with(&mut self.bytes, kind, operation, id, |bytes| bytes.extend_from_slice(body));
    }

    /// Whether an encoded body may be sent in a frame.
    pub(super) fn fits(&self, body: &[u8]) -> bool {
        body.len() + HEADER_BYTES <= self.frame_bytes_max
    }

    /// Notes that the socket has taken so many bytes.
    pub(super) fn has_written(&mut self, bytes: usize) -> Result<(), End> {
        if bytes == 0 {
            return Err(End::Refused("it takes nothing any more"));
        }
        self.written += bytes;
        if self.written == self.bytes.len() || self.written >= READ_BYTES {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
        if self.bytes.is_empty() {
            self.bytes.shrink_to(READ_BYTES);
        }
        Ok(())
    }
}
