//! The part of the configuration that rules read.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use enroll_protocol::fold::fold;
use enroll_protocol::limits::PAGE_BYTES_MAX;
use enroll_protocol::{EventKind, Time};

use super::{Config, Trusted};
use crate::identity::jwt::Issuing;
use crate::identity::trust::Issuer;
use crate::rules::human_code;
use crate::warnings::Warned;

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
    /// Issuers whose JWTs can be exchanged, once their keys were read ([`Config::trust`]).
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

impl Config {
    /// Reads the keys of the issuers that are trusted. What is wrong with those of one issuer costs only that one, and is
    /// a warning about it.
    pub fn trust(&self) -> (Arc<[Issuer]>, Vec<Warned>) {
        let mut warnings = Vec::new();
        let issuers = self.jwt.trusted.iter().map(|Trusted { issuer, audience, keys }| {
            let (read, wrong) = match std::fs::read_to_string(keys) {
                Ok(text) => Issuer::read(issuer, audience, &text),
                Err(err) => (Issuer::without_keys(issuer, audience), vec![err.to_string()]),
            };
            if !wrong.is_empty() {
                let follows = if read.is_unusable() { "its JWTs are refused" } else { "its other keys are used" };
                let message = format!("{}: {}; {follows}", keys.display(), wrong.join("; "));
                warnings.push((issuer.clone(), message));
            }
            read
        });
        (issuers.collect(), warnings)
    }

    /// The part that rules read, without what is read from other files.
    pub fn settings(&self, state_dir: &Path) -> Settings {
        Settings {
            state_dir: state_dir.display().to_string(),
            cache_bytes: (self.database.cache_mib as u64) << 20,
            free_bytes: self.database.free_mib << 20,
            page_bytes_max: PAGE_BYTES_MAX.min(self.limits().frame_bytes_max / 2),
            reserved_callsigns: self.reserved_callsigns.iter().map(|callsign| fold(callsign)).collect(),
            restricted_event_types: self
                .restricted_event_types
                .iter()
                .filter_map(|kind| EventKind::new(kind.as_str()).ok())
                .collect(),
            code_avoid_confusion: self.code_avoid_confusion,
            code_characters: human_code::characters(self.code_avoid_confusion),
            code_size: self.code_size,
            keep_answers_seconds: self.keep_answers_seconds,
            issuing: Issuing {
                algorithm: self.jwt.algorithm,
                issuer: self.jwt.issuer.clone(),
                audience: self.jwt.audience.clone(),
                lifetime_seconds: self.jwt.lifetime_seconds,
                refresh_seconds: self.jwt.refresh_seconds,
            },
            trusted: Arc::default(),
            leeway_seconds: self.jwt.leeway_seconds,
            certificate_lifetime_seconds: self.certificates.lifetime_seconds,
            list_seconds: self.certificates.crl_seconds,
            list_file: Some(self.certificates.crl_file.clone()).filter(|path| !path.as_os_str().is_empty()),
            changes_keep_seconds: self.changes.keep_seconds,
            tokens_forget_after_seconds: self.tokens.forget_after_seconds,
            guesses_per_minute: self.guesses.per_minute,
            guesses_total_per_minute: self.guesses.total_per_minute,
        }
    }
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
