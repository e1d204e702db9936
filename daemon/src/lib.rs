//! enrolld: the daemon.
//!
//! A request walks one way: [`net`] accepts a connection, a session reads the request, draws its [`context`] and finds
//! its rule. A read runs on an MVCC snapshot and is answered. A write goes to the [`writer`] thread, which runs the rule
//! on an overlay, commits a whole batch through the [`store`], and answers. The [`rules`] know none of that: they see a
//! state, a context and a request.

pub mod config;
pub mod context;
pub mod directory;
pub mod fault;
pub mod identity;
mod memory;
pub mod metrics;
pub mod model;
pub mod needs;
pub mod net;
pub mod offline;
mod places;
mod process;
pub mod rules;
pub mod start;
pub mod store;
pub mod sys;
pub mod systemd;
pub mod warnings;
pub mod writer;
