//! The streams: items over a connection of their own, resumed after the last item when the connection is lost. A walk
//! over one state can not be resumed: a lost connection is an error, and the walk may be begun again.
//!
//! Backpressure: no task reads ahead, so unread items stay in the socket and then with the daemon, and a slow reader
//! needs no more memory than a fast one. If the daemon closes the connection of a slow reader, the stream resumes over
//! the next one. Dropping a stream closes its connection, which ends it.

use std::marker::PhantomData;

use enroll_protocol::frame::{self, Frame, FrameKind};
use enroll_protocol::{Code, Envelope, Operation, OperationRow, Refusal, codec};
use tokio::io::AsyncWriteExt as _;

use crate::backoff::{Backoff, Jitter};
use crate::builder::Builder;
use crate::connection::{self, Connection};
use crate::error::Error;
use crate::worker::{Retry, reach};

/// The id of the only request of the connection.
const ID: u64 = 1;

/// The encoded items of a stream that was begun by [`Client::stream_raw`](crate::Client::stream_raw).
///
/// ```
/// use enroll_client::protocol::{Envelope, OperationRow, changes, codec};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = enroll_client::fake::Daemon::builder().start()?;
/// # let client = daemon.client()?;
/// let row = OperationRow::by_name("changes.follow").ok_or("no such operation")?;
/// let request = codec::encode(&changes::Follow { since: None });
/// let mut items = client.stream_raw(row, Envelope::default(), &request).await?;
/// # client.call(enroll_client::protocol::token::Use::new("nonce-4711".parse()?)).await?;
/// while let Some(item) = items.next().await {
///     println!("{}", row.reply_to_json(&item?)?);
/// # break;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RawStream {
    builder: Builder,
    row: &'static OperationRow,
    envelope: Envelope,
    /// The encoded request, with the position at which the stream began.
    request: Vec<u8>,
    /// The last item that was returned; the stream resumes after it.
    last: Option<Vec<u8>>,
    connection: Option<Connection>,
    backoff: Option<Backoff>,
    jitter: Jitter,
    is_begun: bool,
    is_over: bool,
}

/// The items of a stream that was begun by [`Client::stream`](crate::Client::stream).
///
/// ```
/// use enroll_client::protocol::changes;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = enroll_client::fake::Daemon::builder().start()?;
/// # let client = daemon.client()?;
/// # client.call(enroll_client::protocol::token::Use::new("nonce-4711".parse()?)).await?;
/// let mut changes = client.stream(changes::Follow { since: Some(0) }).await?;
/// while let Some(change) = changes.next().await {
///     println!("{}", change?.seq);
/// # break;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Stream<O>(RawStream, PhantomData<fn() -> O>);

/// A frame of the stream.
enum Event {
    Begun(Vec<u8>),
    Item(Vec<u8>),
    End,
}

impl RawStream {
    /// Connects, sends the request, and waits until the stream has begun or is refused.
    pub(crate) async fn open(
        builder: Builder,
        row: &'static OperationRow,
        envelope: Envelope,
        request: Vec<u8>,
    ) -> Result<Self, Error> {
        if !row.kind.has_items() {
            return Err(Error::Refused(Refusal::new(Code::INVALID_ARGUMENT, format!("{} is no stream", row.name))));
        }
        let (connection, backoff, jitter) = (None, None, Jitter::new());
        let (last, is_begun, is_over) = (None, false, false);
        let mut stream = Self { builder, row, envelope, request, last, connection, backoff, jitter, is_begun, is_over };
        let retry = if stream.builder.has_breaker { Retry::Always } else { Retry::WhileBusy };
        match stream.event(retry).await? {
            Event::Begun(request) => stream.request = request,
            _ => return Err(Error::Protocol(format!("the daemon did not say where {} begins", row.name))),
        }
        stream.is_begun = true;
        Ok(stream)
    }

    /// Waits for the next item; `None` at the end of the stream. Cancel safe.
    ///
    /// After [`Error::Unavailable`] the next call reconnects and resumes after the last item. Every other error ends
    /// the stream, and any error ends a walk.
    ///
    /// It can stand in a `select!`. The example stands at [`RawStream`].
    pub async fn next(&mut self) -> Option<Result<Vec<u8>, Error>> {
        while !self.is_over {
            match self.event(Retry::WhileAway).await {
                Ok(Event::Item(item)) => return Some(Ok(self.last.insert(item).clone())),
                Ok(Event::Begun(_)) => {}
                Ok(Event::End) => self.end(),
                Err(Error::Unavailable(why)) if self.row.resume.is_some() => {
                    return Some(Err(Error::Unavailable(why)));
                }
                Err(error) => {
                    self.end();
                    return Some(Err(error));
                }
            }
        }
        None
    }

    fn end(&mut self) {
        self.is_over = true;
        self.connection = None;
    }

