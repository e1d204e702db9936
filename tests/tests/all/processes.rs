//! Process tests, with the real binaries: the promises of the rules hold across processes, crashes and users.
//!
//! Every test has a daemon and a directory of its own, so they run side by side. None sleeps, needs root or a network; a
//! test that needs another user prints SKIPPED without one. Each file has a part of the contract: commands, pipes, races,
//! crashes, failed starts.

mod answers;
mod authority;
mod backup;
mod bench;
mod booted;
mod call;
mod clock;
mod crash;
mod daemon;
mod disk;
mod ends;
mod ext4;
mod follow;
mod guesses;
mod identity;
mod limits;
mod memory;
mod metrics;
mod owner;
mod pools;
mod programs;
mod races;
mod readme;
mod refusals;
mod registrations;
mod reload;
mod restore;
mod revocations;
mod rotation;
mod script;
mod secrets;
mod systemd;
mod tour;
mod transfer;
mod verbs;
mod wire;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use enroll_tests::process::{count, expect_sound};
use enroll_tests::seed::Seed;

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
