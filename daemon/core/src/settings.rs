//! Settings: the part of the configuration that rules read.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use enroll_protocol::{EventKind, Time};

use crate::identity::jwt::Issuing;
use crate::identity::trust::Issuer;

/// The settings that rules read; times in seconds.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The state directory, for `server.status`.
    pub state_dir: String,
    /// Bytes of the database's cache, for `server.status`.
    pub cache_bytes: u64,
    /// Bytes of free disk space below which writes are refused; 0 for no limit.
    pub free_bytes: u64,
    /// The directory of the scheduled backups, for `server.status`; none where none are configured.
    pub backup_directory: Option<PathBuf>,
    /// True if peers with the grant `read` see the field `extra` of records.
    pub read_sees_extra: bool,
    /// Bytes of a page of a list at most, so that it fits a frame.
    pub page_bytes_max: usize,
    /// Bytes of a frame at most.
    pub frame_bytes_max: usize,
    /// Callsigns that nobody can take, folded.
    pub reserved_callsigns: HashSet<String>,
    /// Event kinds that only people with a permission can make.
    pub restricted_event_types: HashSet<EventKind>,
    /// True if 0 and 1 are never issued in codes, and read as O and I.
    pub code_avoid_confusion: bool,
    /// The alphabet of new codes.
    pub code_characters: &'static [u8],
    /// Characters of an invite or approve code.
    pub code_size: usize,
    /// Seconds that an answer is kept under its idempotency key.
    pub keep_answers_seconds: u64,
    /// Issuer, audience, algorithm and lifetimes of new JWTs.
    pub issuing: Issuing,
    /// Issuers whose JWTs can be exchanged, with their keys.
    pub trusted: Arc<[Issuer]>,
    /// Tolerated clock difference of those issuers.
    pub leeway_seconds: u64,
    /// Lifetime of a new certificate.
    pub certificate_lifetime_seconds: u64,
    /// Lifetime of a certificate revocation list.
    pub list_seconds: u64,
    /// Path of the file that the revocation list is written to; none for no file.
    pub list_file: Option<PathBuf>,
    /// Seconds that changes are kept; 0 for ever.
    pub changes_keep_seconds: u64,
    /// Seconds from a token's expiry until its record is removed; 0 for never.
    pub tokens_forget_after_seconds: u64,
    /// Wrong codes a minute of one source, a uid with an origin, before it is refused (rate limit).
    pub guesses_per_minute: u32,
    /// Wrong codes a minute of one uid over all its origins before an alarm.
    pub guesses_uid_per_minute: u32,
    /// Wrong codes a minute in all before an alarm.
    pub guesses_total_per_minute: u32,
    /// Records a minute that the refused calls of one uid may leave.
    pub refused_per_minute: u32,
    /// Uids whose wrong codes count as those of another uid.
    pub count_together: BTreeMap<u32, u32>,
}

impl Settings {
    /// The expiry of a change of this time; `None` for never.
    pub fn keep_changes_until(&self, at: Time) -> Option<Time> {
        Some(self.changes_keep_seconds).filter(|keep| *keep > 0).map(|keep| at.plus_seconds(keep))
    }

    /// The time at which the record of a token with this expiry is removed; `None` for never.
    pub fn forget_tokens_after(&self, expires: Option<Time>) -> Option<Time> {
        let after = Some(self.tokens_forget_after_seconds).filter(|after| *after > 0)?;
        Some(expires?.plus_seconds(after))
    }
}
