//! What the tests of enrolld are made of: a registry inside the test's own process, and daemons as real processes.

pub mod pattern;
pub mod process;
pub mod registry;
