//! enrolld: the daemon.
//!
//! A request walks one way: [`server`] accepts, the door lets in whom it may, [`session`] reads the request and draws
//! its [`context`], [`dispatch`] finds its rule. A read runs on a snapshot and is answered. A write goes to the
//! [`writer`], which runs the rule on an overlay, commits a whole batch through the [`store`], and answers. The
//! [`rules`] know none of that: they see a state, a context and a request.

pub mod config;
pub mod context;
pub mod directory;
pub mod dispatch;
mod door;
pub mod fault;
pub mod grants;
pub mod handshake;
pub mod identity;
mod memory;
pub mod metrics;
pub mod model;
pub mod offline;
mod places;
mod process;
mod room;
pub mod rules;
pub mod server;
pub mod session;
pub mod start;
pub mod store;
pub mod sys;
pub mod systemd;
pub mod warnings;
pub mod writer;
