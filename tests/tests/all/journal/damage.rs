//! Bit rot and torn writes: a flipped bit anywhere in a journal is reported or harmless, and a torn last record is
//! discarded.

use std::ops::Range;
use std::sync::OnceLock;

use enroll_core::state::{Store as _, Writes};
use enroll_tests::disk::Fate;
use enroll_tests::machine::{Liar, Machine, Platters};
use enroll_tests::oracle::{Map, everything};
use enrolld::storage::journal::JournalOptions;
use enrolld::storage::redb::RedbStore;

use super::{JOURNAL, REDB, put};

/// Offset of the first record, and of the header's second copy.
const RECORDS: usize = 8192;
const HEADER_PLACE: usize = 4096;
const HEADER_BYTES: usize = 48;

/// One byte in this many is damaged, of bytes that are never read.
const UNUSED_STEP: usize = 97;

const THREADS: usize = 2;

/// A journal of two segments: what a database does not have, and what was there before its last batch.
struct Small {
    platters: Platters,
    all: Map,
    before_last: Map,
    /// The bytes of the last record in the second segment.
    last: Range<usize>,
}

fn small() -> &'static Small {
    static SMALL: OnceLock<Small> = OnceLock::new();
    SMALL.get_or_init(|| {
        let machine = Machine::holding(Platters::default());
        let store = machine.open(REDB, JOURNAL).expect("a store");
        let end = |slot: usize| {
            let image = machine.live().slots.get(slot).cloned().unwrap_or_default();
            image.iter().rposition(|byte| *byte != 0).map_or(0, |at| (at + 1).next_multiple_of(8))
        };
        // Two chunks, none, a value of zeros, and lengths that are no multiple of anything.
        let mut deleting = Writes::from([(b"b".to_vec(), None), (b"none".to_vec(), None)]);
        deleting.insert(b"d".to_vec(), Some(vec![0; 100]));
        for writes in [put("a", vec![1; 5000]), put("b", b"two".to_vec()), deleting, put("c", vec![9; 3001])] {
            store.commit(&writes).expect("committed");
        }
        store.commit(&put("e", b"five".to_vec())).expect("committed");
        let (before, before_last) = (end(1), everything(&store).expect("read"));
        store.commit(&put("f", vec![0x55; 300])).expect("committed");
        let (platters, all) = (machine.live(), everything(&store).expect("read"));
        assert_eq!(platters.slots.len(), 2, "the fourth batch began a segment");
        Small { platters, all, before_last, last: before..end(1) }
    })
}

/// The content of the store, or the error of opening it.
fn open(platters: Platters) -> Result<Map, String> {
    let store = Machine::holding(platters).open(REDB, JOURNAL)?;
    Ok(everything(&store).expect("read"))
}

/// The small journal, with one segment changed by this function.
fn with(slot: usize, change: impl FnOnce(&mut Vec<u8>)) -> Platters {
    let mut platters = small().platters.clone();
    change(&mut platters.slots[slot]);
    platters
}

/// Offsets in a segment: every byte in use, and some of the others.
fn places(segment: &[u8]) -> Vec<usize> {
    let end = segment.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    let says = |at: &usize| (RECORDS..end).contains(at) || at % HEADER_PLACE < HEADER_BYTES && *at < RECORDS;
    let is_looked_at = |at: &usize| says(at) || at.is_multiple_of(UNUSED_STEP);
    (0..segment.len()).filter(is_looked_at).collect()
}

#[test]
fn a_bit_that_turned_over_in_a_journal_is_found_or_does_not_matter() {
    let Small { platters, all, .. } = small();
    assert_eq!(open(platters.clone()).as_ref(), Ok(all));
    let flips: Vec<(usize, usize)> = platters
        .slots
        .iter()
        .enumerate()
        .flat_map(|(slot, segment)| places(segment).into_iter().map(move |place| (slot, place)))
        .collect();
    let refused: usize = std::thread::scope(|scope| {
        let check = |thread: usize| {
            let mut refused = 0;
            for (number, (slot, place)) in flips.iter().enumerate().skip(thread).step_by(THREADS) {
                let bit = (number / 3) % 8;
                match open(with(*slot, |segment| segment[*place] ^= 1 << bit)) {
                    Ok(found) => assert!(found == *all, "bit {bit} at {place} of segment {slot}: something is lost"),
                    Err(said) => {
                        assert!(said.contains("the journal"), "bit {bit} at {place} of segment {slot}: {said}");
                        refused += 1;
                    }
                }
            }
            refused
        };
        let running: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || check(thread))).collect();
        running.into_iter().map(|running| running.join().expect("found")).sum()
    });
    // Every byte of headers, lengths, numbers and bodies.
    assert!(refused > 8000, "{refused} of {} were refused", flips.len());
}

