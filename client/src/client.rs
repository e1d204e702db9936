//! The async client: numbers requests, encodes them, and sends them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use enroll_protocol::frame::{self, FrameKind};
use enroll_protocol::{Actor, Code, Envelope, Jwt, Operation, OperationRow, Origin, Reference, Refusal, codec};
use tokio::sync::oneshot;

use crate::answer::{Answer, Reply};
use crate::builder::Builder;
use crate::calls::Calls;
use crate::error::Error;
use crate::key::KeyMaker;
use crate::pipeline::Job;
use crate::request::Request;
use crate::stream::{RawStream, Stream};

/// A client of the daemon. A clone shares its connection and costs next to nothing; the connection ends with the last
/// clone, once what was asked is answered.
///
/// ```
/// use enroll_client::{Client, by_callsign};
/// use enroll_client::protocol::{person, role};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = enroll_client::fake::Daemon::builder().start()?;
/// # let socket = daemon.socket_of(1000, enroll_client::fake::Grant::Admin)?;
/// let client = Client::connect(socket).await?;
/// client.call(person::Create::new("DOGGO01a".parse()?)).await?;
/// let other = client.clone();
/// assert!(other.call(role::Assign { person: by_callsign("DOGGO01a")?, role: "member".parse()? }).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
    actor: Option<Actor>,
    origin: Option<Origin>,
}

#[derive(Debug)]
struct Shared {
    builder: Builder,
    calls: Arc<Calls>,
    keys: KeyMaker,
    next_id: AtomicU64,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.calls.abandon();
    }
}

