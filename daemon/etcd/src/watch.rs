//! A watch: the changes of a range of keys, in the order of revisions, as they happen.

use tonic::Streaming;

use crate::error::{Error, of_status};
use crate::messages::{KeyValue, WatchResponse};

/// The kind of an event that is a put.
const PUT: i32 = 0;

/// A running watch. Dropping it ends it.
#[derive(Debug)]
pub struct Watch {
    messages: Streaming<WatchResponse>,
    endpoint: String,
}

/// A change of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The key was put.
    Put(KeyValue),
    /// The key was deleted, at this revision.
    Deleted {
        /// The key.
        key: Vec<u8>,
        /// The revision.
        revision: i64,
    },
}

impl Watch {
    pub(crate) fn new(messages: Streaming<WatchResponse>, endpoint: String) -> Self {
        Self { messages, endpoint }
    }

    /// Waits for the next changes; none where the message is about the watch itself, such as its creation. Fails with
    /// [`Error::Compacted`] if it began before the oldest revision that is kept.
    pub async fn next(&mut self) -> Result<Vec<Change>, Error> {
        let unavailable = |why: &str| Error::Unavailable { endpoint: self.endpoint.clone(), why: why.to_owned() };
        let message = self.messages.message().await.map_err(|status| of_status(&self.endpoint, &status))?;
        let message = message.ok_or_else(|| unavailable("the watch's stream ended"))?;
        if message.compact_revision > 0 {
            return Err(Error::Compacted(format!("revision {} is the oldest", message.compact_revision)));
        }
        if message.canceled {
            let is_denied = message.cancel_reason.contains("permission denied");
            return Err(match is_denied {
                true => Error::Denied(message.cancel_reason),
                false => unavailable(&message.cancel_reason),
            });
        }
        let change = |event: crate::messages::Event| {
            let kv = event.kv.ok_or(Error::Protocol("an event without a key"))?;
            Ok(match event.kind {
                PUT => Change::Put(kv),
                _ => Change::Deleted { key: kv.key, revision: kv.mod_revision },
            })
        };
        message.events.into_iter().map(change).collect()
    }
}
