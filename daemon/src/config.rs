//! The configuration: a TOML file, then `ENROLLD_*`, then flags; each wins over the one before. Unknown keys are
//! errors, in the environment too: a typing error must not silently leave a default.
//!
//! [`Config`] is what is written; [`Settings`] is the part that rules read. `enrolld.example.toml` lists every key,
//! and a test holds it to the defaults here.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use enroll_protocol::{Callsign, Time};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::identity::jwt::Issuing;
use crate::model::callsign::fold;
use crate::rules::alphabet;

/// Every key, commented, with its default.
pub const EXAMPLE: &str = include_str!("../enrolld.example.toml");

const ENVIRONMENT_PREFIX: &str = "ENROLLD_";

const YEAR_SECONDS: u64 = 366 * 24 * 60 * 60;

/// What can be configured. The keys are explained in the example file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file explains every key")]
pub struct Config {
    pub state_dir: PathBuf,
    pub socket: PathBuf,
    pub key_file: PathBuf,
    pub log: String,
    pub log_format: LogFormat,
    pub reserved_callsigns: Vec<String>,
    pub code_avoid_confusion: bool,
    pub code_size: usize,
    pub keep_answers_seconds: u64,
    pub grants: Grants,
    pub database: Database,
    pub jwt: Jwt,
    pub tokens: Tokens,
    pub changes: Changes,
    pub guesses: Guesses,
    pub server: Server,
}

/// How the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// `[grants]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file explains every key")]
pub struct Grants {
    pub read: Vec<String>,
    pub operate: Vec<String>,
    pub admin: Vec<String>,
}

/// `[database]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file explains every key")]
pub struct Database {
    pub cache_mib: usize,
    pub fast_start: bool,
}

/// `[jwt]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file explains every key")]
pub struct Jwt {
    pub issuer: String,
    pub audience: String,
    pub lifetime_seconds: u64,
    pub refresh_seconds: u64,
}

/// `[tokens]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file explains every key")]
pub struct Tokens {
    pub forget_after_seconds: u64,
}

/// `[changes]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file explains every key")]
pub struct Changes {
    pub keep_seconds: u64,
}

/// `[guesses]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file explains every key")]
pub struct Guesses {
    pub per_minute: u32,
    pub total_per_minute: u32,
}

/// `[server]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file explains every key")]
pub struct Server {
    pub threads: usize,
    pub idle_seconds: u64,
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
            code_avoid_confusion: true,
            code_size: 8,
            keep_answers_seconds: 24 * 60 * 60,
            grants: Grants::default(),
            database: Database::default(),
            jwt: Jwt::default(),
            tokens: Tokens::default(),
            changes: Changes::default(),
            guesses: Guesses::default(),
            server: Server::default(),
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self { cache_mib: 64, fast_start: false }
    }
}

impl Default for Jwt {
    fn default() -> Self {
        Self {
            issuer: "enrolld".to_owned(),
            audience: "enrolld".to_owned(),
            lifetime_seconds: 3600,
            refresh_seconds: 604_800,
        }
    }
}

impl Default for Guesses {
    fn default() -> Self {
        Self { per_minute: 30, total_per_minute: 300 }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self { threads: 1, idle_seconds: 600 }
    }
}

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl Config {
    /// Reads a file, if there is one, and the environment over it.
    pub fn read(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut table = Table::new();
        if let Some(path) = file {
            let in_file = |err: &dyn std::fmt::Display| ConfigError(format!("{}: {err}", path.display()));
            let text = std::fs::read_to_string(path).map_err(|err| in_file(&err))?;
            // Read on its own first: here the error can still show the line.
            toml::from_str::<Self>(&text).map_err(|err| in_file(&err))?;
            table = text.parse().map_err(|err: toml::de::Error| in_file(&err))?;
        }
        for (name, text) in environment {
            if let Some(key) = name.strip_prefix(ENVIRONMENT_PREFIX).filter(|key| *key != "CONFIG") {
                set_from_environment(&mut table, key, &text)?;
            }
        }
        let config: Self = table.try_into().map_err(|err| ConfigError(err.to_string()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let refuse = |what: &str| Err(ConfigError(what.to_owned()));
        match self {
            _ if !(1..=255).contains(&self.jwt.issuer.len()) => refuse("jwt.issuer must be 1 to 255 bytes"),
            _ if !(1..=255).contains(&self.jwt.audience.len()) => refuse("jwt.audience must be 1 to 255 bytes"),
            _ if !(1..=YEAR_SECONDS).contains(&self.jwt.lifetime_seconds) => {
                refuse("jwt.lifetime_seconds must be 1 to 31622400, a year")
            }
            _ if self.jwt.refresh_seconds > YEAR_SECONDS => {
                refuse("jwt.refresh_seconds must be at most 31622400, a year")
            }
            _ if !(60..=YEAR_SECONDS).contains(&self.keep_answers_seconds) => {
                refuse("keep_answers_seconds must be 60 to 31622400, a year")
            }
            _ if !(6..=64).contains(&self.code_size) => refuse("code_size must be 6 to 64"),
            _ if !(1..=64).contains(&self.server.threads) => refuse("server.threads must be 1 to 64"),
            _ if !(1..=YEAR_SECONDS).contains(&self.server.idle_seconds) => {
                refuse("server.idle_seconds must be 1 to 31622400, a year")
            }
            _ if !(1..=1 << 20).contains(&self.database.cache_mib) => refuse("database.cache_mib must be 1 to 1048576"),
            _ if self.guesses.per_minute == 0 => refuse("guesses.per_minute must be at least 1"),
            _ => Ok(()),
        }?;
        for (key, path) in [("state_dir", &self.state_dir), ("socket", &self.socket), ("key_file", &self.key_file)] {
            if !path.as_os_str().is_empty() && !path.is_absolute() {
                return Err(ConfigError(format!("{key} must be an absolute path; it is \"{}\"", path.display())));
            }
        }
        for callsign in &self.reserved_callsigns {
            let callsign = Callsign::new(callsign.as_str());
            callsign.map_err(|err| ConfigError(format!("reserved_callsigns: {err}")))?;
        }
        Ok(())
    }

    /// The part that rules read.
    pub fn settings(&self, state_dir: &Path) -> Settings {
        Settings {
            state_dir: state_dir.display().to_string(),
            cache_bytes: (self.database.cache_mib as u64) << 20,
            reserved_callsigns: self.reserved_callsigns.iter().map(|callsign| fold(callsign)).collect(),
            code_avoid_confusion: self.code_avoid_confusion,
            code_characters: alphabet::characters(self.code_avoid_confusion),
            code_size: self.code_size,
            keep_answers_seconds: self.keep_answers_seconds,
            issuing: Issuing {
                issuer: self.jwt.issuer.clone(),
                audience: self.jwt.audience.clone(),
                lifetime_seconds: self.jwt.lifetime_seconds,
                refresh_seconds: self.jwt.refresh_seconds,
            },
            changes_keep_seconds: self.changes.keep_seconds,
            tokens_forget_after_seconds: self.tokens.forget_after_seconds,
            guesses_per_minute: self.guesses.per_minute,
            guesses_total_per_minute: self.guesses.total_per_minute,
        }
    }
}

/// The daemon's own variables; whatever else is in the environment is nobody's business here.
pub fn environment() -> Result<Vec<(String, String)>, ConfigError> {
    let own = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    own.filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX))
        .map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(ConfigError(format!("{name} is not UTF-8"))),
        })
        .collect()
}

