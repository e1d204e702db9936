//! The standby's end of forwarding: a link carries the writes of one connection to the member that leads, and brings its
//! answers back, in their order.
//!
//! A link ends when another member leads, when the leader ends it, and when an answer does not come. The requests on it
//! then have an unknown outcome, and their connection ends: its client sends them again under their idempotency keys, in
//! their order, to whichever member leads by then.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use enroll_core::context::Peer;
use enroll_protocol::envelope::{Hello, MAGIC, PROTOCOL_VERSION, Welcome};
use enroll_protocol::frame::{self, FrameKind, FrameReader};
use enroll_protocol::{Envelope, MemberName, Refusal, codec};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::client::TlsStream;

use super::{Introduction, MemberTls, tune};
use crate::daemon::Daemon;
use crate::net::handshake::READ_BYTES;
use crate::net::pending::{Answered, Pending};
use crate::writer::Outcome;

/// The time in which a link must reach the leader; then its connection ends as busy.
const REACH: Duration = Duration::from_secs(2);

/// Between two attempts to reach the leader.
const RETRY: Duration = Duration::from_millis(50);

/// The name that TLS wants of a server; members are known by their key.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The address of a member, if it told one.
type Addresses = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The way to the member that leads.
pub struct Forwarding {
    daemon: Arc<Daemon>,
    member: MemberName,
    tls: MemberTls,
    addresses: Addresses,
    /// The longest wait for an answer.
    patience: Duration,
}

/// A request on its way to the leader.
pub(in crate::net) struct Carried {
    pub(in crate::net) pending: Pending,
    pub(in crate::net) envelope: Envelope,
    /// The request's own bytes.
    pub(in crate::net) request: Vec<u8>,
}

/// The link of one connection.
pub(in crate::net) struct Link(mpsc::UnboundedSender<Carried>);

impl Forwarding {
    /// From this member to the one that leads, for answers that come within this time.
    pub fn new(
        daemon: Arc<Daemon>,
        member: MemberName,
        tls: MemberTls,
        addresses: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
        patience: Duration,
    ) -> Self {
        Self { daemon, member, tls, addresses: Box::new(addresses), patience }
    }

    /// True if the leader takes what is forwarded.
    pub(in crate::net) fn is_open(&self) -> bool {
        self.daemon.role.leader().is_none_or(|leader| (self.addresses)(&leader).is_some())
    }

    /// Opens a link for the connection of this peer, which gets the answers.
    pub(in crate::net) fn open(self: &Arc<Self>, peer: &Peer, answers: mpsc::UnboundedSender<Answered>) -> Link {
        let (requests, carried) = mpsc::unbounded_channel();
        let introduction = Introduction::of(&self.member, peer);
        let running =
            Running { way: Arc::clone(self), requests: carried, answers, unanswered: BTreeMap::new(), next: 1 };
        tokio::spawn(running.run(introduction));
        Link(requests)
    }

    /// The leader, reached and greeted, its name, and the largest frame that it sends.
    async fn reach(&self, introduction: &Introduction) -> io::Result<(TlsStream<TcpStream>, FrameReader, String)> {
        let leader = self.daemon.role.leader().unwrap_or_default();
        let address = (self.addresses)(&leader);
        let address = address.ok_or_else(|| io::Error::other(format!("{leader} has told no address")))?;
        let stream = TcpStream::connect(&address).await?;
        tune(&stream)?;
        let mut link = self.tls.connector.connect(ServerName::IpAddress(NOBODY.into()), stream).await?;
        let mut greeting = introduction.to_bytes()?;
        let hello = Hello { magic: MAGIC, protocol: PROTOCOL_VERSION, client: format!("member {}", self.member) };
        frame::append(&mut greeting, FrameKind::Hello, 0, 0, &hello);
        link.write_all(&greeting).await?;
        let mut frames = FrameReader::new(READ_BYTES);
        loop {
            if let Some(frame) = frames.next_frame().map_err(io::Error::other)? {
                let welcome = match frame.kind {
                    FrameKind::Welcome => codec::decode::<Welcome>(frame.body).map_err(io::Error::other)?,
                    _ => return Err(refused(frame.body)),
                };
                frames.set_bytes_max(usize::try_from(welcome.frame_bytes_max).unwrap_or(usize::MAX));
                return Ok((link, frames, leader));
            }
            read(&mut link, &mut frames).await?;
        }
    }
}

impl Link {
    /// Sends a request; gives it back where the link has ended.
    pub(in crate::net) fn send(&self, carried: Carried) -> Result<(), Box<Carried>> {
        self.0.send(carried).map_err(|unsent| Box::new(unsent.0))
    }
}

/// The task of a link.
struct Running {
    way: Arc<Forwarding>,
    requests: mpsc::UnboundedReceiver<Carried>,
    answers: mpsc::UnboundedSender<Answered>,
    /// Requests that were sent, by their number on the link, and when each was.
    unanswered: BTreeMap<u64, (Pending, Instant)>,
    next: u64,
}

