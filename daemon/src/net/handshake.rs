//! The handshake of a connection: the client sends a hello, the daemon a welcome or a refusal.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};

use enroll_protocol::encoding::Encoding;
use enroll_protocol::envelope::{Hello, MAGIC, PROTOCOL_VERSION, Welcome};
use enroll_protocol::frame::{self, FrameError, FrameKind, FrameReader};
use enroll_protocol::{Code, Refusal};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::timeout;

use crate::config::Limits;
use crate::daemon::abuse::{Abuse, AbuseLog};
use crate::metrics::Metrics;
use enroll_core::context::Peer;

/// Bytes asked of a socket at a time.
pub const READ_BYTES: usize = 16 << 10;

/// The retry time for a client that finds no room, or a daemon that is leaving.
pub const RETRY_AFTER_MS: u64 = 500;

/// Characters of a client's name that are logged.
const CLIENT_CHARACTERS_MAX: usize = 64;
/// The largest first frame of a client, in bytes: a hello has a name and little more.
pub const HELLO_BYTES_MAX: usize = 4 << 10;

thread_local! {
    /// The bytes of the read that is under way on this thread.
    static ARRIVED: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// Why a connection ended other than in good order.
#[derive(Debug, thiserror::Error)]
pub enum End {
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The bytes that arrived are no frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The peer did not keep to the contract.
    #[error("{0}")]
    Refused(&'static str),
    /// The same, for the abuse log.
    #[error("{0:?}")]
    Abuse(Abuse),
}

impl End {
    /// Notes it in the abuse log, if it belongs there.
    pub fn note(&self, log: &AbuseLog, uid: u32) {
        match self {
            Self::Abuse(kind) => log.note(*kind, uid),
            Self::Frame(_) => log.note(Abuse::MalformedFrame, uid),
            Self::Io(_) | Self::Refused(_) => {}
        }
    }
}

/// Waits for the hello and answers it; the encoding that the client has chosen. What arrived behind it stays in `frames`.
pub async fn greet(
    input: &mut (impl AsyncRead + Unpin),
    output: &mut (impl AsyncWrite + Unpin),
    frames: &mut FrameReader,
    peer: &Peer,
    limits: &Limits,
    metrics: &Metrics,
) -> Result<Encoding, End> {
    let Ok(hello) = timeout(limits.finish_frame, read_hello(input, frames)).await else {
        refuse(output, Encoding::Binary, &too_slow("a client says hello", limits), limits, metrics).await;
        return Err(End::Abuse(Abuse::NoHello));
    };
    let (encoding, hello) = match hello {
        Ok((encoding, hello)) => (encoding, Ok(hello)),
        Err(end) => (Encoding::Binary, Err(end)),
    };
    let why = match hello {
        Ok(Some(hello)) if hello.magic == MAGIC && hello.protocol == PROTOCOL_VERSION => {
            // As a text, and so in quotes: it can not pose as another field of the line.
            let client = hello.client.chars().take(CLIENT_CHARACTERS_MAX).collect::<String>();
            tracing::debug!(uid = peer.uid, pid = peer.pid, client, ?encoding, "connected");
            return welcome(output, encoding, peer, limits).await.map(|()| encoding);
        }
        Ok(Some(hello)) if hello.magic == MAGIC => format!(
            "this daemon speaks protocol version {PROTOCOL_VERSION}, the client {}; use the same version of both",
            hello.protocol
        ),
        Ok(_) | Err(End::Frame(_)) => "this is enrolld; a client says hello first".to_owned(),
        Err(end) => return Err(end),
    };
    refuse(output, encoding, &Refusal::new(Code::INVALID_ARGUMENT, why), limits, metrics).await;
    Err(End::Abuse(Abuse::WrongHello))
}

/// The refusal of a peer that began something and did not go on. Our own client then begins anew.
pub fn too_slow(what: &str, limits: &Limits) -> Refusal {
    let seconds = limits.finish_frame.as_secs();
    let why =
        format!("{what} within {seconds} s (server.finish_frame_seconds); connect again and send it in one piece");
    Refusal::new(Code::BUSY, why).with(json!({"retry_after_ms": 0}))
}

/// The refusal of a connection by a daemon that is shutting down. The next one may be there when the client comes again.
pub fn leaving() -> Refusal {
    Refusal::plain(Code::SHUTTING_DOWN).with(json!({"retry_after_ms": RETRY_AFTER_MS}))
}

/// Refuses a connection: one frame that says why.
pub async fn refuse(
    output: &mut (impl AsyncWrite + Unpin),
    encoding: Encoding,
    refusal: &Refusal,
    limits: &Limits,
    metrics: &Metrics,
) {
    metrics.connection_refused(refusal.code);
    // The peer may be gone or may never read; that is its own affair.
    let _ = timeout(limits.take_answer, output.write_all(&refusal_frame(encoding, refusal))).await;
}

/// The frame that refuses a connection.
pub fn refusal_frame(encoding: Encoding, refusal: &Refusal) -> Vec<u8> {
    frame_of(FrameKind::Refused, &encoding.refusal(refusal))
}

/// A frame about the connection itself.
fn frame_of(kind: FrameKind, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::append_with(&mut bytes, kind, 0, 0, |bytes| bytes.extend_from_slice(body));
    bytes
}

/// Reads what the socket has, up to [`READ_BYTES`]; 0 at its end. A connection that waits for bytes holds no memory for
/// them: they arrive in a buffer of the thread.
pub async fn read_some(input: &mut (impl AsyncRead + Unpin), frames: &mut FrameReader) -> std::io::Result<usize> {
    poll_fn(|context| {
        ARRIVED.with_borrow_mut(|arrived| {
            let mut buffer = ReadBuf::new(arrived);
            ready!(Pin::new(&mut *input).poll_read(context, &mut buffer))?;
            frames.push(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        })
    })
    .await
}

async fn read_hello(
    input: &mut (impl AsyncRead + Unpin),
    frames: &mut FrameReader,
) -> Result<(Encoding, Option<Hello>), End> {
    loop {
        if let Some(frame) = frames.next_frame()? {
            if frame.kind != FrameKind::Hello {
                return Ok((Encoding::Binary, None));
            }
            let encoding = Encoding::of_hello(frame.body);
            return Ok((encoding, encoding.hello(frame.body)));
        }
        if read_some(input, frames).await? == 0 {
            return Err(End::Refused("it said nothing"));
        }
    }
}

async fn welcome(
    output: &mut (impl AsyncWrite + Unpin),
    encoding: Encoding,
    peer: &Peer,
    limits: &Limits,
) -> Result<(), End> {
    let welcome = Welcome {
        protocol: PROTOCOL_VERSION,
        daemon: env!("CARGO_PKG_VERSION").to_owned(),
        grant: peer.grant.name().to_owned(),
        frame_bytes_max: u32::try_from(limits.frame_bytes_max).unwrap_or(u32::MAX),
    };
    let bytes = frame_of(FrameKind::Welcome, &encoding.welcome(&welcome));
    timeout(limits.take_answer, output.write_all(&bytes)).await.map_err(|_| End::Abuse(Abuse::UntakenAnswers))??;
    Ok(())
}
