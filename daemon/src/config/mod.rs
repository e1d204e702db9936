//! The configuration: a TOML file, then `ENROLLD_*`, then flags; each wins over the one before. An unknown key in the
//! file is an error, and a variable that is no key a warning, because others may use the prefix too: a typing error
//! must not silently leave a default.
//!
//! [`Config`] has the keys as written; [`Settings`](enroll_core::settings::Settings) is the part for rules, [`Limits`]
//! the part for connections. `enrolld.example.toml` explains every key, and a test compares it with the defaults here.

#![expect(missing_docs, reason = "the example file explains every key")]

mod check;
mod environment;
mod limits;
mod memory;
mod nearest;
mod sections;
mod settings;
mod update;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use enroll_protocol::{plain_error, without_mark};
use serde::{Deserialize, Serialize};
use toml::Table;

use crate::ownership::Own;

pub use environment::{environment, unknown_variables};
pub use limits::Limits;
pub use sections::{
    Actors, Backup, Certificates, Changes, Cluster, Database, Etcd, Grants, Guesses, Journal, Jwt, LogFormat, Reads,
    Server, StoreKind, Tokens, Trusted,
};
pub use settings::Warned;
pub use update::{Changed, Update, is_read_at_start};

/// Every key, commented, with its default.
pub const EXAMPLE: &str = include_str!("../../enrolld.example.toml");

/// The configuration. The example file explains the keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub state_dir: PathBuf,
    pub socket: PathBuf,
    pub key_file: PathBuf,
    pub log: String,
    pub log_format: LogFormat,
    pub reserved_callsigns: Vec<String>,
    pub restricted_event_types: Vec<String>,
    pub code_avoid_confusion: bool,
    pub code_size: usize,
    pub keep_answers_seconds: u64,
    pub store: StoreKind,
    pub grants: Grants,
    pub database: Database,
    pub journal: Journal,
    pub etcd: Etcd,
    pub cluster: Cluster,
    pub jwt: Jwt,
    pub certificates: Certificates,
    pub tokens: Tokens,
    pub changes: Changes,
    pub backup: Backup,
    pub guesses: Guesses,
    pub server: Server,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state_dir: PathBuf::new(),
            socket: PathBuf::new(),
            key_file: PathBuf::new(),
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            reserved_callsigns: Vec::new(),
            restricted_event_types: Vec::new(),
            code_avoid_confusion: true,
            code_size: 8,
            keep_answers_seconds: 24 * 60 * 60,
            store: StoreKind::Local,
            grants: Grants::default(),
            database: Database::default(),
            journal: Journal::default(),
            etcd: Etcd::default(),
            cluster: Cluster::default(),
            jwt: Jwt::default(),
            certificates: Certificates::default(),
            tokens: Tokens::default(),
            changes: Changes::default(),
            backup: Backup::default(),
            guesses: Guesses::default(),
            server: Server::default(),
        }
    }
}

/// The longest key of the configuration that an error repeats, in bytes; longer text may be a secret.
const KEY_BYTES_MAX: usize = 40;

/// An error in a configuration: one sentence for people that names the key or the line, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl Config {
    /// Reads a file, if there is one, and the environment over it. Refuses a file that others can write to or replace.
    pub fn read(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let Some(path) = file else { return Self::parse("", environment) };
        let in_file = |err: &dyn std::fmt::Display| ConfigError(format!("{}: {err}", path.display()));
        let mut file = Own::user().open(path).map_err(|err| ConfigError(err.to_string()))?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|err| in_file(&err))?;
        let text = without_mark(&text);
        // Parsed alone first, so that only errors in the file itself are reported with its name.
        toml::from_str::<Self>(text).map_err(|err| in_file(&located(text, &err)))?;
        Self::parse(text, environment)
    }

    /// Reads a file's text and the environment over it.
    pub fn parse(text: &str, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let wrong = |err: toml::de::Error| ConfigError(located(text, &err));
        let mut table: Table = text.parse().map_err(wrong)?;
        environment::apply(&mut table, environment)?;
        let config: Self = table.try_into().map_err(wrong)?;
        config.check()?;
        Ok(config)
    }
}

