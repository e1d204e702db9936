//! Admission: which connections are let in. A connection is judged when it is accepted, before anything is read from it
//! and before a task is made for it; one that is turned away gets the reason in one frame and costs nothing more.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use enroll_protocol::encoding::Encoding;
use enroll_protocol::{Code, Refusal};
use enroll_socket::Listener;
use nix::sys::socket::{getsockopt, sockopt};
use serde_json::json;

use super::grants::{Grants, way_in};
use super::handshake::{self, RETRY_AFTER_MS};
use super::listener::Terms;
use super::rate_limited_log::RateLimitedLog;
use crate::config::Limits;
use crate::daemon::Daemon;
use crate::daemon::abuse::Abuse;
use crate::daemon::connection_limit::{Full, Slot};
use enroll_core::context::{Grant, Peer};

/// Files kept back for when none are left.
const RESERVE_FILES: usize = 4;

/// A connection that was let in.
pub(super) type Admitted = (UnixStream, Peer, Slot);

/// Connections turned away at a time where no file is left for them.
const TURNED_AWAY_MAX: usize = 64;

/// Admits connections by their grants and by the connection limit.
pub(super) struct Admission {
    daemon: Arc<Daemon>,
    /// Connections since the start.
    connections: u64,
    /// Files given up where none are left: one to tell somebody so, and the others to let an administrator in.
    reserve: Vec<File>,
    stuck: RateLimitedLog,
}

impl Admission {
    pub(super) fn new(daemon: Arc<Daemon>) -> Self {
        let stuck = RateLimitedLog::default();
        let mut admission = Self { daemon, connections: 0, reserve: Vec::new(), stuck };
        admission.fill_reserve();
        admission
    }

    /// Lets a connection in, or tells it why not.
    pub(super) fn admit(&mut self, stream: UnixStream, terms: &Terms) -> Option<Admitted> {
        match self.judge(&stream, &terms.grants) {
            Ok(peer) => self.admit_peer(stream, peer, terms),
            Err(refusal) => {
                self.turn_away(&stream, &refusal);
                None
            }
        }
    }

    /// Lets the connection of a peer in that is known already, or tells it why not.
    pub(super) fn admit_peer(&mut self, stream: UnixStream, peer: Peer, terms: &Terms) -> Option<Admitted> {
        self.connections += 1;
        let peer = Peer { connection: self.connections, ..peer };
        match self.daemon.connections.take(peer.uid, peer.grant == Grant::Admin, &terms.limits) {
            Ok(slot) => Some((stream, peer, slot)),
            Err(full) => {
                let uid = peer.uid;
                let Limits { connections, connections_per_uid, .. } = terms.limits;
                let (abuse, most, key) = match full {
                    Full::All => (Abuse::Connections, connections, "server.connections"),
                    Full::Uid => (Abuse::ConnectionsOfUid, connections_per_uid, "server.connections_per_uid"),
                };
                self.daemon.abuse.note(abuse, uid);
                let whose = if full == Full::Uid { format!(" of uid {uid}") } else { String::new() };
                self.turn_away(
                    &stream,
                    &no_room(&format!("{most} connections{whose} are open, the most there may be ({key})")),
                );
                None
            }
        }
    }

    /// No connection can be accepted. For want of a file, those kept back serve to tell those who wait, and to let the
    /// administrators among them in.
    pub(super) fn stuck(&mut self, listener: &Listener, err: &io::Error, terms: &Terms) -> Vec<Admitted> {
        self.stuck
            .say(|unsaid| tracing::error!(%err, unsaid, "accepting a connection failed; it is tried again in 50 ms"));
        let mut admitted = Vec::new();
        for _ in 0..TURNED_AWAY_MAX {
            if self.reserve.pop().is_none() {
                break;
            }
            let accepted = listener.try_accept().ok().flatten();
            let is_last = accepted.is_none();
            if let Some(stream) = accepted {
                let is_admin = self.judge(&stream, &terms.grants).is_ok_and(|peer| peer.grant == Grant::Admin);
                match is_admin && !self.reserve.is_empty() {
                    true => admitted.extend(self.admit(stream, terms)),
                    false => self.turn_away(&stream, &no_room("the daemon has no files left for connections")),
                }
            }
            // The stream of somebody who was turned away is closed by now, so there is a file again.
            self.fill_reserve();
            if is_last {
                break;
            }
        }
        admitted
    }

    /// Keeps files back, as many as there are.
    fn fill_reserve(&mut self) {
        while self.reserve.len() < RESERVE_FILES
            && let Ok(file) = File::open("/dev/null")
        {
            self.reserve.push(file);
        }
    }

    /// Says why in one frame and closes. A new socket takes that much at once, so nobody is waited for.
    fn turn_away(&self, mut stream: &UnixStream, refusal: &Refusal) {
        self.daemon.metrics.connection_refused(refusal.code);
        // The peer may be gone already; that is its own affair.
        let _ = stream.write_all(&handshake::refusal_frame(Encoding::Binary, refusal));
    }

    /// The peer and its grant, by the credentials that the kernel took when it connected.
    fn judge(&self, stream: &UnixStream, grants: &Grants) -> Result<Peer, Refusal> {
        let unknown = |err: &dyn Display| Refusal::new(Code::PERMISSION_DENIED, format!("the peer is unknown: {err}"));
        let credentials = getsockopt(stream, sockopt::PeerCredentials).map_err(|err| unknown(&err))?;
        // A group may bound a peer, so nobody is let in whose groups are unknown.
        let mut groups = crate::sys::peer_groups(stream.as_fd()).map_err(|err| unknown(&err))?;
        groups.push(credentials.gid());
        let uid = credentials.uid();
        let member = self.daemon.role.member().cloned();
        match grants.of(uid, &groups) {
            Some((grant, delegation)) => {
                Ok(Peer { uid, pid: credentials.pid(), connection: 0, grant, delegation, member })
            }
            None => {
                self.daemon.abuse.note(Abuse::NoGrant, uid);
                Err(Refusal::new(Code::PERMISSION_DENIED, format!("uid {uid} has no grant here; {}", way_in(uid))))
            }
        }
    }
}

fn no_room(why: &str) -> Refusal {
    let refusal = Refusal::new(Code::BUSY, format!("{why}; try again in a moment"));
    refusal.with(json!({"retry_after_ms": RETRY_AFTER_MS}))
}
