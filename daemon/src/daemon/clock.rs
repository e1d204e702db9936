//! The system's clock, its steps, and the system's random bytes. Only this module reads them.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use enroll_core::identity::counting_seal::SALT_BYTES;
use enroll_protocol::Time;
use nix::time::{ClockId, clock_gettime};
use rand::rngs::{ChaCha20Rng, SysRng};
use rand::{Rng as _, SeedableRng as _, TryRng as _};

/// A difference of the clock that counts as a step.
pub const STEP_SECONDS_MIN: i64 = 5;

/// The system's clock. If that goes back by less than a step, time stands still until the clock has caught up.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    latest_micros: Arc<AtomicI64>,
    /// The lead of this clock over the system's, for tests.
    ahead_micros: Arc<AtomicI64>,
    /// The machine's clock in place of the system's, for simulations.
    machine: Option<Arc<MachineClock>>,
}

/// A clock of a simulated machine: it stands still until it is moved.
#[derive(Debug, Default)]
pub struct MachineClock {
    wall_micros: AtomicI64,
    boot_micros: AtomicI64,
}

impl MachineClock {
    /// A clock that shows this time.
    pub fn at(wall: Time) -> Arc<Self> {
        Arc::new(Self { wall_micros: wall.micros().into(), boot_micros: 0.into() })
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        self.boot_micros.fetch_add(micros, Ordering::Relaxed);
        self.wall_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Sets it by so many seconds, forward or back.
    pub fn set_by_seconds(&self, seconds: i64) {
        self.wall_micros.fetch_add(seconds.saturating_mul(1_000_000), Ordering::Relaxed);
    }
}

impl Clock {
    /// The clock of a simulated machine.
    pub fn of(machine: &Arc<MachineClock>) -> Self {
        Self { machine: Some(Arc::clone(machine)), ..Self::default() }
    }

    /// The clock, set ahead by this much more.
    pub fn set_by_seconds(&self, seconds: i64) {
        self.ahead_micros.fetch_add(seconds.saturating_mul(1_000_000), Ordering::Relaxed);
    }

    /// The time left until then.
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
        let micros = match &self.machine {
            Some(machine) => machine.wall_micros.load(Ordering::Relaxed),
            None => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
            }
        };
        micros.saturating_add(self.ahead_micros.load(Ordering::Relaxed))
    }

    /// The time since the machine was booted.
    fn boot_micros(&self) -> i64 {
        if let Some(machine) = &self.machine {
            return machine.boot_micros.load(Ordering::Relaxed);
        }
        let since = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }
}

/// Detects steps of the clock, by comparison with `CLOCK_BOOTTIME`, which nobody can set and which also advances while
/// the machine sleeps.
#[derive(Debug)]
pub struct StepWatch {
    clock: Clock,
    /// The lead of the clock over `CLOCK_BOOTTIME`, constant while nobody sets the clock.
    ahead_micros: i64,
}

impl StepWatch {
    /// Begins to watch the clock.
    pub fn of(clock: Clock) -> Self {
        Self { ahead_micros: clock.micros() - clock.boot_micros(), clock }
    }

    /// The seconds by which the clock was set since the last call, if that is a step.
    pub fn step_seconds(&mut self) -> Option<i64> {
        let ahead = self.clock.micros() - self.clock.boot_micros();
        let step = ahead - self.ahead_micros;
        (step.abs() > STEP_SECONDS_MIN * 1_000_000).then(|| {
            self.ahead_micros = ahead;
            step / 1_000_000
        })
    }
}

/// A monotonic moment, to measure durations from. No rule sees one.
#[derive(Debug, Clone, Copy)]
pub struct Moment(Instant);

impl Moment {
    /// The current moment.
    pub fn now() -> Self {
        Self(Instant::now())
    }

    /// The time since that moment.
    pub fn elapsed_seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// The source of the seeds of requests: the operating system, or the one random stream of a simulation.
#[derive(Debug, Default)]
pub struct Seeds(Option<Mutex<ChaCha20Rng>>);

impl Seeds {
    /// The seeds of a simulation.
    pub fn of(seed: [u8; 32]) -> Self {
        Self(Some(Mutex::new(ChaCha20Rng::from_seed(seed))))
    }

    /// The next seed.
    pub fn draw(&self) -> [u8; 32] {
        let Some(stream) = &self.0 else { return draw_seed() };
        let mut bytes = [0; 32];
        stream.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes);
        bytes
    }
}

/// The seed of a random stream, from the operating system.
pub fn draw_seed() -> [u8; 32] {
    draw()
}

/// The salt of a counting seal, from the operating system.
pub fn draw_salt() -> [u8; SALT_BYTES] {
    draw()
}

fn draw<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    #[expect(clippy::unwrap_used, reason = "without the system's randomness no request may go on")]
    SysRng.try_fill_bytes(&mut bytes).unwrap();
    bytes
}