impl Client {
    /// Connects to the daemon at this socket, see [`default_socket`](crate::default_socket).
    ///
    /// ```
    /// # use enroll_client::{Client, fake::Daemon, fake::Grant, protocol::server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let daemon = Daemon::builder().start()?;
    /// # let socket = daemon.socket_of(1000, Grant::Admin)?;
    /// let client = Client::connect(socket).await?;
    /// let status = client.call(server::Status {}).await?;
    /// println!("enrolld {}", status.version);
    ///
    /// let absent = Client::connect("/nowhere/enrolld.sock").await.expect_err("nobody listens there");
    /// assert!(absent.to_string().contains("/nowhere/enrolld.sock"));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(socket: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::builder(socket).connect().await
    }

    /// A builder for a client with other settings than the defaults.
    ///
    /// The example stands at [`Builder`].
    pub fn builder(socket: impl Into<PathBuf>) -> Builder {
        Builder::new(socket.into())
    }

    pub(crate) fn new(builder: Builder, calls: Arc<Calls>) -> Self {
        let shared = Shared { builder, calls, keys: KeyMaker::new(), next_id: AtomicU64::new(1) };
        Self { shared: Arc::new(shared), actor: None, origin: None }
    }

    /// This client on behalf of a person. A service that takes the name from a certificate, or from typed text, names
    /// the person with [`by_callsign`](crate::by_callsign).
    ///
    /// ```
    /// # use enroll_client::{by_callsign, fake::Daemon, protocol::{Code, person, role}};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let daemon = Daemon::builder().start()?;
    /// # let client = daemon.client()?;
    /// client.call(person::Create::new("CAT02b".parse()?)).await?;
    /// // What a person may not do, the service may not do for them.
    /// let cat = client.as_actor(by_callsign("CAT02b")?);
    /// let promote = role::Assign { person: by_callsign("CAT02b")?, role: "superuser".parse()? };
    /// let refused = cat.call(promote).await.expect_err("a cat is no superuser");
    /// assert_eq!(refused.refusal().map(|refusal| refusal.code), Some(Code::PERMISSION_DENIED));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn as_actor(&self, actor: Reference) -> Self {
        Self { actor: Some(actor.into()), ..self.clone() }
    }

    /// This client on behalf of the person whom the `sub` of this session JWT names. The daemon must have issued it; once
    /// it has expired, calls are refused with `jwt_invalid`. A service whose configuration says `proven` acts in no other
    /// way.
    ///
    /// ```
    /// # use enroll_client::{by_callsign, protocol::{code, person}};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let daemon = enroll_client::fake::Daemon::builder().start()?;
    /// # let client = daemon.client()?;
    /// # client.call(enroll_client::protocol::person::Create::new("DOGGO01a".parse()?)).await?;
    /// let made = client.call(code::Create::new(r#"{"sub":"DOGGO01a"}"#.parse()?)).await?;
    /// let login = made.code.ok_or("a code is answered where it is made")?;
    /// let cookie = client.call(code::Use::new(login)).await?.jwt.ok_or("a session")?;
    ///
    /// // Later, with each request of the visitor:
    /// let visitor = client.as_proven(cookie);
    /// assert_eq!(visitor.call(person::Get::new(by_callsign("DOGGO01a")?)).await?.callsign.as_str(), "DOGGO01a");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn as_proven(&self, jwt: Jwt) -> Self {
        Self { actor: Some(jwt.into()), ..self.clone() }
    }

    /// This client with an origin of its requests, such as a remote address. Guesses are rate limited by it.
    ///
    /// ```
    /// # use enroll_client::{fake::Daemon, protocol::{changes, token}};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let daemon = Daemon::builder().start()?;
    /// # let client = daemon.client()?;
    /// let visitor = client.with_origin("203.0.113.9".parse()?);
    /// visitor.call(token::Use::new("nonce-4711".parse()?)).await?;
    /// let page = client.call(changes::List::default()).await?;
    /// let spent = page.items.last().ok_or("a change")?;
    /// assert_eq!(spent.origin.as_ref().map(|origin| origin.as_str()), Some("203.0.113.9"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_origin(&self, origin: Origin) -> Self {
        Self { origin: Some(origin), ..self.clone() }
    }

    /// Sends a request at once, and returns its reply to await.
    ///
    /// ```
    /// # use enroll_client::{by_callsign, fake::Daemon, protocol::person};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let daemon = Daemon::builder().start()?;
    /// # let client = daemon.client()?;
    /// let created = client.call(person::Create::new("DOGGO01a".parse()?)).await?;
    /// // Sent one behind the other on one connection, and answered together.
    /// let (by_name, list) = tokio::join!(
    ///     client.call(person::Get::new(by_callsign("doggo01A")?)),
    ///     client.call(person::List::default()),
    /// );
    /// assert_eq!((by_name?.pk, list?.items.len()), (created.pk, 1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn call<O: Operation>(&self, operation: O) -> Reply<O> {
        self.call_with(Envelope::default(), operation)
    }

    /// A request with options: an idempotency key, an actor, an origin, a dry run.
    ///
    /// ```
    /// # use enroll_client::protocol::person;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let daemon = enroll_client::fake::Daemon::builder().start()?;
    /// # let client = daemon.client()?;
    /// let create = person::Create::new("DOGGO01a".parse()?);
    /// let preview = client.request(create.clone()).dry_run().send().await?;
    /// let key = "019aab01-997b-774b-bfff-ffffffffffff".parse()?;
    /// let person = client.request(create).key(key).send().await?;
    /// assert_eq!(person.callsign, preview.callsign);
    /// # Ok(())
    /// # }
    /// ```
    pub fn request<O: Operation>(&self, operation: O) -> Request<O> {
        Request::new(self.clone(), operation)
    }

    /// Sends an encoded request, whose reply is encoded bytes, for programs that know operations by name only. Missing
    /// fields of the envelope are filled in as for any call.
    ///
    /// The example stands at [`Answer`].
    pub fn call_raw(&self, row: &'static OperationRow, envelope: Envelope, request: &[u8]) -> Answer {
        self.send(row, envelope, |bytes| bytes.extend_from_slice(request))
    }

    /// Begins a stream, over a connection of its own. It delivers every change after this has returned. An absent
    /// daemon is an error at once, as for [`connect`](Self::connect). If the daemon goes away later, the stream
    /// reconnects and resumes after its last item; a walk, such as a backup, fails instead.
    ///
    /// ```
    /// # use enroll_client::protocol::changes;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let daemon = enroll_client::fake::Daemon::builder().start()?;
    /// # let client = daemon.client()?;
    /// let mut changes = client.stream(changes::Follow { since: None }).await?;
    /// # client.call(enroll_client::protocol::token::Use::new("nonce-4711".parse()?)).await?;
    /// while let Some(change) = changes.next().await {
    ///     let change = change?;
    ///     assert!(change.seq > 0, "{}.{}", change.area, change.verb);
    /// # break;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn stream<O: Operation>(&self, operation: O) -> Result<Stream<O>, Error> {
        const { assert!(O::ROW.kind.has_items(), "an operation with one answer is sent by Client::call") };
        Ok(Stream::new(self.stream_raw(O::ROW, Envelope::default(), &codec::encode(&operation)).await?))
    }

    /// Begins a stream with an encoded request, whose items are encoded bytes; see [`stream`](Self::stream).
    ///
    /// The example stands at [`RawStream`].
    pub async fn stream_raw(
        &self,
        row: &'static OperationRow,
        envelope: Envelope,
        request: &[u8],
    ) -> Result<RawStream, Error> {
        RawStream::open(self.shared.builder.clone(), row, self.filled(envelope), request.to_vec()).await
    }

    /// The pid of the process that listens at the socket, from the credentials of a new connection; `None` if this
    /// process can not see it. For a socket that systemd made this is systemd.
    ///
    /// ```
    /// # use enroll_client::fake::Daemon;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let daemon = Daemon::builder().start()?;
    /// # let client = daemon.client()?;
    /// // A monitor tells by it whether the daemon is still the process that it knows. The fake lives in this one.
    /// assert_eq!(client.listener_pid().await?, Some(std::process::id()));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn listener_pid(&self) -> Result<Option<u32>, Error> {
        let connection = self.shared.builder.reach().await?;
        let pid = connection.listener_pid;
        // The kernel reports 0 for a process in a pid namespace that is not visible.
        Ok(pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0))
    }

    pub(crate) fn call_with<O: Operation>(&self, envelope: Envelope, operation: O) -> Reply<O> {
        const { assert!(!O::ROW.kind.has_items(), "a stream is begun by Client::stream") };
        Reply::new(self.send(O::ROW, envelope, |bytes| codec::encode_into(&operation, bytes)))
    }

    /// Fills in the actor and the origin of this client.
    fn filled(&self, mut envelope: Envelope) -> Envelope {
        if envelope.actor.is_none() {
            envelope.actor.clone_from(&self.actor);
        }
        if envelope.origin.is_none() {
            envelope.origin.clone_from(&self.origin);
        }
        envelope
    }

    fn send(&self, row: &OperationRow, envelope: Envelope, request: impl FnOnce(&mut Vec<u8>)) -> Answer {
        let (answer, receiver) = oneshot::channel();
        if row.kind.has_items() {
            let why = format!("{} is a stream and has no one answer", row.name);
            let _ = answer.send(Err(Error::Refused(Refusal::new(Code::INVALID_ARGUMENT, why))));
            return Answer::new(receiver);
        }
        let mut envelope = self.filled(envelope);
        // A dry run neither reads nor stores a key.
        if row.kind.is_write() && envelope.key.is_none() && !envelope.dry_run {
            envelope.key = Some(self.shared.keys.make());
        }
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let mut frame = Vec::with_capacity(256);
        frame::append_with(&mut frame, FrameKind::Request, row.number, id, |bytes| {
            codec::encode_into(&envelope, bytes);
            request(bytes);
        });
        self.shared.calls.send(Job { id, frame, answer });
        Answer::new(receiver)
    }
}
