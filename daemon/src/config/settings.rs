//! Settings for rules, made from the configuration and from the files that it names.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use enroll_core::identity::jwt::Issuing;
use enroll_core::identity::trust::Issuer;
use enroll_core::rules::human_code;
use enroll_core::settings::Settings;
use enroll_protocol::fold::fold;
use enroll_protocol::limits::PAGE_BYTES_MAX;
use enroll_protocol::{EventKind, plain_name};

use super::{Config, ConfigError, Trusted};
use crate::file_error::FileError;
use crate::members::{Member, Unknown};
use crate::ownership::Own;

/// A warning of a topic: its subject and its message.
pub type Warned = (String, String);

impl Config {
    /// Reads the keys of the trusted issuers. An issuer whose keys can not be read or used gets a warning; others are
    /// not affected. Refuses keys that others than root and `own` can write to or replace.
    pub fn trust(&self, own: Own) -> Result<(Arc<[Issuer]>, Vec<Warned>), ConfigError> {
        let (mut issuers, mut warnings) = (Vec::new(), Vec::new());
        for Trusted { issuer, audience, keys } in &self.jwt.trusted {
            let (read, wrong) = match read(own, keys) {
                Ok(text) => Issuer::read(issuer, audience, &text),
                Err(FileError::Io { source, .. }) => (Issuer::without_keys(issuer, audience), vec![source.to_string()]),
                Err(err @ FileError::Unsafe { .. }) => return Err(unsafe_file("jwt.trusted", &err)),
            };
            if !wrong.is_empty() {
                let follows = if read.is_unusable() { "its JWTs are refused" } else { "its other keys are used" };
                let message = format!("{}: {}; {follows}", keys.display(), wrong.join("; "));
                warnings.push((issuer.clone(), message));
            }
            issuers.push(read);
        }
        Ok((issuers.into(), warnings))
    }

    /// Refuses files and directories of the configuration that others than root and `own` can write to or replace. What
    /// is not there is left to those who use it.
    pub fn check_files(&self, own: Own) -> Result<(), ConfigError> {
        let certificates = &self.certificates;
        let directories = [
            ("key_file", &self.key_file),
            ("certificates.authority_key", &certificates.authority_key),
            ("certificates.crl_file", &certificates.crl_file),
        ];
        for (key, path) in directories {
            if let Some(directory) = path.parent() {
                expect_safe(key, own.check_directory(directory))?;
            }
        }
        if certificates.authority_chain.is_absolute() {
            expect_safe("certificates.authority_chain", own.open(&certificates.authority_chain))?;
        }
        Ok(())
    }

    /// The uids whose wrong codes count as those of another uid. A user that the system does not know gets a warning; the
    /// others of its group are not affected.
    pub fn count_together(&self) -> (BTreeMap<u32, u32>, Vec<Warned>) {
        let (mut together, mut warnings) = (BTreeMap::new(), Vec::new());
        for group in &self.guesses.count_together {
            let mut first = None;
            for member in group {
                match Member::of(member) {
                    Some(Ok(Member::User(uid))) => drop(together.insert(uid, *first.get_or_insert(uid))),
                    Some(Err(Unknown { why, .. })) => warnings.push((
                        plain_name(member).to_string(),
                        format!("{why}; its wrong codes are counted with nobody else's"),
                    )),
                    // A configuration with such an entry was refused.
                    Some(Ok(Member::Group(_))) | None => {}
                }
            }
        }
        (together, warnings)
    }

    /// The settings for rules, without the users that are counted together and the trusted issuers, whose keys are in
    /// files of their own.
    pub fn settings(&self, state_dir: &Path) -> Settings {
        Settings {
            state_dir: state_dir.display().to_string(),
            cache_bytes: (self.database.cache_mib as u64) << 20,
            free_bytes: self.database.free_mib << 20,
            backup_directory: Some(self.backup.directory.clone()).filter(|path| !path.as_os_str().is_empty()),
            read_sees_extra: self.grants.read_sees_extra,
            page_bytes_max: PAGE_BYTES_MAX.min(self.limits().frame_bytes_max / 2),
            frame_bytes_max: self.limits().frame_bytes_max,
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
            guesses_uid_per_minute: self.guesses.uid_per_minute,
            guesses_total_per_minute: self.guesses.total_per_minute,
            refused_per_minute: self.guesses.refused_per_minute,
            count_together: BTreeMap::new(),
        }
    }
}

fn read(own: Own, path: &Path) -> Result<String, FileError> {
    let mut text = String::new();
    let read = own.open(path)?.read_to_string(&mut text);
    read.map(|_| text).map_err(|source| FileError::Io { path: path.to_owned(), source })
}

fn expect_safe<T>(key: &str, checked: Result<T, FileError>) -> Result<(), ConfigError> {
    match checked {
        Err(err @ FileError::Unsafe { .. }) => Err(unsafe_file(key, &err)),
        Ok(_) | Err(FileError::Io { .. }) => Ok(()),
    }
}

fn unsafe_file(key: &str, err: &FileError) -> ConfigError {
    ConfigError(format!("{key}: {err}"))
}
