//! The role of a daemon: active, or the standby of another one that leads its cluster.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use enroll_protocol::{Code, MemberName, Refusal};
use serde_json::json;
use tokio::sync::watch;

/// The retry time for a write that reaches a standby.
const RETRY_AFTER_MS: u64 = 200;

/// See the module. A daemon without a cluster is active, and nobody leads it.
#[derive(Debug, Default)]
pub struct Role {
    is_standby: AtomicBool,
    /// The name of this member.
    member: OnceLock<MemberName>,
    /// The name of the member that leads.
    leader: watch::Sender<Option<String>>,
}

impl Role {
    /// This daemon is this member, for as long as it runs.
    pub fn join(&self, member: MemberName) {
        let _ = self.member.set(member);
    }

    /// The name of this member; `None` without a cluster.
    pub fn member(&self) -> Option<&MemberName> {
        self.member.get()
    }

    /// From now on this member leads, and it is this daemon.
    pub fn lead(&self, member: &str) {
        self.is_standby.store(false, Ordering::SeqCst);
        self.leader.send_replace(Some(member.to_owned()));
    }

    /// From now on this daemon is the standby of this member.
    pub fn follow(&self, leader: &str) {
        self.is_standby.store(true, Ordering::SeqCst);
        self.leader.send_if_modified(|before| before.replace(leader.to_owned()).as_deref() != Some(leader));
    }

    /// True for a standby.
    pub fn is_standby(&self) -> bool {
        self.is_standby.load(Ordering::SeqCst)
    }

    /// The name of the member that leads, as far as this daemon knows; `None` without a cluster.
    pub fn leader(&self) -> Option<String> {
        self.leader.borrow().clone()
    }

    /// The same, again and again as it changes.
    pub fn watch(&self) -> watch::Receiver<Option<String>> {
        self.leader.subscribe()
    }

    /// Refuses what only the active daemon may do (`busy`).
    pub fn check_active(&self) -> Result<(), Refusal> {
        if !self.is_standby() {
            return Ok(());
        }
        let leader = self.leader().unwrap_or_default();
        let why = format!("this daemon is a standby, which only reads; {leader} leads: write there, or try again");
        Err(Refusal::new(Code::BUSY, why).with(json!({"retry_after_ms": RETRY_AFTER_MS, "leader": leader})))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_refuses_for_a_while_and_names_the_member_that_leads() {
        let role = Role::default();
        assert_eq!((role.check_active(), role.leader()), (Ok(()), None));
        role.follow("north");
        let refusal = role.check_active().expect_err("a refusal");
        assert!(refusal.code.is_passing() && refusal.to_string().contains("north leads"), "{refusal}");
        role.lead("south");
        assert_eq!((role.check_active(), role.leader().as_deref()), (Ok(()), Some("south")));
    }
}
