//! An atomic file: it gets its name when it is complete and synced. It never replaces another file, unless it is said to.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use tempfile::NamedTempFile;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// The path of a file that is to be made.
pub(crate) struct AtomicFile {
    path: PathBuf,
    directory: PathBuf,
    /// The kind of file in messages, such as `backup`.
    what: &'static str,
}

impl AtomicFile {
    /// Refuses the path of a file that exists.
    pub(super) fn new(path: &Path, what: &'static str) -> Result<Self, Failure> {
        if path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        Ok(Self { path: path.to_owned(), directory: directory_of(path).to_owned(), what })
    }

    /// Writes these bytes in place of the file of this path, or where there is none, with this mode. A reader, and a
    /// machine that loses its power, find the bytes of before or these.
    pub(crate) fn replace(path: &Path, what: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
        let directory = directory_of(path);
        let mut file = NamedTempFile::with_prefix_in(format!(".enrolld-{what}-"), directory)?;
        file.write_all(bytes)?;
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(directory)?.sync_all()
    }

    /// The path as it was given.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Opens a temporary file in the same directory, readable by this user alone. Dropping it removes it.
    pub(super) fn begin(&self) -> Result<NamedTempFile, Failure> {
        let prefix = format!(".enrolld-{}-", self.what);
        NamedTempFile::with_prefix_in(prefix, &self.directory).map_err(self.failed())
    }

    /// Syncs the complete file, gives it its name, and syncs its directory.
    pub(super) fn publish(&self, file: NamedTempFile) -> Result<(), Failure> {
        file.as_file().sync_all().map_err(self.failed())?;
        file.persist_noclobber(&self.path).map_err(|err| match err.error.raw_os_error() {
            Some(errno) if Errno::from_raw(errno) == Errno::EEXIST => exists(&self.path),
            _ => self.failed()(err.error),
        })?;
        File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(self.failed())
    }

    /// The failure of an I/O error of this file.
    pub(super) fn failed(&self) -> impl Fn(io::Error) -> Failure {
        let (path, what) = (self.name(), self.what);
        move |err| Failure::Own(format!("{path}: {err}; no {what} was made"))
    }
}

/// Awaits `made` unless SIGINT or SIGTERM comes first, which drops and thereby removes the temporary file.
pub(super) async fn unless_interrupted<T>(made: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Io)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Io)?;
    let interrupted = || Failure::Own("interrupted; nothing was kept".to_owned());
    tokio::select! {
        made = made => made,
        _ = interrupt.recv() => Err(interrupted()),
        _ = terminate.recv() => Err(interrupted()),
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn exists(path: &Path) -> Failure {
    Failure::Usage(format!("{} is there already; choose another name, or move it away", path.display()))
}