impl Running {
    async fn run(mut self, introduction: Introduction) {
        let served = match self.reach(&introduction).await {
            Ok((link, frames, leader)) => self.serve(link, frames, &leader).await,
            Err(err) => Err(err),
        };
        if let Err(err) = served {
            tracing::debug!(%err, uid = introduction.uid, "a link to the leader has ended");
        }
        // Nothing is sent to it from here on.
        self.requests.close();
        let mut unsent = Vec::new();
        while let Some(carried) = self.requests.recv().await {
            unsent.push(carried.pending);
        }
        let unanswered: Vec<_> = self.unanswered.into_values().map(|(pending, _)| pending).collect();
        if !unsent.is_empty() || !unanswered.is_empty() {
            // A session that is gone needs no answer.
            let _ = self.answers.send(Answered::Unforwarded { unanswered, unsent });
        }
    }

    /// Reaches the leader, again and again while one is elected, for [`REACH`] at most.
    async fn reach(&self, introduction: &Introduction) -> io::Result<(TlsStream<TcpStream>, FrameReader, String)> {
        let until = Instant::now() + REACH;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match timeout(left, self.way.reach(introduction)).await {
                Ok(Ok(reached)) => return Ok(reached),
                Ok(Err(err)) if Instant::now() + RETRY >= until => return Err(err),
                Ok(Err(_)) => sleep(RETRY).await,
                Err(_) => return Err(io::Error::other("the leader does not answer")),
            }
            if !self.way.daemon.role.is_standby() || self.answers.is_closed() {
                return Err(io::Error::other("no leader is needed any more"));
            }
        }
    }

    /// Carries requests and answers until the connection has ended, or the link can not go on.
    async fn serve(&mut self, link: TlsStream<TcpStream>, mut frames: FrameReader, leader: &str) -> io::Result<()> {
        let (mut input, mut output) = tokio::io::split(link);
        let mut leads = self.way.daemon.role.watch();
        let (mut bytes, mut written) = (Vec::new(), 0);
        let mut is_flushed = true;
        loop {
            if written == bytes.len() {
                bytes.clear();
                written = 0;
            }
            let overdue = self.unanswered.values().next().map(|(_, sent)| *sent + self.way.patience);
            tokio::select! {
                biased;
                read = read(&mut input, &mut frames) => {
                    read?;
                    while let Some(frame) = frames.next_frame().map_err(io::Error::other)? {
                        if frame.id == 0 {
                            return Err(refused(frame.body));
                        }
                        let outcome: Outcome = match frame.kind {
                            FrameKind::Reply => Ok(frame.body.to_vec()),
                            _ => Err(codec::decode(frame.body).map_err(io::Error::other)?),
                        };
                        let Some((pending, _)) = self.unanswered.remove(&frame.id) else {
                            return Err(io::Error::other("an answer to no request"));
                        };
                        let _ = self.answers.send(Answered::Forwarded(pending, outcome));
                    }
                }
                carried = self.requests.recv() => {
                    let Some(carried) = carried else { return Ok(()) };
                    self.take(carried, &mut bytes);
                    while let Ok(carried) = self.requests.try_recv() {
                        self.take(carried, &mut bytes);
                    }
                    is_flushed = false;
                }
                moved = push(&mut output, &bytes[written..]), if !is_flushed => match moved? {
                    0 => is_flushed = true,
                    some => written += some,
                },
                other = leads.wait_for(|now| now.as_deref() != Some(leader)) => {
                    drop(other);
                    return Err(io::Error::other("another member leads"));
                }
                () = sleep_until(overdue.unwrap_or_else(Instant::now)), if overdue.is_some() => {
                    return Err(io::Error::other("an answer does not come"));
                }
            }
        }
    }

    fn take(&mut self, carried: Carried, bytes: &mut Vec<u8>) {
        let Carried { pending, envelope, request } = carried;
        frame::append_with(bytes, FrameKind::Request, pending.operation, self.next, |bytes| {
            codec::encode_into(&envelope, bytes);
            bytes.extend_from_slice(&request);
        });
        self.unanswered.insert(self.next, (pending, Instant::now()));
        self.next += 1;
    }
}

/// Reads what has come; an end is an error.
async fn read(input: &mut (impl AsyncRead + Unpin), frames: &mut FrameReader) -> io::Result<()> {
    let bytes = input.read(frames.room(READ_BYTES)).await?;
    frames.arrived(bytes);
    if bytes == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

/// Writes some bytes, or flushes where there are none: then 0.
async fn push(output: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<usize> {
    match bytes {
        [] => output.flush().await.map(|()| 0),
        bytes => output.write(bytes).await,
    }
}

/// The error of a link that the leader refuses.
fn refused(body: &[u8]) -> io::Error {
    match codec::decode::<Refusal>(body) {
        Ok(refusal) => io::Error::other(refusal),
        Err(err) => io::Error::other(err),
    }
}