    /// Waits for the next event, across connections.
    async fn event(&mut self, retry: Retry) -> Result<Event, Error> {
        loop {
            let Some(connection) = &mut self.connection else {
                if self.is_begun && self.row.resume.is_none() {
                    return Err(Error::Unavailable(format!(
                        "{} broke off and can not be continued; begin it again",
                        self.row.name
                    )));
                }
                self.connection = self.resume(retry).await?;
                continue;
            };
            let broken = |err| Error::Protocol(format!("the daemon's bytes: {err}"));
            let event = match connection.reader.next_frame().map_err(broken)? {
                Some(frame) => read(frame)?,
                None => match connection::read(&mut connection.incoming, &mut connection.reader).await {
                    Ok(1..) => continue,
                    Ok(0) | Err(_) => None,
                },
            };
            match event {
                Some(event) => {
                    self.backoff = None;
                    return Ok(event);
                }
                None => self.connection = None,
            }
        }
    }

    /// Connects and requests the items after the last one; `None` if the new connection is already lost.
    async fn resume(&mut self, retry: Retry) -> Result<Option<Connection>, Error> {
        let backoff = self.backoff.get_or_insert_with(|| Backoff::begin(self.builder.reconnect_for));
        let mut connection = match reach(&self.builder, backoff, &mut self.jitter, retry).await {
            Ok(connection) => connection,
            Err(error) => {
                self.backoff = None;
                return Err(error);
            }
        };
        let request = match (self.row.resume, &self.last) {
            (Some(resume), Some(last)) => resume(&self.request, last).map_err(|err| unreadable(self.row, &err))?,
            _ => self.request.clone(),
        };
        let mut bytes = Vec::new();
        frame::append_with(&mut bytes, FrameKind::Request, self.row.number, ID, |bytes| {
            codec::encode_into(&self.envelope, bytes);
            bytes.extend_from_slice(&request);
        });
        let asked = connection.outgoing.write_all(&bytes).await;
        Ok(asked.is_ok().then_some(connection))
    }
}

impl<O: Operation> Stream<O> {
    pub(crate) fn new(raw: RawStream) -> Self {
        Self(raw, PhantomData)
    }

    /// Waits for the next item; see [`RawStream::next`].
    ///
    /// ```
    /// # use enroll_client::{fake::Daemon, protocol::{changes, token}};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let daemon = Daemon::builder().start()?;
    /// # let client = daemon.client()?;
    /// client.call(token::Use::new("nonce-4711".parse()?)).await?;
    /// let mut changes = client.stream(changes::Follow { since: Some(0) }).await?;
    /// let change = changes.next().await.ok_or("it has no end")??;
    /// assert_eq!((change.seq, change.verb.as_str()), (1, "use"));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next(&mut self) -> Option<Result<O::Reply, Error>> {
        let item = self.0.next().await?;
        Some(item.and_then(|item| codec::decode(&item).map_err(|err| unreadable(O::ROW, &err))))
    }
}

/// Decodes a frame; `None` if it ends the connection and not the stream.
fn read(frame: Frame<'_>) -> Result<Option<Event>, Error> {
    match frame.kind {
        FrameKind::StreamBegun if frame.id == ID => Ok(Some(Event::Begun(frame.body.to_vec()))),
        FrameKind::StreamItem if frame.id == ID => Ok(Some(Event::Item(frame.body.to_vec()))),
        FrameKind::StreamEnd if frame.id == ID => Ok(Some(Event::End)),
        FrameKind::Refused => {
            let refusal: Refusal =
                codec::decode(frame.body).map_err(|err| Error::Protocol(format!("a refusal of the daemon: {err}")))?;
            match refusal.code {
                Code::BUSY | Code::SHUTTING_DOWN | Code::OUTCOME_UNKNOWN => Ok(None),
                _ => Err(Error::Refused(refusal)),
            }
        }
        kind => Err(Error::Protocol(format!("the daemon sent an unexpected frame: {kind:?} of request {}", frame.id))),
    }
}

