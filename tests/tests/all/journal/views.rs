//! MVCC snapshots: a view reads the same as the memory store after the same batch, whatever is committed, frozen and
//! flushed while the view is open.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use enroll_core::state::memory::MemoryStore;
use enroll_core::state::{ReadTxn, Store as _, View, Writes};
use enroll_tests::machine::{Machine, Platters};
use enroll_tests::seed::Seed;
use enrolld::storage::journal::{Flusher, JournalOptions, JournalStore};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{JOURNAL, REDB};

const HISTORIES: u64 = 60;
const STEPS: usize = 150;

/// Views that are kept at a time.
const KEPT: usize = 10;

/// Batches under readers.
const BATCHES: u64 = 1500;
const READERS: u64 = 3;

/// The key under which a batch stores its number.
const NUMBER: &[u8] = b"number";

/// A key of few, so that they are written again and again. Some have more bytes in common than an index compares first.
fn key(random: &mut SmallRng) -> Vec<u8> {
    let bytes = random.random_range(1..4);
    let mut key: Vec<u8> = (0..bytes).map(|_| b'a' + random.random_range(0..4_u8)).collect();
    if random.random_bool(0.3) {
        key.splice(1..1, [b'm'; 17]);
    }
    key
}

/// Some puts and deletions.
fn batch(random: &mut SmallRng, deletions: f64) -> Writes {
    let count = random.random_range(1..12);
    let mut write = || {
        let value = vec![random.random(); random.random_range(0..40)];
        (key(random), (!random.random_bool(deletions)).then_some(value))
    };
    (0..count).map(|_| write()).collect()
}

/// Both stores read the same at one key and in one range.
fn compare(random: &mut SmallRng, found: &dyn ReadTxn, expected: &dyn ReadTxn) {
    let (from, to) = (key(random), key(random));
    assert_eq!(found.get(&from), expected.get(&from), "{from:?}");
    let limit = [1, 2, 3, 7, 1000][random.random_range(0..5)];
    assert_eq!(found.range(&from, &to, limit), expected.range(&from, &to, limit), "{limit} from {from:?} to {to:?}");
}

/// Both read the same everywhere.
fn compare_all(found: &dyn ReadTxn, expected: &dyn ReadTxn) {
    for limit in [1, 4, usize::MAX] {
        assert_eq!(found.range(b"", b"z", limit), expected.range(b"", b"z", limit), "the first {limit}");
    }
}

#[test]
fn a_view_stays_what_the_memory_store_was_after_its_batch() {
    let seed = Seed::of_this_run();
    for number in 0..HISTORIES {
        let mut random = SmallRng::seed_from_u64(seed.0 + number);
        let memory_bytes = [1, 2000, 1 << 20][random.random_range(0..3)];
        let (deletions, flushes) = (random.random_range(0.1..0.9), random.random_range(0.0..0.5));
        let options = JournalOptions { memory_bytes, ..JOURNAL };
        let (machine, memory) = (Machine::holding(Platters::default()), MemoryStore::default());
        let open = || machine.open(REDB, options).expect("a store");
        let mut store = open();
        let mut kept: VecDeque<(View, View)> = VecDeque::new();
        for _ in 0..STEPS {
            if random.random_bool(flushes) {
                store.flush().expect("flushed");
            }
            if random.random_bool(0.1) {
                store.make_filter(|| ()).expect("a filter");
            }
            if random.random_bool(0.02) {
                // As after a kill, or in good order; no view outlives the store.
                kept.clear();
                match random.random_bool(0.5) {
                    true => store.close().expect("closed"),
                    false => drop(store),
                }
                store = open();
            }
            let writes = batch(&mut random, deletions);
            memory.commit(&writes).expect("committed");
            store.commit(&writes).expect("committed");
            kept.push_back((store.view().expect("a view"), memory.view().expect("a view")));
            if kept.len() > KEPT {
                let (found, expected) = kept.pop_front().expect("a view");
                compare_all(&*found, &*expected);
            }
            for (found, expected) in &kept {
                compare(&mut random, &**found, &**expected);
            }
        }
        kept.iter().for_each(|(found, expected)| compare_all(&**found, &**expected));
    }
}

