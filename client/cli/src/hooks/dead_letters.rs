//! The dead letters of a runner: changes that it gave up, one JSON line each, synced before the change is passed.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use enroll_client::protocol::changes::Change;
use serde::Serialize;

/// The mode of the file: it has changes with their origins.
const MODE: u32 = 0o600;

/// A line of the file.
#[derive(Serialize)]
struct Letter<'a> {
    seq: u64,
    at: &'a str,
    tries: u32,
    why: &'a str,
    change: &'a Change,
}

/// Appends these changes, which failed so often, the last time for this reason.
pub(super) fn append(path: &Path, batch: &[Change], at: &str, (tries, why): (u32, &str)) -> io::Result<()> {
    let mut lines = Vec::new();
    for change in batch {
        serde_json::to_writer(&mut lines, &Letter { seq: change.seq, at, tries, why, change })?;
        lines.push(b'\n');
    }
    let mut file = OpenOptions::new().create(true).append(true).mode(MODE).open(path)?;
    file.write_all(&lines)?;
    file.sync_all()
}