fn unreadable(row: &OperationRow, err: &enroll_protocol::Invalid) -> Error {
    Error::Protocol(format!("an item of {}: {err}", row.name))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use enroll_protocol::changes::{Change, Follow, PeerId};
    use enroll_protocol::{Time, server};

    use super::*;
    use crate::Client;
    use crate::fake_daemon::{FakeDaemon, FakeSession};

    fn change(seq: u64) -> Change {
        let (area, verb, peer) = ("token".to_owned(), "use".to_owned(), PeerId { uid: 1000, pid: 1, member: None });
        Change {
            seq,
            at: Time::EPOCH,
            area,
            verb,
            subjects: vec![],
            actor: None,
            peer,
            origin: None,
            cause: None,
            refused: None,
        }
    }

    /// Expects a request for the changes after `since`, and begins a stream of those after `after`.
    async fn begin(daemon: &FakeDaemon, since: Option<u64>, after: u64) -> FakeSession {
        let mut session = daemon.accept().await;
        let asked = session.asked::<Follow>().await;
        assert_eq!((asked.id, asked.request.since), (ID, since));
        session.send(FrameKind::StreamBegun, ID, &Follow { since: Some(after) }).await;
        session
    }

    async fn follow(daemon: &FakeDaemon, reconnect_for: Duration) -> (Stream<Follow>, FakeSession) {
        let client = Client::builder(daemon.socket()).reconnect_for(reconnect_for).lazy();
        let stream = tokio::spawn(async move { client.stream(Follow { since: None }).await });
        let session = begin(daemon, None, 7).await;
        (stream.await.expect("a task").expect("a stream"), session)
    }

    async fn seq(stream: &mut Stream<Follow>) -> Option<Result<u64, Error>> {
        stream.next().await.map(|item| item.map(|change| change.seq))
    }

    #[tokio::test]
    async fn a_stream_resumes_at_its_begin_and_then_after_its_last_item() {
        let daemon = FakeDaemon::listen();
        let (mut stream, session) = follow(&daemon, Duration::from_secs(600)).await;
        drop(session);
        let serving = async {
            let mut session = begin(&daemon, Some(7), 7).await;
            for seq in [8, 9] {
                session.send(FrameKind::StreamItem, ID, &change(seq)).await;
            }
            drop(session);
            let mut session = begin(&daemon, Some(9), 9).await;
            session.refuse(0, &Refusal::plain(Code::SHUTTING_DOWN)).await;
            let mut session = begin(&daemon, Some(9), 9).await;
            session.send(FrameKind::StreamItem, ID, &change(10)).await;
            session.send(FrameKind::StreamEnd, ID, &()).await;
            session.closed().await;
        };
        let following = async {
            for expected in [8, 9, 10] {
                assert_eq!(seq(&mut stream).await, Some(Ok(expected)));
            }
            assert_eq!((seq(&mut stream).await, seq(&mut stream).await), (None, None));
        };
        tokio::join!(serving, following);
    }

    #[tokio::test]
    async fn a_stream_fails_when_the_daemon_stays_away_and_can_be_continued() {
        let daemon = FakeDaemon::listen();
        let (mut stream, mut session) = follow(&daemon, Duration::from_millis(30)).await;
        session.send(FrameKind::StreamItem, ID, &change(8)).await;
        let socket = daemon.socket();
        drop(session);
        assert_eq!(seq(&mut stream).await, Some(Ok(8)));
        let away = socket.with_extension("away");
        std::fs::rename(&socket, &away).expect("renamed");
        for _ in 0..2 {
            assert!(matches!(seq(&mut stream).await, Some(Err(Error::Unavailable(_)))));
        }
        std::fs::rename(&away, &socket).expect("renamed");
        let serving = async {
            let mut session = begin(&daemon, Some(8), 8).await;
            session.send(FrameKind::StreamItem, ID, &change(9)).await;
            session
        };
        assert_eq!(tokio::join!(serving, seq(&mut stream)).1, Some(Ok(9)));
    }

    /// Two halves of different states are a backup of neither.
    #[tokio::test]
    async fn a_walk_that_breaks_off_is_neither_resumed_nor_restarted() {
        for items in [0, 2] {
            let daemon = FakeDaemon::listen();
            let client = Client::builder(daemon.socket()).reconnect_for(Duration::from_secs(600)).lazy();
            let stream = tokio::spawn(async move { client.stream(server::Backup {}).await });
            let mut session = daemon.accept().await;
            session.asked::<server::Backup>().await;
            session.send(FrameKind::StreamBegun, ID, &server::Backup {}).await;
            let mut stream = stream.await.expect("a task").expect("a stream");
            for number in 0..items {
                let piece = server::Piece(vec![number; 9]);
                session.send(FrameKind::StreamItem, ID, &piece).await;
                assert_eq!(stream.next().await, Some(Ok(piece)));
            }
            drop(session);
            let Some(Err(Error::Unavailable(why))) = stream.next().await else { panic!("it went on") };
            assert!(why.contains("server.backup broke off"), "{why}");
            assert_eq!(stream.next().await, None);
        }
    }

    #[tokio::test]
    async fn a_refusal_ends_the_stream() {
        let daemon = FakeDaemon::listen();
        let (mut stream, mut session) = follow(&daemon, Duration::from_secs(600)).await;
        session.refuse(ID, &Refusal::plain(Code::PERMISSION_DENIED)).await;
        assert_eq!(seq(&mut stream).await, Some(Err(Error::Refused(Refusal::plain(Code::PERMISSION_DENIED)))));
        assert_eq!(seq(&mut stream).await, None);
        session.closed().await;
    }

    #[tokio::test]
    async fn an_absent_daemon_and_an_operation_that_is_no_stream_are_errors_at_once() {
        let client = Client::builder("/nonexistent/enrolld.sock").reconnect_for(Duration::from_secs(600)).lazy();
        let absent = client.stream(Follow::default()).await.expect_err("nobody listens");
        assert!(matches!(absent, Error::Unavailable(_)), "{absent:?}");
        let status = client.stream_raw(<server::Status as Operation>::ROW, Envelope::default(), &[]);
        let refused = status.await.expect_err("no stream");
        assert_eq!(refused.refusal().map(|refusal| refusal.code), Some(Code::INVALID_ARGUMENT));
        let row = <Follow as Operation>::ROW;
        let refused = client.call_raw(row, Envelope::default(), &[0]).await.expect_err("a stream");
        assert_eq!(refused.refusal().map(|refusal| refusal.code), Some(Code::INVALID_ARGUMENT));
    }
}
