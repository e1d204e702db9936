//! A temporary PostgreSQL server, reached by a socket in its own directory.
//!
//! The server refuses to run as root. A test of root's runs it as the user `postgres` or `nobody`, who owns its files.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use tempfile::TempDir;

use crate::poll;
use crate::process::{Output, run};
use crate::skip::skipped;

/// The directory of Debian's installations, each in a directory named by its version.
const INSTALLATIONS: &str = "/usr/lib/postgresql";

/// Users to run the server as in a test of root's.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// A running server, which is killed when it is dropped.
#[derive(Debug)]
pub struct Postgres {
    directory: TempDir,
    programs: PathBuf,
    server: Child,
}

impl Postgres {
    /// Starts an empty one; says what is missing where there is none.
    pub fn start(test: &str) -> Option<Self> {
        let Some(programs) = find() else {
            skipped(test, "needs PostgreSQL (Debian: apt-get install postgresql)");
            return None;
        };
        let user = match geteuid().is_root() {
            true => match USERS.iter().find_map(|name| User::from_name(name).ok().flatten()) {
                Some(user) => Some((user.uid.as_raw(), user.gid.as_raw())),
                None => {
                    skipped(test, "needs a user for PostgreSQL, which does not run as root");
                    return None;
                }
            },
            false => None,
        };
        let directory = tempfile::tempdir().expect("a directory");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711)).expect("traversable");
        let (data, sockets) = (directory.path().join("data"), directory.path().join("sockets"));
        for inner in [&data, &sockets] {
            fs::create_dir(inner).expect("a directory");
            if let Some((uid, gid)) = user {
                chown(inner, Some(uid), Some(gid)).expect("its owner");
            }
        }
        let server_command = |name: &str| {
            let mut command = Command::new(programs.join(name));
            command.env_clear().env("LC_ALL", "C").current_dir(directory.path()).arg("-D").arg(&data);
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command
        };
        let mut initdb = server_command("initdb");
        let made = run(initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"]), "");
        assert_eq!(made.code, Some(0), "{made:?}");
        let mut postgres = server_command("postgres");
        postgres.arg("-k").arg(&sockets).args(["-c", "listen_addresses=", "-c", "fsync=off"]);
        let log = fs::File::create(directory.path().join("log")).expect("a log");
        let server = postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("started");
        let postgres = Self { directory, programs, server };
        poll::until("PostgreSQL answers", || postgres.psql("select 1;").code == Some(0));
        Some(postgres)
    }

    /// Runs a script of SQL.
    pub fn psql(&self, script: &str) -> Output {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.env_clear().env("LC_ALL", "C").envs(self.environment());
        run(psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]), script)
    }

    /// The variables by which `psql` finds it.
    pub fn environment(&self) -> [(&'static str, String); 3] {
        let sockets = self.directory.path().join("sockets").display().to_string();
        [("PGHOST", sockets), ("PGUSER", "postgres".to_owned()), ("PGDATABASE", "postgres".to_owned())]
    }

    /// The directory of its programs.
    pub fn programs(&self) -> &Path {
        &self.programs
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // An immediate shutdown: its processes end, and the data is thrown away.
        if let Ok(pid) = i32::try_from(self.server.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGQUIT);
        }
        let _ = self.server.wait();
    }
}

/// The newest installation.
fn find() -> Option<PathBuf> {
    let entries = fs::read_dir(INSTALLATIONS).ok()?.flatten().map(|entry| entry.path().join("bin"));
    let version = |path: &PathBuf| path.iter().rev().nth(1).and_then(|name| name.to_str()?.parse::<u32>().ok());
    let is_whole = |path: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|name| path.join(name).exists());
    entries.filter(is_whole).max_by_key(version)
}
