//! Framing without I/O (sans-I/O): bytes go in as they arrive, frames come out when they are complete.
//!
//! A frame is a big-endian `u32` length and that many bytes: kind `u8`, operation `u16`, request id `u64` (all
//! big-endian), then the body, in the connection's [`Encoding`](crate::encoding::Encoding). The length is checked against the limit before memory is allocated for it.

use serde::Serialize;

use crate::codec;

/// Kind, operation number and request id.
pub const HEADER_BYTES: usize = 11;

/// The length in front of a frame, which does not count itself.
pub const LENGTH_BYTES: usize = 4;

/// The kind of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// A client introduces itself. Body: [`Hello`](crate::envelope::Hello).
    Hello = 1,
    /// The daemon accepts. Body: [`Welcome`](crate::envelope::Welcome).
    Welcome = 2,
    /// A request. Body: [`Envelope`](crate::Envelope), then the operation's request.
    Request = 3,
    /// The answer to the request of this id. Body: the operation's reply.
    Reply = 4,
    /// The request of this id is refused; with id 0, the connection is. Body: [`Refusal`](crate::Refusal).
    Refused = 5,
    /// One item of the stream of this id. Body: the operation's reply type, which is the type of an item.
    StreamItem = 6,
    /// The stream of this id has no more items. No body. A stream that is refused ends with [`Self::Refused`].
    StreamEnd = 7,
    /// The stream of this id has begun; always its first frame. Body: the request that begins at the same position
    /// again, so that a client that has seen no item yet can resume without a hole. A walk can not be resumed: it is
    /// begun anew or not at all.
    StreamBegun = 8,
}

impl FrameKind {
    fn from_byte(byte: u8) -> Option<Self> {
        use FrameKind::{Hello, Refused, Reply, Request, StreamBegun, StreamEnd, StreamItem, Welcome};
        [Hello, Welcome, Request, Reply, Refused, StreamItem, StreamEnd, StreamBegun]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// A complete frame, borrowed from the read buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The kind.
    pub kind: FrameKind,
    /// The operation's number, 0 outside requests and replies.
    pub operation: u16,
    /// Chosen by the client, repeated in the answer; 0 stands for the connection itself.
    pub id: u64,
    /// The encoded body.
    pub body: &'a [u8],
}

/// Bytes that are no frame: the connection has to end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The claimed length is over the limit.
    #[error("a frame of {bytes} bytes is over the limit of {bytes_max}")]
    TooLong {
        /// The claimed length.
        bytes: usize,
        /// The limit of this connection.
        bytes_max: usize,
    },
    /// The claimed length does not even hold a header.
    #[error("a frame of {0} bytes is too short for its header")]
    TooShort(usize),
    /// A request with the id that stands for the connection itself.
    #[error("a request's id must not be 0")]
    ReservedId,
    /// The first byte of the header is none of the kinds.
    #[error("there is no frame kind {0}")]
    UnknownKind(u8),
}

/// The read buffer of a connection, which turns bytes into frames.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use enroll_protocol::frame::{self, FrameKind, FrameReader};
///
/// let mut bytes = Vec::new();
/// frame::append(&mut bytes, FrameKind::Request, 1, 7, &"a body");
/// let mut frames = FrameReader::new(1 << 20);
/// frames.push(&bytes[..5]);
/// assert!(frames.next_frame()?.is_none(), "it is not whole yet");
/// frames.push(&bytes[5..]);
/// assert_eq!(frames.next_frame()?.map(|frame| (frame.operation, frame.id)), Some((1, 7)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FrameReader {
    /// The read buffer: bytes that have arrived, then room for more.
    buffer: Vec<u8>,
    /// Everything before this was handed out.
    start: usize,
    /// End of the bytes that have arrived.
    end: usize,
    bytes_max: usize,
}

/// Capacity that an idle read buffer keeps.
const ROOM_BYTES: usize = 64 << 10;

/// Capacity that a trimmed read buffer keeps, for connections with small frames.
const TRIMMED_BYTES: usize = 4 << 10;

