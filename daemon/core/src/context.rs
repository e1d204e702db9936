//! The context of a request: the time, a seed, the peer, and immutable snapshots of the settings and the keys. It is drawn
//! once per request, so a run is its state, its context and its request, and any run can be replayed.

use std::sync::Arc;

use enroll_protocol::{Envelope, Pk, Time};
use rand::rngs::ChaCha20Rng;
use rand::{Rng as _, SeedableRng as _};

use crate::identity::{Authority, KeyRing, Secrets};
use crate::model::record::Guesses;
use crate::needs::Made;
use crate::settings::Settings;

/// What the other end of the socket may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    /// Reads only.
    Read,
    /// What services do day to day.
    Operate,
    /// Everything.
    Admin,
}

impl Grant {
    /// As the configuration and the welcome write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

/// The process at the other end of the socket, as the kernel names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its user when it connected.
    pub uid: u32,
    /// Its process id then; for records only, never to decide on.
    pub pid: i32,
    /// The number of its connection since the start; for the log only.
    pub connection: u64,
    /// What it may do.
    pub grant: Grant,
}

/// The keys of the registry. An import may bring other secrets and another authority, a rotation other keys of JWTs.
#[derive(Clone)]
pub struct Identity {
    /// The keys that are derived from the secret key.
    pub secrets: Arc<Secrets>,
    /// The keys of JWTs.
    pub keys: Arc<KeyRing>,
    /// The certificate authority.
    pub authority: Arc<Authority>,
}

/// Everything that enters a rule beside the state and the request.
#[derive(Clone)]
pub struct Context {
    /// The time of this request: never before that of an earlier write, but where the clock was set back meanwhile.
    pub now: Time,
    /// What all randomness of this request is expanded from.
    pub seed: [u8; 32],
    /// Who asks.
    pub peer: Peer,
    /// On whose behalf, from where, under which key.
    pub envelope: Envelope,
    /// The configuration of this request's moment: a rule sees one from its beginning to its end.
    pub settings: Arc<Settings>,
    /// The keys of this request's moment.
    pub identity: Arc<Identity>,
    /// While the clock is not accepted, the last time that was right.
    pub doubted_since: Option<Time>,
    /// The rate limit window of the request's source, for an operation that takes a code.
    pub guesses: Option<Guesses>,
    /// What was made for this request, once its rule has said that it needs it.
    pub made: Option<Made>,
}

/// What a request's random bytes are for. Each purpose has a stream of its own, so that a rule that draws more does
/// not move what the writer draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Keys and codes that a rule makes.
    Rule,
    /// The nonce of the kept answer.
    Keeping,
    /// The serial number of a certificate.
    Serial,
    /// The id of a JWT, where the rule's own bytes are another thing's.
    Session,
    /// The nonce of a certificate's private key.
    PrivateKey,
    /// What the next part of a bulk write is expanded from.
    Part,
}

impl Context {
    /// Up to when openings and merges take effect: up to now, unless the clock is in doubt.
    pub fn passed(&self) -> Time {
        self.doubted_since.map_or(self.now, |since| since.min(self.now))
    }

    /// Random bytes for a purpose: the same ones whenever the same context is run again.
    pub fn random(&self, purpose: Purpose) -> ChaCha20Rng {
        let mut random = ChaCha20Rng::from_seed(self.seed);
        random.set_stream(purpose as u64);
        random
    }

    /// The next part of a request has random bytes of its own.
    pub fn advance_seed(&mut self) {
        let mut seed = [0; 32];
        self.random(Purpose::Part).fill_bytes(&mut seed);
        self.seed = seed;
    }

    /// A new primary key of this time.
    pub fn new_pk(&self, random: &mut ChaCha20Rng) -> Pk {
        let mut bytes = [0; 10];
        random.fill_bytes(&mut bytes);
        Pk::v7(self.now.micros(), bytes)
    }
}
