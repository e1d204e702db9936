//! A fake daemon for tests: a listening socket where a test reads requests and writes answers, and tests of the client.

use std::path::PathBuf;

use enroll_protocol::envelope::{Hello, MAGIC, PROTOCOL_VERSION, Welcome};
use enroll_protocol::frame::{self, FrameKind, FrameReader};
use enroll_protocol::limits::FRAME_BYTES_MAX;
use enroll_protocol::{Envelope, Operation, Refusal, codec};
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};

use crate::connection;

pub(crate) struct FakeDaemon {
    listener: UnixListener,
    directory: tempfile::TempDir,
}

pub(crate) struct FakeSession {
    stream: UnixStream,
    reader: FrameReader,
}

/// A request as the daemon sees it.
pub(crate) struct Asked<O> {
    pub(crate) id: u64,
    pub(crate) envelope: Envelope,
    pub(crate) request: O,
}

impl FakeDaemon {
    pub(crate) fn listen() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(directory.path().join("enrolld.sock")).expect("a socket");
        Self { listener, directory }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("enrolld.sock")
    }

    /// Accepts the next connection and reads its hello.
    pub(crate) async fn greet(&self) -> FakeSession {
        let (stream, _) = self.listener.accept().await.expect("a connection");
        let mut session = FakeSession { stream, reader: FrameReader::new(FRAME_BYTES_MAX) };
        let (kind, _, body) = session.frame().await.expect("a hello");
        let hello: Hello = codec::decode(&body).expect("a hello");
        assert_eq!((kind, hello.magic, hello.protocol), (FrameKind::Hello, MAGIC, PROTOCOL_VERSION));
        session
    }

    /// Accepts the next connection and refuses it, unless it is gone already.
    pub(crate) async fn turn_away(&self, refusal: &Refusal) {
        let (mut stream, _) = self.listener.accept().await.expect("a connection");
        let mut bytes = Vec::new();
        frame::append(&mut bytes, FrameKind::Refused, 0, 0, refusal);
        let _ = stream.write_all(&bytes).await;
    }

    /// Accepts the next connection and completes the handshake.
    pub(crate) async fn accept(&self) -> FakeSession {
        let mut session = self.greet().await;
        session.welcome().await;
        session
    }
}

impl FakeSession {
    /// Completes the handshake.
    pub(crate) async fn welcome(&mut self) {
        let welcome = Welcome {
            protocol: PROTOCOL_VERSION,
            daemon: "fake".to_owned(),
            grant: "admin".to_owned(),
            frame_bytes_max: 1 << 20,
        };
        self.send(FrameKind::Welcome, 0, &welcome).await;
    }

    /// Reads the next request, which must be of this operation.
    pub(crate) async fn asked<O: Operation>(&mut self) -> Asked<O> {
        let (kind, id, body) = self.frame().await.expect("a request");
        assert_eq!(kind, FrameKind::Request);
        let (envelope, consumed) = codec::decode_front(&body).expect("an envelope");
        Asked { id, envelope, request: codec::decode(&body[consumed..]).expect("a request") }
    }

    pub(crate) async fn reply(&mut self, id: u64, reply: &impl Serialize) {
        self.send(FrameKind::Reply, id, reply).await;
    }

    pub(crate) async fn refuse(&mut self, id: u64, refusal: &Refusal) {
        self.send(FrameKind::Refused, id, refusal).await;
    }

    /// Waits until the client has closed the connection.
    pub(crate) async fn closed(&mut self) {
        assert_eq!(self.frame().await, None);
    }

    pub(crate) async fn send(&mut self, kind: FrameKind, id: u64, body: &impl Serialize) {
        let mut bytes = Vec::new();
        frame::append(&mut bytes, kind, 0, id, body);
        self.stream.write_all(&bytes).await.expect("a client that reads");
    }

