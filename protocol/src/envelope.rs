//! What every request and every connection says beside the operation itself.

use serde::{Deserialize, Serialize};

use crate::value::{Key, Origin, Reference, arrived};

/// The first thing in every hello: what answers without it is not enrolld.
pub const MAGIC: [u8; 8] = *b"enrolld\0";

/// The version of the wire. A daemon refuses a version it does not speak.
pub const PROTOCOL_VERSION: u16 = 2;

/// Who asks, from where, under which key, and whether it is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The person on whose behalf the peer asks.
    pub actor: Option<Reference>,
    /// Where the attempt came from; wrong codes are counted per origin.
    pub origin: Option<Origin>,
    /// A write repeated under its key is not done again and gets the first answer.
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
    /// What the client calls itself; for logs.
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
    /// What the peer was granted: `read`, `operate` or `admin`.
    pub grant: String,
    /// The largest frame either side may send, in bytes.
    pub frame_bytes_max: u32,
}
