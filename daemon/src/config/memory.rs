//! The memory that a configuration lets the daemon take, as a memory limit must leave it.

use super::Config;

/// A connection beside the memory budget: its base allowance and its state.
const CONNECTION_KIB: usize = 48;

/// The memory that does not depend on the configuration: the program, a batch of writes, a request that is decoded, a
/// scan.
const FIXED_MIB: usize = 96;

impl Config {
    /// The most memory that the daemon takes, about, in MiB. The database takes 2.2 times its cache.
    pub fn memory_mib(&self) -> usize {
        let Self { database, journal, server, .. } = self;
        let database_mib = (22 * database.cache_mib).div_ceil(10);
        let connections = server.connections.saturating_add(server.admin_connections);
        let connections_mib = (connections * CONNECTION_KIB).div_ceil(1 << 10);
        database_mib + journal.memory_mib + server.memory_mib + connections_mib + FIXED_MIB
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_that_takes_memory_counts() {
        let default = Config::default().memory_mib();
        for (toml, more) in [
            ("[database]\ncache_mib = 74", 22),
            ("[journal]\nmemory_mib = 193", 1),
            ("[server]\nmemory_mib = 66", 2),
            ("[server]\nconnections = 2048", 48),
            ("[server]\nadmin_connections = 1040", 48),
        ] {
            let config = Config::parse(toml, []).expect("a configuration");
            assert_eq!(config.memory_mib(), default + more, "{toml}");
        }
    }
}
