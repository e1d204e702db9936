//! The outbox: a connection's write buffer, whole frames that the socket has not taken yet.

use std::borrow::Cow;
use std::collections::VecDeque;

use enroll_protocol::encoding::Encoding;
use enroll_protocol::frame::{self, FrameKind, HEADER_BYTES, LENGTH_BYTES};
use enroll_protocol::{Code, Refusal};

use crate::dispatch;
use crate::writer::Outcome;

/// Bytes written with one call, unless a frame is larger.
const CHUNK_BYTES: usize = 64 << 10;

/// Capacity that an empty outbox keeps, for connections with small answers.
const IDLE_BYTES: usize = 4 << 10;

/// Frames on their way to the socket.
#[derive(Debug)]
pub(super) struct Outbox {
    /// Whole frames in each, so that a long outbox is never copied to grow; the last is empty if all are.
    chunks: VecDeque<Vec<u8>>,
    /// Bytes of the first chunk that the socket has taken.
    written: usize,
    /// In all chunks.
    bytes: usize,
    /// The allocated bytes of all chunks.
    capacity: usize,
    /// An upper bound of the bytes in the socket's send buffer, which the peer has not read.
    unread: usize,
    encoding: Encoding,
    frame_bytes_max: usize,
}

impl Outbox {
    /// An empty one; no frame will be larger than this in its compact form.
    pub(super) fn new(encoding: Encoding, frame_bytes_max: usize) -> Self {
        let chunks = VecDeque::from([Vec::new()]);
        Self { chunks, written: 0, bytes: 0, capacity: 0, unread: 0, encoding, frame_bytes_max }
    }

    /// True if the peer has taken everything.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The bytes that the peer has not taken.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The memory that it takes, in bytes, with the kernel's.
    pub(super) fn capacity(&self) -> usize {
        self.capacity + self.unread
    }

    /// The bytes that the kernel may hold, since [`note_unread`](Self::note_unread).
    pub(super) fn unread(&self) -> usize {
        self.unread
    }

    /// Notes the bytes that the kernel holds.
    pub(super) fn note_unread(&mut self, bytes: usize) {
        self.unread = bytes;
    }

    /// The bytes to be written next.
    pub(super) fn rest(&self) -> &[u8] {
        &self.chunks[0][self.written..]
    }

    /// Adds the answer of a request; its code, if it is a refusal.
    pub(super) fn answer(&mut self, id: u64, operation: u16, outcome: Outcome) -> Option<Code> {
        let fitting = |reply: Vec<u8>| if self.fits(&reply) { Ok(reply) } else { Err(Refusal::plain(Code::TOO_LARGE)) };
        let reply = outcome.and_then(fitting);
        let body =
            reply.as_ref().map_err(Refusal::clone).and_then(|reply| self.body(FrameKind::Reply, operation, reply));
        match body {
            Ok(body) => {
                self.append_body(FrameKind::Reply, id, operation, &body);
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
        self.append_body(FrameKind::Refused, id, operation, &self.encoding.refusal(refusal));
    }

    /// Adds a frame whose compact body [`fits`](Self::fits), or the refusal of one that has no fitting JSON.
    pub(super) fn frame(&mut self, kind: FrameKind, id: u64, operation: u16, compact: &[u8]) {
        match self.body(kind, operation, compact) {
            Ok(body) => self.append_body(kind, id, operation, &body),
            Err(refusal) => self.refuse(id, operation, &refusal),
        }
    }

    fn body<'a>(&self, kind: FrameKind, operation: u16, compact: &'a [u8]) -> Result<Cow<'a, [u8]>, Refusal> {
        let Some(handler) = dispatch::handler(operation) else { return Err(Refusal::plain(Code::UNKNOWN_OPERATION)) };
        let bytes_max = self.encoding.answer_bytes_max(self.frame_bytes_max) - HEADER_BYTES;
        self.encoding.body(kind, handler.row, compact, bytes_max)
    }

    fn append_body(&mut self, kind: FrameKind, id: u64, operation: u16, body: &[u8]) {
        self.append(body.len(), |bytes| {
            frame::append_with(bytes, kind, operation, id, |bytes| bytes.extend_from_slice(body));
        });
    }

    /// Has a frame appended whose body takes about so many bytes.
    fn append(&mut self, body_bytes: usize, append: impl FnOnce(&mut Vec<u8>)) {
        let is_full = |chunk: &Vec<u8>| !chunk.is_empty() && chunk.len() + body_bytes > CHUNK_BYTES;
        if self.chunks.back().is_none_or(is_full) {
            let chunk = Vec::with_capacity(LENGTH_BYTES + HEADER_BYTES + body_bytes);
            self.capacity += chunk.capacity();
            self.chunks.push_back(chunk);
        }
        if let Some(chunk) = self.chunks.back_mut() {
            let (bytes, capacity) = (chunk.len(), chunk.capacity());
            append(chunk);
            self.bytes += chunk.len() - bytes;
            self.capacity += chunk.capacity() - capacity;
        }
    }

    /// True if an encoded body may be sent in a frame.
    pub(super) fn fits(&self, body: &[u8]) -> bool {
        body.len() + HEADER_BYTES <= self.frame_bytes_max
    }

    /// Puts what another outbox has left before its own frames, of which nothing was written meanwhile.
    pub(super) fn put_before(&mut self, earlier: Self) {
        self.unread += earlier.unread;
        if earlier.is_empty() {
            return;
        }
        let later = std::mem::replace(self, Self { unread: self.unread, ..earlier });
        self.bytes += later.bytes;
        for chunk in later.chunks.into_iter().filter(|chunk| !chunk.is_empty()) {
            self.capacity += chunk.capacity();
            self.chunks.push_back(chunk);
        }
    }

    /// Notes that the socket has taken so many bytes.
    pub(super) fn has_written(&mut self, bytes: usize) {
        self.written += bytes;
        self.bytes -= bytes;
        self.unread += bytes;
        if self.written == self.chunks[0].len() {
            self.written = 0;
            self.capacity -= self.chunks[0].capacity();
            if self.chunks.len() > 1 {
                self.chunks.pop_front();
            } else {
                self.chunks[0].clear();
                self.chunks[0].shrink_to(IDLE_BYTES);
                self.capacity += self.chunks[0].capacity();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_an_answer_comes_before_later_ones_and_is_counted_once() {
        let answer = |id| {
            let mut outbox = Outbox::new(Encoding::Binary, 1 << 20);
            outbox.refuse(id, 7, &Refusal::plain(Code::NOT_FOUND));
            outbox
        };
        let (mut earlier, mut outbox) = (answer(1), answer(2));
        let (first, second) = (earlier.rest().to_vec(), outbox.rest().to_vec());
        earlier.has_written(5);
        outbox.put_before(earlier);
        assert_eq!(outbox.unread(), 5);
        let mut taken = Vec::new();
        while !outbox.is_empty() {
            taken.push(outbox.rest()[0]);
            outbox.has_written(1);
        }
        assert_eq!(taken, [&first[5..], &second[..]].concat());
        outbox.put_before({
            let mut sent = answer(3);
            sent.has_written(first.len());
            sent
        });
        assert!(outbox.is_empty() && outbox.capacity() - outbox.unread() <= IDLE_BYTES);
        assert_eq!(outbox.unread(), 2 * first.len() + second.len());
    }
}
