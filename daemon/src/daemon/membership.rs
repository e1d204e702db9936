//! The membership of the daemon in a cluster: what it knows of the other members, and the request to hand over to one.

use std::sync::OnceLock;

use enroll_protocol::cluster::{ClusterStatus, HandOver};
use enroll_protocol::{Code, Refusal};
use tokio::sync::watch;

/// The look at the cluster, as of now.
type Look = Box<dyn Fn() -> ClusterStatus + Send + Sync>;

/// See the module. A daemon whose registry is on one host is in none.
pub struct Membership {
    look: OnceLock<Look>,
    /// The member that is to lead next, once somebody has asked for it; `Some(None)` for any.
    handing_over: watch::Sender<Option<Option<String>>>,
}

impl Default for Membership {
    fn default() -> Self {
        Self { look: OnceLock::new(), handing_over: watch::Sender::new(None) }
    }
}

impl Membership {
    /// From now on the cluster is looked at in this way.
    pub fn join(&self, look: impl Fn() -> ClusterStatus + Send + Sync + 'static) {
        // A daemon is in one cluster, from its start on.
        let _ = self.look.set(Box::new(look));
    }

    /// The cluster; empty for a registry on one host.
    pub fn status(&self) -> ClusterStatus {
        self.look.get().map(|look| look()).unwrap_or_default()
    }

    /// Asks for another leader. Returns the name of the one that leads and hands over; none where there is nothing to do.
    pub fn hand_over(&self, to: &HandOver) -> Result<Option<String>, Refusal> {
        let status = self.status();
        let to = to.member.as_ref().map(|to| to.as_str().to_owned());
        if to.is_some() && to == status.leader {
            return Ok(None);
        }
        if status.member != status.leader {
            let leader = status.leader.unwrap_or_else(|| "nobody".to_owned());
            return Err(Refusal::new(Code::CONFLICT, format!("{leader} leads: ask the daemon there")));
        }
        let mut others =
            status.members.iter().filter(|member| member.is_here && Some(&member.name) != status.member.as_ref());
        let is_there = match &to {
            None => others.next().is_some(),
            Some(to) => others.any(|member| member.name == *to),
        };
        match (to, is_there) {
            (Some(to), false) => Err(Refusal::new(Code::NOT_FOUND, format!("no member {to} is here"))),
            (None, false) => Ok(None),
            (to, true) => {
                self.handing_over.send_replace(Some(to));
                Ok(status.leader)
            }
        }
    }

    /// Waits until somebody asks for another leader.
    pub async fn handed_over(&self) {
        let mut asked = self.handing_over.subscribe();
        // The sender lives as long as this.
        let _ = asked.wait_for(Option::is_some).await;
    }

    /// The member that was asked for as the next leader.
    pub fn next(&self) -> Option<String> {
        self.handing_over.borrow().clone().flatten()
    }
}

#[cfg(test)]
mod tests {
    use enroll_protocol::cluster::Member;

    use super::*;

    fn member(name: &str, is_here: bool) -> Member {
        Member {
            name: name.to_owned(),
            host: String::new(),
            version: String::new(),
            is_here,
            record: 0,
            lag_records: 0,
            lag_seconds: 0,
            on_disk: 0,
            clock_ahead_millis: None,
            differing_settings: Vec::new(),
        }
    }

    #[test]
    fn it_is_handed_over_to_a_member_that_is_here_by_the_one_that_leads() {
        let to = |name: &str| HandOver { member: Some(name.parse().expect("a name")) };
        let code = |of: &Membership, to: &HandOver| of.hand_over(to).map_err(|refusal| refusal.code);
        assert_eq!(code(&Membership::default(), &HandOver::default()), Ok(None), "on one host");
        assert_eq!(code(&Membership::default(), &to("b")), Err(Code::NOT_FOUND), "on one host");
        let of = |own: &'static str, members: Vec<Member>| {
            let membership = Membership::default();
            membership.join(move || ClusterStatus {
                member: Some(own.to_owned()),
                leader: Some("a".to_owned()),
                members: members.clone(),
                ..ClusterStatus::default()
            });
            membership
        };
        let leads = of("a", vec![member("a", true), member("b", true), member("c", false)]);
        assert_eq!(code(&leads, &to("c")), Err(Code::NOT_FOUND), "away");
        assert_eq!(code(&leads, &to("a")), Ok(None), "it leads already");
        assert_eq!(leads.handing_over.borrow().clone(), None);
        assert_eq!(code(&leads, &to("b")), Ok(Some("a".to_owned())));
        assert_eq!(leads.next().as_deref(), Some("b"));
        assert_eq!(code(&of("b", vec![member("a", true)]), &HandOver::default()), Err(Code::CONFLICT), "it follows");
        assert_eq!(code(&of("a", vec![member("a", true)]), &HandOver::default()), Ok(None), "alone");
    }
}
