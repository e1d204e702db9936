//! A new file: it has its name when it is whole, and never takes that of another.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use tempfile::NamedTempFile;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// Where a file will be.
pub(crate) struct Place {
    path: PathBuf,
    directory: PathBuf,
    /// What messages call it, such as `backup`.
    what: &'static str,
}

impl Place {
    /// Refuses the place of a file that is there.
    pub(crate) fn find(path: &Path, what: &'static str) -> Result<Self, Failure> {
        if path.symlink_metadata().is_ok() {
            return Err(is_there(path));
        }
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Self { path: path.to_owned(), directory: directory.to_owned(), what })
    }

    /// As it was asked for.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// A file without that name yet, readable by this user alone, which is removed unless it is given it.
    pub(crate) fn begin(&self) -> Result<NamedTempFile, Failure> {
        let prefix = format!(".enrolld-{}-", self.what);
        NamedTempFile::with_prefix_in(prefix, &self.directory).map_err(self.failed())
    }

    /// Gives a whole file its name, durably.
    pub(crate) fn publish(&self, file: NamedTempFile) -> Result<(), Failure> {
        file.as_file().sync_all().map_err(self.failed())?;
        file.persist_noclobber(&self.path).map_err(|err| match err.error.raw_os_error() {
            Some(errno) if Errno::from_raw(errno) == Errno::EEXIST => is_there(&self.path),
            _ => self.failed()(err.error),
        })?;
        File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(self.failed())
    }

    pub(crate) fn failed(&self) -> impl Fn(io::Error) -> Failure {
        let (path, what) = (self.name(), self.what);
        move |err| Failure::Own(format!("{path}: {err}; no {what} was made"))
    }
}

/// Makes a file unless a signal comes first, by which what was begun of it goes.
pub(crate) async fn unless_interrupted<T>(made: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Io)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Io)?;
    let interrupted = || Failure::Own("interrupted; nothing was kept".to_owned());
    tokio::select! {
        made = made => made,
        _ = interrupt.recv() => Err(interrupted()),
        _ = terminate.recv() => Err(interrupted()),
    }
}

fn is_there(path: &Path) -> Failure {
    Failure::Usage(format!("{} is there already; choose another name, or move it away", path.display()))
}
