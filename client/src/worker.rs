//! The worker task of a client, which owns the socket: it sends, receives and reconnects.
//!
//! It reconnects only while a request is open: a connection that ends before is replaced at the next call.

use std::sync::Arc;

use std::time::Duration;

use enroll_protocol::frame::FrameReader;
use enroll_socket::Sender;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::backoff::{Backoff, Jitter};
use crate::breaker;
use crate::builder::Builder;
use crate::calls::{Calls, Direct};
use crate::connection::{self, ConnectError, Connection};
use crate::error::Error;
use crate::pipeline::Step;

/// The state of the task.
#[derive(Debug)]
pub(crate) struct Worker {
    builder: Builder,
    calls: Arc<Calls>,
    backoff: Option<Backoff>,
    jitter: Jitter,
}

/// The errors after which a connection is attempted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Only a daemon at its connection limit.
    WhileBusy,
    /// An absent daemon, too.
    WhileAway,
    /// Every error, because the next daemon may do better.
    Always,
}

/// The end of a served connection.
#[derive(Debug)]
enum End {
    /// No client is left and no request is open.
    Done,
    Lost,
    Failed(Error),
}

/// Connects, with retries until the backoff ends.
pub(crate) async fn reach(
    builder: &Builder,
    backoff: &mut Backoff,
    jitter: &mut Jitter,
    retry: Retry,
) -> Result<Connection, Error> {
    let until = backoff.until();
    let (mut last, mut asked) = (None, Duration::ZERO);
    loop {
        // The daemon knows better when there may be room, but a caller does not wait longer than it wants.
        let delay = backoff.next_delay(jitter).max(jitter.spread(std::mem::take(&mut asked)));
        if !delay.is_zero() {
            sleep_until(until.min(Instant::now() + delay)).await;
            if Instant::now() >= until {
                let closes = || format!("the daemon at {} closes every connection", builder.socket.display());
                return Err(Error::Unavailable(last.unwrap_or_else(closes)));
            }
        }
        last = match timeout_at(until, Connection::open(builder)).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(ConnectError::Fatal(error))) if retry != Retry::Always => return Err(error),
            Ok(Err(ConnectError::Absent(why))) if retry == Retry::WhileBusy => return Err(Error::Unavailable(why)),
            Ok(Err(error)) => {
                let (why, wait) = error.reason();
                asked = wait.unwrap_or_default();
                Some(why)
            }
            // The time may end before this attempt begins; then the error of the one before is reported.
            Err(_) => last.or_else(|| Some(format!("the daemon at {} does not answer", builder.socket.display()))),
        };
    }
}

impl Worker {
    pub(crate) fn new(builder: Builder, calls: Arc<Calls>) -> Self {
        Self { builder, calls, backoff: None, jitter: Jitter::new() }
    }

    /// Serves until no client is left and every request is answered.
    pub(crate) async fn run(mut self, mut connection: Option<Connection>) {
        loop {
            let Some(connection) = connection.take() else {
                if self.calls.lock().pipeline.is_empty() {
                    self.backoff = None;
                }
                if !self.calls.awaited().await {
                    return;
                }
                connection = self.reconnect().await;
                continue;
            };
            let end = self.serve(connection).await;
            {
                let mut state = self.calls.lock();
                state.direct = None;
                state.rest.clear();
                state.pipeline.lost();
            }
            match end {
                End::Done => return,
                End::Lost => {}
                End::Failed(error) => self.fail_all(&error),
            }
        }
    }

    /// Reconnects for the open requests. On failure answers them with the error; then returns `None`, or with a circuit
    /// breaker the connection that is found later.
    async fn reconnect(&mut self) -> Option<Connection> {
        let backoff = self.backoff.get_or_insert_with(|| Backoff::begin(self.builder.reconnect_for));
        let retry = if self.builder.has_breaker { Retry::Always } else { Retry::WhileAway };
        match reach(&self.builder, backoff, &mut self.jitter, retry).await {
            Ok(connection) => Some(connection),
            Err(error) => {
                self.fail_all(&error);
                if !self.builder.has_breaker {
                    return None;
                }
                breaker::until_found(&self.builder, &self.calls, error).await
            }
        }
    }

    fn fail_all(&mut self, error: &Error) {
        self.backoff = None;
        self.calls.fail_all(error);
    }

    async fn serve(&mut self, connection: Connection) -> End {
        let Connection { mut incoming, mut outgoing, mut reader, frame_bytes_max, .. } = connection;
        let mut out = WriteBuffer::default();
        self.calls.lock().direct = Some(Direct { socket: outgoing.sender().clone(), frame_bytes_max });
        loop {
            let paused_until = {
                let mut state = self.calls.lock();
                if state.is_abandoned && state.pipeline.is_empty() {
                    return End::Done;
                }
                out.bytes.append(&mut state.rest);
                if state.pipeline.has_unsent() {
                    state.pipeline.fill(&mut out.bytes, frame_bytes_max, Instant::now());
                }
                state.pipeline.paused_until()
            };
            if out.send(outgoing.sender()).is_err() {
                return End::Lost;
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
                () = self.calls.changed() => {}
                written = outgoing.write(out.rest()), if !out.is_empty() => match written {
                    Ok(bytes) => out.written += bytes,
                    Err(_) => return End::Lost,
                },
                () = until(paused_until) => {}
            }
        }
    }

    /// Handles every complete frame, also the answers after a frame that ends the connection.
    fn take_frames(&mut self, reader: &mut FrameReader) -> Option<End> {
        let (mut end, now) = (None, Instant::now());
        let mut state = self.calls.lock();
        loop {
            let step = match reader.next_frame() {
                Ok(Some(frame)) => state.pipeline.take(frame, now),
                Ok(None) => return end,
                Err(err) => Step::Failed(Error::Protocol(format!("the daemon's bytes: {err}"))),
            };
            match step {
                // One that is busy is there, and each request has a limit of its own for that.
                Step::Answered | Step::Again => self.backoff = None,
                Step::Lost => end = Some(End::Lost),
                Step::Failed(error) => return Some(End::Failed(error)),
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.calls.end();
    }
}

/// The write buffer of the socket.
#[derive(Debug, Default)]
struct WriteBuffer {
    bytes: Vec<u8>,
    written: usize,
}

impl WriteBuffer {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// Writes as much as the socket accepts without blocking, many frames in one system call.
    fn send(&mut self, socket: &Sender) -> std::io::Result<()> {
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
