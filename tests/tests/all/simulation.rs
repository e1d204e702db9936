//! The simulation of the whole core: some seeds of it, that each seed is one run, and the controls that it must find.
//!
//! `ENROLL_SEEDS=N` runs N seeds. `cargo run -p enroll-tests --release --bin simulate` runs many.

use std::path::Path;
use std::process::Command;

use enroll_tests::simulation::mutants::MUTANTS;
use enroll_tests::simulation::{Control, Plan, campaign, shrunk, tried};

/// Seeds, as built for tests; the gate runs more, optimized.
const SEEDS: u64 = 200;

/// Seeds within which a control must be found.
const SEEDS_OF_CONTROL: u64 = 60;

/// The same for one of clusters, which not every seed has.
const SEEDS_OF_CLUSTER_CONTROL: u64 = 400;

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[test]
fn every_seed_is_as_the_model_says() {
    let seeds = std::env::var("ENROLL_SEEDS").map_or(SEEDS, |seeds| seeds.parse().expect("a number"));
    let ran = campaign(0..seeds, threads(), Control::None, |_, _| {});
    let figures = ran.map_err(|wrong| shrunk(wrong, Control::None)).unwrap_or_else(|wrong| {
        panic!("{}\ncargo run -p enroll-tests --release --bin simulate -- {}", wrong.why, wrong.plan)
    });
    assert!(figures.starts > seeds && figures.answers > seeds && figures.changes > seeds, "{figures}");
}

#[test]
fn a_seed_is_one_run_byte_for_byte_in_another_process_too() {
    for seed in [3, 17, 61, 103] {
        let trace = || {
            let ran = Command::new(env!("CARGO_BIN_EXE_simulate")).args(["--seed", &seed.to_string()]).output();
            let ran = ran.expect("the simulation");
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
            String::from_utf8(ran.stdout).expect("a text")
        };
        let (first, here) = (trace(), tried(&Plan::of(seed), Control::None).expect("nothing wrong"));
        assert_eq!(first, trace(), "seed {seed}");
        assert!(first.contains(&format!("trace {:016x}", here.trace)), "seed {seed}: {first}");
    }
    let hosts: Vec<usize> = [3, 17].iter().map(|seed| Plan::of(*seed).hosts).collect();
    assert_eq!(hosts, [3, 1], "seeds draw clusters, and hosts alone");
    let traces = [3, 4].map(|seed| tried(&Plan::of(seed), Control::None).expect("nothing wrong").trace);
    assert_ne!(traces[0], traces[1]);
}

#[test]
fn a_core_that_is_wrong_is_caught() {
    for (name, control) in Control::ALL {
        let caught = campaign(0..SEEDS_OF_CONTROL, threads(), *control, |_, _| {});
        assert!(caught.is_err(), "{name} was not caught: {caught:?}");
    }
}

#[test]
fn a_cluster_that_is_wrong_is_caught() {
    for (name, control) in Control::OF_CLUSTERS {
        let caught = campaign(0..SEEDS_OF_CLUSTER_CONTROL, threads(), *control, |_, _| {});
        let wrong = caught.err().unwrap_or_else(|| panic!("{name} was not caught"));
        assert!(wrong.plan.hosts > 1, "{name} was found on one host: {}", wrong.why);
    }
}

#[test]
fn what_is_wrong_is_made_smaller_and_stays_wrong() {
    let wrong = campaign(0..SEEDS_OF_CONTROL, 1, Control::SkipsIndex, |_, _| {}).expect_err("it is caught");
    let smaller = shrunk(wrong.clone(), Control::SkipsIndex);
    assert!(smaller.plan.operations < wrong.plan.operations, "{}", smaller.plan);
    assert_eq!(tried(&smaller.plan, Control::SkipsIndex).expect_err("it is wrong"), smaller.why);
}

#[test]
fn the_lines_that_mutants_change_are_there_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the sources");
    for mutant in MUTANTS {
        let source = std::fs::read_to_string(root.join(mutant.file)).expect("a file");
        assert_eq!(source.matches(mutant.from).count(), 1, "{}: {}", mutant.name, mutant.file);
        assert_ne!(mutant.from, mutant.to, "{}", mutant.name);
    }
}
