//! The one place that speaks with systemd: what the daemon tells it, the time it asks for, and the socket it is passed.
//!
//! Systemd makes itself known by variables of the environment. Where there are none, nobody is told anything, no timer
//! runs, and the daemon makes its own socket.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use listenfd::ListenFd;
use nix::sys::socket::{getsockopt, sockopt};
use sd_notify::NotifyState;

use crate::net::listener::SocketError;

/// How often a start that takes long asks for more time, and for how much.
const ASK_EVERY: Duration = Duration::from_secs(5);
const ASK_FOR: Duration = Duration::from_secs(30);

/// The daemon serves. A status is one line: what comes behind it would be news of its own.
pub fn ready(status: &str) {
    let line = status.split_whitespace().collect::<Vec<_>>().join(" ");
    tell(&[NotifyState::Ready, NotifyState::Status(&line)]);
}

/// The daemon reads its configuration again; it says that it is ready when it has.
pub fn reloading() {
    let since = NotifyState::monotonic_usec_now().unwrap_or(NotifyState::MonotonicUsec(0));
    tell(&[NotifyState::Reloading, since]);
}

/// The daemon begins nothing more.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("finishing what was begun")]);
}

/// Runs what may take long at a start, such as verifying a large database, and asks for more time as long as it does.
pub fn while_starting<T>(start: impl FnOnce() -> T) -> T {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return start();
    }
    let (running, ended) = channel::<()>();
    let ask = move || {
        let more = u32::try_from(ASK_FOR.as_micros()).unwrap_or(u32::MAX);
        loop {
            tell(&[NotifyState::ExtendTimeoutUsec(more), NotifyState::Status("opening the database")]);
            if ended.recv_timeout(ASK_EVERY) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    };
    std::thread::scope(move |scope| {
        // Without this thread a start has the time that the unit gives it.
        let _ = std::thread::Builder::new().name("start".to_owned()).spawn_scoped(scope, ask);
        let started = start();
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
    tell(&[NotifyState::Watchdog]);
}

/// The socket that systemd listens on for this daemon, and its path. To be asked for while there is one thread only: it
/// takes the variables that name the socket out of the environment.
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
    let address = listener.local_addr().map_err(|err| refuse(err.to_string()))?;
    match address.as_pathname() {
        Some(path) => Ok(Some((listener, path.to_owned()))),
        // Such a socket has neither mode nor owner: whoever is on the machine could connect.
        None => Err(refuse("it has no path; give ListenStream= in enrolld.socket one".to_owned())),
    }
}

/// Tells systemd, if there is one.
fn tell(news: &[NotifyState<'_>]) {
    if let Err(err) = sd_notify::notify(news) {
        tracing::warn!(%err, "systemd can not be told");
    }
}