/// The content expected after each batch, recorded before the batch is committed.
type Expected = Mutex<Vec<Arc<Mutex<View>>>>;

/// The number of the batch that a view is the state after.
fn number_of(view: &dyn ReadTxn) -> usize {
    let found = view.get(NUMBER).expect("read").expect("a number");
    usize::try_from(u64::from_be_bytes(found.try_into().expect("eight bytes"))).expect("small")
}

fn read_on(store: &JournalStore, expected: &Expected, acknowledged: &AtomicU64, seed: u64) -> usize {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut kept: VecDeque<(View, Arc<Mutex<View>>)> = VecDeque::new();
    let (mut latest, mut looks) = (0, 0);
    while latest < usize::try_from(BATCHES).expect("small") {
        let before = usize::try_from(acknowledged.load(Ordering::SeqCst)).expect("small");
        let view = store.view().expect("a view");
        let number = number_of(&*view);
        assert!(number >= before && number >= latest, "batch {number} is seen, and {before} was acknowledged");
        latest = number;
        let of_number = Arc::clone(&expected.lock().expect("unpoisoned")[number]);
        kept.push_back((view, of_number));
        for (found, expected) in &kept {
            let expected = expected.lock().expect("unpoisoned");
            compare(&mut random, &**found, &**expected);
        }
        if kept.len() > KEPT {
            let (found, expected) = kept.pop_front().expect("a view");
            compare_all(&*found, &**expected.lock().expect("unpoisoned"));
        }
        looks += 1;
    }
    looks
}

#[test]
fn readers_beside_a_writer_and_a_flusher_see_whole_batches_and_each_that_was_acknowledged() {
    let seed = Seed::of_this_run();
    let machine = Machine::holding(Platters::default());
    let options = JournalOptions { memory_bytes: 32 << 10, ..JOURNAL };
    let store = Arc::new(machine.open(REDB, options).expect("a store"));
    let memory = MemoryStore::default();
    let (expected, acknowledged) = (Expected::default(), AtomicU64::new(0));
    let commit = |number: u64, mut writes: Writes| {
        writes.insert(NUMBER.to_vec(), Some(number.to_be_bytes().to_vec()));
        memory.commit(&writes).expect("committed");
        expected.lock().expect("unpoisoned").push(Arc::new(Mutex::new(memory.view().expect("a view"))));
        store.commit(&writes).expect("committed");
        acknowledged.store(number, Ordering::SeqCst);
    };
    commit(0, Writes::new());
    let flusher = Flusher::start(Arc::clone(&store), |err| panic!("{err}")).expect("a thread");
    let looks: usize = std::thread::scope(|scope| {
        let (store, expected, acknowledged) = (&store, &expected, &acknowledged);
        let readers: Vec<_> = (0..READERS)
            .map(|reader| scope.spawn(move || read_on(store, expected, acknowledged, seed.0 ^ reader)))
            .collect();
        let mut random = SmallRng::seed_from_u64(seed.0);
        (1..=BATCHES).for_each(|number| commit(number, batch(&mut random, 0.4)));
        readers.into_iter().map(|reader| reader.join().expect("what was expected")).sum()
    });
    assert!(looks > 0);
    flusher.stop();
    let flushed = machine.live();
    let store = Arc::into_inner(store).expect("nobody else has it");
    compare_all(&*store.view().expect("a view"), &*memory.view().expect("a view"));
    drop(store);
    let store = Machine::holding(flushed).open(REDB, options).expect("it opens");
    compare_all(&*store.view().expect("a view"), &*memory.view().expect("a view"));
}
