//! Forwarding between the members of a cluster: writes that reach a standby go to the member that leads, over TLS 1.3.
//!
//! Each connection that writes at a standby has a link of its own to the leader, where an ordinary session serves it: with
//! the uid, the pid and the grant that the connection has on its host, so all rules, limits and orders of a session hold.
//! Members trust each other, as all of them hold the secret key.
//!
//! A standby's reads pass the barrier, which finds every write that was answered before; so a forwarded answer is given
//! out as it comes, and the connection still reads its own writes.

mod accept;
mod link;
mod tls;

use std::sync::Arc;

use enroll_core::context::{Grant, Peer};
use enroll_core::delegation::Delegation;
use enroll_protocol::MemberName;
use nix::sys::socket::{setsockopt, sockopt};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::TcpStream;

pub use accept::{Forwarded, accept};
pub use link::Forwarding;
pub(super) use link::{Carried, Link};
pub use tls::MemberTls;

/// Silence on a link after which the kernel asks if the other end is there, in seconds; and between two such questions.
const SILENCE_SECONDS: u32 = 2;

/// The largest introduction, in bytes.
const INTRODUCTION_BYTES_MAX: u32 = 1 << 20;

/// The first bytes of a link: whose connection it is, as the member decided it where that connection came in. In JSON
/// behind its length in four bytes, big-endian; a member that does not know a part of it refuses the link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Introduction {
    /// The member that forwards.
    member: MemberName,
    uid: u32,
    pid: i32,
    grant: Grant,
    delegation: Delegation,
}

impl Introduction {
    /// The introduction of a connection's peer by this member.
    fn of(member: &MemberName, peer: &Peer) -> Self {
        let Peer { uid, pid, grant, delegation, .. } = peer;
        let (member, delegation) = (member.clone(), (**delegation).clone());
        Self { member, uid: *uid, pid: *pid, grant: *grant, delegation }
    }

    /// The peer of a session that serves it.
    fn peer(self) -> Peer {
        let Self { member, uid, pid, grant, delegation } = self;
        Peer { uid, pid, connection: 0, grant, delegation: Arc::new(delegation), member: Some(member) }
    }

    fn to_bytes(&self) -> std::io::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        let length = u32::try_from(json.len()).map_err(std::io::Error::other)?;
        Ok([length.to_be_bytes().as_slice(), &json].concat())
    }

    async fn read(input: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Self> {
        let length = input.read_u32().await?;
        if length > INTRODUCTION_BYTES_MAX {
            return Err(std::io::Error::other("an introduction is too long"));
        }
        let mut json = vec![0; usize::try_from(length).map_err(std::io::Error::other)?];
        input.read_exact(&mut json).await?;
        Ok(serde_json::from_slice(&json)?)
    }
}

/// Sets a link's socket: nothing waits for more bytes, and another end that is gone or cut off is noticed within ten seconds.
fn tune(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    setsockopt(stream, sockopt::KeepAlive, &true)?;
    setsockopt(stream, sockopt::TcpKeepIdle, &SILENCE_SECONDS)?;
    setsockopt(stream, sockopt::TcpKeepInterval, &SILENCE_SECONDS)?;
    setsockopt(stream, sockopt::TcpKeepCount, &3)?;
    setsockopt(stream, sockopt::TcpUserTimeout, &(4000 * SILENCE_SECONDS))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use enroll_core::delegation::ActFor;

    use super::*;

    #[tokio::test]
    async fn an_introduction_brings_everything_that_bounds_a_peer() {
        let act_for =
            ActFor { roles: ["staff".parse().expect("a role")].into(), callsigns: ["boss".to_owned()].into() };
        let delegation = Delegation { superusers: false, act_for: vec![act_for], proven: true };
        let peer =
            Peer { uid: 7, pid: 8, connection: 9, grant: Grant::Operate, delegation: delegation.into(), member: None };
        let bytes = Introduction::of(&"north".parse().expect("a name"), &peer).to_bytes().expect("bytes");
        let read = Introduction::read(&mut &*bytes).await.expect("read").peer();
        assert_eq!(read, Peer { connection: 0, member: Some("north".parse().expect("a name")), ..peer });
        let unknown = br#"{"member":"a","uid":1,"pid":1,"grant":"read","delegation":{"superusers":true,"act_for":[],"proven":false,"until":3}}"#;
        let bytes = [u32::try_from(unknown.len()).expect("short").to_be_bytes().as_slice(), unknown].concat();
        assert!(Introduction::read(&mut &*bytes).await.is_err(), "a bound that is not known here");
        assert!(Introduction::read(&mut &u32::MAX.to_be_bytes()[..]).await.is_err(), "too long");
    }
}
