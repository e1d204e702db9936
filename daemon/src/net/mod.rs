//! The socket's side: a connection is accepted, admitted or refused, greeted, and served by a session, which decodes
//! requests, runs reads on snapshots, sends writes to the writer, and writes answers.

mod admission;
mod connection_limit;
mod deadlines;
pub mod dispatch;
pub mod grants;
pub mod handshake;
pub mod listener;
mod outbox;
mod pending;
pub mod session;
mod snapshot_stream;
mod subscriptions;
