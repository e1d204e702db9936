//! The configuration: a TOML file, then `ENROLLD_*`, then flags; each wins over the one before. Unknown keys are
//! errors, in the environment too: a typing error must not silently leave a default.
//!
//! [`Config`] is what is written; [`Settings`] is the part that rules read, [`Limits`] the part that connections keep
//! to. `enrolld.example.toml` lists every key, and a test holds it to the defaults here.

mod environment;
mod limits;
mod sections;
mod settings;
mod update;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use enroll_protocol::{Callsign, EventKind, plain_error, without_mark};
use serde::{Deserialize, Serialize};
use toml::Table;

pub use environment::environment;
pub use limits::Limits;
pub use sections::{
    Certificates, Changes, Database, Grants, Guesses, Journal, Jwt, LogFormat, Server, Tokens, Trusted,
};
pub use settings::Distrusted;
pub use update::{Changed, Update};

/// Every key, commented, with its default.
pub const EXAMPLE: &str = include_str!("../../enrolld.example.toml");

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
    pub restricted_event_types: Vec<String>,
    pub code_avoid_confusion: bool,
    pub code_size: usize,
    pub keep_answers_seconds: u64,
    pub grants: Grants,
    pub database: Database,
    pub journal: Journal,
    pub jwt: Jwt,
    pub certificates: Certificates,
    pub tokens: Tokens,
    pub changes: Changes,
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
            grants: Grants::default(),
            database: Database::default(),
            journal: Journal::default(),
            jwt: Jwt::default(),
            certificates: Certificates::default(),
            tokens: Tokens::default(),
            changes: Changes::default(),
            guesses: Guesses::default(),
            server: Server::default(),
        }
    }
}

