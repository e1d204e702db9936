//! The part of the configuration that connections keep to.

use std::time::Duration;

use super::Config;

/// What a connection may take, and how many there may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections of one user at once.
    pub connections_per_uid: usize,
    /// The largest frame either side may send.
    pub frame_bytes_max: usize,
    /// From a frame's first byte to its last, and from the connection to the hello.
    pub finish_frame: Duration,
    /// How long a peer may leave answers untouched.
    pub take_answer: Duration,
    /// How long a silent connection lives.
    pub idle: Duration,
}

impl Config {
    /// The part that connections keep to.
    pub fn limits(&self) -> Limits {
        let server = &self.server;
        Limits {
            connections: server.connections,
            connections_per_uid: server.connections_per_uid,
            frame_bytes_max: server.frame_kib << 10,
            finish_frame: Duration::from_secs(server.finish_frame_seconds),
            take_answer: Duration::from_secs(server.take_answer_seconds),
            idle: Duration::from_secs(server.idle_seconds),
        }
    }
}
