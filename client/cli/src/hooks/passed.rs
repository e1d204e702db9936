//! The watermark of a runner: the number up to which every change is passed, and those passed ahead of it.

use serde::{Deserialize, Serialize};

/// The changes that need no more work: everything up to a number, and ranges beyond it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Passed {
    /// Every change up to this number is passed.
    #[serde(rename = "position")]
    pub(crate) upto: u64,
    /// Ranges beyond it, first and last number, in order; they neither touch nor overlap.
    #[serde(default)]
    ahead: Vec<(u64, u64)>,
}

impl Passed {
    /// Everything up to this number.
    pub(crate) fn upto(seq: u64) -> Self {
        Self { upto: seq, ahead: Vec::new() }
    }

    /// True for a change that is passed.
    pub(crate) fn has(&self, seq: u64) -> bool {
        seq <= self.upto || self.ahead.iter().any(|(first, last)| (*first..=*last).contains(&seq))
    }

    /// Passes a change.
    pub(crate) fn pass(&mut self, seq: u64) {
        if self.has(seq) {
            return;
        }
        let at = self.ahead.partition_point(|(first, _)| *first < seq);
        self.ahead.insert(at, (seq, seq));
        if self.ahead.get(at + 1).is_some_and(|(first, _)| *first == seq + 1) {
            self.ahead[at].1 = self.ahead.remove(at + 1).1;
        }
        if at > 0 && self.ahead[at - 1].1 + 1 == seq {
            self.ahead[at - 1].1 = self.ahead.remove(at).1;
        }
        if let Some((first, last)) = self.ahead.first().copied()
            && first == self.upto + 1
        {
            self.upto = last;
            self.ahead.remove(0);
        }
    }

    /// The number of ranges beyond the watermark.
    pub(crate) fn ranges(&self) -> usize {
        self.ahead.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watermark_is_before_the_first_that_is_open() {
        let mut passed = Passed::upto(10);
        for (seq, upto, ahead) in [
            (12, 10, &[(12, 12)][..]),
            (15, 10, &[(12, 12), (15, 15)]),
            (14, 10, &[(12, 12), (14, 15)]),
            (13, 10, &[(12, 15)]),
            (13, 10, &[(12, 15)]),
            (5, 10, &[(12, 15)]),
            (11, 15, &[]),
            (16, 16, &[]),
        ] {
            passed.pass(seq);
            assert_eq!((passed.upto, &passed.ahead[..]), (upto, ahead), "after {seq}");
        }
        assert!(passed.has(16) && passed.has(1) && !passed.has(17));
    }

    #[test]
    fn any_order_ends_at_the_same_watermark() {
        for step in [1, 3, 7, 9] {
            let mut passed = Passed::default();
            (0..100).map(|n| (n * step) % 100 + 1).for_each(|seq| passed.pass(seq));
            assert_eq!(passed, Passed::upto(100));
        }
    }
}
