//! The builder of a request with options.

use enroll_protocol::{Envelope, Jwt, Key, Operation, Origin, Reference};

use crate::answer::Reply;
use crate::client::Client;

/// An operation with its options; see [`Client::request`].
///
/// ```no_run
/// use enroll_client::{Client, by_callsign, protocol::person};
///
/// # async fn example(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
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
    pub fn key(mut self, key: Key) -> Self {
        self.envelope.key = Some(key);
        self
    }

    /// Makes it a dry run: everything but the commit, and an answer without secrets.
    pub fn dry_run(mut self) -> Self {
        self.envelope.dry_run = true;
        self
    }

    /// Sets the actor, in place of the client's.
    pub fn actor(mut self, actor: Reference) -> Self {
        self.envelope.actor = Some(actor.into());
        self
    }

    /// Sets the session JWT that proves the actor, in place of the client's actor.
    pub fn proven(mut self, jwt: Jwt) -> Self {
        self.envelope.actor = Some(jwt.into());
        self
    }

    /// Sets the origin, in place of the client's.
    pub fn origin(mut self, origin: Origin) -> Self {
        self.envelope.origin = Some(origin);
        self
    }

    /// Sends the request at once, and returns its reply to await.
    pub fn send(self) -> Reply<O> {
        self.client.call_with(self.envelope, self.operation)
    }
}
