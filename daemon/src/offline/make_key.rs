//! `enrolld make-key FILE`: makes the secret key before the first start, where systemd passes it as a credential.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{OfflineError, Place};
use crate::daemon::clock::draw_seed;
use crate::run::print;
use crate::storage::key_file;
use crate::storage::open::DATABASE;

/// Arguments of `enrolld make-key`.
#[derive(Debug, Args)]
pub struct MakeKey {
    /// The new file, in a directory that is there
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

impl MakeKey {
    pub(super) fn run(self) -> Result<ExitCode, OfflineError> {
        let (_, paths) = self.place.find(None)?;
        let (key, database) = (self.file, paths.state_dir.join(DATABASE));
        if is_there(&key)? {
            return Err(OfflineError::HasKey(key));
        }
        if is_there(&database)? {
            return Err(OfflineError::HasRegistry { key, database });
        }
        key_file::make_first(&key, draw_seed())?;
        print(&format!(
            "{} is a new secret key\n  keep a copy in another place: without it the registry is of no use to anybody\n",
            key.display()
        ));
        Ok(ExitCode::SUCCESS)
    }
}

/// True if there is a file, or a link that leads nowhere. Fails where that can not be seen.
fn is_there(path: &Path) -> Result<bool, OfflineError> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(err) => Err(OfflineError::Read(path.display().to_string(), err)),
    }
}
