//! The blocking client, for programs without async.
//!
//! ```
//! use enroll_client::blocking::Client;
//! use enroll_client::protocol::token;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let daemon = enroll_client::fake::Daemon::builder().start()?;
//! # let socket = daemon.socket_of(1000, enroll_client::fake::Grant::Admin)?;
//! // In a program: enroll_client::default_socket().
//! let client = Client::connect(socket)?;
//! client.call(token::Use::new("a nonce".parse()?))?;
//! let again = client.call(token::Use::new("a nonce".parse()?)).expect_err("it works once");
//! assert_eq!(again.refusal().map(|refusal| refusal.code.to_string()).as_deref(), Some("token_reuse"));
//! # Ok(())
//! # }
//! ```
//!
//! The threads that wait for answers run the connection, so a blocking client must be neither used nor dropped inside
//! an async runtime; use [`Client`](crate::Client) there.

use std::path::PathBuf;
use std::sync::Arc;

use enroll_protocol::{Envelope, Jwt, Key, Operation, OperationRow, Origin, Reference};
use tokio::runtime::{self, Runtime};

use crate::builder::Builder;
use crate::error::Error;

/// A client of the daemon whose calls wait for their answers. Several threads may use it at once, through references or
/// clones; they share its connection.
///
/// ```
/// use enroll_client::blocking::Client;
/// use enroll_client::{by_callsign, protocol::role};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = enroll_client::fake::Daemon::builder().start()?;
/// # let socket = daemon.socket_of(1000, enroll_client::fake::Grant::Admin)?;
/// let client = Client::connect(socket)?;
/// # client.call(enroll_client::protocol::person::Create::new("DOGGO01a".parse()?))?;
/// let is_member = client.call(role::Has::new(by_callsign("DOGGO01a")?, "member".parse()?))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    client: crate::Client,
    runtime: Arc<Runtime>,
}

/// The items of a stream, as an iterator that waits for each; see [`Client::stream`](crate::Client::stream).
///
/// ```
/// use enroll_client::protocol::changes;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = enroll_client::fake::Daemon::builder().start()?;
/// # let client = daemon.blocking()?;
/// # client.call(enroll_client::protocol::token::Use::new("nonce-4711".parse()?))?;
/// for change in client.stream(changes::Follow { since: Some(0) })? {
///     println!("{}", change?.seq);
/// # break;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "items come when they are asked for"]
pub struct Stream<O> {
    stream: crate::Stream<O>,
    runtime: Arc<Runtime>,
}

/// An operation with its options; see [`Client::request`].
///
/// ```
/// use enroll_client::{by_callsign, protocol::person};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = enroll_client::fake::Daemon::builder().start()?;
/// # let client = daemon.blocking()?;
/// # client.call(enroll_client::protocol::person::Create::new("DOGGO01a".parse()?))?;
/// let delete = person::Delete { person: by_callsign("DOGGO01a")? };
/// let would_be = client.request(delete).dry_run().send()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request<O> {
    request: crate::Request<O>,
    runtime: Arc<Runtime>,
}

impl Client {
    /// Connects to the daemon at this socket, see [`default_socket`](crate::default_socket). Other settings than the
    /// usual: [`Client::builder`](crate::Client::builder), ended by
    /// [`connect_blocking`](Builder::connect_blocking).
    ///
    /// The example stands at [`Client`].
    pub fn connect(socket: impl Into<PathBuf>) -> Result<Self, Error> {
        crate::Client::builder(socket).connect_blocking()
    }

