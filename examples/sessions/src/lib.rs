//! A login service on enrolld: a login code becomes a session once, sessions are verified here without asking anybody,
//! and tickets, which are one-time tokens, are spent once.
//!
//! There is no lock, no table and no check before a write: each rule is one call, which succeeds once or is refused.
//! Any number of these services may run side by side.
//!
//! - `keys`: the daemon's public keys, and sessions that they verify.
//! - `routes`: requests, and the call that each of them is.
//! - `refused`: refusals as HTTP says them.

mod keys;
mod refused;
mod routes;

pub use keys::Keys;
pub use routes::router;