    async fn frame(&mut self) -> Option<(FrameKind, u64, Vec<u8>)> {
        loop {
            if let Some(frame) = self.reader.next_frame().expect("a frame") {
                return Some((frame.kind, frame.id, frame.body.to_vec()));
            }
            if !matches!(connection::read(&mut self.stream, &mut self.reader).await, Ok(1..)) {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use enroll_protocol::{Code, Key, person, role};

    use super::*;
    use crate::{Client, Error, blocking};

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(600);

    fn assign() -> role::Assign {
        role::Assign { person: "DOGGO01a".parse().expect("a person"), role: "member".parse().expect("a role") }
    }

    fn has() -> role::Has {
        role::Has::new("DOGGO01a".parse().expect("a person"), "member".parse().expect("a role"))
    }

    fn lazy(daemon: &FakeDaemon) -> Client {
        Client::builder(daemon.socket()).reconnect_for(LONG).lazy()
    }

    #[tokio::test]
    async fn answers_find_their_calls_in_any_order() {
        let daemon = FakeDaemon::listen();
        let client = lazy(&daemon);
        let (first, second) = (client.call(assign()), client.call(has()));
        let mut session = daemon.accept().await;
        let (write, read) = (session.asked::<role::Assign>().await, session.asked::<role::Has>().await);
        session.reply(read.id, &false).await;
        session.reply(write.id, &true).await;
        assert_eq!((first.await, second.await), (Ok(true), Ok(false)));
        drop(client);
        session.closed().await;
    }

    #[tokio::test]
    async fn writes_have_keys_and_reads_and_dry_runs_have_none() {
        let daemon = FakeDaemon::listen();
        let client = lazy(&daemon).with_origin("192.0.2.17".parse().expect("an origin"));
        let mine: Key = "019aab01-997b-774b-bfff-ffffffffffff".parse().expect("a key");
        let boss = client.as_actor("BOSS".parse().expect("a person"));
        let answers =
            [client.call(assign()), boss.request(assign()).key(mine).send(), client.request(assign()).dry_run().send()];
        let read = client.call(has());
        let mut session = daemon.accept().await;
        let (made, given) = (session.asked::<role::Assign>().await, session.asked::<role::Assign>().await);
        let (trial, question) = (session.asked::<role::Assign>().await, session.asked::<role::Has>().await);
        assert!(made.envelope.key.is_some_and(|key| key != mine) && made.envelope.actor.is_none());
        assert_eq!(given.envelope.key, Some(mine));
        assert_eq!(given.envelope.actor, "BOSS".parse().ok());
        assert_eq!((trial.envelope.key, trial.envelope.dry_run), (None, true));
        assert_eq!((question.envelope.key, question.envelope.dry_run), (None, false));
        assert_eq!(question.envelope.origin.expect("an origin").as_str(), "192.0.2.17");
        drop((answers, read));
    }

    #[tokio::test]
    async fn a_request_without_answer_is_sent_again_under_the_same_key() {
        let daemon = FakeDaemon::listen();
        let client = lazy(&daemon);
        let (first, second) = (client.call(assign()), client.call(has()));
        let mut session = daemon.accept().await;
        let lost = session.asked::<role::Assign>().await;
        drop(session);
        let mut session = daemon.accept().await;
        let again = session.asked::<role::Assign>().await;
        assert_eq!((again.id, again.envelope, again.request), (lost.id, lost.envelope, lost.request));
        session.reply(again.id, &true).await;
        let read = session.asked::<role::Has>().await;
        session.reply(read.id, &true).await;
        assert_eq!((first.await, second.await), (Ok(true), Ok(true)));
    }

    #[tokio::test]
    async fn passing_refusals_are_retried_and_final_ones_are_answers() {
        let daemon = FakeDaemon::listen();
        let client = lazy(&daemon);
        let answer = client.call(assign());
        let details = person::Create::new("x".parse().expect("a callsign")).extra;
        let busy = Refusal { details: Some(details), ..Refusal::plain(Code::BUSY) };
        let mut session = daemon.accept().await;
        let first = session.asked::<role::Assign>().await;
        session.refuse(first.id, &busy).await;
        let second = session.asked::<role::Assign>().await;
        assert_eq!(first.envelope, second.envelope);
        for code in [Code::OUTCOME_UNKNOWN, Code::SHUTTING_DOWN] {
            session.refuse(second.id, &Refusal::plain(code)).await;
            session.closed().await;
            session = daemon.accept().await;
            assert_eq!(session.asked::<role::Assign>().await.envelope, first.envelope);
        }
        session.refuse(second.id, &Refusal::plain(Code::NOT_FOUND)).await;
        assert_eq!(answer.await, Err(Error::Refused(Refusal::plain(Code::NOT_FOUND))));
    }

    /// A standby is so while no member leads: it refuses as busy, and ends the connection on which the request comes
    /// again.
    #[tokio::test]
    async fn a_daemon_that_is_busy_on_one_connection_after_the_other_is_not_away() {
        let daemon = FakeDaemon::listen();
        let client = Client::builder(daemon.socket()).reconnect_for(Duration::from_millis(500)).lazy();
        let mut answer = std::pin::pin!(client.call(assign()));
        let busy = Refusal::plain(Code::BUSY).with(serde_json::json!({"retry_after_ms": 600}));
        let serving = async {
            for _ in 0..3 {
                let mut session = daemon.accept().await;
                let asked = session.asked::<role::Assign>().await;
                session.refuse(asked.id, &busy).await;
                session.asked::<role::Assign>().await;
            }
            daemon.accept().await
        };
        let mut session = tokio::select! {
            given_up = &mut answer => panic!("{given_up:?}"),
            session = serving => session,
        };
        let asked = session.asked::<role::Assign>().await;
        session.reply(asked.id, &true).await;
        assert_eq!(answer.await, Ok(true));
    }

    #[tokio::test]
    async fn calls_fail_as_unavailable_when_the_daemon_stays_away() {
        let daemon = FakeDaemon::listen();
        let socket = daemon.socket();
        let client = Client::builder(&socket).reconnect_for(Duration::from_millis(30)).lazy();
        let (first, second) = (client.call(assign()), client.call(has()));
        let mut session = daemon.accept().await;
        session.asked::<role::Assign>().await;
        drop((session, daemon));
        for answer in [first.await, second.await, client.call(has()).await] {
            let Err(Error::Unavailable(message)) = answer else { panic!("{answer:?}") };
            assert!(message.contains(&socket.display().to_string()), "{message}");
        }
        let at_once = Client::connect(&socket).await.expect_err("nobody listens");
        assert!(matches!(at_once, Error::Unavailable(_)));
    }

    #[tokio::test]
    async fn a_peer_without_a_grant_is_refused_when_it_connects() {
        let daemon = FakeDaemon::listen();
        let no_grant = Refusal::new(Code::PERMISSION_DENIED, "uid 1000 has no grant");
        let connecting = tokio::spawn(Client::connect(daemon.socket()));
        daemon.greet().await.refuse(0, &no_grant).await;
        assert_eq!(connecting.await.expect("a task").expect_err("a refusal"), Error::Refused(no_grant.clone()));

        let answer = lazy(&daemon).call(has());
        daemon.greet().await.refuse(0, &no_grant).await;
        assert_eq!(answer.await, Err(Error::Refused(no_grant)));
    }

    #[test]
    fn a_blocking_client_serves_several_threads() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let serving = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let daemon = FakeDaemon::listen();
                sender.send(daemon.socket()).expect("a test that waits");
                let mut session = daemon.accept().await;
                for _ in 0..200 {
                    let asked = session.asked::<role::Has>().await;
                    session.reply(asked.id, &(asked.request == has())).await;
                }
            });
        });
        let client = blocking::Client::connect(receiver.recv().expect("a socket")).expect("a connection");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50).for_each(|_| assert_eq!(client.call(has()), Ok(true))));
            }
        });
        serving.join().expect("a daemon that served");
    }
}
