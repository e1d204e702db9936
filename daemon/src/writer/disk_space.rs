//! Free space on the disk, and in a journal that several hosts share (the quota of etcd). A commit for which there is none
//! ends the daemon, so writes are refused before it comes to that, and reads go on.

use enroll_protocol::{Code, Refusal};

use enroll_core::settings::Settings;
use enroll_core::state::{Store, Writes};

/// Bytes that a small write takes: the database writes every page on the way to it anew (write amplification).
const LEAST: u64 = 64 << 10;

/// Disk space of a large value as a multiple of itself: the database rounds it up to a power of two.
const FACTOR: u64 = 2;

/// Bytes that may still be taken of the disk, and of a shared journal.
pub(super) struct FreeSpace {
    left: u64,
    journal_left: u64,
    is_short: bool,
}

impl FreeSpace {
    /// As much as there can be, until somebody looks.
    pub(super) fn unknown() -> Self {
        Self { left: u64::MAX, journal_left: u64::MAX, is_short: false }
    }

    /// Looks, before a batch. What the configuration wants left is not there to be taken.
    pub(super) fn look(&mut self, store: &dyn Store, settings: &Settings) {
        self.journal_left = store.journal_free_bytes();
        // Without a limit nobody looks at the disk.
        let free = if settings.free_bytes == 0 { u64::MAX } else { store.free_bytes() };
        self.left = free.saturating_sub(settings.free_bytes);
        let was_short = std::mem::replace(&mut self.is_short, self.left.min(self.journal_left) < LEAST);
        match (was_short, self.is_short) {
            (false, true) if self.journal_left < LEAST => tracing::error!(
                "etcd is nearly full: writes are refused until the journal was trimmed, and reads go on; see to the \
                 members that do not follow, or raise the quota"
            ),
            (false, true) => tracing::error!(
                state_dir = settings.state_dir,
                free_mib = free >> 20,
                "the disk has too little free space: writes are refused until there is more, and reads go on"
            ),
            (true, false) => tracing::info!(free_mib = free >> 20, "there is free space again: writes go on"),
            _ => {}
        }
    }

    /// True if there is none even for a small write.
    pub(super) fn is_short(&self) -> bool {
        self.is_short
    }

    /// Takes what these writes and so many bytes beside them need, or refuses them. Returns the bytes of both.
    pub(super) fn take(&mut self, writes: &Writes, beside: usize, settings: &Settings) -> Result<u64, Refusal> {
        let bytes = writes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum::<usize>();
        let bytes = (bytes + beside) as u64;
        let needed = LEAST + FACTOR * bytes;
        let Some(left) = self.left.checked_sub(needed) else {
            let why = format!(
                "the disk of {} has too little free space, so nothing was done; free some there and ask again",
                settings.state_dir
            );
            return Err(Refusal::new(Code::STORAGE, why));
        };
        let Some(journal_left) = self.journal_left.checked_sub(needed) else {
            let why = "etcd is nearly full, so nothing was done; see enrollctl cluster status, and ask again";
            return Err(Refusal::new(Code::STORAGE, why.to_owned()));
        };
        (self.left, self.journal_left) = (left, journal_left);
        Ok(bytes)
    }
}
