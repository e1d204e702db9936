//! The memory budget: admission control by memory for everything that connections make the daemon hold, which is
//! unfinished frames, requests in flight, answers that the peer has not taken, and the buffers of streams.
//!
//! - Dynamic thresholds (Choudhury and Hahne): a uid may hold more only while it holds less than what is free. So one uid
//!   takes half of the budget at most, two take a third each, and as much as each of them has stays free for another.
//! - A connection always has its base allowance, which is not counted: small requests proceed whatever its uid holds.
//! - Memory is reserved before it is taken: for a whole frame, its decoded request and the usual answer at once. Nobody
//!   waits for more while holding a part, so connections of one uid can not lock each other out (deadlock).
//! - A connection that finds no room waits in the queue of its uid (FIFO). The queues take turns, and what is given up is
//!   handed over to the first that fits, which alone is woken.
//! - What turns out larger than its reservation is counted, and the next request pays for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The base allowance of a connection: one read of the socket and a few small requests with their answers.
pub const BASE_BYTES: usize = 32 << 10;

/// The memory budget of all connections.
#[derive(Debug)]
pub struct MemoryBudget {
    bytes_max: usize,
    held: AtomicUsize,
    /// Connections that wait.
    waiting: AtomicUsize,
    uids: Mutex<Uids>,
}

#[derive(Debug, Default)]
struct Uids {
    shares: BTreeMap<u32, Arc<Share>>,
    /// FIFO queues of connections that wait, by uid; a uid without one has no entry.
    queues: BTreeMap<u32, VecDeque<Arc<Waiter>>>,
    /// The uid that had the last turn.
    last: u32,
}

/// The share of one uid.
#[derive(Debug, Default)]
struct Share {
    held: AtomicUsize,
    waiting: AtomicUsize,
}

/// A connection that waits for memory.
#[derive(Debug)]
struct Waiter {
    bytes: usize,
    is_granted: AtomicBool,
    granted: Notify,
}

/// Bytes of a uid's share, given up when this is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    budget: Arc<MemoryBudget>,
    uid: u32,
    share: Arc<Share>,
    bytes: usize,
}

/// The account of one connection.
#[derive(Debug)]
pub(super) struct Account {
    /// The bytes that are counted: those beyond the base allowance, and what was granted and is not used yet.
    charged: Charge,
    waiter: Option<Arc<Waiter>>,
}

