//! Settings: the part of the configuration that rules read.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use enroll_protocol::{EventKind, Time};

use crate::identity::jwt::Issuing;
use crate::identity::trust::Issuer;

/// What rules read of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// For the status.
    pub state_dir: String,
    /// For the status.
    pub cache_bytes: u64,
    /// What the disk must have left for writes to go on; 0: it is not asked.
    pub free_bytes: u64,
    /// A page stops here, so that it fits a frame.
    pub page_bytes_max: usize,
    /// Folded.
    pub reserved_callsigns: HashSet<String>,
    /// Kinds of event that it takes a permission to make.
    pub restricted_event_types: HashSet<EventKind>,
    /// Whether 0 and 1 are neither issued nor told from O and I.
    pub code_avoid_confusion: bool,
    /// What codes are drawn from.
    pub code_characters: &'static [u8],
    /// How many characters an invite or approve code has.
    pub code_size: usize,
    /// How long an answer is kept under its idempotency key.
    pub keep_answers_seconds: u64,
    /// What JWTs say of themselves.
    pub issuing: Issuing,
    /// Issuers whose JWTs can be exchanged, once their keys were read .
    pub trusted: Arc<[Issuer]>,
    /// By how much their clocks may differ.
    pub leeway_seconds: u64,
    /// How long a certificate is valid.
    pub certificate_lifetime_seconds: u64,
    /// How long a list of revoked certificates is valid.
    pub list_seconds: u64,
    /// Where the list is written for others to read.
    pub list_file: Option<PathBuf>,
    /// How long changes are kept; 0: for ever.
    pub changes_keep_seconds: u64,
    /// How long after its expiry a token is forgotten; 0: never.
    pub tokens_forget_after_seconds: u64,
    /// Wrong codes of one source before it is refused.
    pub guesses_per_minute: u32,
    /// Wrong codes of everybody before an alarm.
    pub guesses_total_per_minute: u32,
}

impl Settings {
    /// Until when a change of this time is kept; `None`: for ever.
    pub fn keep_changes_until(&self, at: Time) -> Option<Time> {
        Some(self.changes_keep_seconds).filter(|keep| *keep > 0).map(|keep| at.plus_seconds(keep))
    }

    /// When a token that expires is forgotten, if it ever is.
    pub fn forget_tokens_after(&self, expires: Option<Time>) -> Option<Time> {
        let after = Some(self.tokens_forget_after_seconds).filter(|after| *after > 0)?;
        Some(expires?.plus_seconds(after))
    }
}
