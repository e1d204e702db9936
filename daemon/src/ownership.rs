//! Ownership checks of the files that steer the daemon: configuration, keys and certificates that it trusts. A user who
//! may write to such a file, or replace a directory on the way to it, may do all that the daemon can; so only root and
//! the daemon's own user may.
//!
//! A path is walked from the root, one open directory after the other (openat), and what was opened is what is checked:
//! nobody can exchange a part in between. Symbolic links are followed, and the way to their targets is checked too. The
//! permissions of an ACL show in the mode as those of the group. In a sticky directory, such as /tmp, only the owner of
//! an entry can replace it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, readlinkat};
use nix::libc::{S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat, makedev};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use nix::unistd::geteuid;

use crate::file_error::FileError;

/// Links on one way, as the kernel bounds them.
const LINKS_MAX: usize = 40;

/// Write permission of group and others.
const WRITE: u32 = 0o022;

/// Write permission of others alone.
const WRITE_OF_OTHERS: u32 = 0o002;

const STICKY: u32 = 0o1000;

/// The user to whom files may belong beside root, and the write permission that nobody else may have.
#[derive(Debug, Clone, Copy)]
pub struct Own {
    uid: u32,
    write: u32,
}

impl Own {
    /// The user of this process.
    pub fn user() -> Self {
        Self::uid(geteuid().as_raw())
    }

    /// As root, for the owner of this directory, if it is there; else the user of this process.
    pub fn user_of(directory: &Path) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        match directory.metadata() {
            Ok(metadata) if geteuid().is_root() => Self::uid(metadata.uid()),
            _ => Self::user(),
        }
    }

    fn uid(uid: u32) -> Self {
        Self { uid, write: WRITE }
    }

    /// This user on the way to a directory of their own, which may lead through directories that a group can write to:
    /// where the umask is 002, a home is one.
    pub fn on_the_way(uid: u32) -> Self {
        Self { uid, write: WRITE_OF_OTHERS }
    }

    /// Opens a file to read that nobody else can write to or replace.
    pub fn open(self, path: &Path) -> Result<File, FileError> {
        self.file_at(path, 0)
    }

    /// Opens a credential that systemd passed: the same, and others can not read it. Of the group the mode may say so:
    /// it is how an ACL for the daemon's user shows.
    pub fn open_credential(self, path: &Path) -> Result<File, FileError> {
        self.file_at(path, 0o007)
    }

    /// Checks that nobody else can put files into a directory or replace it.
    pub fn check_directory(self, path: &Path) -> Result<(), FileError> {
        Walk::begin(self, path)?.enter_all()
    }

    fn file_at(self, path: &Path, forbidden: u32) -> Result<File, FileError> {
        let (file, path) = Walk::begin(self, path)?.open_file()?;
        let found = fstat(&file).map_err(|errno| FileError::Io { path: path.clone(), source: errno.into() })?;
        self.check(&path, &found, &path)?;
        if found.st_mode & forbidden != 0 {
            let (mode, shown) = (found.st_mode & 0o7777, path.display());
            let problem = format!("holds a secret and is open to others (mode {mode:o}); run: chmod o-rwx {shown}");
            return Err(FileError::Unsafe { path, problem });
        }
        Ok(file)
    }

    /// Refuses what others can write to, or own. `target` is what they could replace.
    fn check(self, path: &Path, found: &FileStat, target: &Path) -> Result<(), FileError> {
        let Self { uid: own, write } = self;
        let kind = found.st_mode & S_IFMT;
        let (shown, mode) = (path.display(), found.st_mode & 0o7777);
        let could = if path == target { String::new() } else { format!(", who could replace {}", target.display()) };
        let refuse = |problem| Err(FileError::Unsafe { path: path.to_owned(), problem });
        if found.st_uid != 0 && found.st_uid != own {
            let flag = if kind == S_IFLNK { "-h " } else { "" };
            return refuse(format!(
                "belongs to uid {}{could}; enrolld trusts files of root and of uid {own}; run: chown {flag}{own} {shown}",
                found.st_uid
            ));
        }
        let is_shared = kind == S_IFDIR && mode & STICKY != 0;
        let keeps_nothing = kind == S_IFLNK || is_null(found);
        if mode & write != 0 && !is_shared && !keeps_nothing {
            let whose = if write == WRITE { "go" } else { "o" };
            return refuse(format!("can be written to by others (mode {mode:o}){could}; run: chmod {whose}-w {shown}"));
        }
        Ok(())
    }
}