impl MemoryBudget {
    /// A budget of so many bytes.
    pub fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { bytes_max, held: AtomicUsize::new(0), waiting: AtomicUsize::new(0), uids: Mutex::default() })
    }

    /// The bytes that are held, base allowances not counted.
    pub fn held(&self) -> usize {
        self.held.load(SeqCst)
    }

    /// The account of a connection of this user.
    pub(super) fn open(self: &Arc<Self>, uid: u32) -> Account {
        let share = Arc::clone(self.uids().shares.entry(uid).or_default());
        Account { charged: Charge { budget: Arc::clone(self), uid, share, bytes: 0 }, waiter: None }
    }

    /// True if a uid that holds its share may hold so many bytes more. A request for more than a quarter of the budget is
    /// judged as one for a quarter, or it would wait for ever.
    fn has_room(&self, share: &Share, bytes: usize) -> bool {
        let free = self.bytes_max.saturating_sub(self.held.load(SeqCst));
        share.held.load(SeqCst) < free && bytes.min(self.bytes_max / 4) <= free
    }

    fn charge(&self, share: &Share, bytes: usize) {
        share.held.fetch_add(bytes, SeqCst);
        self.held.fetch_add(bytes, SeqCst);
    }

    fn give_up(&self, share: &Share, bytes: usize) {
        share.held.fetch_sub(bytes, SeqCst);
        self.held.fetch_sub(bytes, SeqCst);
        // One that begins to wait now looks at the budget after it has said so.
        if self.waiting.load(SeqCst) > 0 {
            self.hand_over(&mut self.uids());
        }
    }

    /// Hands free memory to those who wait: to the first of each uid in turn, as long as one of them fits.
    fn hand_over(&self, uids: &mut Uids) {
        let Uids { shares, queues, last } = uids;
        loop {
            let after = queues.range(last.saturating_add(1)..).chain(queues.range(..=*last));
            let next = after.filter_map(|(uid, queue)| Some((*uid, queue.front()?.bytes, shares.get(uid)?)));
            let Some((uid, bytes, share)) = next.into_iter().find(|(_, bytes, share)| self.has_room(share, *bytes))
            else {
                return;
            };
            self.charge(share, bytes);
            *last = uid;
            if let Some(waiter) = self.take_first(queues, uid, share) {
                waiter.is_granted.store(true, SeqCst);
                waiter.granted.notify_one();
            }
        }
    }

    fn take_first(
        &self,
        queues: &mut BTreeMap<u32, VecDeque<Arc<Waiter>>>,
        uid: u32,
        share: &Share,
    ) -> Option<Arc<Waiter>> {
        let queue = queues.get_mut(&uid)?;
        let waiter = queue.pop_front();
        if queue.is_empty() {
            queues.remove(&uid);
        }
        self.waiting.fetch_sub(1, SeqCst);
        share.waiting.fetch_sub(1, SeqCst);
        waiter
    }

    fn uids(&self) -> MutexGuard<'_, Uids> {
        self.uids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    /// Reserves so many bytes beyond those that the connection holds. False if there is no room: then the connection
    /// waits until they are granted.
    pub(super) fn reserve(&mut self, held: usize, bytes: usize) -> bool {
        let Some(missing) = self.missing(held, bytes) else { return true };
        let has_room = self.may_take(missing);
        if has_room {
            self.charged.add(missing);
        } else {
            self.wait(missing);
        }
        has_room
    }

    /// True if an answer may be made whose size is not known. About so many bytes are waited for otherwise. It is
    /// counted once it is there.
    pub(super) fn may_answer(&mut self, held: usize, bytes: usize) -> bool {
        let Some(missing) = self.missing(held, bytes) else { return true };
        let has_room = self.is_under_share();
        if !has_room {
            self.wait(missing);
        }
        has_room
    }

    /// True if the uid may hold more, and nobody of it waits.
    pub(super) fn is_under_share(&self) -> bool {
        self.may_take(0)
    }

    /// Counts what the connection holds now.
    pub(super) fn settle(&mut self, held: usize) {
        let counted = held.saturating_sub(BASE_BYTES);
        if counted > self.charged.bytes {
            self.charged.add(counted - self.charged.bytes);
        } else if counted < self.charged.bytes {
            drop(self.split_off(self.charged.bytes - counted));
        }
    }

    /// Splits off so many of the bytes that are counted, or all that there are.
    pub(super) fn split_off(&mut self, bytes: usize) -> Charge {
        let Charge { budget, uid, share, bytes: charged } = &mut self.charged;
        let bytes = bytes.min(*charged);
        *charged -= bytes;
        Charge { budget: Arc::clone(budget), uid: *uid, share: Arc::clone(share), bytes }
    }

    /// True while the connection waits for memory.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiter.is_some()
    }

    /// Waits until the memory is granted that the connection waits for. Pending for ever where it waits for none.
    pub(super) async fn granted(&mut self) {
        match &self.waiter {
            Some(waiter) => waiter.granted.notified().await,
            None => std::future::pending().await,
        }
        self.end_wait();
    }

    /// The bytes that neither the base allowance nor the reservation covers. A grant that does not suffice any more is
    /// given up: to wait for the rest of it would be to hold a part and wait.
    fn missing(&mut self, held: usize, bytes: usize) -> Option<usize> {
        let counted = (held + bytes).saturating_sub(BASE_BYTES);
        if counted <= self.charged.bytes {
            return None;
        }
        self.settle(held);
        Some(counted - self.charged.bytes)
    }

    fn may_take(&self, bytes: usize) -> bool {
        let Charge { budget, share, .. } = &self.charged;
        self.waiter.is_none() && share.waiting.load(SeqCst) == 0 && budget.has_room(share, bytes)
    }

    fn wait(&mut self, bytes: usize) {
        if self.waiter.is_some() {
            return;
        }
        let waiter = Arc::new(Waiter { bytes, is_granted: AtomicBool::new(false), granted: Notify::new() });
        self.waiter = Some(Arc::clone(&waiter));
        let Charge { budget, uid, share, .. } = &self.charged;
        let mut uids = budget.uids();
        uids.queues.entry(*uid).or_default().push_back(waiter);
        budget.waiting.fetch_add(1, SeqCst);
        share.waiting.fetch_add(1, SeqCst);
        // Memory that was given up before this one waited.
        budget.hand_over(&mut uids);
    }

    /// Takes what was granted, or leaves the queue.
    fn end_wait(&mut self) {
        let Some(waiter) = self.waiter.take() else { return };
        let Charge { budget, uid, share, bytes } = &mut self.charged;
        let mut uids = budget.uids();
        if waiter.is_granted.load(SeqCst) {
            *bytes += waiter.bytes;
        } else if let Some(queue) = uids.queues.get_mut(uid) {
            queue.retain(|other| !Arc::ptr_eq(other, &waiter));
            if queue.is_empty() {
                uids.queues.remove(uid);
            }
            budget.waiting.fetch_sub(1, SeqCst);
            share.waiting.fetch_sub(1, SeqCst);
            // Those behind it may be content with less.
            budget.hand_over(&mut uids);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.end_wait();
    }
}

