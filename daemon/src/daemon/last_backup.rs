//! The time of the last scheduled backup, in a file of the state directory: `enrolld backup` writes it when a backup is
//! rehearsed, and the running daemon reads it for the status.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use enroll_protocol::Time;
use nix::fcntl::OFlag;

use crate::file_error::FileError;
use crate::storage::private_dir::Directory;

/// The name of the file, and before it is whole.
const FILE: &str = "enrolld.last_backup";
const NEW: &str = "enrolld.last_backup.new";

/// Bytes of the file at most.
const BYTES_MAX: u64 = 64;

/// The file in a state directory.
#[derive(Debug, Default)]
pub struct LastBackup(Option<Arc<Directory>>);

impl LastBackup {
    /// The file in this state directory.
    pub fn kept_in(state_dir: Arc<Directory>) -> Self {
        Self(Some(state_dir))
    }

    /// The time of the last backup; `None` before the first, and where the file can not be read.
    pub fn read(&self) -> Option<Time> {
        let file = self.0.as_ref()?.open_private(FILE, OFlag::O_RDONLY).ok()?;
        let mut text = String::new();
        file.take(BYTES_MAX).read_to_string(&mut text).ok()?;
        text.trim().parse().ok()
    }
}

/// Keeps the time of a backup, durably.
pub fn keep(state_dir: &Directory, at: Time) -> Result<(), FileError> {
    let mut file = state_dir.create_private(NEW)?;
    let written = file.write_all(format!("{at}\n").as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|source| FileError::Io { path: state_dir.path_of(NEW), source })?;
    state_dir.publish(NEW, FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_what_is_no_time_is_none() {
        let root = tempfile::tempdir().expect("a directory");
        let directory = Arc::new(Directory::open(root.path()).expect("opened"));
        let last = LastBackup::kept_in(Arc::clone(&directory));
        assert_eq!((last.read(), LastBackup::default().read()), (None, None));
        for seconds in [1, 1_800_000_000] {
            let at = Time::EPOCH.plus_seconds(seconds);
            keep(&directory, at).expect("kept");
            assert_eq!(last.read(), Some(at));
        }
        std::fs::write(root.path().join(FILE), "yesterday").expect("written");
        assert_eq!(last.read(), None);
    }
}