/// A walk along a path: the directory reached, and the parts that are left.
struct Walk {
    own: Own,
    target: PathBuf,
    directory: OwnedFd,
    reached: PathBuf,
    left: VecDeque<OsString>,
    links: usize,
}

impl Walk {
    fn begin(own: Own, path: &Path) -> Result<Self, FileError> {
        let target = std::path::absolute(path).map_err(|source| FileError::Io { path: path.to_owned(), source })?;
        let reached = PathBuf::from("/");
        let directory = open("/", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
        let directory = directory.map_err(|errno| FileError::Io { path: reached.clone(), source: errno.into() })?;
        let left = parts(&target);
        let walk = Self { own, target, directory, reached, left, links: 0 };
        walk.check_reached()?;
        Ok(walk)
    }

    /// Walks through directories to the end.
    fn enter_all(mut self) -> Result<(), FileError> {
        while let Some(part) = self.left.pop_front() {
            if !self.follow(&part)? {
                self.enter(&part)?;
            }
        }
        Ok(())
    }

    /// Walks to the file at the end and opens it. Returns its path without links too.
    fn open_file(mut self) -> Result<(File, PathBuf), FileError> {
        while let Some(part) = self.left.pop_front() {
            if self.is_open_already(&part) {
                let file = openat(&self.directory, &*part, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
                let file = file.map_err(self.failed(&part))?;
                return Ok((File::from(file), self.target));
            }
            if self.follow(&part)? {
                continue;
            }
            if !self.left.is_empty() {
                self.enter(&part)?;
                continue;
            }
            // O_NONBLOCK, so that a pipe of that name is refused and not waited for.
            let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
            let file = openat(&self.directory, &*part, flags, Mode::empty()).map_err(self.failed(&part))?;
            let found = fstat(&file).map_err(self.failed(&part))?;
            if found.st_mode & S_IFMT != S_IFREG && !is_null(&found) {
                let problem = "is no regular file".to_owned();
                return Err(FileError::Unsafe { path: self.reached.join(part), problem });
            }
            return Ok((File::from(file), self.reached.join(part)));
        }
        Err(FileError::Io { path: self.target, source: Errno::EISDIR.into() })
    }

    /// Takes the parts of a link in its stead. Tells whether it is one.
    fn follow(&mut self, part: &OsStr) -> Result<bool, FileError> {
        let found = fstatat(&self.directory, part, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(self.failed(part))?;
        if found.st_mode & S_IFMT != S_IFLNK {
            return Ok(false);
        }
        self.own.check(&self.reached.join(part), &found, &self.target)?;
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(self.failed(part)(Errno::ELOOP));
        }
        let to = PathBuf::from(readlinkat(&self.directory, part).map_err(self.failed(part))?);
        if to.is_absolute() {
            let Self { directory, reached, .. } = Self::begin(self.own, &self.target)?;
            (self.directory, self.reached) = (directory, reached);
        }
        for part in parts(&to).into_iter().rev() {
            self.left.push_front(part);
        }
        Ok(true)
    }

    fn enter(&mut self, part: &OsStr) -> Result<(), FileError> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = openat(&self.directory, part, flags, Mode::empty()).map_err(self.failed(part))?;
        self.directory = directory;
        match part == ".." {
            true => drop(self.reached.pop()),
            false => self.reached.push(part),
        }
        self.check_reached()
    }

    fn check_reached(&self) -> Result<(), FileError> {
        let found = fstat(&self.directory).map_err(self.failed("".as_ref()))?;
        self.own.check(&self.reached, &found, &self.target)
    }

    /// True for a file that is open already, as a shell passes one: its link in /proc leads nowhere by name.
    fn is_open_already(&self, part: &OsStr) -> bool {
        let is_link = fstatat(&self.directory, part, AtFlags::AT_SYMLINK_NOFOLLOW)
            .is_ok_and(|found| found.st_mode & S_IFMT == S_IFLNK);
        is_link
            && self.reached.ends_with("fd")
            && fstatfs(self.directory.as_fd()).is_ok_and(|system| system.filesystem_type() == PROC_SUPER_MAGIC)
    }

    fn failed(&self, part: &OsStr) -> impl Fn(Errno) -> FileError + use<> {
        let path = self.reached.join(part);
        move |errno| FileError::Io { path: path.clone(), source: errno.into() }
    }
}

/// True for /dev/null, which everybody may write to and nobody can fill.
fn is_null(found: &FileStat) -> bool {
    found.st_mode & S_IFMT == S_IFCHR && found.st_rdev == makedev(1, 3)
}

/// The parts of a path to walk.
fn parts(path: &Path) -> VecDeque<OsString> {
    let is_step = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().filter(is_step).map(|part| part.as_os_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
    }

    /// A way to a file: `a/b/file`, with a link `other` beside `a` to `a/b`.
    fn way() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().expect("a directory");
        let directory = root.path().join("a/b");
        std::fs::create_dir_all(&directory).expect("made");
        mode(&root.path().join("a"), 0o755);
        mode(&directory, 0o755);
        let file = directory.join("file");
        std::fs::write(&file, "text").expect("written");
        mode(&file, 0o644);
        symlink("a/b", root.path().join("other")).expect("a link");
        symlink(&file, root.path().join("link")).expect("a link");
        (root, file)
    }

