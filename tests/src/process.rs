//! Daemons and command lines as real processes.
