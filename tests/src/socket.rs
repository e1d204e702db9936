//! A connection without the client crate: it sends what it is told, also what no client would, and notices the end of
//! the daemon at once instead of looking for the next one.
//!
//! It waits for every answer, but never for ever.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::process::PATIENCE;
use enroll_protocol::envelope::{Hello, MAGIC, PROTOCOL_VERSION};
use enroll_protocol::frame::{self, FrameKind, FrameReader};
use enroll_protocol::limits::FRAME_BYTES_MAX;
use enroll_protocol::{Envelope, Operation, Refusal, codec};

/// An encoded reply, or a refusal.
pub type Outcome = Result<Vec<u8>, Refusal>;

/// A frame that was received.
#[derive(Debug, PartialEq, Eq)]
pub struct Received {
    /// The kind.
    pub kind: FrameKind,
    /// Of which request.
    pub id: u64,
    /// The rest.
    pub body: Vec<u8>,
}

impl Received {
    /// The welcome; nothing else may arrive after it.
    pub fn outcome(self) -> Outcome {
        match self.kind {
            FrameKind::Reply => Ok(self.body),
            FrameKind::Refused => Err(codec::decode(&self.body).expect("a refusal")),
            other => panic!("the daemon sent {other:?}"),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Socket {
    stream: UnixStream,
    reader: FrameReader,
    next_id: u64,
}

impl Socket {
    /// Connects and says nothing.
    pub fn silent(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        Self { stream, reader: FrameReader::new(FRAME_BYTES_MAX), next_id: 1 }
    }

    /// Connects and is welcomed.
    pub fn connect(path: &Path) -> Self {
        let mut socket = Self::hello(path);
        socket.welcomed();
        socket
    }

    /// Connects and is welcomed within this time; `None` where nobody listens, or nobody welcomes.
    pub fn try_connect(path: &Path, wait: Duration) -> Option<Self> {
        let stream = UnixStream::connect(path).ok()?;
        stream.set_write_timeout(Some(PATIENCE)).ok()?;
        let mut socket = Self { stream, reader: FrameReader::new(FRAME_BYTES_MAX), next_id: 1 };
        socket.say_hello().ok()?;
        socket.receive_within(wait).filter(|frame| frame.kind == FrameKind::Welcome).map(|_| socket)
    }

    /// Connects, says hello and does not wait.
    pub fn hello(path: &Path) -> Self {
        let mut socket = Self::silent(path);
        socket.say_hello().expect("sent");
        socket
    }

    fn say_hello(&mut self) -> std::io::Result<()> {
        let hello = Hello { magic: MAGIC, protocol: PROTOCOL_VERSION, client: "test".to_owned() };
        let mut bytes = Vec::new();
        frame::append(&mut bytes, FrameKind::Hello, 0, 0, &hello);
        self.send(&bytes)
    }

    /// Waits for the welcome.
    pub fn welcomed(&mut self) {
        assert_eq!(self.receive().map(|frame| frame.kind), Some(FrameKind::Welcome));
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Says that nothing more is sent.
    pub fn end(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("shut down");
    }

    /// Appends the frame of a request; its id.
    pub fn frame(&mut self, bytes: &mut Vec<u8>, envelope: &Envelope, number: u16, request: &[u8]) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        frame::append_with(bytes, FrameKind::Request, number, id, |bytes| {
            codec::encode_into(envelope, bytes);
            bytes.extend_from_slice(request);
        });
        id
    }

    /// Sends an operation; its id.
    pub fn ask<O: Operation>(&mut self, operation: &O) -> u64 {
        let mut bytes = Vec::new();
        let id = self.frame(&mut bytes, &Envelope::default(), O::ROW.number, &codec::encode(operation));
        self.send(&bytes).expect("sent");
        id
    }

    /// The next frame; `None` at the end of the connection, however it came.
    pub fn receive(&mut self) -> Option<Received> {
        self.next_frame().unwrap_or_else(|err| panic!("the daemon says nothing: {err}"))
    }

    /// The next frame; `None` at the end of the connection, or where none comes within this time.
    pub fn receive_within(&mut self, wait: Duration) -> Option<Received> {
        self.stream.set_read_timeout(Some(wait)).ok()?;
        self.next_frame().ok()?
    }

    fn next_frame(&mut self) -> std::io::Result<Option<Received>> {
        loop {
            if let Some(frame) = self.reader.next_frame().expect("frames") {
                return Ok(Some(Received { kind: frame.kind, id: frame.id, body: frame.body.to_vec() }));
            }
            let mut buffer = [0; 16 << 10];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(bytes) => self.reader.push(&buffer[..bytes]),
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                Err(err) if matches!(err.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                    return Ok(None);
                }
                Err(err) => return Err(err),
            }
        }
    }

    /// True if the daemon sends bytes, or closes the connection, within this time.
    pub fn is_heard_within(&mut self, wait: Duration) -> bool {
        self.stream.set_read_timeout(Some(wait)).expect("a timeout");
        let mut buffer = [0; 1024];
        let read = self.stream.read(&mut buffer);
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        match read {
            Ok(bytes) => self.reader.push(&buffer[..bytes]),
            Err(err) if matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                return false;
            }
            Err(_) => {}
        }
        true
    }

    /// The next so many answers, by id.
    pub fn outcomes(&mut self, count: usize) -> BTreeMap<u64, Outcome> {
        let received = (0..count).map(|_| self.receive().expect("an answer"));
        received.map(|frame| (frame.id, frame.outcome())).collect()
    }

    /// Asks one thing and waits for its answer.
    pub fn call<O: Operation>(&mut self, operation: &O) -> Result<O::Reply, Refusal> {
        let id = self.ask(operation);
        let frame = self.receive().expect("an answer");
        assert_eq!(frame.id, id);
        frame.outcome().map(|reply| codec::decode(&reply).expect("a reply of its type"))
    }

    /// Asks many things at once; their answers in the order they were asked.
    pub fn call_all(&mut self, requests: &[(Envelope, u16, Vec<u8>)]) -> Vec<Outcome> {
        let mut all = Vec::new();
        for some in requests.chunks(200) {
            let mut bytes = Vec::new();
            for (envelope, number, request) in some {
                self.frame(&mut bytes, envelope, *number, request);
            }
            self.send(&bytes).expect("sent");
            all.extend(self.outcomes(some.len()).into_values());
        }
        all
    }
}
