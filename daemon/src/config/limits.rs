//! Limits of connections, from the configuration: numbers, sizes and timeouts.

use std::time::Duration;

use super::Config;

/// Limits of connections.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections of one user at once.
    pub connections_per_uid: usize,
    /// Further connections at once, only for `admin` peers.
    pub admin_connections: usize,
    /// The largest frame either side may send.
    pub frame_bytes_max: usize,
    /// The timeout from a frame's first byte to its last, and from the connection to the hello.
    pub finish_frame: Duration,
    /// The timeout of a peer that does not read its answers.
    pub take_answer: Duration,
    /// The timeout of an idle connection.
    pub idle: Duration,
}

impl Config {
    /// The limits of connections in this configuration.
    pub fn limits(&self) -> Limits {
        let server = &self.server;
        Limits {
            connections: server.connections,
            connections_per_uid: server.connections_per_uid,
            admin_connections: server.admin_connections,
            frame_bytes_max: server.frame_kib << 10,
            finish_frame: Duration::from_secs(server.finish_frame_seconds),
            take_answer: Duration::from_secs(server.take_answer_seconds),
            idle: Duration::from_secs(server.idle_seconds),
        }
    }
}
