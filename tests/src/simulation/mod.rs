//! The simulation of the whole core under one seed: the real sessions, queue, writer, timers, rules, journal, flusher and
//! tree, without a thread, over disks, sockets, a clock and random bytes of their own. A scheduler takes one step of them
//! after another, and has faults come. One seed is one run, byte for byte.
//!
//! A model that is written from what the domain says follows the changes in the order of their numbers. Each answer must be
//! what the model says at its change; what changes nothing is judged at a change between the request and the answer. What was
//! not acknowledged may have happened, wholly. After each start the registry is checked and compared with the model.

mod answers;
mod asking;
mod backups;
mod beginning;
mod bulk;
mod campaign;
mod certificates;
mod client;
mod cluster;
mod compare;
mod control;
mod core;
mod events;
mod exchange;
mod following;
mod guesses;
mod hosts;
mod judge;
mod limits;
mod member;
mod model;
mod moves;
pub mod mutants;
mod opening;
mod operations;
mod owners;
mod people;
mod plan;
mod programs;
mod run;
mod sessions;
mod shared_journal;
mod steps;
mod stuck;
mod transactions;
mod wire;

pub use campaign::{Wrong, campaign, shrunk, tried};
pub use control::Control;
pub use plan::{Area, Fault, Plan};
pub use run::{Figures, run};
