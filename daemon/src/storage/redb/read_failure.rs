//! A read failure: the first read of the tree that the disk failed. After any failed call redb answers nothing until the
//! database is opened again, so a daemon that went on would refuse every caller as `internal`, until somebody restarts it.

use std::sync::OnceLock;

use tokio::sync::Notify;

use enroll_core::state::StoreError;

/// See the module.
#[derive(Debug, Default)]
pub struct ReadFailure {
    first: OnceLock<StoreError>,
    told: Notify,
}

impl ReadFailure {
    /// The error of the first read that failed, if one did.
    pub fn first(&self) -> Option<&StoreError> {
        self.first.get()
    }

    /// Waits for it. One waits at a time.
    pub async fn wait(&self) -> StoreError {
        loop {
            if let Some(err) = self.first() {
                return err.clone();
            }
            self.told.notified().await;
        }
    }

    /// Notes the error of a read. Damage that a checksum found is none: other reads go on.
    pub(super) fn note(&self, err: &StoreError) {
        if matches!(err, StoreError::Io { .. }) && self.first.set(err.clone()).is_ok() {
            self.told.notify_one();
        }
    }
}
