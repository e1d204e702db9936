//! The envelope of a request, and the hello and welcome of a connection.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::value::{Invalid, Jwt, Key, Origin, Reference, arrived};

/// The first field of every hello: a peer that sends another one does not speak this protocol.
pub const MAGIC: [u8; 8] = *b"enrolld\0";

/// The version of the wire. A daemon refuses a version it does not speak. Versions of enrolld with the same version of the
/// wire work together: a changed shape is another operation, and refusals have numbers that may be unknown.
pub const PROTOCOL_VERSION: u16 = 4;

/// The envelope of a request: actor, origin, idempotency key, dry run.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use enroll_protocol::Envelope;
///
/// let actor = Some("BOSS".parse()?);
/// let envelope = Envelope { actor, dry_run: true, ..Envelope::default() };
/// assert!(envelope.key.is_none() && envelope.origin.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The actor: the person on whose behalf the peer calls.
    pub actor: Option<Actor>,
    /// The origin of the attempt; wrong codes are counted per origin.
    pub origin: Option<Origin>,
    /// The idempotency key: a write repeated under it is not done again and gets the first answer.
    pub key: Option<Key>,
    /// Do everything but commit, and answer without secrets.
    pub dry_run: bool,
}

/// The actor of a request, by name or by credential.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use enroll_protocol::{Actor, Reference};
///
/// let actor = Actor::from(Reference::by_callsign("BOSS")?);
/// assert!(matches!(actor, Actor::Named(_)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Actor {
    /// The person of this pk or callsign, on the peer's word.
    Named(Reference),
    /// The person whom the `sub` of this JWT names. The daemon must have issued it, and it must be valid.
    Proven(Jwt),
}

impl From<Reference> for Actor {
    fn from(person: Reference) -> Self {
        Self::Named(person)
    }
}

impl From<Jwt> for Actor {
    fn from(jwt: Jwt) -> Self {
        Self::Proven(jwt)
    }
}

impl FromStr for Actor {
    type Err = Invalid;

    /// A name: a callsign or a pk.
    fn from_str(person: &str) -> Result<Self, Invalid> {
        person.parse().map(Self::Named)
    }
}

/// The client's first frame. Its fields stay for ever, and later versions add to them at the end, so every version reads
/// the hello of any other.
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

/// The daemon's first frame, where it does not refuse. It grows as [`Hello`] does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version of the wire that is spoken.
    pub protocol: u16,
    /// The daemon's own version.
    pub daemon: String,
    /// The peer's grant: `metrics`, `read`, `operate`, `decide` or `admin`.
    pub grant: String,
    /// The largest frame either side may send, in bytes.
    pub frame_bytes_max: u32,
}
