//! Forwarding of a start: writes that reach this member as a standby go to the leader, and as the leader it takes those of
//! the others.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::StartError;
use super::state::Opened;
use crate::net::members::{Forwarded, Forwarding, MemberTls, accept};

/// Accepts what other members forward, where the configuration says so, and opens the way to the leader. None where the
/// registry is on one host. To be called within the runtime.
pub(super) fn start(opened: &Opened, sessions: mpsc::Sender<Forwarded>) -> Result<Option<Arc<Forwarding>>, StartError> {
    let Some(member) = &opened.member else { return Ok(None) };
    let tls = MemberTls::new(&opened.daemon.identity.now().secrets)?;
    if let Some(listener) = member.take_listener() {
        tokio::spawn(accept(listener, tls.clone(), sessions));
    }
    let (daemon, Some(name)) = (Arc::clone(&opened.daemon), opened.daemon.role.member().cloned()) else {
        return Ok(None);
    };
    Ok(Some(Arc::new(Forwarding::new(daemon, name, tls, member.addresses(), member.patience()))))
}
