//! The interface to systemd: readiness notification (sd_notify), start timeout extension, watchdog, socket activation.
//!
//! Systemd passes variables of the environment. Without them nothing is sent, no timer runs, and the daemon makes its
//! own socket.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use listenfd::ListenFd;
use nix::sys::socket::{Backlog, getsockopt, listen, sockopt};
use sd_notify::NotifyState;

use crate::net::listener::SocketError;

/// The interval at which a long start asks for more time, and the time that it asks for.
const ASK_EVERY: Duration = Duration::from_secs(5);
const ASK_FOR: Duration = Duration::from_secs(30);

/// Reports that the daemon serves (`READY=1`), with a status. The status is made one line: a second line would be
/// another field of the notification.
pub fn ready(status: &str) {
    let line = status.split_whitespace().collect::<Vec<_>>().join(" ");
    notify(&[NotifyState::Ready, NotifyState::Status(&line)]);
}

/// Reports a reload of the configuration (`RELOADING=1`). [`ready`] reports its end.
pub fn reloading() {
    let since = NotifyState::monotonic_usec_now().unwrap_or(NotifyState::MonotonicUsec(0));
    notify(&[NotifyState::Reloading, since]);
}

/// Reports that the daemon stops (`STOPPING=1`).
pub fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("finishing what was begun")]);
}

/// The stage of a long start, which systemd shows as its status.
#[derive(Debug)]
pub struct Stage(Mutex<String>);

impl Stage {
    /// From now on it is doing this, which is told at once.
    pub fn begin(&self, what: String) {
        self.set(what);
        self.tell();
    }

    /// It has come so far, which is told with the next extension of the timeout.
    pub fn set(&self, what: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    fn tell(&self) {
        let more = u32::try_from(ASK_FOR.as_micros()).unwrap_or(u32::MAX);
        notify(&[NotifyState::ExtendTimeoutUsec(more), NotifyState::Status(&self.now())]);
    }

    fn now(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Runs a part of the start that may take long, such as verifying or migrating a large database, and meanwhile extends the
/// timeout and tells its stage.
pub fn while_starting<T>(start: impl FnOnce(&Stage) -> T) -> T {
    let stage = Stage(Mutex::new("opening the database".to_owned()));
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return start(&stage);
    }
    let (running, ended) = channel::<()>();
    let (stage, told) = (&stage, &stage);
    let ask = move || {
        loop {
            told.tell();
            if ended.recv_timeout(ASK_EVERY) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    };
    std::thread::scope(move |scope| {
        // Without this thread a start has the time that the unit gives it.
        let _ = std::thread::Builder::new().name("start".to_owned()).spawn_scoped(scope, ask);
        let started = start(stage);
        drop(running);
        started
    })
}

/// The interval of heartbeats for the watchdog of systemd, which kills a daemon that sends none; `None` where the unit
/// asked for no watchdog.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero()).map(|patience| patience / 3)
}

/// Feeds the watchdog.
pub fn feed_watchdog() {
    notify(&[NotifyState::Watchdog]);
}

/// The socket that systemd passed (socket activation), and its path. Call it while there is only one thread, because it
/// removes variables of the environment. Refuses more than one socket, and one without a path.
pub fn passed_socket() -> Result<Option<(UnixListener, PathBuf)>, SocketError> {
    let refuse = |problem: String| SocketError { path: PathBuf::from("the socket that systemd passed"), problem };
    let count = sd_notify::listen_fds().map_err(|err| refuse(err.to_string()))?.len();
    match count {
        0 => return Ok(None),
        1 => {}
        _ => return Err(refuse(format!("there are {count} of them; name one ListenStream= in enrolld.socket"))),
    }
    let taken = ListenFd::from_env().take_unix_listener(0).map_err(|err| refuse(err.to_string()))?;
    let listener = taken.ok_or_else(|| refuse("it is not there".to_owned()))?;
    if getsockopt(&listener, sockopt::AcceptConn) != Ok(true) {
        return Err(refuse("nobody listens on it; enrolld.socket must have Accept=no".to_owned()));
    }
    listener.set_nonblocking(true).map_err(|err| refuse(err.to_string()))?;
    // Clients see the credentials of the process that called listen(2) last: from now on this one's, not systemd's.
    listen(&listener, Backlog::MAXALLOWABLE).map_err(|errno| refuse(errno.to_string()))?;
    let address = listener.local_addr().map_err(|err| refuse(err.to_string()))?;
    match address.as_pathname() {
        Some(path) => Ok(Some((listener, path.to_owned()))),
        // A socket without a path has neither mode nor owner: every user of the machine could connect.
        None => Err(refuse("it has no path; give ListenStream= in enrolld.socket one".to_owned())),
    }
}

/// Sends a notification, if systemd waits for any.
fn notify(news: &[NotifyState<'_>]) {
    if let Err(err) = sd_notify::notify(news) {
        tracing::warn!(%err, "notifying systemd failed and is not retried; systemd may take the daemon for hung");
    }
}
