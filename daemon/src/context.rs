//! What a rule knows of the world: the time, random bytes, who asks, and the configuration. Drawn here once per
//! request and nowhere else, so that a run is its context and its request and can be run again.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use enroll_protocol::server::Violation;
use enroll_protocol::{Envelope, Pk, Time};
use nix::time::{ClockId, clock_gettime};
use rand::rngs::{ChaCha20Rng, SysRng};
use rand::{Rng as _, SeedableRng as _, TryRng as _};
use tokio::sync::watch;

use crate::config::Settings;
use crate::identity::authority::{Authority, Issued};
use crate::identity::{KeyRing, Secrets, crl};
use crate::metrics::Metrics;
use crate::model::export_schema::Importing;
use crate::rules::Prepared;
use crate::warnings::Warnings;

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
    /// What it may do.
    pub grant: Grant,
}

/// What does not change from one request to the next.
pub struct Daemon {
    /// What the rules read of the configuration. A reload replaces it; a request keeps what its context took.
    pub settings: Current<Settings>,
    /// The derived keys. An import may bring the key that its hashes were made with.
    pub secrets: Current<Secrets>,
    /// The keys of JWTs, which a rotation replaces.
    pub keys: Current<KeyRing>,
    /// What issues certificates. An import may bring it.
    pub authority: Current<Authority>,
    /// The latest list of revoked certificates.
    pub revoked: crl::Latest,
    /// When it was started, by the clock as it is set now.
    pub started: Current<Time>,
    /// While the clock is not accepted, the last time that was right.
    pub doubted_since: Current<Option<Time>>,
    /// What is counted and measured.
    pub metrics: Metrics,
    /// The standing warnings, for status and metrics.
    pub warnings: Warnings,
}

/// What is replaced as a whole, while others are at work with what was before.
#[derive(Debug)]
pub struct Current<T>(watch::Sender<Arc<T>>);

impl<T> Current<T> {
    /// This, until it is replaced.
    pub fn new(value: T) -> Self {
        Self(watch::Sender::new(Arc::new(value)))
    }

    /// What holds at this moment.
    pub fn now(&self) -> Arc<T> {
        Arc::clone(&self.0.borrow())
    }

    /// Something else from now on.
    pub fn replace(&self, value: T) {
        self.0.send_replace(Arc::new(value));
    }

    /// Tells whoever waits that it was replaced.
    pub fn subscribe(&self) -> watch::Receiver<Arc<T>> {
        self.0.subscribe()
    }
}

/// What is made for a request before its rule runs, because it takes long.
#[derive(Clone)]
pub enum Made {
    /// A certificate.
    Certificate(Arc<Issued>),
    /// What is wrong with an import.
    Judgement(Arc<Judgement>),
}

/// What is wrong with an import that has come so far.
pub struct Judgement {
    /// How far.
    pub importing: Importing,
    /// The rules that do not hold.
    pub violations: Vec<Violation>,
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
    /// The rest.
    pub daemon: Arc<Daemon>,
    /// What was made for this request, if it may need something.
    pub prepared: Prepared,
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
        self.daemon.doubted_since.now().map_or(self.now, |since| since.min(self.now))
    }

    /// Random bytes for a purpose: the same ones whenever the same context is run again.
    pub fn random(&self, purpose: Purpose) -> ChaCha20Rng {
        let mut random = ChaCha20Rng::from_seed(self.seed);
        random.set_stream(purpose as u64);
        random
    }

    /// The next part of a request has random bytes of its own.
    pub(crate) fn go_on(&mut self) {
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

/// By how much the clock may be set before that is a step.
pub const STEP_SECONDS_MIN: i64 = 5;

/// The clock: the system's. Where that goes back by less than a step, time stands still until it has caught up.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    latest_micros: Arc<AtomicI64>,
    /// How far this clock is ahead of the system's.
    ahead_micros: Arc<AtomicI64>,
}

impl Clock {
    /// The same clock, set by this much.
    pub fn set_by_seconds(&self, seconds: i64) {
        self.ahead_micros.fetch_add(seconds.saturating_mul(1_000_000), Ordering::Relaxed);
    }

    /// How long it is until then.
    pub fn until(&self, then: Time) -> Duration {
        Duration::from_micros(u64::try_from(then.micros().saturating_sub(self.now().micros())).unwrap_or(0))
    }

    /// The time now.
    pub fn now(&self) -> Time {
        let now = self.micros();
        let mut latest = self.latest_micros.fetch_max(now, Ordering::Relaxed).max(now);
        if latest - now > STEP_SECONDS_MIN * 1_000_000 {
            self.latest_micros.store(now, Ordering::Relaxed);
            latest = now;
        }
        Time::from_micros(latest).unwrap_or_else(|_| Time::EPOCH.plus_seconds(u64::MAX))
    }

    fn micros(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        micros.saturating_add(self.ahead_micros.load(Ordering::Relaxed))
    }
}

/// Notices steps of a clock: what it does beyond what passes on one that nobody can set, and that goes on while the
/// machine sleeps.
#[derive(Debug)]
pub struct StepWatch {
    clock: Clock,
    /// How far the clock is ahead of the other one, as long as nobody sets it.
    ahead_micros: i64,
}

impl StepWatch {
    /// From now on.
    pub fn of(clock: Clock) -> Self {
        Self { ahead_micros: clock.micros() - boot_micros(), clock }
    }

    /// By how many seconds it was set since, where that is a step.
    pub fn step_seconds(&mut self) -> Option<i64> {
        let ahead = self.clock.micros() - boot_micros();
        let step = ahead - self.ahead_micros;
        (step.abs() > STEP_SECONDS_MIN * 1_000_000).then(|| {
            self.ahead_micros = ahead;
            step / 1_000_000
        })
    }
}

/// What has passed since the machine was started.
fn boot_micros() -> i64 {
    let since = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A moment to measure from, whatever is done to the system's clock meanwhile. Good for nothing else: no rule sees one.
#[derive(Debug, Clone, Copy)]
pub struct Moment(Instant);

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Self(Instant::now())
    }

    /// How long ago it was.
    pub fn elapsed_seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// 32 bytes from the operating system.
pub fn draw_seed() -> [u8; 32] {
    let mut seed = [0; 32];
    #[expect(clippy::unwrap_used, reason = "without the system's randomness no request may go on")]
    SysRng.try_fill_bytes(&mut seed).unwrap();
    seed
}
