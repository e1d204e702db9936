//! The daemon of the tour, started in a temporary directory.
//!
//! No registry of this machine is touched: the daemon gets an empty environment, no configuration, and paths in that
//! directory for its state and its socket.

use std::path::{Path, PathBuf};

use enroll_client::Client;
use nix::sys::signal::Signal;
use tokio::process::Command;

use super::stage::quoted;
use crate::failure::Failure;
use crate::process::child_server::{self, ChildServer};
use crate::process::which;

/// The running daemon.
pub(super) struct Daemon {
    process: ChildServer,
    arguments: Vec<String>,
    socket: PathBuf,
}

impl Daemon {
    /// Finds and starts the daemon.
    pub(super) fn spawn() -> Result<Self, Failure> {
        let enrolld = find()?;
        let directory = child_server::directory("enrollctl-tour.")?;
        let path = |name: &str| directory.path().join(name);
        let (state, socket) = (path("state"), path("run/enrolld.sock"));
        let paths = ["--config".into(), "/dev/null".into(), "--state-dir".into(), state, "--socket".into()];
        let arguments: Vec<String> =
            paths.iter().chain([&socket]).map(|argument: &PathBuf| argument.display().to_string()).collect();
        let mut command = Command::new(&enrolld);
        command.args(paths).arg(&socket).env_clear();
        let process = ChildServer::spawn("the tour's daemon", directory, Signal::SIGTERM, &mut command)?;
        Ok(Self { process, arguments, socket })
    }

    /// The path of its socket.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// The command line that started it, as one would type it.
    pub(super) fn command_line(&self) -> String {
        self.arguments.iter().fold("enrolld".to_owned(), |line, argument| line + " " + &quoted(argument))
    }

    /// Waits until it answers.
    pub(super) async fn await_start(&mut self) -> Result<(), Failure> {
        let socket = &self.socket;
        let attempt = async || Client::connect(socket).await.map(|_| ()).map_err(|err| err.to_string());
        self.process.await_start(attempt).await
    }

    /// Stops it and removes its directory. Does nothing the second time.
    pub(super) async fn stop(&mut self) -> Result<(), Failure> {
        self.process.stop().await
    }
}

/// Finds the executable of the daemon, beside this one or in PATH.
fn find() -> Result<PathBuf, Failure> {
    which::find("enrolld").ok_or_else(|| {
        let why = "the tour needs enrolld, which is neither beside enrollctl nor in PATH; install it, or run \
                   cargo build --workspace";
        Failure::Own(why.to_owned())
    })
}
