//! The secret key's file: 32 random bytes in base64, one line, readable by the daemon's user alone.
//!
//! It is made at the very first start and never again: with a new key over an existing database every spent token would
//! be fresh again, so a database without its key is a refusal to start.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use enroll_protocol::without_mark;
use nix::fcntl::OFlag;
use zeroize::{Zeroize as _, Zeroizing};

use crate::file_error::FileError;
use crate::ownership::Own;
use crate::storage::private_dir::Directory;
use enroll_core::identity::secrets::SecretKey;

/// The name of the key's file in the state directory, and of the systemd credential.
pub const KEY: &str = "enrolld.key";

/// Suffixes of the files of an old key and of the next one.
const OLD: &str = ".old";
const NEXT: &str = ".next";

/// The suffix of a copy that systemd-creds has sealed to the machine.
const SEALED: &str = ".sealed";

/// The suffix of a file that is being made.
const UNFINISHED: &str = ".new";

/// An error of a secret key that can not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is a database, but not its key.
    #[error(
        "{key} is missing, and {database} was made with it: put the key back from its backup; \
         without it no token, code or signing key of this database can be read"
    )]
    Missing {
        /// The path of the key.
        key: PathBuf,
        /// The database.
        database: PathBuf,
    },
    /// The file holds no key.
    #[error("{0} does not hold a key: 32 bytes in base64 on one line")]
    Unreadable(PathBuf),
    /// The file can not be used.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Reads the key, or makes it of these random bytes if there is neither a key nor a database. Refuses a database
/// without its key.
pub fn read_or_make(path: &Path, database: Option<PathBuf>, random: [u8; 32]) -> Result<SecretKey, KeyError> {
    let (parent, name) = parent_and_name(path)?;
    let directory = Directory::open(parent)?;
    match database {
        _ if directory.has(name) => read(path, directory.open_private(name, OFlag::O_RDONLY)?),
        Some(database) => Err(KeyError::Missing { key: path.to_owned(), database }),
        None => make(path, name, &directory, SecretKey::new(random)),
    }
}

/// Makes the key of these random bytes, before the first start. Refuses a file that is there already.
pub fn make_first(path: &Path, random: [u8; 32]) -> Result<(), KeyError> {
    let (parent, name) = parent_and_name(path)?;
    make(path, name, &Directory::open_for_owner(parent, name)?, SecretKey::new(random)).map(drop)
}

/// Removes the key, the one before it, the next one and the sealed copy, as far as they are there.
pub fn remove_all(path: &Path) -> Result<(), KeyError> {
    let (parent, name) = parent_and_name(path)?;
    let directory = Directory::open_for_owner(parent, name)?;
    names(name).iter().try_for_each(|name| directory.remove(name))?;
    Ok(directory.sync()?)
}

/// The paths of the key, the one before it, the next one and the sealed copy, as far as they are there.
pub fn all(path: &Path) -> Result<Vec<PathBuf>, KeyError> {
    let (parent, name) = parent_and_name(path)?;
    let paths = names(name).map(|name| parent.join(name));
    Ok(paths.into_iter().filter(|path| path.symlink_metadata().is_ok()).collect())
}

/// Reads the key, if it is there.
pub fn find(path: &Path) -> Result<Option<SecretKey>, KeyError> {
    let (parent, name) = parent_and_name(path)?;
    let directory = match Directory::open_for_owner(parent, name) {
        Err(FileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        directory => directory?,
    };
    if !directory.has(name) {
        return Ok(None);
    }
    read(path, directory.open_private(name, OFlag::O_RDONLY)?).map(Some)
}

/// Reads the key that is to replace this one, if there is one.
pub fn find_next(path: &Path) -> Result<Option<SecretKey>, KeyError> {
    find(&beside(path, NEXT))
}

/// Makes the key that is to replace this one, of these random bytes.
pub fn make_next(path: &Path, random: [u8; 32]) -> Result<SecretKey, KeyError> {
    write(path, NEXT, SecretKey::new(random))
}

/// Replaces this key with the next one and keeps the old one. Returns the path of the old one.
pub fn publish_next(path: &Path, before: &SecretKey) -> Result<PathBuf, KeyError> {
    let old = beside(path, OLD);
    let (parent, name) = parent_and_name(path)?;
    let directory = Directory::open_for_owner(parent, name)?;
    if !directory.has(&format!("{name}{OLD}")) {
        write(path, OLD, before.clone())?;
    }
    directory.publish(&format!("{name}{NEXT}"), name)?;
    Ok(old)
}

/// The path of the old key of an earlier rotation, if it is still there: another rotation would overwrite it.
pub fn find_earlier(path: &Path, key: &SecretKey) -> Result<Option<PathBuf>, KeyError> {
    let (old, (parent, name)) = (beside(path, OLD), parent_and_name(path)?);
    if !Directory::open_for_owner(parent, name)?.has(&format!("{name}{OLD}")) {
        return Ok(None);
    }
    // An interrupted rotation has stored this same key already.
    let is_this = find(&old).is_ok_and(|kept| kept.is_some_and(|kept| kept.as_slice() == key.as_slice()));
    Ok((!is_this).then_some(old))
}

/// The names of the files of a key of this name, whole or not.
fn names(name: &str) -> [String; 7] {
    ["", OLD, NEXT, SEALED, UNFINISHED, ".old.new", ".next.new"].map(|ending| format!("{name}{ending}"))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Makes a key file beside this one, for the same owner.
fn write(path: &Path, ending: &str, key: SecretKey) -> Result<SecretKey, KeyError> {
    let (parent, name) = parent_and_name(path)?;
    make(&beside(path, ending), &format!("{name}{ending}"), &Directory::open_for_owner(parent, name)?, key)
}

/// Reads the key that systemd passed as a credential.
pub fn read_credential(path: &Path) -> Result<SecretKey, KeyError> {
    read(path, Own::user().open_credential(path)?)
}

fn parent_and_name(path: &Path) -> Result<(&Path, &str), KeyError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((parent, name.ok_or_else(|| KeyError::Unreadable(path.to_owned()))?))
}

fn read(path: &Path, file: File) -> Result<SecretKey, KeyError> {
    let mut text = Zeroizing::new(String::new());
    let unreadable = || KeyError::Unreadable(path.to_owned());
    file.take(1024).read_to_string(&mut text).map_err(|_| unreadable())?;
    let bytes = Zeroizing::new(STANDARD.decode(without_mark(&text).trim()).map_err(|_| unreadable())?);
    bytes.as_slice().try_into().map(SecretKey::new).map_err(|_| unreadable())
}

/// Writes a key file under a temporary name and renames it when it is durable: a crash leaves the whole key or none. A key
/// that is there is never replaced.
fn make(path: &Path, name: &str, directory: &Directory, key: SecretKey) -> Result<SecretKey, KeyError> {
    let new = format!("{name}{UNFINISHED}");
    let mut file = directory.create_private(&new)?;
    let mut line = STANDARD.encode(key.as_slice());
    line.push('\n');
    let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_all());
    line.zeroize();
    written.map_err(|source| FileError::Io { path: path.to_owned(), source })?;
    directory.publish_new(&new, name)?;
    Ok(key)
}