/// What rules read of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// For the status.
    pub state_dir: String,
    /// For the status.
    pub cache_bytes: u64,
    /// Folded.
    pub reserved_callsigns: HashSet<String>,
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
    /// How long changes are kept; 0: for ever.
    pub changes_keep_seconds: u64,
    /// How long after its expiry a token is forgotten; 0: never.
    pub tokens_forget_after_seconds: u64,
    /// Wrong codes of one source before it is refused.
    pub guesses_per_minute: u32,
    /// Wrong codes of everybody before an alarm.
    pub guesses_total_per_minute: u32,
}

/// Sets the key whose path, in upper case and joined by underscores, is this name.
fn set_from_environment(table: &mut Table, name: &str, text: &str) -> Result<(), ConfigError> {
    let defaults = Table::try_from(Config::default()).map_err(|err| ConfigError(err.to_string()))?;
    let unknown = || ConfigError(format!("{ENVIRONMENT_PREFIX}{name}: there is no such key"));
    for (key, default) in &defaults {
        match default {
            Value::Table(section) => {
                for (inner, default) in section {
                    if name == format!("{key}_{inner}").to_uppercase() {
                        let section = table.entry(key).or_insert_with(|| Value::Table(Table::new()));
                        let section = section.as_table_mut().ok_or_else(unknown)?;
                        section.insert(inner.clone(), read_like(default, name, text)?);
                        return Ok(());
                    }
                }
            }
            default if name == key.to_uppercase() => {
                table.insert(key.clone(), read_like(default, name, text)?);
                return Ok(());
            }
            _ => {}
        }
    }
    Err(unknown())
}

/// Reads a text as the kind of value that the default is.
fn read_like(default: &Value, name: &str, text: &str) -> Result<Value, ConfigError> {
    let wrong =
        |expected: &str| ConfigError(format!("{ENVIRONMENT_PREFIX}{name} must be {expected}; it is \"{text}\""));
    Ok(match default {
        Value::Boolean(_) => Value::Boolean(text.parse().map_err(|_| wrong("true or false"))?),
        Value::Integer(_) => Value::Integer(text.parse().map_err(|_| wrong("a number"))?),
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
        _ => Value::String(text.to_owned()),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

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
        let config = read("socket = \"/a\"\n[database]\ncache_mib = 16\nfast_start = true", &environment);
        let config = config.expect("a configuration");
        assert_eq!((config.database.cache_mib, config.database.fast_start), (8, true));
        assert_eq!(config.grants.operate, ["user:a", "group:b"]);
        assert_eq!(config.socket, Path::new("/a"));
    }

    #[test]
    fn what_is_not_known_or_not_sensible_is_an_error_that_names_it() {
        for (file, environment, named) in [
            ("sokcet = \"/a\"", None, "sokcet"),
            ("[database]\ncache = 1", None, "cache"),
            ("[server]\nthreads = 0", None, "server.threads"),
            ("state_dir = \"~/registry\"", None, "state_dir"),
            ("reserved_callsigns = [\" pad\"]", None, "reserved_callsigns"),
            ("", Some(("ENROLLD_SOKCET", "/a")), "ENROLLD_SOKCET"),
            ("", Some(("ENROLLD_DATABASE_FAST_START", "maybe")), "ENROLLD_DATABASE_FAST_START"),
        ] {
            let environment: Vec<_> = environment.into_iter().collect();
            let err = read(file, &environment).expect_err("refused").0;
            assert!(err.contains(named), "{err}");
        }
    }
}
