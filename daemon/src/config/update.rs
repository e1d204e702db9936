//! The update from one configuration to another in a running daemon: changed keys, and those that need a restart.

use toml::{Table, Value};

use super::{Config, ConfigError};

/// Keys and sections that are read only at the start. All others are replaced at run time: with
/// [`Settings`](super::Settings), with the terms of new connections, or with the log's filter.
const AT_START: &[&str] = &[
    "state_dir",
    "socket",
    "key_file",
    "log_format",
    "certificates.authority_name",
    "certificates.authority_lifetime_seconds",
    "certificates.authority_key",
    "certificates.authority_chain",
    "database.cache_mib",
    "database.verify_mib",
    "journal.segment_mib",
    "journal.memory_mib",
    "store",
    "etcd",
    "cluster",
    "server.memory_mib",
    "server.threads",
];

/// Tables whose keys are chosen by the administrator. Each is replaced as a whole, like the value of a key.
const TABLES: &[&str] = &["grants.act_for", "grants.actors"];

/// A configuration to put in force, and its differences from the one before.
#[derive(Debug, PartialEq, Eq)]
pub struct Update {
    /// The new configuration, with the old values of keys that need a restart.
    pub config: Config,
    /// The keys that change now.
    pub changed: Vec<Changed>,
    /// The changed keys that need a restart.
    pub needs_restart: Vec<String>,
}

/// One key that changed.
#[derive(Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its path.
    pub key: String,
    /// The value before, as TOML.
    pub before: String,
    /// The value now, as TOML.
    pub now: String,
}

impl Update {
    /// The update from the configuration in force to one that was just read.
    pub fn of(holding: &Config, read: &Config) -> Result<Self, ConfigError> {
        let wrong = |err: &dyn std::fmt::Display| ConfigError(err.to_string());
        let table = |config| Table::try_from(config).map_err(|err| wrong(&err));
        let (mut holding, read) = (table(holding)?, table(read)?);
        let (mut changed, mut needs_restart) = (Vec::new(), Vec::new());
        merge("", &mut holding, read, &mut changed, &mut needs_restart);
        let config = holding.try_into().map_err(|err: toml::de::Error| wrong(&err))?;
        Ok(Self { config, changed, needs_restart })
    }
}

/// True if only a restart applies a change of the key at this path, such as `server.threads`.
pub fn is_read_at_start(key: &str) -> bool {
    let is_of = |listed| key.strip_prefix(listed).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    AT_START.iter().any(|listed| is_of(*listed))
}

fn merge(section: &str, holding: &mut Table, read: Table, changed: &mut Vec<Changed>, needs_restart: &mut Vec<String>) {
    for (name, now) in read {
        let key = format!("{section}{name}");
        match (holding.get_mut(&name), now) {
            (Some(Value::Table(holding)), Value::Table(read)) if !TABLES.contains(&key.as_str()) => {
                merge(&format!("{key}."), holding, read, changed, needs_restart);
            }
            (Some(before), now) if *before == now => {}
            _ if is_read_at_start(&key) => needs_restart.push(key),
            (before, now) => {
                let before = before.map(|before| before.to_string()).unwrap_or_default();
                changed.push(Changed { key, before, now: now.to_string() });
                holding.insert(name, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Config {
        Config::parse(toml, []).expect("a configuration")
    }

    #[test]
    fn what_can_change_does_and_what_can_not_stays_and_is_named() {
        let before = read("socket = \"/a\"\nlog = \"warn\"\n[database]\ncache_mib = 8");
        let after = read(
            "socket = \"/b\"\ncode_size = 9\n[server]\nthreads = 2\nidle_seconds = 5\n[grants]\nread = [\"user:a\"]",
        );
        let update = Update::of(&before, &after).expect("an update");
        assert_eq!(update.needs_restart, ["database.cache_mib", "server.threads", "socket"]);
        let changed: Vec<_> = update.changed.iter().map(|c| [&*c.key, &*c.before, &*c.now]).collect();
        assert_eq!(
            changed,
            [
                ["code_size", "8", "9"],
                ["grants.read", "[]", "[\"user:a\"]"],
                ["log", "\"warn\"", "\"info\""],
                ["server.idle_seconds", "600", "5"],
            ]
        );
        let expected = read(
            "socket = \"/a\"\ncode_size = 9\n[database]\ncache_mib = 8\n[server]\nidle_seconds = 5\n[grants]\nread = [\"user:a\"]",
        );
        assert_eq!(update.config, expected);
    }

    #[test]
    fn a_line_of_a_table_that_is_gone_is_gone() {
        let before = read("[grants.act_for]\n\"user:a\" = [\"role:member\"]\n[grants.actors]\n\"user:a\" = \"proven\"");
        let after = read("[grants.act_for]\n\"user:b\" = []");
        let update = Update::of(&before, &after).expect("an update");
        let changed: Vec<_> = update.changed.iter().map(|changed| &*changed.key).collect();
        assert_eq!((changed, update.config), (vec!["grants.act_for", "grants.actors"], after));
    }

    #[test]
    fn the_same_configuration_changes_nothing() {
        let update = Update::of(&Config::default(), &Config::default()).expect("an update");
        assert_eq!(update, Update { config: Config::default(), changed: vec![], needs_restart: vec![] });
    }

    #[test]
    fn what_is_read_at_the_start_is_a_key_or_section() {
        let table = Table::try_from(Config::default()).expect("a table");
        for listed in AT_START {
            let (section, key) = listed.split_once('.').map_or((*listed, None), |(section, key)| (section, Some(key)));
            let found = table.get(section).is_some_and(|value| key.is_none_or(|key| value.get(key).is_some()));
            assert!(found, "{listed}");
        }
    }
}