    #[test]
    fn what_others_can_write_to_is_refused_with_the_part_at_fault_and_the_command() {
        for (part, bad, is_refused) in [
            ("a/b/file", 0o664, true),
            ("a/b/file", 0o646, true),
            ("a/b/file", 0o600, false),
            ("a/b", 0o775, true),
            ("a", 0o777, true),
            ("a", 0o1777, false),
            ("a", 0o711, false),
        ] {
            let (root, file) = way();
            mode(&root.path().join(part), bad);
            for path in [
                file.clone(),
                root.path().join("other/file"),
                root.path().join("link"),
                root.path().join("a/../a/b/file"),
            ] {
                match Own::user().open(&path) {
                    Ok(_) => assert!(!is_refused, "{part} {bad:o} {}", path.display()),
                    Err(FileError::Unsafe { path: at, problem }) => {
                        let command = format!("chmod go-w {}", at.display());
                        assert!(is_refused && at.ends_with(part) && problem.contains(&command), "{at:?}: {problem}");
                    }
                    Err(err) => panic!("{err}"),
                }
            }
            let directory = Own::user().check_directory(file.parent().expect("a directory"));
            assert_eq!(directory.is_err(), is_refused && part != "a/b/file", "{part} {bad:o}");
        }
    }

    #[test]
    fn on_the_way_to_a_directory_of_ones_own_a_group_may_write_and_others_not() {
        for (bad, is_refused) in [(0o775, false), (0o757, true), (0o1777, false)] {
            let (root, file) = way();
            mode(&root.path().join("a"), bad);
            let checked = Own::on_the_way(geteuid().as_raw()).check_directory(file.parent().expect("a directory"));
            let problem = checked.err().map(|err| err.to_string());
            let names_command = problem.as_ref().is_some_and(|problem| problem.contains("chmod o-w"));
            assert_eq!((problem.is_some(), names_command), (is_refused, is_refused), "{bad:o}: {problem:?}");
        }
    }

    #[test]
    fn what_belongs_to_somebody_else_is_refused() {
        let (_root, file) = way();
        if geteuid().is_root() {
            // Root's own directories above are accepted for anybody, the file of another user is not.
            nix::unistd::chown(&file, Some(12_345.into()), None).expect("root may");
            assert!(Own::uid(12_345).open(&file).is_ok());
        }
        let err = Own::uid(4_711).open(&file).expect_err("refused").to_string();
        assert!(err.contains("belongs to uid") && err.contains("chown 4711"), "{err}");
    }

    #[test]
    fn what_is_no_file_is_refused_and_a_missing_one_is_an_error_of_the_system() {
        let (root, file) = way();
        assert!(matches!(Own::user().open(root.path()), Err(FileError::Unsafe { .. })));
        symlink("loop", root.path().join("loop")).expect("a link");
        for (path, errno) in [
            (root.path().join("nothing"), Errno::ENOENT),
            (file.join("below"), Errno::ENOTDIR),
            (root.path().join("loop"), Errno::ELOOP),
        ] {
            let Err(FileError::Io { source, .. }) = Own::user().open(&path) else { panic!("{}", path.display()) };
            assert_eq!(source.raw_os_error(), Some(errno as i32), "{}", path.display());
        }
    }

    #[test]
    fn a_credential_may_be_of_the_group_and_not_of_others() {
        let (_root, file) = way();
        for (bits, is_fine) in [(0o400, true), (0o440, true), (0o444, false), (0o460, false)] {
            mode(&file, bits);
            assert_eq!(Own::user().open_credential(&file).is_ok(), is_fine, "{bits:o}");
        }
    }

    #[test]
    fn a_file_that_is_open_already_needs_no_way_and_null_is_empty_for_everybody() {
        use std::os::fd::AsRawFd as _;
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        assert!(Own::user().open(Path::new(&format!("/dev/fd/{}", reader.as_raw_fd()))).is_ok());
        assert!(Own::user().open(Path::new("/dev/null")).is_ok());
    }
}