/// The longest key of the configuration that an error repeats, in bytes; longer text may be a secret.
const KEY_BYTES_MAX: usize = 40;

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
        let Some(path) = file else { return Self::parse("", environment) };
        let in_file = |err: &dyn std::fmt::Display| ConfigError(format!("{}: {err}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|err| in_file(&err))?;
        let text = without_mark(&text);
        // Read on its own first: only the file's own mistakes are told with its name.
        toml::from_str::<Self>(text).map_err(|err| in_file(&place_of(text, &err)))?;
        Self::parse(text, environment)
    }

    /// Reads a file's text and the environment over it.
    pub fn parse(text: &str, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let wrong = |err: toml::de::Error| ConfigError(place_of(text, &err));
        let mut table: Table = text.parse().map_err(wrong)?;
        environment::apply(&mut table, environment)?;
        let config: Self = table.try_into().map_err(wrong)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let Self { jwt, certificates, guesses, server, database, journal, .. } = self;
        let year = |from| from..=YEAR_SECONDS;
        within("jwt.issuer", jwt.issuer.len() as u64, 1..=255, " bytes")?;
        within("jwt.audience", jwt.audience.len() as u64, 1..=255, " bytes")?;
        within("jwt.lifetime_seconds", jwt.lifetime_seconds, year(1), ", a year")?;
        within("jwt.leeway_seconds", jwt.leeway_seconds, 0..=3600, ", an hour")?;
        for (at, trusted) in jwt.trusted.iter().enumerate() {
            if trusted.issuer.is_empty() || trusted.audience.is_empty() || !trusted.keys.is_absolute() {
                let why = "needs an issuer, an audience, and the absolute path of its keys";
                return Err(ConfigError(format!("jwt.trusted: number {} {why}", at + 1)));
            }
            if jwt.trusted[..at].iter().any(|before| before.issuer == trusted.issuer) || trusted.issuer == jwt.issuer {
                return Err(ConfigError(format!(
                    "jwt.trusted: the issuer \"{}\" stands there twice, or is our own",
                    trusted.issuer
                )));
            }
        }
        within("jwt.refresh_seconds", jwt.refresh_seconds, year(0), ", a year")?;
        let century = |from| from..=100 * YEAR_SECONDS;
        within(
            "certificates.authority_name",
            certificates.authority_name.chars().count() as u64,
            1..=64,
            " characters",
        )?;
        let lifetime = certificates.authority_lifetime_seconds;
        within("certificates.authority_lifetime_seconds", lifetime, century(1), ", a century")?;
        within("certificates.lifetime_seconds", certificates.lifetime_seconds, century(1), ", a century")?;
        within("certificates.crl_seconds", certificates.crl_seconds, year(60), ", a year")?;
        if certificates.authority_key.as_os_str().is_empty() != certificates.authority_chain.as_os_str().is_empty() {
            let why =
                "certificates.authority_key and certificates.authority_chain belong together; set both or neither";
            return Err(ConfigError(why.to_owned()));
        }
        within("keep_answers_seconds", self.keep_answers_seconds, year(60), ", a year")?;
        within("code_size", self.code_size as u64, 6..=64, "")?;
        within("server.threads", server.threads as u64, 1..=64, "")?;
        within("server.connections", server.connections as u64, 1..=1 << 16, "")?;
        within("server.connections_per_uid", server.connections_per_uid as u64, 1..=1 << 16, "")?;
        within("server.frame_kib", server.frame_kib as u64, 256..=16 << 10, "")?;
        within("server.finish_frame_seconds", server.finish_frame_seconds, year(1), ", a year")?;
        within("server.take_answer_seconds", server.take_answer_seconds, year(1), ", a year")?;
        within("server.idle_seconds", server.idle_seconds, year(1), ", a year")?;
        within("database.cache_mib", database.cache_mib as u64, 1..=1 << 20, "")?;
        within("database.verify_mib", database.verify_mib, 0..=1 << 30, "")?;
        within("journal.segment_mib", journal.segment_mib, 1..=1 << 10, "")?;
        within("journal.memory_mib", journal.memory_mib as u64, 1..=1 << 20, "")?;
        within("database.free_mib", database.free_mib, 0..=1 << 20, "")?;
        within("guesses.per_minute", u64::from(guesses.per_minute), 1..=u64::from(u32::MAX), "")?;
        for (key, path) in [
            ("state_dir", &self.state_dir),
            ("socket", &self.socket),
            ("key_file", &self.key_file),
            ("certificates.authority_key", &certificates.authority_key),
            ("certificates.authority_chain", &certificates.authority_chain),
            ("certificates.crl_file", &certificates.crl_file),
        ] {
            if !path.as_os_str().is_empty() && !path.is_absolute() {
                return Err(ConfigError(format!("{key} must be an absolute path; it is \"{}\"", path.display())));
            }
        }
        for callsign in &self.reserved_callsigns {
            let callsign = Callsign::new(callsign.as_str());
            callsign.map_err(|err| ConfigError(format!("reserved_callsigns: {err}")))?;
        }
        for kind in &self.restricted_event_types {
            EventKind::new(kind.as_str()).map_err(|err| ConfigError(format!("restricted_event_types: {err}")))?;
        }
        Ok(())
    }
}

/// A mistake in a file by its line and what is before the `=` there. The rest of the line is not repeated: it may hold a
/// secret that belongs elsewhere.
fn place_of(text: &str, err: &toml::de::Error) -> String {
    let why = plain_error(err.message());
    let Some(before) = err.span().and_then(|span| text.get(..span.start)) else { return why };
    let number = before.matches('\n').count();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    let key = text.lines().nth(number).and_then(|line| line.split_once('=')).map(|(key, _)| key.trim());
    match key.filter(|key| key.len() <= KEY_BYTES_MAX && key.chars().all(is_name)) {
        Some(key) => format!("line {}, {key}: {why}", number + 1),
        None => format!("line {}: {why}", number + 1),
    }
}

fn within(key: &str, value: u64, range: RangeInclusive<u64>, note: &str) -> Result<(), ConfigError> {
    match range.contains(&value) {
        true => Ok(()),
        false => Err(ConfigError(format!("{key} must be {} to {}{note}", range.start(), range.end()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Through a file, as a daemon does.
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
            ("sokcet = \"/a\"", None, "sokcet"),
            ("[database]\ncache = 1", None, "cache"),
            ("[server]\nthreads = 0", None, "server.threads"),
            ("[server]\nconnections = 0", None, "server.connections"),
            ("[server]\nframe_kib = 65536", None, "server.frame_kib"),
            ("", Some(("ENROLLD_SERVER_FINISH_FRAME_SECONDS", "0")), "server.finish_frame_seconds"),
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
