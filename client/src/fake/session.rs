//! A session of a fake daemon: one connection's requests, answered in their order.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use enroll_core::context::Peer;
use enroll_protocol::envelope::{Hello, MAGIC, PROTOCOL_VERSION, Welcome};
use enroll_protocol::frame::{self, FrameKind, FrameReader, HEADER_BYTES};
use enroll_protocol::{Code, Refusal, codec};

use super::Shared;
use super::registry::{Answered, Stream};

/// Bytes asked of the socket at a time.
const READ_BYTES: usize = 16 << 10;

/// The pause before a stream without items is asked again.
const STREAM_PAUSE: Duration = Duration::from_millis(5);

pub(super) struct Session {
    socket: UnixStream,
    peer: Peer,
    shared: Arc<Shared>,
    frames: FrameReader,
    /// Streams that were begun: the id and the operation of each.
    streams: Vec<(u64, u16, Box<Stream>)>,
}

impl Session {
    pub(super) fn new(socket: UnixStream, peer: Peer, shared: Arc<Shared>) -> Self {
        let frames = FrameReader::new(shared.frame_bytes_max);
        Self { socket, peer, shared, frames, streams: Vec::new() }
    }

    /// Serves the connection to its end. A failed socket is an end like others.
    pub(super) fn serve(mut self) {
        let _ = self.greet().and_then(|welcomed| if welcomed { self.answer_all() } else { Ok(()) });
    }

    /// Answers the hello; false if there was none of this protocol.
    fn greet(&mut self) -> io::Result<bool> {
        let mut bytes = Vec::new();
        loop {
            if let Some(frame) = self.frames.next_frame().map_err(io::Error::other)? {
                let hello = (frame.kind == FrameKind::Hello).then(|| codec::decode_front::<Hello>(frame.body).ok());
                let known = |(hello, _): &(Hello, usize)| hello.magic == MAGIC && hello.protocol == PROTOCOL_VERSION;
                let is_known = hello.flatten().is_some_and(|hello| known(&hello));
                if is_known {
                    let welcome = Welcome {
                        protocol: PROTOCOL_VERSION,
                        daemon: env!("CARGO_PKG_VERSION").to_owned(),
                        grant: self.peer.grant.name().to_owned(),
                        frame_bytes_max: u32::try_from(self.shared.frame_bytes_max).unwrap_or(u32::MAX),
                    };
                    frame::append(&mut bytes, FrameKind::Welcome, 0, 0, &welcome);
                } else {
                    let why = format!("this is a fake enrolld of protocol version {PROTOCOL_VERSION}; say hello first");
                    frame::append(&mut bytes, FrameKind::Refused, 0, 0, &Refusal::new(Code::INVALID_ARGUMENT, why));
                }
                self.socket.write_all(&bytes)?;
                return Ok(is_known);
            }
            if self.read()? == Some(0) {
                return Ok(false);
            }
        }
    }

    fn answer_all(&mut self) -> io::Result<()> {
        loop {
            let mut answers = Vec::new();
            while let Some(frame) = self.frames.next_frame().map_err(io::Error::other)? {
                let (id, operation) = (frame.id, frame.operation);
                let answered = self.shared.registry().answer(&frame, &self.peer);
                let answer = |kind, body: &[u8]| (kind, id, operation, body.to_vec());
                match answered {
                    Answered::Reply(Ok(reply)) => answers.push(answer(FrameKind::Reply, &reply)),
                    Answered::Reply(Err(refusal)) => {
                        answers.push(answer(FrameKind::Refused, &codec::encode(&refusal)));
                    }
                    Answered::Walk(begun, items, ended) => {
                        answers.push(answer(FrameKind::StreamBegun, &begun));
                        answers.extend(items.iter().map(|item| answer(FrameKind::StreamItem, item)));
                        answers.push(match ended {
                            Ok(()) => answer(FrameKind::StreamEnd, &[]),
                            Err(refusal) => answer(FrameKind::Refused, &codec::encode(&refusal)),
                        });
                    }
                    Answered::Stream(begun, stream) => {
                        answers.push(answer(FrameKind::StreamBegun, &begun));
                        self.streams.push((id, operation, stream));
                    }
                }
            }
            for (kind, id, operation, body) in answers {
                self.send(kind, id, operation, &body)?;
            }
            self.step_streams(false)?;
            self.socket.set_read_timeout((!self.streams.is_empty()).then_some(STREAM_PAUSE))?;
            if self.read()? == Some(0) {
                return self.step_streams(true);
            }
        }
    }

    /// Sends what the streams have; each ends there, if the peer asks for nothing more.
    fn step_streams(&mut self, is_ending: bool) -> io::Result<()> {
        for (id, operation, mut stream) in std::mem::take(&mut self.streams) {
            let ended = loop {
                let items = self.shared.registry().step(&mut stream);
                match items {
                    Ok(items) if items.is_empty() && is_ending => break Some((FrameKind::StreamEnd, Vec::new())),
                    Ok(items) if items.is_empty() => break None,
                    Ok(items) => {
                        for item in items {
                            self.send(FrameKind::StreamItem, id, operation, &item)?;
                        }
                    }
                    Err(refusal) => break Some((FrameKind::Refused, codec::encode(&refusal))),
                }
            };
            match ended {
                Some((kind, body)) => self.send(kind, id, operation, &body)?,
                None => self.streams.push((id, operation, stream)),
            }
        }
        Ok(())
    }

    /// Sends a frame; in place of one that is too large, a refusal.
    fn send(&mut self, kind: FrameKind, id: u64, operation: u16, body: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::new();
        match body.len() + HEADER_BYTES <= self.shared.frame_bytes_max {
            true => frame::append_with(&mut bytes, kind, operation, id, |bytes| bytes.extend_from_slice(body)),
            false => frame::append(&mut bytes, FrameKind::Refused, operation, id, &Refusal::plain(Code::TOO_LARGE)),
        }
        self.socket.write_all(&bytes)
    }

    /// Reads what the socket has, 0 at its end; `None` if nothing came in time.
    fn read(&mut self) -> io::Result<Option<usize>> {
        match self.socket.read(self.frames.room(READ_BYTES)) {
            Ok(bytes) => {
                self.frames.arrived(bytes);
                Ok(Some(bytes))
            }
            Err(err) if matches!(err.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
            Err(err) => Err(err),
        }
    }
}
