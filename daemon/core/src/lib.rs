//! The pure core of enrolld: the domain's rules, their records and their keys.
//!
//! A rule is a function of a [`state`], a [`context`] and a request. Nothing here knows a thread, a file, a socket, a clock
//! or a log: what is slow or random by nature a rule [`needs`], and the daemon brings it.

pub mod context;
pub mod draft;
pub mod fault;
pub mod identity;
pub mod model;
pub mod needs;
pub mod rules;
pub mod settings;
pub mod state;
