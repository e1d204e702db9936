//! Fault injection: disks that fail at a call, every call in turn, and disks with bit rot. The registry reports the
//! fault, and acknowledged writes are there when it is opened again.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex};

use enroll_core::model::key::{self, WITHOUT_ORDER};
use enroll_tests::disk::Fate;
use enroll_tests::load::Load;
use enroll_tests::machine::{Lent, Liar, Machine, Platters};
use enroll_tests::oracle::{Map, Oracle, Recorder, everything, new_registry};
use enroll_tests::registry::Registry;
use enrolld::metrics::JournalFigures;
use enrolld::storage::journal::JournalOptions;
use enrolld::storage::open::{DATABASE, OpenOptions, StateDir};
use enrolld::storage::redb::RedbOptions;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

/// Two hundred writes, in two lives.
const LIVES: usize = 2;
const BATCHES: usize = 5;
const OF_A_BATCH: usize = 20;

/// The journal is flushed into the tree after so many batches, and again.
const FLUSHED_AFTER: usize = 2;

const FLIPS: u64 = 300;

const OPTIONS: RedbOptions = RedbOptions { cache_bytes: 1 << 20, verify: true };

/// Segments that are full after a batch or two, so that some are used again.
const JOURNAL: JournalOptions =
    JournalOptions { segment_bytes: 16 << 10, memory_bytes: 1 << 20, unordered: WITHOUT_ORDER, identity: 1 };

const OPEN: OpenOptions = OpenOptions { cache_bytes: 1 << 20, verify_bytes_max: u64::MAX, journal: JOURNAL };

/// Has what lies on a machine serve the writes, until they are done or something fails; whether they are done.
fn run(machine: &Machine, oracle: &Arc<Mutex<Oracle>>, load: &mut Load) -> Result<bool, String> {
    for _ in 0..LIVES {
        let Ok(store) = machine.open(OPTIONS, JOURNAL) else { return Ok(false) };
        let store = Lent::new(store);
        let Ok(mut registry) = Registry::started(Arc::new(Recorder::of(store.clone(), oracle))) else {
            return Ok(false);
        };
        for batch in 0..BATCHES {
            registry.pass_seconds(10);
            if !load.send(&mut registry, OF_A_BATCH)? {
                return Ok(false);
            }
            if batch % FLUSHED_AFTER == FLUSHED_AFTER - 1 && store.flush().is_err() {
                // Nobody may believe from here on that anything is kept.
                let goes_on = load.send(&mut registry, 1)? && load.take_failed_inside() == 0;
                return if goes_on { Err("a write behind a failed flush".to_owned()) } else { Ok(false) };
            }
        }
        if store.close().is_err() {
            return Ok(false);
        }
    }
    Ok(load.take_failed_inside() == 0)
}

