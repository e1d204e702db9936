//! The listener: the socket is made without a moment in which it is open to the wrong people, and accepts connections
//! until told to stop.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use enroll_socket::Listener;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::geteuid;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinSet, yield_now};

use super::admission::Admission;
use super::grants::Grants;
use super::members::Forwarded;
use super::turns::{TURN, Turns};
use super::{Shared, memory, session};
use crate::config::Limits;
use crate::daemon::connection_limit::Slot;
use crate::storage::private_dir::Directory;
use crate::sys;
use crate::writer::Queue;
use enroll_core::context::Peer;

/// Backoff after an accept that failed for want of files or memory; the kernel would refuse at once, again and again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The length of a turn of accepting. Connections of all uids wait in one queue of the kernel, so it is emptied faster than
/// one uid can fill it.
const ACCEPT_TURN: Duration = TURN.saturating_mul(4);

/// The terms of a connection, fixed when it is accepted. A reload replaces them for later connections.
#[derive(Debug)]
pub struct Terms {
    /// The grants by user and group.
    pub grants: Grants,
    /// Limits of a connection, and of their number.
    pub limits: Limits,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct SocketError {
    /// Which one.
    pub path: PathBuf,
    /// The problem and the way out.
    pub problem: String,
}

/// Refuses a path that no socket can have.
pub fn check_path(path: &Path) -> Result<(), SocketError> {
    enroll_socket::check_path(path).map_err(|problem| SocketError { path: path.to_owned(), problem })
}

/// Listens on a socket that its user and group may connect to. The state directory's lock is held, so a socket that is
/// there already is one that nobody listens on, unless it is not ours.
pub fn listen_on(path: &Path) -> Result<UnixListener, SocketError> {
    check_path(path)?;
    let refuse = |problem: String| SocketError { path: path.to_owned(), problem };
    if let Some(directory) = path.parent() {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o750).create(directory).map_err(|err| refuse(err.to_string()))?;
        // A user who may write there could replace our socket by one of their own, and receive secrets.
        Directory::open(directory).map_err(|err| refuse(format!("its directory: {err}")))?;
    }
    match path.symlink_metadata() {
        Err(err) if err.kind() == io::ErrorKind::NotFound => {}
        Err(err) => return Err(refuse(err.to_string())),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(refuse(
                "is there and is not a socket; move it away, or choose another with --socket".to_owned(),
            ));
        }
        Ok(metadata) if metadata.uid() != geteuid().as_raw() => {
            return Err(refuse(format!("is a socket of uid {}; choose another with --socket", metadata.uid())));
        }
        Ok(_) if is_answered(path) => {
            return Err(refuse("another process listens here; stop it, or choose another with --socket".to_owned()));
        }
        Ok(_) => std::fs::remove_file(path).map_err(|err| refuse(err.to_string()))?,
    }
    open_listener(path).map_err(|err| refuse(err.to_string()))
}

/// True if somebody listens on a socket: the lock of our state directory says nothing about a daemon that uses another
/// directory and the same socket.
fn is_answered(path: &Path) -> bool {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let (Ok(probe), Ok(address)) = (socket(AddressFamily::Unix, SockType::Stream, flags, None), UnixAddr::new(path))
    else {
        return false;
    };
    // EAGAIN: somebody listens and has no time; everything else: nobody does.
    matches!(connect(probe.as_raw_fd(), &address), Ok(()) | Err(Errno::EAGAIN))
}

/// Removes the socket that this daemon listened on, once it no longer does. One that is answered is another daemon's.
pub fn remove(path: &Path) {
    let is_socket = path.symlink_metadata().is_ok_and(|metadata| metadata.file_type().is_socket());
    if is_socket && !is_answered(path) {
        // At worst a stale one stays behind, which the next start removes.
        let _ = std::fs::remove_file(path);
    }
}

fn open_listener(path: &Path) -> io::Result<UnixListener> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let listener = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    // Closed to others before the name exists, whatever the umask, and opened to the group once it does.
    fchmod(&listener, Mode::from_bits_truncate(0o600))?;
    bind(listener.as_raw_fd(), &UnixAddr::new(path)?)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    listen(&listener, Backlog::new(1024)?)?;
    Ok(UnixListener::from(listener))
}

