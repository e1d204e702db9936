//! The commands that read or write files: backup, export, import, metrics, and the installation of a person's
//! credentials.

mod atomic_file;
mod download;
mod progress;

pub(crate) mod backup;
pub(crate) mod credentials;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod metrics;

pub(crate) use self::atomic_file::AtomicFile;
pub(crate) use self::progress::progress_bar;
