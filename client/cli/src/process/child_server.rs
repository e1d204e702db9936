//! A child process that serves from a temporary directory: started, awaited, stopped, and removed with all it wrote.
//!
//! If the parent ends by a failure or by a signal that it handles, it stops the process and then removes its directory.
//! The child has a process group of its own, so an interrupt typed at the terminal reaches the parent alone, which then
//! stops the child.

use std::fs::File;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::failure::Failure;

/// A server that does not answer within this time has failed to start. A slow disk makes keys and a database slow.
const START: Duration = Duration::from_secs(30);

/// Between two attempts to reach a starting server.
const START_POLL: Duration = Duration::from_millis(20);

/// A process that has not ended this long after its stop signal is killed. The daemon promises five seconds.
const STOP: Duration = Duration::from_secs(10);

/// Between two checks of a process that is stopping.
const STOP_POLL: Duration = Duration::from_millis(1);

/// The file in its directory that takes its standard output and standard error.
const LOG: &str = "log";

/// A running child process and its temporary directory. Dropping it stops the process and removes the directory.
#[derive(Debug)]
pub struct ChildServer {
    /// Its name in messages, such as `the tour's daemon`.
    name: String,
    process: Child,
    /// The signal that asks it to stop.
    stop_signal: Signal,
    /// `None` once it was removed or given back by [`finish`](Self::finish).
    directory: Option<TempDir>,
    /// Length of its output when it had started.
    banner: usize,
}

/// Makes a temporary directory for a server; its name begins with `prefix`.
pub fn directory(prefix: &str) -> Result<TempDir, Failure> {
    let made = tempfile::Builder::new().prefix(prefix).tempdir();
    made.map_err(|err| Failure::Own(format!("no temporary directory can be made: {err}; TMPDIR names another place")))
}

impl ChildServer {
    /// Starts `command` in this directory, with its output in a file there. `stop_signal` is how it is asked to end.
    pub fn spawn(
        name: impl Into<String>,
        directory: TempDir,
        stop_signal: Signal,
        command: &mut Command,
    ) -> Result<Self, Failure> {
        let log = directory.path().join(LOG);
        let output = File::create(&log).and_then(|stdout| Ok((stdout.try_clone()?, stdout)));
        let (stdout, stderr) = output.map_err(|err| Failure::Own(format!("{}: {err}", log.display())))?;
        command.current_dir(directory.path()).stdin(Stdio::null()).stdout(stdout).stderr(stderr).process_group(0);
        let process = command.spawn().map_err(|err| {
            let (program, cwd) = (Path::new(command.as_std().get_program()), directory.path());
            Failure::Own(format!("{} can not be started in {}: {err}", program.display(), cwd.display()))
        })?;
        Ok(Self { name: name.into(), process, stop_signal, directory: Some(directory), banner: 0 })
    }

    /// Its directory, until it is removed.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_ref().map(TempDir::path)
    }

    /// Repeats `attempt` until it succeeds. Fails if the process ends, or is not reached within 30 seconds.
    pub async fn await_start(&mut self, attempt: impl AsyncFn() -> Result<(), String>) -> Result<(), Failure> {
        let name = self.name.clone();
        let until = Instant::now() + START;
        let started = self.during(async {
            loop {
                match attempt().await {
                    Err(_) if Instant::now() < until => tokio::time::sleep(START_POLL).await,
                    last => return last,
                }
            }
        });
        started.await.map_err(|why| Failure::Own(format!("{name} does not start: {why}")))?;
        self.banner = self.output().len();
        Ok(())
    }

    /// Awaits `something` while the process runs. Fails with the process's last message if it ends first.
    pub async fn during<T>(&mut self, something: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        tokio::select! {
            biased;
            status = self.process.wait() => Err(self.last_words(status.ok())),
            done = something => done,
        }
    }

    /// Waits until the process has ended with success, and returns its directory for the next one.
    pub async fn finish(mut self) -> Result<TempDir, Failure> {
        let status = self.process.wait().await.map_err(Failure::Io)?;
        match self.directory.take_if(|_| status.success()) {
            Some(directory) => Ok(directory),
            None => Err(Failure::Own(format!("{}: {}", self.name, self.last_words(Some(status))))),
        }
    }

    /// Asks the process to end, waits until it has, and removes its directory. Does nothing the second time.
    pub async fn stop(&mut self) -> Result<(), Failure> {
        self.signal(self.stop_signal);
        if tokio::time::timeout(STOP, self.process.wait()).await.is_err() {
            let _ = self.process.kill().await;
        }
        let Some(directory) = self.directory.take() else { return Ok(()) };
        let path = directory.path().display().to_string();
        directory.close().map_err(|err| Failure::Own(format!("{path} can not be removed: {err}")))
    }

    /// The process, unless it was seen to have ended.
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// True if the process has ended.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(Some(_)))
    }

    /// Kills the process, and removes its directory.
    pub async fn kill(mut self) -> Result<(), Failure> {
        self.process.kill().await.map_err(Failure::Io)
    }

    /// Sends the process a signal, unless it was seen to have ended.
    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.process.id().and_then(|pid| i32::try_from(pid).ok()) {
            // The process may have ended in between.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Its output since it started, or that of a start that has not succeeded.
    pub fn output(&self) -> String {
        let log = self.directory.iter().map(|directory| std::fs::read(directory.path().join(LOG)));
        let log: Vec<u8> = log.flatten().flatten().skip(self.banner).collect();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn last_words(&self, status: Option<ExitStatus>) -> String {
        let how = status.map_or_else(String::new, |status| format!(" ({status})"));
        format!("it ended{how}, saying: {}", complaint(&self.output()))
    }
}

impl Drop for ChildServer {
    fn drop(&mut self) {
        // The process must be gone before its directory is removed.
        self.signal(self.stop_signal);
        let until = Instant::now() + STOP;
        while matches!(self.process.try_wait(), Ok(None)) {
            if Instant::now() >= until {
                let _ = self.process.start_kill();
            }
            std::thread::sleep(STOP_POLL);
        }
    }
}

/// The most telling line of a failed program's output: the first with the word error, else the last, else `nothing`.
pub fn complaint(said: &str) -> &str {
    let error = said.lines().find(|line| line.to_lowercase().contains("error"));
    error.or_else(|| said.lines().rfind(|line| !line.is_empty())).unwrap_or("nothing")
}
