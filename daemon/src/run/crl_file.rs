//! The certificate revocation list (CRL) as a file, for web servers: written when its number changes, and replaced
//! atomically, so that a reader finds a whole one.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::OFlag;

use crate::net::Shared;
use enroll_core::fault::Fault;
use enroll_core::identity::crl::List;

/// The least time between two lists: revocations in it share one.
const PAUSE: Duration = Duration::from_secs(1);

/// The file's mode: readable for everybody.
const MODE: u32 = 0o644;

/// The time until a failed write is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// A written list and its path.
#[derive(Clone)]
struct Written {
    path: PathBuf,
    list: Arc<List>,
}

/// Keeps the file up to date, while the configuration names one. A failed write is tried again after [`RETRY`].
pub(super) async fn keep(shared: Arc<Shared>) {
    let (mut changes, mut settings) = (shared.changes.clone(), shared.daemon.settings.subscribe());
    let mut written = None;
    loop {
        let path = settings.borrow_and_update().list_file.clone();
        changes.borrow_and_update();
        let mut retry = None;
        if let Some(path) = path.clone() {
            let (shared, before) = (Arc::clone(&shared), written.clone());
            let done = tokio::task::spawn_blocking(move || publish(&shared, path, before)).await;
            match done.unwrap_or_else(|err| Err(io::Error::other(err))) {
                Ok(now) => written = Some(now),
                Err(err) => {
                    tracing::error!(%err, "writing certificates.crl_file failed; retrying in a minute");
                    retry = Some(RETRY);
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
        tokio::select! {
            changed = changes.changed(), if path.is_some() && retry.is_none() => if changed.is_err() { return },
            changed = settings.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(retry.unwrap_or_default()), if retry.is_some() => {}
        }
    }
}

/// Writes the list, unless the file already has it.
fn publish(shared: &Shared, path: PathBuf, before: Option<Written>) -> io::Result<Written> {
    let failed = |err: Fault| io::Error::other(err.to_string());
    let view = shared.store.view().map_err(|err| failed(err.into()))?;
    let daemon = &shared.daemon;
    let list = daemon.lists.of(&*view, &daemon.identity.now().authority).map_err(failed)?;
    if before.is_some_and(|before| before.path == path && Arc::ptr_eq(&before.list, &list)) {
        return Ok(Written { path, list });
    }
    if !has(&path, list.pem.as_bytes()) {
        write(&path, list.pem.as_bytes()).map_err(|err| io::Error::other(format!("{}: {err}", path.display())))?;
        tracing::info!(number = list.number, "the list of revoked certificates was written to certificates.crl_file");
    }
    Ok(Written { path, list })
}

/// True if a file holds exactly these bytes, and everybody may read it.
fn has(path: &Path, bytes: &[u8]) -> bool {
    let mut found = Vec::new();
    if !path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & MODE == MODE) {
        return false;
    }
    let read = File::open(path).and_then(|file| file.take(bytes.len() as u64 + 1).read_to_end(&mut found));
    read.is_ok() && found == bytes
}

/// Replaces a file atomically and durably.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::other("this is no file's name"))?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    let new = directory.join(format!(".{}.new", name.to_string_lossy()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(MODE).custom_flags(OFlag::O_NOFOLLOW.bits());
    let mut file = options.open(&new)?;
    // Set beside the umask: servers of other users read the file.
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    File::open(directory)?.sync_all()
}
