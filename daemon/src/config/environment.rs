//! Configuration keys from environment variables: `ENROLLD_` and the key's path in upper case.

use toml::{Table, Value};

use super::{Config, ConfigError};

const ENVIRONMENT_PREFIX: &str = "ENROLLD_";

/// The variables of the environment that begin with `ENROLLD_`.
pub fn environment() -> Result<Vec<(String, String)>, ConfigError> {
    let own = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    own.filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX))
        .map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(ConfigError(format!("{name} is not UTF-8"))),
        })
        .collect()
}

/// Sets the keys that these variables name, over those of a file.
pub(super) fn apply(
    table: &mut Table,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<(), ConfigError> {
    for (name, text) in environment {
        if let Some(key) = name.strip_prefix(ENVIRONMENT_PREFIX).filter(|key| *key != "CONFIG") {
            set_from_environment(table, key, &text)?;
        }
    }
    Ok(())
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
    let wrong = |expected: &str| ConfigError(format!("{ENVIRONMENT_PREFIX}{name} must be {expected}"));
    Ok(match default {
        Value::Boolean(_) => Value::Boolean(text.parse().map_err(|_| wrong("true or false"))?),
        Value::Integer(_) => Value::Integer(text.parse().map_err(|_| wrong("a number"))?),
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
        Value::Table(_) => {
            return Err(ConfigError(format!("{ENVIRONMENT_PREFIX}{name}: only the file has this table")));
        }
        _ => Value::String(text.to_owned()),
    })
}
