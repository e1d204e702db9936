//! The pure core of enrolld: the domain's rules, their records and their keys.
//!
//! A rule is a function of a [`state`], a [`context`] and a request. No module here knows a thread, a file, a socket, a
//! clock or a log: things that are slow or random by nature are [`needs`], which the daemon makes.

pub mod context;
pub mod delegation;
pub mod draft;
pub mod fault;
pub mod identity;
pub mod model;
pub mod needs;
pub mod rules;
pub mod settings;
pub mod state;
