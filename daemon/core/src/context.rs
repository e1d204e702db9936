//! The context of a request: the time, a seed, the peer, and immutable snapshots of the settings and the keys. It is
//! made once per request, so a run is a function of state, context and request, and any run can be replayed.

use std::sync::Arc;

use enroll_protocol::changes::PeerId;
use enroll_protocol::fold::fold;
use enroll_protocol::{Actor, Envelope, MemberName, Pk, Time, codec};
use rand::rngs::ChaCha20Rng;
use rand::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

use crate::delegation::Delegation;
use crate::identity::{Authority, KeyRing, Secrets};
use crate::model::record::Guesses;
use crate::needs::Made;
use crate::settings::Settings;

/// The first of the bytes of a proven actor. Those of a named one begin with 1, those of none are 0.
const PROVEN: u8 = 2;

/// The access level of a peer, from the grants in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grant {
    /// The status and the metrics of the daemon.
    Metrics,
    /// Status, and reads.
    Read,
    /// Reads, and the writes that services do day to day.
    Operate,
    /// The writes of services, and decisions without an actor.
    Decide,
    /// Everything.
    Admin,
}

impl Grant {
    /// The grant's word in the configuration and in the welcome.
    pub fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Decide => "decide",
            Self::Admin => "admin",
        }
    }
}

/// The process at the other end of the socket (`SO_PEERCRED`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its user id at the time of connecting.
    pub uid: u32,
    /// Its process id at that time; for records only, never to decide on, because ids are reused.
    pub pid: i32,
    /// The number of its connection since the start; for the log only.
    pub connection: u64,
    /// Its access level.
    pub grant: Grant,
    /// The bounds on whom it may act for.
    pub delegation: Arc<Delegation>,
    /// The member of the cluster on whose host it runs; `None` where the registry is on one host.
    pub member: Option<MemberName>,
}

impl Peer {
    /// The peer as changes tell it.
    pub fn id(&self) -> PeerId {
        PeerId { uid: self.uid, pid: self.pid, member: self.member.clone() }
    }
}

/// The proof of an actor: what a session JWT says that was verified when its request arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The callsign that its `sub` names.
    pub subject: String,
    /// The time in seconds at which the first JWT of the session was issued.
    pub first_issued: Option<i64>,
    /// Its expiry, in seconds.
    pub expires: i64,
}

/// The keys of the registry. An import may replace the secrets and the authority, and a rotation the JWT keys.
#[derive(Clone)]
pub struct Identity {
    /// The keys that are derived from the secret key.
    pub secrets: Arc<Secrets>,
    /// The keys that sign and verify JWTs.
    pub keys: Arc<KeyRing>,
    /// The certificate authority.
    pub authority: Arc<Authority>,
}

/// The inputs of a rule beside the state and the request.
#[derive(Clone)]
pub struct Context {
    /// The time of this request: never before that of an earlier write, unless the clock was set back in between.
    pub now: Time,
    /// The seed of all random bytes of this request.
    pub seed: [u8; 32],
    /// The process that sent the request.
    pub peer: Peer,
    /// The request's envelope: the actor, the source, the idempotency key.
    pub envelope: Envelope,
    /// The proof of the actor, where the envelope has one.
    pub proof: Option<Proof>,
    /// A snapshot of the settings: a reload does not change them under a running rule.
    pub settings: Arc<Settings>,
    /// A snapshot of the keys.
    pub identity: Arc<Identity>,
    /// The last trusted time, while the clock is in doubt and not accepted.
    pub doubted_since: Option<Time>,
    /// The rate limit window of the request's source, for an operation that takes a code.
    pub guesses: Option<Guesses>,
    /// The thing made for this request, after its rule answered that it needs it.
    pub made: Option<Made>,
}

/// A purpose of a request's random bytes. Each has a stream of its own, so the number of bytes that a rule draws does
/// not change those that the writer draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Keys and codes that a rule makes.
    Rule = 0,
    /// The serial number of a certificate.
    Serial = 2,
    /// The id of a JWT, where the stream `Rule` is used for something else.
    Session,
    /// The nonce of a certificate's private key.
    PrivateKey,
    /// The seed of the next part of a bulk write.
    Part,
    /// The nonces of kept answers that are erased.
    Erasure,
}

impl Context {
    /// The time up to which openings and merges take effect: now, or the last trusted time while the clock is in doubt.
    pub fn passed(&self) -> Time {
        self.doubted_since.map_or(self.now, |since| since.min(self.now))
    }

    /// The bytes that tell this request's actor from others. Those of a proven actor are of the person, so that another
    /// JWT of theirs makes no other request.
    pub fn actor_bytes(&self) -> Vec<u8> {
        match (&self.proof, &self.envelope.actor) {
            (Some(proof), _) => codec::encode(&(PROVEN, fold(&proof.subject))),
            (None, Some(Actor::Named(named))) => codec::encode(&Some(named)),
            (None, _) => codec::encode(&None::<()>),
        }
    }

    /// The random stream of a purpose: the same bytes whenever the same context is run again.
    pub fn random(&self, purpose: Purpose) -> ChaCha20Rng {
        let mut random = ChaCha20Rng::from_seed(self.seed);
        random.set_stream(purpose as u64);
        random
    }

    /// Replaces the seed for the next part of a bulk write, so that each part draws bytes of its own.
    pub fn advance_seed(&mut self) {
        let mut seed = [0; 32];
        self.random(Purpose::Part).fill_bytes(&mut seed);
        self.seed = seed;
    }

    /// A new primary key (UUIDv7) of this time.
    pub fn new_pk(&self, random: &mut ChaCha20Rng) -> Pk {
        let mut bytes = [0; 10];
        random.fill_bytes(&mut bytes);
        Pk::v7(self.now.micros(), bytes)
    }
}
