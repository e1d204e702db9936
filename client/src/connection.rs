//! The handshake of a connection: from the socket to the daemon's welcome.

use std::io;
use std::time::Duration;

use enroll_protocol::envelope::{Hello, MAGIC, PROTOCOL_VERSION, Welcome};
use enroll_protocol::frame::{self, FrameKind, FrameReader};
use enroll_protocol::limits::DECODE_BYTES_MAX;
use enroll_protocol::{Code, Refusal, codec};
use enroll_socket::{Incoming, Outgoing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::builder::Builder;
use crate::error::Error;
use crate::peer;
use crate::socket::check_socket;

/// Buffer space of each read, enough for many small answers.
const READ_BYTES: usize = 16 << 10;

/// A connection after the handshake.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) incoming: Incoming,
    pub(crate) outgoing: Outgoing,
    pub(crate) reader: FrameReader,
    /// The pid of the listener, if it can be seen.
    pub(crate) listener_pid: Option<i32>,
    /// The largest request frame that the daemon accepts.
    pub(crate) frame_bytes_max: usize,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum ConnectError {
    /// No daemon answers.
    Absent(String),
    /// The daemon is at its connection limit or shutting down. It says when to come again, or nothing of it.
    Busy(String, Option<Duration>),
    /// A retry would not help.
    Fatal(Error),
}

impl ConnectError {
    /// The reason for people, and how long the daemon wants to be left alone.
    pub(crate) fn reason(self) -> (String, Option<Duration>) {
        match self {
            Self::Absent(why) | Self::Fatal(Error::Unavailable(why) | Error::Protocol(why)) => (why, None),
            Self::Busy(why, wait) => (why, wait),
            Self::Fatal(Error::Refused(refusal)) => (refusal.message, None),
        }
    }
}

impl Connection {
    /// Connects and shakes hands, once.
    pub(crate) async fn open(builder: &Builder) -> Result<Self, ConnectError> {
        check_socket(&builder.socket)
            .map_err(|why| ConnectError::Fatal(Error::Refused(Refusal::new(Code::INVALID_ARGUMENT, why))))?;
        let connected = UnixStream::connect(&builder.socket).await;
        let stream = connected.map_err(|err| not_connected(builder, &err))?;
        let peer = stream.peer_cred().map_err(|err| not_connected(builder, &err))?;
        peer::check(peer.uid(), &builder.required_peers).map_err(|why| {
            let shown = builder.socket.display();
            ConnectError::Fatal(Error::Unavailable(format!("nothing was sent: what listens at {shown} {why}")))
        })?;
        let listener_pid = peer.pid();
        let parts = stream.into_std().and_then(enroll_socket::split);
        let (mut incoming, mut outgoing) = parts.map_err(|err| not_connected(builder, &err))?;
        let hello = Hello { magic: MAGIC, protocol: PROTOCOL_VERSION, client: builder.name.clone() };
        let mut bytes = Vec::new();
        frame::append(&mut bytes, FrameKind::Hello, 0, 0, &hello);
        // If the write fails, the last frame of a daemon that is shutting down can still be read.
        let written = outgoing.write_all(&bytes).await;
        // The daemon's frame limit is not known yet, and may be above the default.
        let mut reader = FrameReader::new(DECODE_BYTES_MAX);
        let frame_bytes_max = loop {
            match first_frame(builder, &mut reader) {
                Ok(Some(frame_bytes_max)) => break frame_bytes_max,
                Ok(None) => {}
                Err(error) => return Err(error),
            }
            match read(&mut incoming, &mut reader).await {
                Ok(0) => return Err(absent(builder, "it closed the connection without a word")),
                Ok(_) => {}
                Err(err) => return Err(absent(builder, &written.err().unwrap_or(err).to_string())),
            }
        };
        Ok(Self { incoming, outgoing, reader, listener_pid, frame_bytes_max })
    }
}

/// Reads available bytes into the reader; returns 0 at the end of the connection.
pub(crate) async fn read(incoming: &mut (impl AsyncReadExt + Unpin), reader: &mut FrameReader) -> io::Result<usize> {
    let bytes = incoming.read(reader.room(READ_BYTES)).await?;
    reader.arrived(bytes);
    Ok(bytes)
}

/// Decodes the first frame: the frame limit of a welcome, or the error of a refusal; `None` until it has arrived.
fn first_frame(builder: &Builder, reader: &mut FrameReader) -> Result<Option<usize>, ConnectError> {
    let socket = builder.socket.display();
    let stranger = |what: String| ConnectError::Fatal(Error::Protocol(format!("what answers at {socket} {what}")));
    let frame = match reader.next_frame() {
        Ok(Some(frame)) => frame,
        Ok(None) => return Ok(None),
        Err(err) => return Err(stranger(format!("is not enrolld: {err}"))),
    };
    let unreadable = |err| stranger(format!("is not enrolld: {err}"));
    match frame.kind {
        FrameKind::Welcome => {
            // Later versions may add to it, at its end.
            let (welcome, _) = codec::decode_front::<Welcome>(frame.body).map_err(unreadable)?;
            if welcome.protocol == PROTOCOL_VERSION {
                return Ok(Some(welcome.frame_bytes_max as usize));
            }
            let (theirs, daemon) = (welcome.protocol, welcome.daemon);
            Err(stranger(format!(
                "is enrolld {daemon} with protocol {theirs}; this client speaks protocol {PROTOCOL_VERSION}"
            )))
        }
        FrameKind::Refused => {
            let refusal: Refusal = codec::decode(frame.body).map_err(unreadable)?;
            Err(match refusal.code {
                // A daemon is there, and it or its successor will have time.
                Code::BUSY => {
                    turned_away(&format!("the daemon at {socket} runs and has no room for this connection"), &refusal)
                }
                Code::SHUTTING_DOWN => turned_away(&format!("the daemon at {socket}"), &refusal),
                _ => ConnectError::Fatal(Error::Refused(refusal)),
            })
        }
        _ => Err(stranger("is not enrolld: it does not welcome".to_owned())),
    }
}

fn not_connected(builder: &Builder, err: &io::Error) -> ConnectError {
    match err.kind() {
        // A Unix socket whose queue of connections is full says so; a daemon that is away does not.
        io::ErrorKind::WouldBlock => {
            ConnectError::Busy(format!("the daemon at {} accepts no connection", builder.socket.display()), None)
        }
        // The daemon may be running, so the hint to start it would be wrong.
        io::ErrorKind::PermissionDenied => {
            let name = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
            let name = name.map_or_else(|| nix::unistd::geteuid().to_string(), |user| user.name);
            ConnectError::Fatal(Error::Refused(Refusal::new(
                Code::PERMISSION_DENIED,
                format!(
                    "{} may not be opened by this user: an administrator can put them into its group and \
                     give a grant in enrolld.toml, under [grants]: operate = [\"user:{name}\"]",
                    builder.socket.display()
                ),
            )))
        }
        _ => absent(builder, &err.to_string()),
    }
}

/// The error for a daemon that is there and turns the connection away, without the hint to start one.
fn turned_away(what: &str, refusal: &Refusal) -> ConnectError {
    let ms = refusal.details.as_ref().and_then(|details| details.member::<u64>("retry_after_ms").ok().flatten());
    let wait = ms.map_or_else(String::new, |ms| format!(" (it asks to come again after {ms} ms)"));
    ConnectError::Busy(format!("{what}: {}{wait}", refusal.message), ms.map(Duration::from_millis))
}

fn absent(builder: &Builder, why: &str) -> ConnectError {
    ConnectError::Absent(format!(
        "no daemon answers at {}: {why}; start the daemon with `enrolld`, or name another socket with --socket",
        builder.socket.display()
    ))
}
