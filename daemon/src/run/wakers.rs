//! Wake-ups of the writer thread: another configuration, a clock that was set, and the heartbeat for the watchdog of
//! systemd, which passes through both threads and so proves both alive.

use std::future::pending;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::net::Shared;
use crate::run::systemd;
use crate::writer::Queue;

/// A time that no clock reaches: the timer is only there to be canceled.
const NEVER_SECONDS: i64 = 1 << 40;

/// Wakes the writer until the daemon's state is dropped.
pub(super) async fn wake(queue: Queue, shared: Arc<Shared>) {
    let mut settings = shared.daemon.settings.subscribe();
    let clock = ClockChanges::watch();
    if let Err(err) = &clock {
        tracing::warn!(%err, "watching the clock failed; until a restart, steps are noticed within a minute only");
    }
    let mut heartbeat = systemd::watchdog_interval().map(tokio::time::interval);
    loop {
        tokio::select! {
            changed = settings.changed() => match changed {
                Ok(()) => queue.wake(),
                Err(_) => return,
            },
            () = clock_changed(&clock) => queue.wake(),
            () = tick(&mut heartbeat) => queue.beat(),
        }
    }
}

async fn clock_changed(clock: &io::Result<ClockChanges>) {
    match clock {
        Ok(clock) => clock.changed().await,
        Err(_) => pending().await,
    }
}

async fn tick(heartbeat: &mut Option<tokio::time::Interval>) {
    match heartbeat {
        Some(interval) => drop(interval.tick().await),
        None => pending().await,
    }
}

/// The kernel's notice that the clock was set: a timer on it is canceled then (timerfd_create(2),
/// TFD_TIMER_CANCEL_ON_SET).
struct ClockChanges {
    timer: TimerFd,
    readiness: AsyncFd<OwnedFd>,
}

impl ClockChanges {
    fn watch() -> io::Result<Self> {
        let timer = TimerFd::new(ClockId::CLOCK_REALTIME, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        arm(&timer)?;
        #[expect(deprecated, reason = "the constructor that replaces it is unsafe, and an owned descriptor needs none")]
        let readiness = AsyncFd::with_interest(timer.as_fd().try_clone_to_owned()?, Interest::READABLE)?;
        Ok(Self { timer, readiness })
    }

    async fn changed(&self) {
        let Ok(mut ready) = self.readiness.readable().await else { return pending().await };
        ready.clear_ready();
        // A canceled timer is readable until it is set again, which reports the cancellation once more.
        if !matches!(arm(&self.timer), Ok(()) | Err(Errno::ECANCELED)) {
            pending().await
        }
    }
}

fn arm(timer: &TimerFd) -> nix::Result<()> {
    let never = Expiration::OneShot(TimeSpec::from(Duration::from_secs(NEVER_SECONDS.unsigned_abs())));
    timer.set(never, TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET)
}
