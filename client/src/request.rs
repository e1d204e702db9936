//! A request under construction.

use enroll_protocol::{Envelope, Key, Operation, Origin, Reference};

use crate::answer::Reply;
use crate::client::Client;

/// An operation and what is said beside it; see [`Client::request`].
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

    /// Under this key: a write repeated under its key, by this client or another of the same user, is done once.
    pub fn key(mut self, key: Key) -> Self {
        self.envelope.key = Some(key);
        self
    }

    /// Only a trial: everything but the commit, and an answer without secrets.
    pub fn dry_run(mut self) -> Self {
        self.envelope.dry_run = true;
        self
    }

    /// On behalf of this person, whoever the client's actor is.
    pub fn actor(mut self, actor: Reference) -> Self {
        self.envelope.actor = Some(actor);
        self
    }

    /// From there, whatever the client's origin is.
    pub fn origin(mut self, origin: Origin) -> Self {
        self.envelope.origin = Some(origin);
        self
    }

    /// Sends it, at once; await what is returned for the reply.
    pub fn send(self) -> Reply<O> {
        self.client.call_with(self.envelope, self.operation)
    }
}