/// The frame at the front of a read buffer, as its first bytes announce it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// All bytes of the frame, its length in front included.
    pub bytes: usize,
    /// The operation's number; `None` until it has arrived.
    pub operation: Option<u16>,
    /// All of its bytes have arrived.
    pub is_whole: bool,
}

impl FrameReader {
    /// A reader that refuses frames over `bytes_max`.
    ///
    /// The example stands at [`FrameReader`].
    pub fn new(bytes_max: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, end: 0, bytes_max }
    }

    /// Replaces the limit, for frames that were not handed out yet.
    ///
    /// A hello is read within a small limit, and what follows it within the configured one.
    pub fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// Spare capacity for so many bytes, to be read into; [`arrived`](Self::arrived) takes the number that came. Frames
    /// that were handed out are dropped here, so the buffer holds at most one unfinished frame and the bytes of one
    /// read.
    ///
    /// A reader of a socket reads into it, without a copy; for bytes at hand [`push`](Self::push) is simpler.
    pub fn room(&mut self, bytes: usize) -> &mut [u8] {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.end == 0 && self.buffer.len() > ROOM_BYTES {
            self.buffer.truncate(ROOM_BYTES);
            self.buffer.shrink_to_fit();
        }
        let end = self.end + bytes;
        if self.buffer.len() < end {
            self.grow_to(end);
        }
        &mut self.buffer[self.end..end]
    }

    /// The memory that it takes, in bytes.
    ///
    /// The daemon counts it against its memory budget.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Gives memory back that neither the bytes at hand nor the frame at the front needs.
    ///
    /// For a connection that has become idle.
    pub fn trim(&mut self) {
        let capacity = self.buffer.capacity();
        let needed = self.announced().map_or(0, |front| front.bytes).max(self.end - self.start);
        if capacity > TRIMMED_BYTES && capacity / 2 > needed {
            self.buffer = self.rest().to_vec();
            (self.start, self.end) = (0, self.buffer.len());
        }
    }

    /// So many bytes were read into the spare capacity.
    pub fn arrived(&mut self, bytes: usize) {
        self.end = self.buffer.len().min(self.end + bytes);
    }

    /// Appends bytes that have arrived.
    ///
    /// The example stands at [`FrameReader`].
    pub fn push(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
        self.arrived(bytes.len());
    }

    /// The bytes that have arrived and were not handed out.
    ///
    /// For a connection that is taken over by other code, such as the tests' own reader.
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The frame at the front; `None` until its length has arrived, and for a length out of bounds.
    ///
    /// So the memory of a large frame can be reserved before it has arrived.
    pub fn announced(&self) -> Option<Announced> {
        let rest = self.rest();
        let length = u32::from_be_bytes(*rest.first_chunk::<LENGTH_BYTES>()?) as usize;
        let bytes = LENGTH_BYTES + length;
        let operation =
            rest.get(LENGTH_BYTES + 1..LENGTH_BYTES + 3).map(|number| u16::from_be_bytes([number[0], number[1]]));
        let is_fine = (HEADER_BYTES..=self.bytes_max).contains(&length);
        is_fine.then_some(Announced { bytes, operation, is_whole: rest.len() >= bytes })
    }

    /// True while the read buffer holds a part of a frame.
    ///
    /// A connection that ends then has broken off.
    pub fn is_inside_frame(&self) -> bool {
        !self.rest().is_empty()
    }

    /// The next complete frame, or `None` until more bytes arrive.
    ///
    /// The example stands at [`FrameReader`].
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        let rest = &self.buffer[self.start..self.end];
        let Some((length, rest)) = rest.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let bytes = u32::from_be_bytes(*length) as usize;
        if bytes > self.bytes_max {
            return Err(FrameError::TooLong { bytes, bytes_max: self.bytes_max });
        }
        if bytes < HEADER_BYTES {
            return Err(FrameError::TooShort(bytes));
        }
        let Some(frame) = rest.get(..bytes) else { return Ok(None) };
        self.start += LENGTH_BYTES + bytes;
        let mut id = [0; 8];
        id.copy_from_slice(&frame[3..HEADER_BYTES]);
        Ok(Some(Frame {
            kind: FrameKind::from_byte(frame[0]).ok_or(FrameError::UnknownKind(frame[0]))?,
            operation: u16::from_be_bytes([frame[1], frame[2]]),
            id: u64::from_be_bytes(id),
            body: &frame[HEADER_BYTES..],
        }))
    }

    /// Makes the buffer so long. It grows by doubling, and not beyond the frame at its front.
    fn grow_to(&mut self, end: usize) {
        if self.buffer.capacity() < end {
            let whole = self.announced().map_or(0, |front| front.bytes);
            let capacity = whole.min(2 * self.buffer.capacity()).max(end);
            self.buffer.reserve_exact(capacity - self.buffer.len());
        }
        self.buffer.resize(end, 0);
    }
}

