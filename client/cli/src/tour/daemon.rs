//! The tour's own daemon: found, and started in a temporary directory.
//!
//! Nothing of this machine's registry is touched: the daemon gets an empty environment, no configuration, and places
//! for its state and its socket in that directory.

use std::path::{Path, PathBuf};

use enroll_client::Client;
use nix::sys::signal::Signal;
use tokio::process::Command;

use super::stage::quoted;
use crate::failure::Failure;
use crate::process::child_server::{self, ChildServer};
use crate::process::which;

/// See the module.
pub(super) struct Daemon {
    process: ChildServer,
    arguments: Vec<String>,
    socket: PathBuf,
}

impl Daemon {
    /// Starts one.
    pub(super) fn spawn() -> Result<Self, Failure> {
        let enrolld = find()?;
        let directory = child_server::directory("enrollctl-tour.")?;
        let path = |name: &str| directory.path().join(name);
        let (state, socket) = (path("state"), path("run/enrolld.sock"));
        let places = ["--config".into(), "/dev/null".into(), "--state-dir".into(), state, "--socket".into()];
        let arguments: Vec<String> =
            places.iter().chain([&socket]).map(|argument: &PathBuf| argument.display().to_string()).collect();
        let mut command = Command::new(&enrolld);
        command.args(places).arg(&socket).env_clear();
        let process = ChildServer::spawn("the tour's daemon", directory, Signal::SIGTERM, &mut command)?;
        Ok(Self { process, arguments, socket })
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
        let socket = &self.socket;
        let attempt = async || Client::connect(socket).await.map(|_| ()).map_err(|err| err.to_string());
        self.process.await_start(attempt).await
    }

    /// Lets it finish, waits until it has, and removes its directory. Does nothing the second time.
    pub(super) async fn stop(&mut self) -> Result<(), Failure> {
        self.process.stop().await
    }
}

/// The daemon's binary.
fn find() -> Result<PathBuf, Failure> {
    let beside = std::env::current_exe().ok().map(|path| path.with_file_name("enrolld"));
    let in_path = which::directories().into_iter().map(|directory| directory.join("enrolld"));
    beside.into_iter().chain(in_path).find(|path| which::is_executable(path)).ok_or_else(|| {
        let why = "the tour needs enrolld, which is neither beside enrollctl nor in PATH; install it, or run \
                   cargo build --workspace";
        Failure::Own(why.to_owned())
    })
}
