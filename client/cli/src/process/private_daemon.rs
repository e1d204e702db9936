//! A private daemon: a child process with its state and its socket in a temporary directory, for a demonstration or a
//! test.
//!
//! No registry of this machine is touched: the daemon gets an empty environment and no configuration but the one that is
//! named. It ends with this process, also with one that was killed; only then is its directory left.

use std::path::{Path, PathBuf};

use enroll_client::Client;
use nix::sys::signal::Signal;
use tokio::process::Command;

use super::child_server::{self, ChildServer};
use super::which;
use crate::failure::Failure;

/// The running daemon.
pub(crate) struct PrivateDaemon {
    process: ChildServer,
    arguments: Vec<String>,
    socket: PathBuf,
}

impl PrivateDaemon {
    /// Finds and starts the daemon of this command, such as `tour`, with this configuration.
    pub(crate) fn spawn(command: &'static str, config: Option<&Path>) -> Result<Self, Failure> {
        let enrolld = find(command)?;
        let directory = child_server::directory(&format!("enrollctl-{command}."))?;
        let is_default = config.is_none();
        // The daemon runs in a directory of its own.
        let config = std::path::absolute(config.unwrap_or(Path::new("/dev/null"))).map_err(Failure::Io)?;
        let (state, socket) = (directory.path().join("state"), directory.path().join("run/enrolld.sock"));
        let options = [("--config", &config), ("--state-dir", &state), ("--socket", &socket)];
        let arguments: Vec<String> =
            options.iter().flat_map(|(name, path)| [(*name).to_owned(), path.display().to_string()]).collect();
        let mut process = Command::new(&enrolld);
        process.args(options.iter().flat_map(|(name, path)| [name.as_ref(), path.as_os_str()])).env_clear();
        process.arg("--exit-with-parent");
        if is_default {
            // The usual journal is 128 MiB, which a temporary directory in memory would feel.
            process.env("ENROLLD_JOURNAL_SEGMENT_MIB", "4");
        }
        let process = ChildServer::spawn(format!("the {command}'s daemon"), directory, Signal::SIGTERM, &mut process)?;
        Ok(Self { process, arguments, socket })
    }

    /// The path of its socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its arguments, as one would type them to start such a daemon by hand.
    pub(crate) fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Waits until it answers.
    pub(crate) async fn await_start(&mut self) -> Result<(), Failure> {
        let socket = &self.socket;
        let attempt = async || Client::connect(socket).await.map(|_| ()).map_err(|err| err.to_string());
        self.process.await_start(attempt).await
    }

    /// Awaits `something` while it runs. Fails with its last message if it ends first.
    pub(crate) async fn during<T>(&mut self, something: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        self.process.during(something).await
    }

    /// The last lines of its log since it answered, at most this many.
    pub(crate) fn log(&self, lines: usize) -> Vec<String> {
        let output = self.process.output();
        let since: Vec<&str> = output.lines().collect();
        since[since.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned()).collect()
    }

    /// Stops it and removes its directory. Does nothing the second time.
    pub(crate) async fn stop(&mut self) -> Result<(), Failure> {
        self.process.stop().await
    }
}

/// Finds the executable of the daemon, beside this one or in PATH.
fn find(command: &str) -> Result<PathBuf, Failure> {
    which::find("enrolld").ok_or_else(|| {
        Failure::Own(format!(
            "{command} needs enrolld, which is neither beside enrollctl nor in PATH; install it, or run cargo build \
             --workspace"
        ))
    })
}