/// Appends a frame whose body is a value.
///
/// The example stands at [`FrameReader`].
pub fn append<T: Serialize>(bytes: &mut Vec<u8>, kind: FrameKind, operation: u16, id: u64, body: &T) {
    append_with(bytes, kind, operation, id, |bytes| codec::encode_into(body, bytes));
}

/// Appends a frame whose body is what `fill` appends.
///
/// For a body of several values, such as an envelope and a request; else [`append`] is simpler.
pub fn append_with(bytes: &mut Vec<u8>, kind: FrameKind, operation: u16, id: u64, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; LENGTH_BYTES]);
    bytes.push(kind as u8);
    bytes.extend_from_slice(&operation.to_be_bytes());
    bytes.extend_from_slice(&id.to_be_bytes());
    fill(bytes);
    // A frame over 4 GiB can not be built from values that are bounded; the other side would refuse the length.
    let length = u32::try_from(bytes.len() - start - LENGTH_BYTES).unwrap_or(u32::MAX);
    bytes[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_wherever_the_bytes_are_cut() {
        let mut bytes = Vec::new();
        append(&mut bytes, FrameKind::Request, 7, 1, &"hello");
        append(&mut bytes, FrameKind::Reply, 7, 2, &true);
        for cut in 0..=bytes.len() {
            let mut reader = FrameReader::new(1024);
            let mut seen = Vec::new();
            for part in [&bytes[..cut], &bytes[cut..]] {
                reader.push(part);
                while let Some(frame) = reader.next_frame().expect("frames") {
                    seen.push((frame.kind, frame.operation, frame.id, frame.body.to_vec()));
                }
            }
            let expected =
                [(FrameKind::Request, 7, 1, codec::encode(&"hello")), (FrameKind::Reply, 7, 2, codec::encode(&true))];
            assert_eq!(seen, expected, "cut at {cut}");
        }
    }

    #[test]
    fn memory_is_what_the_frame_at_the_front_needs_and_goes_with_it() {
        const LARGE: usize = 300_000;
        let mut bytes = Vec::new();
        append(&mut bytes, FrameKind::Request, 7, 1, &"x".repeat(LARGE));
        let whole = bytes.len();
        append(&mut bytes, FrameKind::Request, 8, 2, &"small");
        let mut reader = FrameReader::new(1 << 20);
        for piece in bytes.chunks(16 << 10) {
            assert!(reader.announced().is_none_or(|front| (front.bytes, front.is_whole) == (whole, false)));
            reader.push(piece);
            assert!(reader.capacity() <= whole + (16 << 10), "{}", reader.capacity());
        }
        assert_eq!(reader.announced(), Some(Announced { bytes: whole, operation: Some(7), is_whole: true }));
        assert_eq!(reader.next_frame().expect("a frame").map(|frame| frame.id), Some(1));
        reader.trim();
        assert!(reader.capacity() <= TRIMMED_BYTES);
        assert_eq!(reader.next_frame().expect("a frame").map(|frame| frame.id), Some(2));
    }

    #[test]
    fn a_length_out_of_bounds_is_refused_before_its_bytes_arrive() {
        for (length, error) in [
            (u32::MAX, FrameError::TooLong { bytes: u32::MAX as usize, bytes_max: 1024 }),
            (1025, FrameError::TooLong { bytes: 1025, bytes_max: 1024 }),
            (10, FrameError::TooShort(10)),
        ] {
            let mut reader = FrameReader::new(1024);
            reader.push(&length.to_be_bytes());
            assert_eq!(reader.next_frame(), Err(error));
        }
    }
}
