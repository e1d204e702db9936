//! A fair queue over uids: each uid has a queue of its own, and they are served round-robin. Who has much waiting makes
//! others wait for one piece of it at a time.

use std::collections::{BTreeMap, VecDeque};

/// A fair queue of waiting items: a FIFO queue for each uid, served round-robin.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    of_uid: BTreeMap<u32, VecDeque<T>>,
    /// The uids that have something waiting, in the order of their turns.
    turns: VecDeque<u32>,
    len: usize,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { of_uid: BTreeMap::new(), turns: VecDeque::new(), len: 0 }
    }
}

impl<T> FairQueue<T> {
    /// Adds an item behind those of the same uid.
    pub(crate) fn push(&mut self, uid: u32, item: T) {
        let queue = self.of_uid.entry(uid).or_default();
        if queue.is_empty() {
            self.turns.push_back(uid);
        }
        queue.push_back(item);
        self.len += 1;
    }

    /// Removes the first item of the uid whose turn it is.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let uid = self.turns.pop_front()?;
        let queue = self.of_uid.get_mut(&uid)?;
        let item = queue.pop_front();
        match queue.is_empty() {
            true => drop(self.of_uid.remove(&uid)),
            false => self.turns.push_back(uid),
        }
        self.len -= usize::from(item.is_some());
        item
    }

    /// The number of items.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// True if nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_served_in_turn_and_each_in_its_order() {
        let mut queue = FairQueue::default();
        for item in [(7, 1), (7, 2), (7, 3), (8, 1), (9, 1), (8, 2)] {
            queue.push(item.0, item);
        }
        assert_eq!(queue.len(), 6);
        let first: Vec<_> = (0..2).filter_map(|_| queue.pop()).collect();
        queue.push(7, (7, 4));
        let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!([first, rest].concat(), [(7, 1), (8, 1), (9, 1), (7, 2), (8, 2), (7, 3), (7, 4)]);
        assert!(queue.is_empty() && queue.of_uid.is_empty(), "nothing is remembered of a uid that waits for nothing");
    }
}
