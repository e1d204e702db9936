//! A campaign: many seeds on all processors, up to the first one that is wrong, and that one's plan made smaller.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use enroll_core::fault::Fault;

use super::control::Control;
use super::plan::Plan;
use super::run::{Figures, run};

/// Runs that a shrinking may take.
const SHRINK_RUNS_MAX: usize = 400;

/// A plan that is wrong.
#[derive(Debug, Clone)]
pub struct Wrong {
    /// The plan.
    pub plan: Plan,
    /// The fault, for people.
    pub why: String,
}

/// Runs the plans of these seeds. `tell` gets the sum of the figures after each run. Returns the sum, or the wrong plan of
/// the lowest seed that was found.
pub fn campaign(
    seeds: Range<u64>,
    threads: usize,
    control: Control,
    tell: impl Fn(u64, &Figures) + Sync,
) -> Result<Figures, Wrong> {
    let (next, end, done) = (AtomicU64::new(seeds.start), AtomicU64::new(seeds.end), AtomicU64::new(0));
    let (sum, wrong) = (Mutex::new(Figures::default()), Mutex::new(None::<Wrong>));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end.load(Ordering::Relaxed) {
                return;
            }
            let plan = Plan::of(seed);
            match tried(&plan, control) {
                Ok(figures) => {
                    let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                    *sum = sum.plus(&figures);
                    tell(done.fetch_add(1, Ordering::Relaxed) + 1, &sum);
                }
                Err(why) => {
                    end.fetch_min(seed, Ordering::Relaxed);
                    let mut wrong = wrong.lock().unwrap_or_else(PoisonError::into_inner);
                    if wrong.as_ref().is_none_or(|first| seed < first.plan.seed) {
                        *wrong = Some(Wrong { plan, why });
                    }
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let wrong = wrong.into_inner().unwrap_or_else(PoisonError::into_inner);
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    wrong.map_or(Ok(sum), Err)
}

/// Runs a plan; a panic is wrong, too.
pub fn tried(plan: &Plan, control: Control) -> Result<Figures, String> {
    let ran = catch_unwind(AssertUnwindSafe(|| run(plan, control)));
    ran.unwrap_or_else(|panic| Err(format!("a panic: {}", Fault::of_panic(&*panic))))
}

/// A smaller plan that is wrong, too: with fewer operations, clients, faults and areas, as long as there is one.
pub fn shrunk(wrong: Wrong, control: Control) -> Wrong {
    let (mut wrong, mut runs) = (wrong, 0);
    loop {
        let smaller = wrong.plan.smaller().into_iter().find_map(|plan| {
            runs += 1;
            let why = (runs <= SHRINK_RUNS_MAX).then(|| tried(&plan, control).err())??;
            Some(Wrong { plan, why })
        });
        match smaller {
            Some(smaller) => wrong = smaller,
            None => return wrong,
        }
    }
}
