//! A server of enrollctl's own: it runs in a temporary directory, and is gone, with everything it wrote, when its owner
//! is done with it.
//!
//! Whatever ends its owner, a failure or a signal that is listened for, the process goes first and its directory then.
//! It is in a process group of its own, so an interrupt that is typed at the terminal reaches enrollctl alone, which stops
//! what it has started in its turn.

use std::fs::File;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::failure::Failure;

/// What does not serve within this time does not start; making keys and a database takes a while on a slow disk.
const START: Duration = Duration::from_secs(30);

/// Between two attempts at reaching a server that is starting.
const START_POLL: Duration = Duration::from_millis(20);

/// What does not end within this time of being told to is killed; a daemon promises five seconds.
const STOP: Duration = Duration::from_secs(10);

/// Between two looks at a process that was told to end.
const STOP_POLL: Duration = Duration::from_millis(1);

/// Where it writes what it has to say, in its directory.
const LOG: &str = "log";

/// See the module. Dropping it stops the process and removes the directory.
#[derive(Debug)]
pub(crate) struct Private {
    /// What messages call it, such as `the tour's daemon`.
    name: &'static str,
    process: Child,
    /// The signal that asks it to stop.
    farewell: Signal,
    /// `None` once it is removed or was handed back.
    directory: Option<TempDir>,
}

/// A new directory for one; its name tells what it is for.
pub(crate) fn directory(prefix: &str) -> Result<TempDir, Failure> {
    let made = tempfile::Builder::new().prefix(prefix).tempdir();
    made.map_err(|err| Failure::Own(format!("no temporary directory can be made: {err}; TMPDIR names another place")))
}

impl Private {
    /// Starts it in this directory, where its output goes too.
    pub(crate) fn spawn(
        name: &'static str,
        directory: TempDir,
        farewell: Signal,
        command: &mut Command,
    ) -> Result<Self, Failure> {
        let log = directory.path().join(LOG);
        let output = File::create(&log).and_then(|stdout| Ok((stdout.try_clone()?, stdout)));
        let (stdout, stderr) = output.map_err(|err| Failure::Own(format!("{}: {err}", log.display())))?;
        command.current_dir(directory.path()).stdin(Stdio::null()).stdout(stdout).stderr(stderr).process_group(0);
        let process = command.spawn().map_err(|err| {
            let (program, place) = (Path::new(command.as_std().get_program()), directory.path());
            Failure::Own(format!("{} can not be started in {}: {err}", program.display(), place.display()))
        })?;
        Ok(Self { name, process, farewell, directory: Some(directory) })
    }

    /// Waits until it serves, which is tried over and over; a failure if it ends instead.
    pub(crate) async fn await_start(&mut self, attempt: impl AsyncFn() -> Result<(), String>) -> Result<(), Failure> {
        let name = self.name;
        let until = Instant::now() + START;
        let started = self.during(async {
            loop {
                match attempt().await {
                    Err(_) if Instant::now() < until => tokio::time::sleep(START_POLL).await,
                    last => return last,
                }
            }
        });
        started.await.map_err(|why| Failure::Own(format!("{name} does not start: {why}")))
    }

    /// Does something for as long as it serves; its last words, if it ends meanwhile.
    pub(crate) async fn during<T>(&mut self, something: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        tokio::select! {
            biased;
            status = self.process.wait() => Err(self.last_words(status.ok())),
            done = something => done,
        }
    }

    /// Waits until it has done what it was started for; its directory, for whoever comes after it.
    pub(crate) async fn finish(mut self) -> Result<TempDir, Failure> {
        let status = self.process.wait().await.map_err(Failure::Io)?;
        match self.directory.take_if(|_| status.success()) {
            Some(directory) => Ok(directory),
            None => Err(Failure::Own(format!("{}: {}", self.name, self.last_words(Some(status))))),
        }
    }

    /// Lets it finish, waits until it has, and removes its directory. Does nothing the second time.
    pub(crate) async fn stop(&mut self) -> Result<(), Failure> {
        self.say(self.farewell);
        if tokio::time::timeout(STOP, self.process.wait()).await.is_err() {
            let _ = self.process.kill().await;
        }
        let Some(directory) = self.directory.take() else { return Ok(()) };
        let path = directory.path().display().to_string();
        directory.close().map_err(|err| Failure::Own(format!("{path} can not be removed: {err}")))
    }

    /// Sends it a signal, unless it was seen to have ended.
    fn say(&self, signal: Signal) {
        if let Some(pid) = self.process.id().and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended by itself meanwhile.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    fn last_words(&self, status: Option<ExitStatus>) -> String {
        let log = self.directory.iter().map(|directory| std::fs::read_to_string(directory.path().join(LOG)));
        let log: String = log.flatten().collect();
        let how = status.map_or_else(String::new, |status| format!(" ({status})"));
        format!("it ended{how}, saying: {}", complaint(&log))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // Ended already, unless its owner was cut off. It must be gone before its directory goes.
        self.say(self.farewell);
        let until = Instant::now() + STOP;
        while matches!(self.process.try_wait(), Ok(None)) {
            if Instant::now() >= until {
                let _ = self.process.start_kill();
            }
            std::thread::sleep(STOP_POLL);
        }
    }
}

/// The line of what a program has said that tells most of why it failed: the first error, which the others come of.
pub(crate) fn complaint(said: &str) -> &str {
    let error = said.lines().find(|line| line.to_lowercase().contains("error"));
    error.or_else(|| said.lines().rfind(|line| !line.is_empty())).unwrap_or("nothing")
}