    pub(crate) fn connect_with(builder: Builder) -> Result<Self, Error> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|err| Error::Unavailable(format!("no event loop can be made: {err}")))?;
        let client = runtime.block_on(builder.connect())?;
        Ok(Self { client, runtime: Arc::new(runtime) })
    }

    /// This client on behalf of a person.
    ///
    /// ```
    /// # use enroll_client::{by_callsign, fake::Daemon, protocol::{person, role}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let daemon = Daemon::builder().start()?;
    /// # let client = daemon.blocking()?;
    /// client.call(person::Create { roles: vec!["superuser".parse()?], ..person::Create::new("BOSS".parse()?) })?;
    /// let boss = client.as_actor(by_callsign("BOSS")?);
    /// assert!(boss.call(role::Assign { person: by_callsign("BOSS")?, role: "member".parse()? })?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn as_actor(&self, actor: Reference) -> Self {
        Self { client: self.client.as_actor(actor), runtime: self.runtime.clone() }
    }

    /// This client on behalf of the person whom this session JWT names; see
    /// [`Client::as_proven`](crate::Client::as_proven).
    ///
    /// An example stands there; the calls are these with `.await` behind them.
    #[must_use]
    pub fn as_proven(&self, jwt: Jwt) -> Self {
        Self { client: self.client.as_proven(jwt), runtime: self.runtime.clone() }
    }

    /// This client with an origin of its requests, such as a remote address.
    ///
    /// Wrong codes are counted by it; [`Client::with_origin`](crate::Client::with_origin) has an example.
    #[must_use]
    pub fn with_origin(&self, origin: Origin) -> Self {
        Self { client: self.client.with_origin(origin), runtime: self.runtime.clone() }
    }

    /// Sends a request and waits for its reply.
    ///
    /// ```
    /// # use enroll_client::{fake::Daemon, protocol::{Code, token}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let daemon = Daemon::builder().start()?;
    /// # let client = daemon.blocking()?;
    /// let spend = || token::Use::new("nonce-4711".parse().expect("a token"));
    /// client.call(spend())?;
    /// let again = client.call(spend()).expect_err("it works once");
    /// assert_eq!(again.refusal().map(|refusal| refusal.code), Some(Code::TOKEN_REUSE));
    /// # Ok(())
    /// # }
    /// ```
    pub fn call<O: Operation>(&self, operation: O) -> Result<O::Reply, Error> {
        self.runtime.block_on(self.client.call(operation))
    }

    /// A request with options; see [`Client::request`](crate::Client::request).
    ///
    /// The example stands at [`Request`].
    pub fn request<O: Operation>(&self, operation: O) -> Request<O> {
        Request { request: self.client.request(operation), runtime: self.runtime.clone() }
    }

    /// Begins a stream, over a connection of its own; see [`Client::stream`](crate::Client::stream).
    ///
    /// The example stands at [`Stream`].
    pub fn stream<O: Operation>(&self, operation: O) -> Result<Stream<O>, Error> {
        let stream = self.runtime.block_on(self.client.stream(operation))?;
        Ok(Stream { stream, runtime: self.runtime.clone() })
    }

    /// Sends an encoded request and waits for its encoded reply.
    ///
    /// For programs that know operations by name only; [`Answer`](crate::Answer) has an example.
    pub fn call_raw(&self, row: &'static OperationRow, envelope: Envelope, request: &[u8]) -> Result<Vec<u8>, Error> {
        self.runtime.block_on(self.client.call_raw(row, envelope, request))
    }
}

impl<O: Operation> Iterator for Stream<O> {
    type Item = Result<O::Reply, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.runtime.block_on(self.stream.next())
    }
}

impl<O: Operation> Request<O> {
    /// Sets the idempotency key: a write repeated under its key is done once.
    ///
    /// When one uses it, [`Request::key`](crate::Request::key) shows.
    pub fn key(self, key: Key) -> Self {
        Self { request: self.request.key(key), ..self }
    }

    /// Makes it a dry run: everything but the commit, and an answer without secrets.
    ///
    /// The example stands at [`Request`].
    pub fn dry_run(self) -> Self {
        Self { request: self.request.dry_run(), ..self }
    }

    /// Sets the actor, in place of the client's.
    ///
    /// For one call; [`Client::as_actor`] names the actor of many calls.
    pub fn actor(self, actor: Reference) -> Self {
        Self { request: self.request.actor(actor), ..self }
    }

    /// Sets the session JWT that proves the actor, in place of the client's actor.
    ///
    /// For one call; [`Client::as_proven`] names the visitor of many calls.
    pub fn proven(self, jwt: Jwt) -> Self {
        Self { request: self.request.proven(jwt), ..self }
    }

    /// Sets the origin, in place of the client's.
    ///
    /// For one call; [`Client::with_origin`] names the origin of many calls.
    pub fn origin(self, origin: Origin) -> Self {
        Self { request: self.request.origin(origin), ..self }
    }

    /// Sends the request and waits for its reply.
    ///
    /// The example stands at [`Request`].
    pub fn send(self) -> Result<O::Reply, Error> {
        self.runtime.block_on(self.request.send())
    }
}
