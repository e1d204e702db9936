//! Runners of hooks that are killed at any point: no change is lost, their order is kept, and at most those whose
//! commands ran at a kill are run again.

use std::time::{Duration, Instant};

use enroll_tests::hook::{Hook, record};
use enroll_tests::process::{Daemon, count};
use enroll_tests::seed::Seed;
use enroll_tests::skip::say;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

/// Kills, if `ENROLL_HOOK_KILLS` does not say another number.
const KILLS: usize = 25;

/// The longest time after a line, or after the start, at which a runner is killed: longer than a command takes.
const KILL_WITHIN: Duration = Duration::from_millis(40);

/// Spends tokens so that this many changes are there.
fn fill(daemon: &Daemon, changes: u64) {
    let before = count(daemon, "token");
    let line = |n| format!("{{\"op\":\"token.use\",\"args\":{{\"token\":\"nonce {n}\"}}}}\n");
    daemon.enrollctl(&["call"], &(before..changes).map(line).collect::<String>());
    assert_eq!(count(daemon, "token"), changes);
}

/// The numbers that the commands have written, in their order.
fn ran(daemon: &Daemon) -> Vec<u64> {
    let text = std::fs::read_to_string(daemon.home.path("ran")).unwrap_or_default();
    text.lines().map(|line| line.parse().expect("a whole line")).collect()
}

#[test]
fn a_runner_that_is_killed_loses_nothing_and_repeats_only_what_ran() {
    let kills = std::env::var("ENROLL_HOOK_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let (daemon, seed) = (Daemon::start(), Seed::of_this_run());
    let mut random = SmallRng::seed_from_u64(seed.0);
    let script = format!("echo \"$ENROLLD_CHANGE_SEQ\" >> {:?}; echo done", daemon.home.path("ran"));
    let start = || Hook::start(&daemon.home, &["--from", "start", "--if-new"], &script);
    let mut enough = 0;
    for _ in 0..kills {
        // A runner always has something to do when it is killed.
        enough += 12;
        fill(&daemon, enough);
        let hook = start();
        let lines = random.random_range(0..6);
        hook.said_all(lines);
        let until = Instant::now() + KILL_WITHIN.mul_f64(random.random());
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        hook.kill9();
    }
    fill(&daemon, enough + 5);
    let hook = start();
    while ran(&daemon).last() != Some(&(enough + 5)) {
        hook.said();
    }
    assert_eq!(hook.stop().1, Some(0));
    assert_eq!(record(&daemon.home)["position"], enough + 5);
    let ran = ran(&daemon);
    let mut repeated = 0;
    let mut last = 0;
    for (at, seq) in ran.iter().enumerate() {
        match seq {
            seq if *seq == last => repeated += 1,
            seq => {
                assert_eq!(*seq, last + 1, "line {at}: lost, or out of order");
                last = *seq;
            }
        }
    }
    assert_eq!(last, enough + 5);
    assert!(repeated <= kills, "{repeated} repetitions by {kills} kills");
    say(&format!("{kills} kills of a runner: {} commands for {last} changes, {repeated} repeated", ran.len()));
}
