//! Configuration keys from environment variables: `ENROLLD_` and the key's path in upper case.
//!
//! A variable with this prefix that is no key changes nothing and is a warning: another program may have set it.

use enroll_protocol::plain_name;
use toml::{Table, Value};

use super::nearest::{nearest, way_out};
use super::{Config, ConfigError, Warned};

const ENVIRONMENT_PREFIX: &str = "ENROLLD_";

/// Variables with the prefix that are no keys and have a meaning: the path of the configuration.
const NO_KEYS: &[&str] = &["ENROLLD_CONFIG"];

/// The variables of the environment that begin with `ENROLLD_`. Refuses a value of a key that is no UTF-8.
pub fn environment() -> Result<Vec<(String, String)>, ConfigError> {
    let keys = keys()?;
    let own = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    own.filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX))
        .map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) if keys.iter().any(|key| key.variable == name) => Err(ConfigError(format!("{name} is not UTF-8"))),
            // It is not read, and its name is enough for a warning.
            Err(_) => Ok((name, String::new())),
        })
        .collect()
}

/// A warning for each of these variables that is no key: its name, and the name that may have been meant.
pub fn unknown_variables(environment: &[(String, String)]) -> Vec<Warned> {
    let keys = keys().unwrap_or_default();
    let known: Vec<&str> = keys.iter().map(|key| key.variable.as_str()).chain(NO_KEYS.iter().copied()).collect();
    let unknown = environment.iter().map(|(name, _)| name.as_str()).filter(|name| !known.contains(name));
    unknown.map(|name| warning(name, &known)).collect()
}

/// Sets the keys that these variables name, over those of a file.
pub(super) fn apply(
    table: &mut Table,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<(), ConfigError> {
    let keys = keys()?;
    for (name, text) in environment {
        if let Some(key) = keys.iter().find(|key| key.variable == name) {
            key.set(table, &text)?;
        }
    }
    Ok(())
}

fn warning(name: &str, known: &[&str]) -> Warned {
    // The prefix would make all of them similar.
    let meant = nearest(without_prefix(name), known.iter().map(|known| without_prefix(known)));
    let way_out = way_out(meant.map(|meant| format!("{ENVIRONMENT_PREFIX}{meant}")).as_deref());
    let why = format!("this variable is no key of the configuration and has no effect; {way_out}");
    (plain_name(name).to_owned(), why)
}

fn without_prefix(name: &str) -> &str {
    name.strip_prefix(ENVIRONMENT_PREFIX).unwrap_or(name)
}

/// A key that a variable can set.
struct Key {
    /// The variable.
    variable: String,
    /// Its section; empty for a key outside of all.
    section: String,
    name: String,
    default: Value,
}

/// Every key of the configuration.
fn keys() -> Result<Vec<Key>, ConfigError> {
    let defaults = Table::try_from(Config::default()).map_err(|err| ConfigError(err.to_string()))?;
    let mut keys = Vec::new();
    for (name, default) in defaults {
        match default {
            Value::Table(section) => {
                keys.extend(section.into_iter().map(|(inner, default)| Key::of(name.clone(), inner, default)));
            }
            default => keys.push(Key::of(String::new(), name, default)),
        }
    }
    Ok(keys)
}

impl Key {
    fn of(section: String, name: String, default: Value) -> Self {
        let path = if section.is_empty() { name.clone() } else { format!("{section}_{name}") };
        Self { variable: format!("{ENVIRONMENT_PREFIX}{}", path.to_uppercase()), section, name, default }
    }

    /// Sets it in a configuration.
    fn set(&self, table: &mut Table, text: &str) -> Result<(), ConfigError> {
        let value = self.read(text)?;
        let table = match self.section.as_str() {
            "" => table,
            section => {
                let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
                let no_section = || ConfigError(format!("{section} must be a section, [{section}]"));
                inner.as_table_mut().ok_or_else(no_section)?
            }
        };
        table.insert(self.name.clone(), value);
        Ok(())
    }

    /// Reads a text as the kind of value that the default is.
    fn read(&self, text: &str) -> Result<Value, ConfigError> {
        let wrong = |expected: &str| ConfigError(format!("{} must be {expected}", self.variable));
        Ok(match self.default {
            Value::Boolean(_) => Value::Boolean(text.parse().map_err(|_| wrong("true or false"))?),
            Value::Integer(_) => Value::Integer(text.parse().map_err(|_| wrong("a number"))?),
            Value::Array(_) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
            }
            Value::Table(_) => {
                return Err(ConfigError(format!("{}: only the file has this table", self.variable)));
            }
            _ => Value::String(text.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_no_key_is_a_warning_and_changes_nothing() {
        let environment = [
            ("ENROLLD_SOKCET", "/a"),
            ("ENROLLD_DATABASE_CACHE", "8"),
            ("ENROLLD_COLOR", "never"),
            ("ENROLLD_CONFIG", "/b"),
            ("ENROLLD_SOCKET", "/c"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let warnings = unknown_variables(&environment);
        let lines: Vec<_> = warnings.iter().map(|(name, why)| (name.as_str(), why.rsplit("; ").next())).collect();
        assert_eq!(
            lines,
            [
                ("ENROLLD_SOKCET", Some("did you mean \"ENROLLD_SOCKET\"?")),
                ("ENROLLD_DATABASE_CACHE", Some("did you mean \"ENROLLD_DATABASE_CACHE_MIB\"?")),
                ("ENROLLD_COLOR", Some("enrolld --example-config lists the keys")),
            ]
        );
        let config = Config::parse("", environment).expect("a configuration");
        assert_eq!(config, Config { socket: "/c".into(), ..Config::default() });
    }
}
