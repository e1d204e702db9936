//! A client of etcd's version 3 API over gRPC: transactions, ranges, leases, watches, compaction.
//!
//! It has what a replicated write-ahead log needs of etcd, and no more. It makes no decision of its own: no retry, no
//! cache, no election. Every error says what a caller can do about it.
//!
//! ```no_run
//! # async fn example() -> Result<(), enroll_etcd::Error> {
//! use std::time::Duration;
//! use enroll_etcd::{Client, Config, Txn};
//!
//! let endpoints = vec!["http://127.0.0.1:2379".to_owned()];
//! let config = Config { endpoints, timeout: Duration::from_secs(1), ..Config::default() };
//! let client = Client::new(&config)?;
//! let (lease, _) = client.grant_lease(Duration::from_secs(5)).await?;
//! let made = client.txn(Txn::new().if_missing("leader").put("leader", "a", lease).else_get("leader")).await?;
//! assert!(made.succeeded);
//! # Ok(())
//! # }
//! ```

mod client;
mod error;
pub mod messages;
mod txn;
mod watch;

pub use client::{Client, Config};
pub use error::Error;
pub use txn::Txn;
pub use watch::{Change, Watch};