#[test]
fn the_end_of_a_journal_may_be_torn_or_missing() {
    let Small { all, before_last, last, .. } = small();
    let lost = |lost: Range<usize>| open(with(1, |segment| segment[lost].fill(0)));
    for at in last.clone() {
        for (front, lost) in [(false, lost(at..last.end)), (true, lost(last.start..at + 1))] {
            let found = lost.unwrap_or_else(|said| panic!("lost from its front: {front}, at {at} of {last:?}: {said}"));
            assert!(found == *before_last || found == *all, "lost from its front: {front}, at {at} of {last:?}");
        }
    }
    assert_eq!(lost(last.clone()).as_ref(), Ok(before_last));
    // The file may end there as well.
    let cut = open(with(1, |segment| segment.truncate(last.start + 40)));
    assert_eq!(cut.as_ref(), Ok(before_last));
}

#[test]
fn what_is_bad_or_missing_before_the_end_is_refused_by_its_name() {
    let refused = |platters: Platters| open(platters).expect_err("it is damaged");
    let bad = refused(with(0, |segment| segment[RECORDS + 100..RECORDS + 200].fill(0xee)));
    assert_eq!(bad, "the journal is damaged: batch 1 in segment 1 can not be read");
    let bad = refused(with(1, |segment| segment[RECORDS + 100..RECORDS + 200].fill(0xee)));
    assert_eq!(bad, "the journal is damaged: batch 4 in segment 2 can not be read");
    for slot in 0..2 {
        let said = format!("the journal is damaged: segment {} is missing", slot + 1);
        assert_eq!(refused(with(slot, Vec::clear)), said);
        assert_eq!(refused(with(slot, |segment| segment.fill(0))), said);
        let mut platters = small().platters.clone();
        platters.slots.remove(slot);
        assert_eq!(refused(platters), said);
    }
}

#[test]
fn a_segment_of_another_database_is_refused_and_nothing_is_done_to_it() {
    let other = Machine::holding(Platters::default());
    let identity = JOURNAL.identity + 1;
    let store = other.open(REDB, JournalOptions { identity, ..JOURNAL }).expect("a store");
    store.commit(&put("theirs", vec![1])).expect("committed");
    let theirs = other.live();
    for slot in 0..3 {
        let mut platters = small().platters.clone();
        platters.slots.insert(slot, theirs.slots[0].clone());
        let machine = Machine::holding(platters.clone());
        let said = machine.open(REDB, JOURNAL).err().unwrap_or_default();
        assert!(said.starts_with(&format!("segment {slot} of the journal belongs to another database")), "{said}");
        assert_eq!(machine.live().slots, platters.slots, "the segments are as they were");
    }
    // A database without a journal of its own takes no other's either.
    let database = Machine::holding(Platters::default());
    drop(RedbStore::open_on(database.database(), REDB).expect("a database"));
    let platters = Platters::holding(database.live().database, theirs.slots);
    assert!(open(platters).is_err_and(|said| said.contains("belongs to another database")));
}

#[test]
fn the_first_start_may_be_cut_anywhere_whatever_is_drawn_for_the_next() {
    let database = || {
        let machine = Machine::holding(Platters::default());
        drop(RedbStore::open_on(machine.database(), REDB).expect("a database"));
        machine.live()
    };
    for call in 0.. {
        let machine = Machine::with(database(), Fate::PowerLoss(call), Liar::None);
        let is_cut = machine.open(REDB, JOURNAL).is_err();
        let next = Machine::holding(machine.live());
        let options = JournalOptions { identity: JOURNAL.identity + 1 + call, ..JOURNAL };
        let store = next.open(REDB, options).unwrap_or_else(|said| panic!("cut at call {call}: {said}"));
        store.commit(&put("a", vec![1])).expect("committed");
        if !is_cut {
            assert!(call > 10, "{call}");
            return;
        }
    }
}
