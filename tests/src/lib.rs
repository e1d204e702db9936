//! What the tests of enrolld are made of: a registry inside the test's own process, daemons as real processes, disks that
//! fail, a checker of what clients were answered, and what must hold of arbitrary bytes.

pub mod booted;
pub mod disk;
pub mod fuzz;
pub mod issuer;
pub mod leftovers;
pub mod linearizability;
pub mod load;
pub mod machine;
pub mod openmetrics;
pub mod openssl;
pub mod pages;
pub mod pattern;
pub mod process;
pub mod registry;
pub mod seed;
pub mod skip;
pub mod socket;
pub mod witness;