/// Accepts connections and what they may do, until told to stop; then waits for those that are open.
///
/// `threads`: of the runtime. `forwarded`: connections of other hosts, which other members of the cluster forward.
pub async fn serve(
    listener: Listener,
    threads: usize,
    shared: Arc<Shared>,
    queue: Queue,
    mut forwarded: mpsc::Receiver<Forwarded>,
    mut shutdown: watch::Receiver<bool>,
) {
    // Nobody's descriptors are ever received; a kernel that knows how refuses them already where they are sent.
    let _ = sys::refuse_rights(listener.as_fd());
    let ended = Arc::new(Notify::new());
    tokio::spawn(memory::give_back(Arc::clone(&ended)));
    let mut accepting = Accepting {
        admission: Admission::new(Arc::clone(&shared.daemon)),
        turns: Turns::new(threads),
        lanes: JoinSet::new(),
        shared,
        queue,
        stopping: shutdown.clone(),
        ended,
    };
    loop {
        tokio::select! {
            readable = listener.readable() => match readable.and_then(|()| accepting.accept_some(&listener)) {
                // A burst of new connections does not starve the open ones.
                Ok(()) => yield_now().await,
                Err(err) => {
                    accepting.stuck(&listener, &err);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some((stream, peer)) = forwarded.recv() => accepting.admit_forwarded(stream, peer),
            Some(_) = accepting.lanes.join_next() => {}
            _ = shutdown.changed() => break,
        }
    }
    drop(listener);
    let Accepting { mut lanes, .. } = accepting;
    while lanes.join_next().await.is_some() {}
}

/// Accepts connections and gives each to the lane of its uid.
struct Accepting {
    admission: Admission,
    turns: Arc<Turns>,
    lanes: JoinSet<()>,
    shared: Arc<Shared>,
    queue: Queue,
    stopping: watch::Receiver<bool>,
    /// Told of each connection that ended.
    ended: Arc<Notify>,
}

impl Accepting {
    /// Serves a connection of another host, which counts like one of this host.
    fn admit_forwarded(&mut self, stream: UnixStream, peer: Peer) {
        let terms = self.shared.terms.now();
        if let Some((stream, peer, slot)) = self.admission.admit_peer(stream, peer, &terms) {
            self.serve(stream, peer, slot);
        }
    }

    /// Accepts what has come, for one of its own turns at most.
    fn accept_some(&mut self, listener: &Listener) -> io::Result<()> {
        let (end, terms) = (Instant::now() + ACCEPT_TURN, self.shared.terms.now());
        while let Some(stream) = listener.try_accept()? {
            if let Some((stream, peer, slot)) = self.admission.admit(stream, &terms) {
                self.serve(stream, peer, slot);
            }
            if Instant::now() >= end {
                break;
            }
        }
        Ok(())
    }

    /// Accepting fails: those who wait are told, and administrators let in.
    fn stuck(&mut self, listener: &Listener, err: &io::Error) {
        for (stream, peer, slot) in self.admission.stuck(listener, err, &self.shared.terms.now()) {
            self.serve(stream, peer, slot);
        }
    }

    fn serve(&mut self, stream: UnixStream, peer: Peer, slot: Slot) {
        let (shared, queue, stopping) = (Arc::clone(&self.shared), self.queue.clone(), self.stopping.clone());
        let (ended, uid, number) = (Arc::clone(&self.ended), peer.uid, peer.connection);
        let session = move |turn| async move {
            let open = shared.daemon.metrics.connection();
            if let Ok((input, output)) = enroll_socket::split(stream) {
                let sender = output.sender().clone();
                session::serve((input, output, sender), peer, Arc::clone(&shared), queue, stopping, turn).await;
            }
            drop((open, slot));
            ended.notify_one();
        };
        let lane = self.turns.add(uid, number, |turn| Box::pin(session(turn)));
        if let Some(lane) = lane {
            self.lanes.spawn(lane);
        }
    }
}
