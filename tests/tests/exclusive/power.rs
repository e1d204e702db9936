//! Simulated power losses under the real store, journal and database alike: whatever the disks keep of unsynced writes,
//! the registry opens, has all acknowledged writes, no partial one, and is sound.
//!
//! A history is a registry that lives on through some power losses; its seed decides everything.
//! `ENROLL_POWER_CYCLES=N` runs N losses, `ENROLL_SEED=S` only the history of that seed; a failure prints the seed.

mod history;
mod wrong;

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use history::{Control, Doing, Figures, History};

/// Power losses in all, and of one history.
const CYCLES: u64 = 10_000;
const CYCLES_OF_ONE: u64 = 10;

/// The number of losses within which a deliberate fault must be found.
const CYCLES_OF_CONTROL: u64 = 100;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn ten_thousand_power_losses_lose_nothing_that_was_acknowledged() {
    let _exclusive = crate::exclusive();
    let seeds = match number("ENROLL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ENROLL_POWER_CYCLES").unwrap_or(CYCLES).div_ceil(CYCLES_OF_ONE),
    };
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let run = || {
        let mut figures = Figures::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return figures;
            }
            let mut history = History::new(seed, Control::None);
            for cycle in 0..CYCLES_OF_ONE {
                if let Err(wrong) = history.lose_power() {
                    next.store(seeds.end, Ordering::Relaxed);
                    panic!(
                        "power loss {cycle} of seed {seed}: {wrong}\nENROLL_SEED={seed} cargo test -p enroll-tests power"
                    );
                }
            }
            figures += history.figures;
        }
    };
    let begun = Instant::now();
    let figures = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running.into_iter().fold(Figures::default(), |mut all, thread| {
            all += thread.join().expect("no loss");
            all
        })
    });
    let seconds = begun.elapsed().as_secs();
    let _ = writeln!(std::io::stderr(), "power losses: {figures:?} in {seconds} s");
    if number("ENROLL_SEED").is_none() {
        // The losses interrupted every kind of work.
        use Doing::{Begin, Close, Flush, Nothing, Open, Record, Replay, Segment};
        for doing in [Open, Replay, Begin, Record, Segment, Flush, Close, Nothing] {
            assert!(figures.losses.contains_key(&doing), "no power loss in {doing:?}: {figures:?}");
        }
        assert!(figures.batches_done > 0 && figures.batches_undone > 0 && figures.journals_removed > 0, "{figures:?}");
    }
}

/// Deliberate faults that the same checks must find; otherwise the checks prove nothing.
#[test]
fn a_store_that_is_wrong_is_caught() {
    let _exclusive = crate::exclusive();
    for control in [
        Control::AcknowledgesAnyway,
        Control::SyncLies,
        Control::JournalLies,
        Control::DatabaseLies,
        Control::MispairsViews,
        Control::SkipsBatch,
        Control::SkipsIndex,
    ] {
        let mut histories = (0..).map(|seed| History::new(seed, control));
        let caught = (0..CYCLES_OF_CONTROL / CYCLES_OF_ONE).find_map(|_| {
            let mut history = histories.next()?;
            (0..CYCLES_OF_ONE).find_map(|_| history.lose_power().err())
        });
        let caught = caught.unwrap_or_else(|| panic!("{control:?} was not caught"));
        let _ = writeln!(std::io::stderr(), "{control:?} was caught: {caught}");
    }
}
