//! Process tests, with the real binaries: the promises of the rules hold across processes, crashes and users.
//!
//! Every test has a daemon and a directory of its own, so they run side by side. None sleeps, needs root or a network; a
//! test that needs another user prints SKIPPED without one. Each file has a part of the contract: commands, pipes, races,
//! crashes, failed starts.

mod answers;
mod attackers;
mod authority;
mod backup;
mod bench;
mod booted;
mod booted_cluster;
mod booted_health;
mod booted_three;
mod call;
mod change_head;
mod clock;
mod cluster_upgrade;
mod completions;
mod consoles;
mod crash;
mod cut_off;
mod daemon;
mod databases;
mod decisions;
mod delegation;
mod disasters;
mod disk;
mod doctor;
mod ends;
mod erasures;
mod errors;
mod etcd_access;
mod etcd_members;
mod examples;
mod ext4;
mod fail_overs;
mod failover;
mod fields;
mod follow;
mod forwarding;
mod guesses;
mod history;
mod hooks;
mod hooks_killed;
mod hooks_mail;
mod hooks_queues;
mod identity;
mod import;
mod import_postgres;
mod in_clear;
mod joining;
mod journal;
mod json_wire;
mod limits;
mod log;
mod members;
mod memory;
mod metrics;
mod owner;
mod ownership;
mod package;
mod peer;
mod pools;
mod ported_answers;
mod ported_call;
mod ported_identity;
mod ported_places;
mod ported_writes;
mod programs;
mod promotion;
mod races;
mod readme;
mod recovery;
mod reference;
mod refusals;
mod registrations;
mod reload;
mod reset;
mod restore;
mod revocations;
mod rotation;
mod sandbox;
mod scheduled_backups;
mod script;
mod secrets;
mod service_examples;
mod standby;
mod story;
mod systemd;
mod top;
mod tour;
mod tour_cluster;
mod transfer;
mod upgrade;
mod upgrade_killed;
mod verbs;
mod versions;
mod wait;
mod wire;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use enroll_tests::process::{Daemon, count, expect_sound};
use enroll_tests::seed::Seed;
use enrolld::writer::UNITS_MAX;

/// Files by name: their mode and their bytes.
type Files = BTreeMap<String, (u32, Vec<u8>)>;

/// Every file in a directory.
fn files(directory: &Path) -> Files {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let file = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("metadata").permissions().mode() & 0o7777;
        let name = entry.file_name().to_string_lossy().into_owned();
        (name, (mode, std::fs::read(entry.path()).expect("readable")))
    };
    entries.map(file).collect()
}

/// Enrolls more keys than one part of a bulk write has. The first answer has no conflict, and another one would.
fn expect_enrolled(daemon: &Daemon) {
    let program = "00000000-0000-0000-0000-00000000000a";
    let unit = |n: usize| format!(r#"{{"external_key":"part-{n}","curriculum":"{program}","status":"enrolled"}}"#);
    let units = (0..3 * UNITS_MAX).map(unit).collect::<Vec<_>>().join(",");
    let args = format!(r#"{{"program":"{program}","create":true,"update":false,"enrollments":[{units}]}}"#);
    let line = format!(r#"{{"op":"program.enroll","args":{args},"key":"019aab01-997b-774b-bfff-fffffffffffe"}}"#);
    let answer = daemon.enrollctl(&["call"], &line);
    assert_eq!(answer.stdout.matches(r#":"enrolled""#).count(), 3 * UNITS_MAX, "{answer:?}");
}
