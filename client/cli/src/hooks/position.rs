//! The position of a runner: a file that one runner holds at a time, replaced in one step and synced.
//!
//! Beside the watermark it has what a human must see: the changes at which the runner is stuck, and those that somebody
//! had it skip. Others may read it, as `enrollctl doctor` does; it has numbers and no records.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

use super::passed::Passed;
use crate::failure::Failure;
use crate::files::AtomicFile;

/// The mode of the file.
const MODE: u32 = 0o644;

/// Skipped changes that are remembered.
const SKIPPED_MAX: usize = 100;

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The changes that are passed.
    #[serde(flatten)]
    pub(crate) passed: Passed,
    /// The changes whose command fails, in the order of their numbers.
    #[serde(default)]
    pub(crate) stuck: Vec<Stuck>,
    /// The changes that somebody had the runner skip, the latest last.
    #[serde(default)]
    pub(crate) skipped: Vec<Skipped>,
}

/// A batch whose command fails; of one change where no other size was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stuck {
    /// The number of its first change.
    pub(crate) seq: u64,
    /// The number of its last change.
    pub(crate) last: u64,
    /// Failed tries.
    pub(crate) tries: u32,
    /// The time of the first failure.
    pub(crate) since: String,
    /// The last failure.
    pub(crate) why: String,
}

/// A change that was skipped by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Skipped {
    /// Its number.
    pub(crate) seq: u64,
    /// The time.
    pub(crate) at: String,
    /// The uid of the user who asked.
    pub(crate) by: u32,
    /// Failed tries before it.
    pub(crate) tries: u32,
    /// The last failure.
    pub(crate) why: String,
}

/// The position file of a runner, which holds it until it ends.
#[derive(Debug)]
pub(super) struct Position {
    path: PathBuf,
    pub(super) record: Record,
    /// Dropping it lets the next runner in. A killed process lets go of it, too.
    _lock: File,
}

impl Record {
    /// Reads a position file; `None` where there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, Failure> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(Failure::Own(format!("{}: {err}", path.display()))),
        };
        let broken = |err| Failure::Own(format!("{} is no position file: {err}", path.display()));
        serde_json::from_slice(&text).map(Some).map_err(broken)
    }

    /// Notes a change that was skipped by hand.
    pub(super) fn note_skipped(&mut self, skipped: Skipped) {
        self.skipped.push(skipped);
        let excess = self.skipped.len().saturating_sub(SKIPPED_MAX);
        self.skipped.drain(..excess);
    }
}

impl Position {
    /// Takes the file for this process. `None` of the record means that there is no position yet. Refuses a file that
    /// another runner holds.
    pub(super) fn take(path: &Path) -> Result<(Self, bool), Failure> {
        let lock = lock(path)?;
        let record = Record::read(path)?;
        let is_new = record.is_none();
        Ok((Self { path: path.to_owned(), record: record.unwrap_or_default(), _lock: lock }, is_new))
    }

    /// Replaces the file by the record, durably.
    pub(super) fn write(&self) -> Result<(), Failure> {
        let mut text = serde_json::to_vec(&self.record).map_err(|err| Failure::Own(err.to_string()))?;
        text.push(b'\n');
        AtomicFile::replace(&self.path, "position", &text, MODE)
            .map_err(|err| Failure::Own(format!("{}: {err}; the position was not written", self.path.display())))
    }

    /// The path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// The path with this appended to its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn lock(path: &Path) -> Result<File, Failure> {
    let path = beside(path, ".lock");
    let failed = |err: io::Error| Failure::Own(format!("{}: {err}", path.display()));
    let mut options = OpenOptions::new();
    options.create(true).read(true).write(true).truncate(false).mode(MODE);
    let mut file = options.custom_flags(OFlag::O_NOFOLLOW.bits()).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // A runner that has just begun has not written its number yet.
            let _ = file.read_to_string(&mut holder);
            let holder = if holder.trim().is_empty() { "?" } else { holder.trim() };
            let why = format!("the process {holder} runs with this position ({} is locked)", path.display());
            return Err(Failure::Own(format!("{why}; each runner needs a position of its own")));
        }
        Err(TryLockError::Error(err)) => return Err(failed(err)),
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_kept_and_held_by_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("position");
        let (mut position, is_new) = Position::take(&path).expect("free");
        assert!(is_new && Record::read(&path).expect("readable").is_none());
        position.record.passed = Passed::upto(7);
        position.record.passed.pass(9);
        position.record.stuck =
            vec![Stuck { seq: 8, last: 8, tries: 2, since: "then".to_owned(), why: "so".to_owned() }];
        position.write().expect("written");
        let Err(Failure::Own(why)) = Position::take(&path) else { panic!("two hold it") };
        assert!(why.contains(&format!("the process {} runs", std::process::id())), "{why}");
        let record = position.record.clone();
        drop(position);
        let (again, is_new) = Position::take(&path).expect("free again");
        assert_eq!((again.record, is_new), (record, false));
    }

    #[test]
    fn something_else_is_no_position() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("position");
        for text in ["", "12", "{}", "{\"position\":-1}"] {
            std::fs::write(&path, text).expect("written");
            assert!(matches!(Record::read(&path), Err(Failure::Own(_))), "{text}");
        }
    }

    #[test]
    fn the_latest_skipped_are_remembered() {
        let mut record = Record::default();
        for seq in 0..250 {
            record.note_skipped(Skipped { seq, at: String::new(), by: 0, tries: 1, why: String::new() });
        }
        assert_eq!((record.skipped.len(), record.skipped[0].seq), (SKIPPED_MAX, 150));
    }
}
