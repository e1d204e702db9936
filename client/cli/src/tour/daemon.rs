//! The tour's own daemon: found, started in a temporary directory, stopped, and removed with everything it wrote.
//!
//! Nothing of this machine's registry is touched: the daemon gets an empty environment, no configuration, and places
//! for its state and its socket in that directory.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use enroll_client::Client;
use enroll_client::protocol::server;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::stage::quoted;
use crate::failure::Failure;

/// Making keys and a database takes a while on a slow disk.
const START: Duration = Duration::from_secs(30);

/// A daemon promises to end within five seconds.
const STOP: Duration = Duration::from_secs(10);

/// Between two looks at a process that was killed.
const KILLED_POLL: Duration = Duration::from_millis(1);

/// See the module. Dropping it kills the daemon and removes its directory, whatever happened before.
pub(super) struct Daemon {
    process: Child,
    arguments: Vec<String>,
    socket: PathBuf,
    log: PathBuf,
    /// `None` once it is removed.
    directory: Option<TempDir>,
}

impl Daemon {
    /// Starts one.
    pub(super) fn spawn() -> Result<Self, Failure> {
        let enrolld = find()?;
        let failed = |what: &str, err: std::io::Error| Failure::Own(format!("{what}: {err}"));
        let directory = tempfile::Builder::new()
            .prefix("enrollctl-tour.")
            .tempdir()
            .map_err(|err| failed("the tour needs a temporary directory", err))?;
        let path = |name: &str| directory.path().join(name);
        let (state, socket, log) = (path("state"), path("run/enrolld.sock"), path("log"));
        let places = ["--config".into(), "/dev/null".into(), "--state-dir".into(), state, "--socket".into()];
        let arguments: Vec<String> =
            places.iter().chain([&socket]).map(|argument: &PathBuf| argument.display().to_string()).collect();
        let stderr = File::create(&log).map_err(|err| failed(&log.display().to_string(), err))?;
        let process = Command::new(&enrolld)
            .args(places)
            .arg(&socket)
            .env_clear()
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .map_err(|err| failed(&enrolld.display().to_string(), err))?;
        Ok(Self { process, arguments, socket, log, directory: Some(directory) })
    }

    /// Where it listens.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// How it was started, as one would type it.
    pub(super) fn command_line(&self) -> String {
        self.arguments.iter().fold("enrolld".to_owned(), |line, argument| line + " " + &quoted(argument))
    }

    /// Waits until it answers.
    pub(super) async fn await_start(&mut self) -> Result<(), Failure> {
        let client = Client::builder(&self.socket).reconnect_for(START).lazy();
        let did_not_start = tokio::select! {
            answer = client.call(server::Status {}) => match answer {
                Ok(_) => return Ok(()),
                Err(err) => err.to_string(),
            },
            _ = self.process.wait() => self.last_words(),
        };
        Err(Failure::Own(format!("the tour's daemon does not start: {did_not_start}")))
    }

    /// Lets it finish, waits until it has, and removes its directory. Does nothing the second time.
    pub(super) async fn stop(&mut self) -> Result<(), Failure> {
        if let Some(pid) = self.process.id().and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended by itself meanwhile.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            if tokio::time::timeout(STOP, self.process.wait()).await.is_err() {
                let _ = self.process.kill().await;
            }
        }
        let Some(directory) = self.directory.take() else { return Ok(()) };
        let path = directory.path().display().to_string();
        directory.close().map_err(|err| Failure::Own(format!("{path} can not be removed: {err}")))
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().last().unwrap_or("it ended without a word").to_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Ended already, unless the tour was cut off. What is killed must be gone before its directory goes.
        if self.process.start_kill().is_ok() {
            let until = Instant::now() + STOP;
            while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < until {
                std::thread::sleep(KILLED_POLL);
            }
        }
    }
}

/// The daemon's binary.
fn find() -> Result<PathBuf, Failure> {
    let beside = std::env::current_exe().ok().map(|path| path.with_file_name("enrolld"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|directory| directory.join("enrolld"));
    beside.into_iter().chain(in_path).find(|path| is_executable(path)).ok_or_else(|| {
        let why = "the tour needs enrolld, which is neither beside enrollctl nor in PATH; install it, or run \
                   cargo build --workspace";
        Failure::Own(why.to_owned())
    })
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
