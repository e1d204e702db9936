//! What the tests of enrolld are made of: a registry inside the test's own process, daemons as real processes, and a
//! checker of what their clients were answered.

pub mod disk;
pub mod linearizability;
pub mod load;
pub mod openmetrics;
pub mod pattern;
pub mod process;
pub mod registry;
pub mod witness;
