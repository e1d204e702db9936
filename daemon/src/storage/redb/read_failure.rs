//! A read failure: the first read of the tree that the disk failed. After any failed call redb answers nothing until the
//! database is opened again, so a daemon that went on would refuse every caller as `internal`, until somebody restarts it.

use std::sync::OnceLock;

use enroll_core::state::StoreError;

/// The callback that takes its error.
type Told = Box<dyn Fn(&StoreError) + Send + Sync>;

/// See the module.
#[derive(Default)]
pub struct ReadFailure {
    first: OnceLock<StoreError>,
    told: OnceLock<Told>,
}

impl ReadFailure {
    /// The error of the first read that failed, if one did.
    pub fn first(&self) -> Option<&StoreError> {
        self.first.get()
    }

    /// Has this called with that error, now or when it comes; the first caller's is. It may be called twice.
    pub fn tell(&self, told: impl Fn(&StoreError) + Send + Sync + 'static) {
        if self.told.set(Box::new(told)).is_ok() {
            self.call();
        }
    }

    /// Notes the error of a read. Damage that a checksum found is none: other reads go on.
    pub(super) fn note(&self, err: &StoreError) {
        if matches!(err, StoreError::Io { .. }) && self.first.set(err.clone()).is_ok() {
            self.call();
        }
    }

    fn call(&self) {
        if let (Some(first), Some(told)) = (self.first.get(), self.told.get()) {
            told(first);
        }
    }
}
