//! Fixtures of the tests: an in-process registry, daemons as real processes, simulated disks that fail, a linearizability
//! checker, and the properties that fuzz targets check.

pub mod booted;
pub mod cleanup;
pub mod cluster;
pub mod console;
pub mod conversation;
pub mod disk;
pub mod etcd;
pub mod fuzz;
pub mod holes;
pub mod hook;
pub mod issuer;
pub mod linearizability;
pub mod load;
pub mod machine;
pub mod member;
pub mod neighbours;
pub mod openmetrics;
pub mod openssl;
pub mod oracle;
pub mod package;
pub mod pages;
pub mod pattern;
pub mod poll;
pub mod postgres;
pub mod process;
pub mod process_memory;
pub mod proxy;
pub mod registry;
pub mod seed;
pub mod shared_memory;
pub mod skip;
pub mod socket;
pub mod terminal;
pub mod token_race;
