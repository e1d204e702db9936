//! The envelope of a request, and the hello and welcome of a connection.

use serde::{Deserialize, Serialize};

use crate::value::{Key, Origin, Reference, arrived};

/// The first field of every hello: a peer that sends another one does not speak this protocol.
pub const MAGIC: [u8; 8] = *b"enrolld\0";

/// The version of the wire. A daemon refuses a version it does not speak.
pub const PROTOCOL_VERSION: u16 = 3;

/// The envelope of a request: actor, origin, idempotency key, dry run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The actor: the person on whose behalf the peer calls.
    pub actor: Option<Reference>,
    /// The origin of the attempt; wrong codes are counted per origin.
    pub origin: Option<Origin>,
    /// The idempotency key: a write repeated under it is not done again and gets the first answer.
    pub key: Option<Key>,
    /// Do everything but commit, and answer without secrets.
    pub dry_run: bool,
}

/// The client's first frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`PROTOCOL_VERSION`].
    pub protocol: u16,
    /// The client's name, for logs.
    #[serde(deserialize_with = "arrived")]
    pub client: String,
}

/// The daemon's first frame, where it does not refuse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version of the wire that is spoken.
    pub protocol: u16,
    /// The daemon's own version.
    pub daemon: String,
    /// The peer's grant: `read`, `operate` or `admin`.
    pub grant: String,
    /// The largest frame either side may send, in bytes.
    pub frame_bytes_max: u32,
}
