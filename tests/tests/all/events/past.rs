//! The past of events: replayed from the feed up to any change, it is what was shown after that change.

use std::collections::BTreeMap;

use enroll_picture::past::Past;
use enroll_protocol::changes::{self, Change};
use enroll_protocol::registration::{self, ApprovalState};
use enroll_protocol::{Named, NaturalName, PageLimit, Pk, Reference};

use super::history::History;

/// An event as it was shown after a change.
pub(super) struct Kept {
    seq: u64,
    event: Pk,
    seats: BTreeMap<Pk, Pk>,
    waiting: Vec<Pk>,
}

impl History {
    /// Keeps what is shown now of every event.
    pub(super) fn keep(&mut self) {
        let seq = self.registry.call(changes::Head {}).expect("a head").seq;
        for event in self.events.iter().map(|(event, _)| event.clone()).collect::<Vec<_>>() {
            let pk = pk_of(&event);
            let listed = self.list(&event, None);
            let holds = |item: &&registration::Registration| {
                !item.waiting && !item.canceled && item.approval != ApprovalState::Rejected
            };
            let seats = listed.iter().filter(holds).map(|item| (item.person, item.pool.unwrap_or(pk))).collect();
            let waiting = self.list(&event, Some(true)).iter().map(|item| item.person).collect();
            self.shown.push(Kept { seq, event: pk, seats, waiting });
        }
    }

    fn list(&mut self, event: &Reference, waiting: Option<bool>) -> Vec<registration::Registration> {
        let limit = PageLimit::new(1000).expect("a limit");
        let list = registration::List { event: Some(event.clone()), waiting, limit, ..Default::default() };
        let page = self.registry.call(list).expect("a page");
        assert_eq!(page.next, None, "few");
        page.items
    }

    /// Every past is what was shown then.
    pub(super) fn expect_past(&mut self) {
        let feed = self.feed();
        let shown = std::mem::take(&mut self.shown);
        for (event, _) in &self.events {
            let (mut past, mut next) = (Past::of(pk_of(event)), feed.iter().peekable());
            for kept in shown.iter().filter(|kept| kept.event == pk_of(event)) {
                while let Some(change) = next.next_if(|change| change.seq <= kept.seq) {
                    past.next(change);
                }
                assert_eq!(past.known(), Ok(()), "change {}", kept.seq);
                assert_eq!(past.seats(), &kept.seats, "change {}", kept.seq);
                assert_eq!(past.waiting(), kept.waiting, "change {}", kept.seq);
            }
        }
    }

    fn feed(&mut self) -> Vec<Change> {
        let (mut feed, limit) = (Vec::new(), PageLimit::new(1000).expect("a limit"));
        loop {
            let since = feed.last().map(|last: &Change| last.seq);
            let page = self.registry.call(changes::List { since, limit, after: None }).expect("a page");
            if page.items.is_empty() {
                return feed;
            }
            feed.extend(page.items);
        }
    }
}

fn pk_of(event: &Reference) -> Pk {
    match event.read(NaturalName::Callsign) {
        Ok(Named::Pk(pk)) => pk,
        _ => panic!("{event} is no pk"),
    }
}
