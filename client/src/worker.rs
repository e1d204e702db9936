//! The task that serves a client: it sends, receives, and connects again.
//!
//! It is the only one that touches the socket. While nothing is open it does nothing, and a connection that ends then
//! is not replaced before the next call.

use enroll_protocol::frame::FrameReader;
use enroll_socket::Outgoing;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::builder::Builder;
use crate::connection::{self, Connection, Trouble};
use crate::error::Error;
use crate::outage::{Jitter, Outage};
use crate::pipeline::{Job, Pipeline, Step};

/// See the module.
#[derive(Debug)]
pub(crate) struct Worker {
    builder: Builder,
    jobs: mpsc::UnboundedReceiver<Job>,
    pipeline: Pipeline,
    outage: Option<Outage>,
    jitter: Jitter,
}

/// What a connection attempt puts up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// A daemon that has no room.
    WhileBusy,
    /// A daemon that is away, too.
    WhileAway,
}

/// How serving a connection ended.
#[derive(Debug)]
enum End {
    /// No client is left and nothing is open.
    Done,
    Lost,
    Failed(Error),
}

/// Connects; tries again until the outage has lasted too long.
pub(crate) async fn reach(
    builder: &Builder,
    outage: &mut Outage,
    jitter: &mut Jitter,
    patience: Patience,
) -> Result<Connection, Error> {
    let until = outage.until();
    let mut last = None;
    loop {
        let delay = outage.next_delay(jitter);
        if !delay.is_zero() {
            if Instant::now() >= until {
                let closes = || format!("the daemon at {} closes every connection", builder.socket.display());
                return Err(Error::Unavailable(last.unwrap_or_else(closes)));
            }
            sleep_until(until.min(Instant::now() + delay)).await;
        }
        last = match timeout_at(until, Connection::open(builder)).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(Trouble::Final(error))) => return Err(error),
            Ok(Err(Trouble::Absent(why))) if patience == Patience::WhileBusy => return Err(Error::Unavailable(why)),
            Ok(Err(Trouble::Absent(why) | Trouble::Crowded(why))) => Some(why),
            // The time may be over before an attempt has begun; then what the one before was told is why.
            Err(_) => last.or_else(|| Some(format!("the daemon at {} does not answer", builder.socket.display()))),
        };
    }
}

impl Worker {
    pub(crate) fn new(builder: Builder, jobs: mpsc::UnboundedReceiver<Job>) -> Self {
        let pipeline = Pipeline::new(builder.busy_for);
        Self { builder, jobs, pipeline, outage: None, jitter: Jitter::new() }
    }

    /// Serves until no client is left and everything is answered.
    pub(crate) async fn run(mut self, mut connection: Option<Connection>) {
        loop {
            let Some(connection) = connection.take() else {
                if self.pipeline.is_empty() {
                    self.outage = None;
                    let Some(job) = self.jobs.recv().await else { return };
                    self.pipeline.push(job);
                }
                connection = self.reconnect().await;
                continue;
            };
            match self.serve(connection).await {
                End::Done => return,
                End::Lost => self.pipeline.lost(),
                End::Failed(error) => self.fail_all(&error),
            }
        }
    }

    /// A new connection for what is open; `None` if it was answered with why there is none.
    async fn reconnect(&mut self) -> Option<Connection> {
        let outage = self.outage.get_or_insert_with(|| Outage::begin(self.builder.reconnect_for));
        match reach(&self.builder, outage, &mut self.jitter, Patience::WhileAway).await {
            Ok(connection) => Some(connection),
            Err(error) => {
                self.fail_all(&error);
                None
            }
        }
    }

    fn fail_all(&mut self, error: &Error) {
        self.outage = None;
        while let Ok(job) = self.jobs.try_recv() {
            self.pipeline.push(job);
        }
        self.pipeline.fail_all(error);
    }

    async fn serve(&mut self, connection: Connection) -> End {
        let Connection { mut incoming, mut outgoing, mut reader, frame_bytes_max, .. } = connection;
        let mut out = Output::default();
        let mut has_clients = true;
        loop {
            while let Ok(job) = self.jobs.try_recv() {
                self.pipeline.push(job);
            }
            self.pipeline.fill(&mut out.bytes, frame_bytes_max, Instant::now());
            if out.send(&outgoing).is_err() {
                return End::Lost;
            }
            if !has_clients && self.pipeline.is_empty() {
                return End::Done;
            }
            tokio::select! {
                biased;
                bytes = connection::read(&mut incoming, &mut reader) => {
                    if !matches!(bytes, Ok(1..)) {
                        return End::Lost;
                    }
                    if let Some(end) = self.take_frames(&mut reader) {
                        return end;
                    }
                }
                job = self.jobs.recv(), if has_clients => match job {
                    Some(job) => self.pipeline.push(job),
                    None => has_clients = false,
                },
                written = outgoing.write(out.rest()), if !out.is_empty() => match written {
                    Ok(bytes) => out.written += bytes,
                    Err(_) => return End::Lost,
                },
                () = until(self.pipeline.paused_until()) => {}
            }
        }
    }

    /// Acts on every complete frame, also on those behind one that ends the connection: answers are answers.
    fn take_frames(&mut self, reader: &mut FrameReader) -> Option<End> {
        let (mut end, now) = (None, Instant::now());
        loop {
            let step = match reader.next_frame() {
                Ok(Some(frame)) => self.pipeline.take(frame, now),
                Ok(None) => return end,
                Err(err) => Step::Failed(Error::Protocol(format!("the daemon's bytes: {err}"))),
            };
            match step {
                Step::Answered => self.outage = None,
                Step::Again => {}
                Step::Lost => end = Some(End::Lost),
                Step::Failed(error) => return Some(End::Failed(error)),
            }
        }
    }
}

/// Bytes on their way to the socket.
#[derive(Debug, Default)]
struct Output {
    bytes: Vec<u8>,
    written: usize,
}

impl Output {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// Writes as much as the socket takes now, many frames in one system call.
    fn send(&mut self, socket: &Outgoing) -> std::io::Result<()> {
        while self.written < self.bytes.len() {
            match socket.try_write(self.rest()) {
                Ok(bytes) => self.written += bytes,
                Err(err) if err.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                Err(err) => return Err(err),
            }
        }
        self.bytes.clear();
        self.written = 0;
        Ok(())
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
