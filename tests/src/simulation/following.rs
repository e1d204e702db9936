//! Followers of the changes in a simulation: a client whose connection streams them, and goes on after the last one that it
//! has seen when the connection is gone. It sees each change once, in order, and none before it is durable.

use enroll_protocol::changes::{Change, Follow};
use enroll_protocol::frame::{self, FrameKind};
use enroll_protocol::{Envelope, Operation as _, codec};

use super::client::{Client, Link};
use super::judge::Judge;

/// The id of the stream's request. Those of other requests are counted from 1.
pub(super) const STREAM: u64 = u64::MAX;

impl Link {
    /// Asks for the changes after this one.
    pub(super) fn follow(&mut self, since: u64) {
        let mut bytes = Vec::new();
        let body = [codec::encode(&Envelope::default()), codec::encode(&Follow { since: Some(since) })].concat();
        frame::append_with(&mut bytes, FrameKind::Request, Follow::ROW.number, STREAM, |bytes| {
            bytes.extend_from_slice(&body);
        });
        self.under_way.extend(bytes);
        self.is_following = true;
    }
}

impl Client {
    /// True if it is to ask for changes.
    pub(super) fn wants_to_follow(&self) -> bool {
        self.follows.is_some() && self.link.as_ref().is_some_and(|link| link.is_greeted() && !link.is_following)
    }

    /// Looks at the changes that arrived.
    pub(super) fn take_followed(&mut self, judge: &Judge) -> Result<(), String> {
        let Some(link) = &mut self.link else { return Ok(()) };
        for change in link.followed.drain(..) {
            let seen = self.follows.get_or_insert(0);
            if change.seq != *seen + 1 {
                return Err(format!("after change {seen} a follower was given {}", change.seq));
            }
            judge.followed(&change)?;
            *seen = change.seq;
        }
        Ok(())
    }
}

/// A change as it is in the registry, for comparison.
pub(super) type Recorded = (enroll_protocol::Time, Vec<enroll_protocol::Pk>, Option<enroll_protocol::Code>);

/// The same of a change that was given.
pub(super) fn recorded(change: &Change) -> Recorded {
    (change.at, change.subjects.clone(), change.refused)
}
