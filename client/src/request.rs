//! The builder of a request with options.

use enroll_protocol::{Envelope, Jwt, Key, Operation, Origin, Reference};

use crate::answer::Reply;
use crate::client::Client;

/// An operation with its options; see [`Client::request`].
///
/// ```
/// use enroll_client::{by_callsign, protocol::person};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = enroll_client::fake::Daemon::builder().start()?;
/// # let client = daemon.client()?;
/// # client.call(enroll_client::protocol::person::Create::new("DOGGO01a".parse()?)).await?;
/// # client.call(person::Create { roles: vec!["superuser".parse()?], ..person::Create::new("BOSS".parse()?) }).await?;
/// // A dry run for the person who asked, and where they asked from.
/// let delete = person::Delete { person: by_callsign("DOGGO01a")? };
/// let request = client.request(delete).actor(by_callsign("BOSS")?).origin("203.0.113.9".parse()?);
/// let would_be = request.dry_run().send().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request<O> {
    client: Client,
    envelope: Envelope,
    operation: O,
}

impl<O: Operation> Request<O> {
    pub(crate) fn new(client: Client, operation: O) -> Self {
        Self { client, envelope: Envelope::default(), operation }
    }

    /// Sets the idempotency key: a write repeated under its key, by this client or another of the same user, is done
    /// once.
    ///
    /// A service that keeps the key with its own record of the task learns after any crash what became of it:
    ///
    /// ```
    /// # use enroll_client::{fake::Daemon, protocol::token};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let daemon = Daemon::builder().start()?;
    /// # let client = daemon.client()?;
    /// let key = "019aab01-997b-774b-bfff-ffffffffffff".parse()?;
    /// let spend = || client.request(token::Use::new("nonce-4711".parse().expect("a token"))).key(key);
    /// let first = spend().send().await?;
    /// // Not `token_reuse`: it is the same attempt, and this is its answer.
    /// assert_eq!(spend().send().await?, first);
    /// # Ok(())
    /// # }
    /// ```
    pub fn key(mut self, key: Key) -> Self {
        self.envelope.key = Some(key);
        self
    }

    /// Makes it a dry run: everything but the commit, and an answer without secrets.
    ///
    /// ```
    /// # use enroll_client::{fake::Daemon, protocol::person};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let daemon = Daemon::builder().start()?;
    /// # let client = daemon.client()?;
    /// let create = || person::Create::new("DOGGO01a".parse().expect("a callsign"));
    /// let would_be = client.request(create()).dry_run().send().await?;
    /// let is = client.call(create()).await?;
    /// assert_eq!(would_be.callsign, is.callsign);
    /// # Ok(())
    /// # }
    /// ```
    pub fn dry_run(mut self) -> Self {
        self.envelope.dry_run = true;
        self
    }

    /// Sets the actor, in place of the client's.
    ///
    /// For one call of many persons; [`Client::as_actor`] names the actor of many calls. The example stands at [`Request`].
    pub fn actor(mut self, actor: Reference) -> Self {
        self.envelope.actor = Some(actor.into());
        self
    }

    /// Sets the session JWT that proves the actor, in place of the client's actor.
    ///
    /// For one call of many visitors; [`Client::as_proven`] names the visitor of many calls, and has the example.
    pub fn proven(mut self, jwt: Jwt) -> Self {
        self.envelope.actor = Some(jwt.into());
        self
    }

    /// Sets the origin, in place of the client's.
    ///
    /// For one call; [`Client::with_origin`] names the origin of many calls. The example stands at [`Request`].
    pub fn origin(mut self, origin: Origin) -> Self {
        self.envelope.origin = Some(origin);
        self
    }

    /// Sends the request at once, and returns its reply to await.
    ///
    /// ```
    /// # use enroll_client::{fake::Daemon, protocol::person};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let daemon = Daemon::builder().start()?;
    /// # let client = daemon.client()?;
    /// let request = client.request(person::Create::new("DOGGO01a".parse()?));
    /// let reply = request.send();
    /// // It is on its way; other things may be done before the answer is awaited.
    /// assert_eq!(reply.await?.callsign.as_str(), "DOGGO01a");
    /// # Ok(())
    /// # }
    /// ```
    pub fn send(self) -> Reply<O> {
        self.client.call_with(self.envelope, self.operation)
    }
}
