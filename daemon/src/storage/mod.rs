//! Storage: the state directory and its stores, a redb database with a write-ahead log in front of it. `redb.rs` is the
//! only file that names redb.

pub mod copy_on_write;
pub mod direct_io;
pub mod disk;
pub mod journal;
pub mod key_file;
pub mod open;
pub mod private_dir;
pub mod redb;
pub mod shared_journal;

use enroll_core::state::StoreError;

use crate::file_error;

/// A constructor of storage errors for this action, which names the limit of the process that an I/O error is about.
pub fn io_error<E: std::fmt::Display>(doing: &'static str) -> impl Fn(E) -> StoreError {
    move |err| StoreError::Io { doing, error: format!("{err}{}", file_error::limit_reached(&err)) }
}