/// The error in a file with its line number and key. The rest of the line is not repeated: it may hold a secret.
fn located(text: &str, err: &toml::de::Error) -> String {
    let why = nearest::of_unknown_field(err.message()).unwrap_or_else(|| plain_error(err.message()));
    let Some(before) = err.span().and_then(|span| text.get(..span.start)) else { return why };
    let number = before.matches('\n').count();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    let key = text.lines().nth(number).and_then(|line| line.split_once('=')).map(|(key, _)| key.trim());
    match key.filter(|key| key.len() <= KEY_BYTES_MAX && key.chars().all(is_name)) {
        Some(key) => format!("line {}, {key}: {why}", number + 1),
        None => format!("line {}: {why}", number + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads it from a file, as a daemon does.
    fn read(file: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("enrolld.toml");
        std::fs::write(&path, file).expect("written");
        Config::read(Some(&path), environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn the_example_lists_every_key_with_its_default() {
        let uncommented: String = EXAMPLE
            .lines()
            .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(toml::from_str::<Config>(&uncommented), Ok(Config::default()));
        let defaults = Table::try_from(Config::default()).expect("a table");
        assert_eq!(uncommented.parse::<Table>().expect("a table"), defaults);
    }

    #[test]
    fn environment_wins_over_the_file() {
        let environment =
            [("ENROLLD_DATABASE_CACHE_MIB", "8"), ("ENROLLD_GRANTS_OPERATE", "user:a, group:b"), ("OTHER", "1")];
        let config = read("socket = \"/a\"\n[database]\ncache_mib = 16\nverify_mib = 0", &environment);
        let config = config.expect("a configuration");
        assert_eq!((config.database.cache_mib, config.database.verify_mib), (8, 0));
        assert_eq!(config.grants.operate, ["user:a", "group:b"]);
        assert_eq!(config.socket, Path::new("/a"));
    }

    #[test]
    fn what_is_not_known_or_not_sensible_is_an_error_that_names_it() {
        for (file, environment, named) in [
            ("sokcet = \"/a\"", None, "line 1, sokcet: there is no key \"sokcet\" here; did you mean \"socket\"?"),
            ("[database]\ncache = 1", None, "there is no key \"cache\" here; did you mean \"cache_mib\"?"),
            ("[databse]\ncache_mib = 1", None, "line 1: there is no key \"databse\" here; did you mean \"database\"?"),
            ("color = 1", None, "there is no key \"color\" here; enrolld --example-config lists the keys"),
            ("[server]\nthreads = 0", None, "server.threads"),
            ("[server]\nconnections = 0", None, "server.connections"),
            ("[server]\nframe_kib = 65536", None, "server.frame_kib"),
            ("", Some(("ENROLLD_SERVER_FINISH_FRAME_SECONDS", "0")), "server.finish_frame_seconds"),
            ("state_dir = \"~/registry\"", None, "state_dir"),
            ("reserved_callsigns = [\" pad\"]", None, "reserved_callsigns"),
            ("", Some(("ENROLLD_GRANTS_ACT_FOR", "user:a")), "ENROLLD_GRANTS_ACT_FOR: only the file"),
            ("[grants.actors]\n\"user:a\" = \"trusted\"", None, "trusted"),
            ("", Some(("ENROLLD_DATABASE_CACHE_MIB", "much")), "ENROLLD_DATABASE_CACHE_MIB must be a number"),
            ("[backup]\ndirectory = \"backups\"", None, "backup.directory"),
            ("[backup]\ntime = \"3:00\"", None, "backup.time"),
            ("[backup]\ntime = \"24:00\"", None, "backup.time"),
            ("[backup]\nkeep = 0", None, "backup.keep"),
            ("", Some(("ENROLLD_CODE_AVOID_CONFUSION", "maybe")), "ENROLLD_CODE_AVOID_CONFUSION"),
        ] {
            let environment: Vec<_> = environment.into_iter().collect();
            let err = read(file, &environment).expect_err(named).0;
            assert!(err.contains(named), "{err}");
        }
    }
}