impl Charge {
    fn add(&mut self, bytes: usize) {
        self.budget.charge(&self.share, bytes);
        self.bytes += bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.give_up(&self.share, self.bytes);
        }
        // The map has the other one.
        if Arc::strong_count(&self.share) == 2 {
            let mut uids = self.budget.uids();
            if Arc::strong_count(&self.share) == 2 {
                uids.shares.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    /// Reserves whole mebibytes on new connections until there is no room; the connections, the last of which waits.
    fn fill(budget: &Arc<MemoryBudget>, uid: u32) -> Vec<Account> {
        let mut accounts = Vec::new();
        loop {
            let mut account = budget.open(uid);
            let has_room = account.reserve(BASE_BYTES, MIB);
            accounts.push(account);
            if !has_room {
                return accounts;
            }
        }
    }

    fn is_granted(account: &Account) -> bool {
        account.waiter.as_ref().is_some_and(|waiter| waiter.is_granted.load(SeqCst))
    }

    #[test]
    fn each_uid_gets_its_part_and_as_much_stays_free() {
        let budget = MemoryBudget::new(60 * MIB);
        let mut open = Vec::new();
        for (uid, part) in [(1, 30), (2, 15), (3, 8), (4, 4)] {
            let accounts = fill(&budget, uid);
            assert_eq!(accounts.len() - 1, part, "uid {uid}");
            open.push(accounts);
        }
        assert_eq!(budget.held(), 57 * MIB);
        drop(open);
        let uids = budget.uids();
        assert_eq!((budget.held(), budget.waiting.load(SeqCst)), (0, 0));
        assert!(uids.shares.is_empty() && uids.queues.is_empty(), "nothing is remembered of who is gone");
    }

    #[test]
    fn what_is_given_up_goes_to_those_who_wait_in_their_order_and_by_turns_of_their_uids() {
        let budget = MemoryBudget::new(8 * MIB);
        let (mut first, mut second) = (fill(&budget, 1), fill(&budget, 2));
        let (mut one, mut two) = (first.split_off(first.len() - 1), second.split_off(second.len() - 1));
        one.push(budget.open(1));
        assert!(!one[1].reserve(BASE_BYTES, MIB), "behind the one that waits");
        assert!(one.iter().chain(&two).all(|account| !is_granted(account)));
        assert!(one[1].reserve(0, BASE_BYTES), "the base allowance is always there");
        first.truncate(1);
        assert!(is_granted(&one[0]) && is_granted(&one[1]) && is_granted(&two[0]));
        one[0].end_wait();
        assert!(one[0].reserve(BASE_BYTES, MIB), "it is reserved");
        one[0].settle(BASE_BYTES + MIB);
        two.clear();
        drop((first, second, one));
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn a_grant_that_does_not_suffice_any_more_is_given_up() {
        let budget = MemoryBudget::new(8 * MIB);
        let mut accounts = fill(&budget, 1);
        let mut waits = accounts.pop().expect("one that waits");
        accounts.clear();
        waits.end_wait();
        assert_eq!(budget.held(), MIB);
        assert!(waits.reserve(BASE_BYTES, 3 * MIB), "all of it at once");
        assert_eq!(budget.held(), 3 * MIB);
    }

    #[test]
    fn one_who_leaves_the_queue_blocks_nobody() {
        let budget = MemoryBudget::new(8 * MIB);
        let mut accounts = fill(&budget, 1);
        let waits = accounts.pop().expect("one that waits");
        let mut modest = budget.open(1);
        assert!(!modest.reserve(BASE_BYTES, 1));
        drop(waits);
        assert!(!is_granted(&modest), "the share is still held");
        accounts.pop();
        assert!(is_granted(&modest));
    }

    #[test]
    fn what_is_split_off_is_held_longer_than_its_connection() {
        let budget = MemoryBudget::new(8 * MIB);
        let mut account = budget.open(1);
        assert!(account.reserve(BASE_BYTES, MIB));
        let charge = account.split_off(MIB / 2);
        drop(account);
        assert_eq!(budget.held(), MIB / 2);
        drop(charge);
        assert_eq!(budget.held(), 0);
        assert!(budget.uids().shares.is_empty());
    }
}
