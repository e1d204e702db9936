//! A private directory: its files belong to one user alone. Files are opened by name below an open directory (openat),
//! never by a path that somebody could redirect in between, and each is checked after it is opened.
//!
//! The user is the one of the process. Only in offline commands root acts for the owner of the files.

use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat, renameat2};
use nix::sys::stat::{Mode, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, getegid, geteuid, unlinkat};

use crate::file_error::{FileError, whose_it_must_be};
use crate::ownership::Own;

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    file: File,
    owner: Owner,
}

/// The owner of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Owner {
    uid: u32,
    gid: u32,
}

impl Directory {
    /// Opens a directory that only its owner can write to. Refuses one of another user than this one or root.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        Self::open_as(path, |_| Owner::this_user())
    }

    /// Opens it; as root, for the directory's owner, so new files belong to that user. In a directory of root's they
    /// belong to the owner of this file, if there is one.
    pub fn open_for_owner(path: &Path, name: &str) -> Result<Self, FileError> {
        if !geteuid().is_root() {
            return Self::open(path);
        }
        Self::open_as(path, |directory| {
            let own = fstat(directory).ok().filter(|own| own.st_uid != 0);
            let owner = own.or_else(|| fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok());
            owner.map_or_else(Owner::this_user, |stat| Owner { uid: stat.st_uid, gid: stat.st_gid })
        })
    }

    fn open_as(path: &Path, owner: impl FnOnce(&File) -> Owner) -> Result<Self, FileError> {
        let failed = |source| FileError::Io { path: path.to_owned(), source };
        let not_safe = |problem| Err(FileError::Unsafe { path: path.to_owned(), problem });
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let file = std::fs::OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let owner = owner(&file);
        if metadata.uid() != owner.uid && metadata.uid() != 0 {
            return not_safe(format!("belongs to uid {}; {}", metadata.uid(), owner.way_out(path)));
        }
        if metadata.mode() & 0o022 != 0 {
            return not_safe(format!(
                "can be written to by others (mode {:o}); run: chmod go-w {}",
                metadata.mode() & 0o7777,
                path.display()
            ));
        }
        Own::on_the_way(owner.uid).check_directory(path)?;
        Ok(Self { path: path.to_owned(), file, owner })
    }

    /// The path of a file of this directory, for messages.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// True if there is a file of this name.
    pub fn has(&self, name: &str) -> bool {
        fstatat(&self.file, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
    }

    /// Opens a file that must be private: a regular file with one link, owned by this user, closed to others. A file
    /// that the flags make gets these properties.
    pub fn open_private(&self, name: &str, flags: OFlag) -> Result<File, FileError> {
        let path = self.path_of(name);
        let not_safe = |problem: String| Err(FileError::Unsafe { path: path.clone(), problem });
        // O_NONBLOCK, so that a pipe of that name is refused and not waited for.
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = match openat(&self.file, name, flags, Mode::from_bits_truncate(0o600)) {
            Ok(descriptor) => File::from(descriptor),
            Err(Errno::ELOOP) => return not_safe("is a symbolic link; put the file itself here".to_owned()),
            Err(errno) => return Err(self.failed(name)(errno)),
        };
        let failed = |source| FileError::Io { path: path.clone(), source };
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() || metadata.nlink() != 1 {
            return not_safe("must be a regular file with one name; move it away".to_owned());
        }
        // Made by root just now, or left empty by an earlier run as root.
        let is_new = flags.contains(OFlag::O_CREAT) && metadata.len() == 0 && metadata.uid() == geteuid().as_raw();
        if is_new && self.owner != Owner::this_user() {
            fchown(&file, Some(self.owner.uid), Some(self.owner.gid)).map_err(failed)?;
        } else if metadata.uid() != self.owner.uid {
            return not_safe(format!("belongs to uid {}; {}", metadata.uid(), self.owner.way_out(&path)));
        }
        if metadata.mode() & 0o077 != 0 {
            return not_safe(format!(
                "is open to others (mode {:o}); run: chmod 600 {}",
                metadata.mode() & 0o7777,
                path.display()
            ));
        }
        Ok(file)
    }

    /// Removes a file, if it is there.
    pub fn remove(&self, name: &str) -> Result<(), FileError> {
        match unlinkat(&self.file, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(self.failed(name)(errno)),
        }
    }

    /// Makes a new file, and replaces one that an interrupted start left.
    pub fn create_private(&self, name: &str) -> Result<File, FileError> {
        self.remove(name)?;
        self.open_private(name, OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL)
    }

    /// Makes a new file, durably. Refuses an existing one.
    pub fn make_private(&self, name: &str) -> Result<File, FileError> {
        let file = self.open_private(name, OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL)?;
        self.sync()?;
        Ok(file)
    }

    /// Renames a finished file, durably.
    pub fn publish(&self, new: &str, name: &str) -> Result<(), FileError> {
        renameat(&self.file, new, &self.file, name).map_err(self.failed(name))?;
        self.sync()
    }

    /// Renames a finished file, durably. Refuses a name that is taken (`EEXIST`).
    pub fn publish_new(&self, new: &str, name: &str) -> Result<(), FileError> {
        match renameat2(&self.file, new, &self.file, name, RenameFlags::RENAME_NOREPLACE) {
            // A file system that has no such rename.
            Err(Errno::EINVAL) if !self.has(name) => return self.publish(new, name),
            renamed => renamed.map_err(self.failed(name))?,
        }
        self.sync()
    }

    /// Makes new names and removed ones durable.
    pub fn sync(&self) -> Result<(), FileError> {
        self.file.sync_all().map_err(|source| FileError::Io { path: self.path.clone(), source })
    }

    fn failed(&self, name: &str) -> impl Fn(Errno) -> FileError {
        let path = self.path_of(name);
        move |errno| FileError::Io { path: path.clone(), source: errno.into() }
    }
}

impl Owner {
    fn this_user() -> Self {
        Self { uid: geteuid().as_raw(), gid: getegid().as_raw() }
    }

    /// The way out, for people, if the owner is another user.
    fn way_out(self, path: &Path) -> String {
        if self == Self::this_user() {
            return whose_it_must_be();
        }
        format!(
            "it must be of the same owner as what is beside it; run: chown {}:{} {}",
            self.uid,
            self.gid,
            path.display()
        )
    }
}
