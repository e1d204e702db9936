//! enrolld: the daemon around the pure rules of [`enroll_core`].
//!
//! A request goes one way. [`net`] accepts a connection; its session reads the request, makes its context and finds its
//! rule through [`dispatch`]. A read runs on an MVCC snapshot and is answered. A write goes to the [`writer`] thread,
//! which runs the rule on an overlay, commits a whole batch through [`storage`], and answers.
//!
//! Modules import only those before them: `sys`, `fair_queue`, `linger`, `members`, `ownership`, `metrics`, `process`, `storage`,
//! `config`, `daemon`, `dispatch`, `writer`, `net`, `run`, `offline`, `arguments`.

mod arguments;
#[cfg(feature = "etcd")]
pub mod cluster;
pub mod config;
pub mod daemon;
pub mod dispatch;
mod fair_queue;
mod file_error;
mod linger;
mod members;
pub mod metrics;
pub mod net;
pub mod offline;
pub mod ownership;
mod process;
pub mod run;
pub mod storage;
pub mod sys;
pub mod writer;

pub use arguments::{command, main};