/// Opens what is there and finds everything that was acknowledged, also when it is asked for again.
fn expect_all(platters: Platters, mut oracle: Oracle, mut load: Load) -> Result<(), String> {
    let store = Machine::holding(platters).open(OPTIONS, JournalOptions { identity: 2, ..JOURNAL })?;
    oracle.judge(everything(&store).map_err(|err| err.to_string())?)?;
    let mut registry = Registry::started(Arc::new(store)).map_err(|err| err.to_string())?;
    load.take_failed_inside();
    let sent = 0..load.len();
    let goes_on = load.send_again(&mut registry, sent)?;
    match (goes_on, load.take_failed_inside(), registry.violations()) {
        (true, 0, violations) if violations.is_empty() => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// The state that the script begins with.
fn begin() -> (Platters, Map) {
    let (database, committed) = new_registry().clone();
    (Platters::of(database), committed)
}

/// Fails the calls in turn until the writes come through without meeting a failure; how many turns that took.
fn fail_in_turn(fate: fn(u64) -> Fate) -> u64 {
    let (platters, committed) = begin();
    for number in 0.. {
        let machine = Machine::with(platters.clone(), fate(number), Liar::None);
        let oracle = Arc::new(Mutex::new(Oracle::expecting(committed.clone())));
        let mut load = Load::new(1);
        let is_done = run(&machine, &oracle, &mut load).unwrap_or_else(|wrong| panic!("{:?}: {wrong}", fate(number)));
        if is_done && !machine.has_met_its_fate() {
            return number;
        }
        assert!(machine.has_met_its_fate(), "{:?} never came, and it did not get through", fate(number));
        let oracle = oracle.lock().expect("unpoisoned").clone();
        // Between them the two fates have both ends at every call.
        let keeps_power = number.is_multiple_of(2) == matches!(fate(number), Fate::FailsOnce(_));
        let left = match keeps_power {
            true => machine.live(),
            false => machine.after_power_loss(&mut SmallRng::seed_from_u64(number)),
        };
        let found = expect_all(left, oracle, load);
        found.unwrap_or_else(|wrong| panic!("{:?}, the power kept: {keeps_power}: {wrong}", fate(number)));
    }
    unreachable!("numbers do not end")
}

#[test]
fn a_disk_that_fails_one_call_loses_nothing_that_was_acknowledged() {
    let calls = fail_in_turn(Fate::FailsOnce);
    let _ = writeln!(std::io::stderr(), "each of {calls} calls failed once");
    assert!(calls > 100, "{calls}");
}

#[test]
fn a_disk_that_fails_from_one_call_on_loses_nothing_that_was_acknowledged() {
    let calls = fail_in_turn(Fate::FailsFrom);
    let _ = writeln!(std::io::stderr(), "from each of {calls} calls on all failed");
    assert!(calls > 100, "{calls}");
}

/// A journal of which a start moves each record that it reads into the tree.
const WITHOUT_MEMORY: JournalOptions = JournalOptions { memory_bytes: 1, ..JOURNAL };

/// A start is cut at one of so many calls, at another one after each kill.
const CUTS: u64 = 4;

/// Dirty pages of a killed process are still there for the next start, and go with the power. Until a
/// start has made them durable, neither may anybody see them nor the tree have them.
#[test]
fn what_a_start_after_a_kill_shows_outlasts_a_loss_of_power() {
    let (platters, committed) = begin();
    let open = |machine: &Machine, identity| machine.open(OPTIONS, JournalOptions { identity, ..WITHOUT_MEMORY });
    let mut unsynced = 0;
    for call in 0.. {
        let machine = Machine::with(platters.clone(), Fate::PowerLoss(call), Liar::None);
        let oracle = Arc::new(Mutex::new(Oracle::expecting(committed.clone())));
        let is_done = run(&machine, &oracle, &mut Load::new(1)).unwrap_or_else(|wrong| panic!("call {call}: {wrong}"));
        if is_done {
            assert!(unsynced > 50, "{unsynced} of {call} kills left something that was not synced");
            return;
        }
        if machine.live().is_durable() {
            continue;
        }
        unsynced += 1;
        // Between them the kills have every call of a start.
        for cut in (0..).map(|nth| call % CUTS + CUTS * nth) {
            let next = Machine::with(machine.live(), Fate::PowerLoss(cut), Liar::None);
            let shown = open(&next, 2).map(|store| everything(&store).expect("read"));
            let left = next.after_power_loss(&mut SmallRng::seed_from_u64(call << 8 | cut));
            let named = format!("killed at call {call}, and the power lost at call {cut} of the next start");
            let store = open(&Machine::holding(left), 3).unwrap_or_else(|wrong| panic!("{named}: {wrong}"));
            let found = everything(&store).expect("read");
            let is_cut = next.has_met_its_fate();
            if !is_cut {
                assert!(shown.as_ref().is_ok_and(|shown| *shown == found), "{named}: it showed more");
            }
            let judged = oracle.lock().expect("unpoisoned").clone().judge(found);
            judged.unwrap_or_else(|wrong| panic!("{named}: {wrong}"));
            if !is_cut {
                break;
            }
        }
    }
}

/// As a start does it: what is in the database, or why it can not be used.
fn start(directory: &Path) -> Result<Map, String> {
    let state = StateDir::lock(directory).map_err(|err| err.to_string())?;
    state
        .peek(|view| view.get(&key::registry()))
        .map_err(|err| err.to_string())?
        .transpose()
        .map_err(|err| err.to_string())?;
    let store = state.open_database(&OPEN, JournalFigures::default()).map_err(|err| err.to_string())?;
    everything(&store).map_err(|err| err.to_string())
}

#[test]
fn a_bit_that_turned_over_at_rest_is_found_or_does_not_matter() {
    let (platters, committed) = begin();
    let machine = Machine::holding(platters);
    let oracle = Arc::new(Mutex::new(Oracle::expecting(committed)));
    assert_eq!(run(&machine, &oracle, &mut Load::new(2)), Ok(true));
    let Platters { database: image, slots, .. } = machine.live();
    assert!(slots.len() > 1, "a segment was begun behind another one");

    let directory = tempfile::tempdir().expect("a directory");
    let mut refused = 0;
    for flip in 0..FLIPS {
        let state = directory.path().join(flip.to_string());
        std::fs::DirBuilder::new().mode(0o700).create(&state).expect("a directory");
        let mut random = SmallRng::seed_from_u64(flip);
        // Every tenth in the header, on which everything hangs.
        let at = random.random_range(0..if flip % 10 == 0 { 320 } else { image.len() });
        let mut flipped = image.clone();
        flipped[at] ^= 1 << random.random_range(0..8);
        let mut file = std::fs::OpenOptions::new();
        let file = file.write(true).create_new(true).mode(0o600).open(state.join(DATABASE));
        file.and_then(|mut file| file.write_all(&flipped)).expect("written");
        let started = catch_unwind(AssertUnwindSafe(|| start(&state)));
        match started.unwrap_or_else(|_| panic!("bit flip {flip} at {at}: a panic")) {
            Ok(found) => {
                let judged = oracle.lock().expect("unpoisoned").clone().judge(found);
                assert!(judged.is_ok(), "bit flip {flip} at {at}: {judged:?}");
            }
            Err(_) => refused += 1,
        }
        std::fs::remove_dir_all(&state).expect("removed");
    }
    assert!(refused > 0, "no flip hit anything");
}
