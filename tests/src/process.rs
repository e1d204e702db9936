//! Daemons and command lines as real processes.
//!
//! Every daemon lives in a directory of its own and knows of nothing else: its environment is empty but for what a test
//! gives it. Nothing here sleeps: whatever waits, waits for a process or a pipe, and at most [`PATIENCE`]. What a test
//! leaves running is killed when its owner is dropped.
//!
//! The binaries are the ones that cargo put beside the tests. `cargo test --workspace` builds them; with this package
//! alone they would be missing, or older than the code.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use enroll_client::blocking::Client;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, umask};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::process_memory;

/// After this, a process that should have said something or ended is taken for stuck.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at a log.
const LOOK: Duration = Duration::from_millis(50);

/// The JSON log field with the socket's path.
const LISTENING: &str = "\"message\":\"listening\"";

/// Passes the standard input as systemd would: as the first descriptor after the usual three.
const PASS_STDIN: &str = "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" \"$@\"";

/// The exit and the output of a process that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
}

impl Output {
    /// Its standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|err| panic!("no JSON ({err}): {self:?}"))
    }
}

/// Runs a program to its end.
pub fn run(command: &mut Command, stdin: &str) -> Output {
    run_into(command, stdin, Stdio::piped())
}

/// Runs a program to its end; its standard output goes elsewhere.
pub fn run_into(command: &mut Command, stdin: &str, stdout: Stdio) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped()).spawn().expect("started");
    let mut input = child.stdin.take().expect("a pipe");
    let bytes = stdin.to_owned();
    std::thread::spawn(move || {
        // A process that has ended, or read enough, reads no more.
        let _ = input.write_all(bytes.as_bytes());
    });
    let stdout = child.stdout.take().map(rest_of);
    let stderr = child.stderr.take().map(rest_of);
    let [Ok(stdout), Ok(stderr)] = [stdout, stderr].map(|rest| match rest {
        Some(rest) => rest.recv_timeout(PATIENCE),
        None => Ok(String::new()),
    }) else {
        let _ = child.kill();
        panic!("{command:?} does not end");
    };
    Output { stdout, stderr, code: child.wait().expect("ended").code() }
}

/// Runs a daemon that is expected not to start. One that does is stopped after its first line.
pub fn run_refused(enrolld: &mut Command) -> Output {
    let mut child = enrolld.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let stderr = rest_of(child.stderr.take().expect("a pipe"));
    let lines = lines_of(child.stdout.take().expect("a pipe"));
    let mut process = Process { child, lines };
    let stdout = process.lines.recv_timeout(PATIENCE).unwrap_or_default();
    if !stdout.is_empty() {
        process.kill9();
    }
    let code = process.ended(PATIENCE);
    Output { stdout, stderr: stderr.recv().expect("its rest"), code }
}

/// A program that cargo built beside the tests.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let path = test.ancestors().nth(2).expect("the directory of binaries").join(name);
    assert!(path.exists(), "{} is missing; run cargo test --workspace, which builds it", path.display());
    path
}

/// A directory for one daemon: its state, its socket, its configuration and its log.
#[derive(Debug)]
pub struct Home {
    directory: TempDir,
    environment: Vec<(String, String)>,
    passed: Option<OwnedFd>,
}

impl Home {
    /// An empty one, with an empty configuration.
    pub fn make() -> Self {
        // Under a wider one the daemon would refuse the files that the tests write for it.
        umask(Mode::from_bits_truncate(0o022));
        // A journal of the usual size would be most of what the tests write.
        let environment = vec![("ENROLLD_JOURNAL_SEGMENT_MIB".to_owned(), "1".to_owned())];
        let home = Self { directory: tempfile::tempdir().expect("a directory"), environment, passed: None };
        home.configure("");
        home
    }

    /// With this variable in the environment of its daemon.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this socket passed to its daemon, as systemd passes one.
    pub fn passing(mut self, socket: impl Into<OwnedFd>) -> Self {
        self.passed = Some(socket.into());
        self
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The state directory, with database, key and lock.
    pub fn state_dir(&self) -> PathBuf {
        self.path("state")
    }

    /// The path of the socket.
    pub fn socket(&self) -> PathBuf {
        self.path("run/enrolld.sock")
    }

    /// Writes the daemon's configuration.
    pub fn configure(&self, toml: &str) {
        std::fs::write(self.path("enrolld.toml"), toml).expect("written");
    }

    /// `enrolld` for this directory.
    pub fn enrolld(&self) -> Command {
        self.enrolld_at(&self.state_dir(), &self.socket())
    }

    /// `enrolld` with the configuration of this directory and other places.
    pub fn enrolld_at(&self, state_dir: &Path, socket: &Path) -> Command {
        let mut command = match self.passed {
            None => self.command(&binary("enrolld")),
            Some(_) => {
                let mut shell = self.command(Path::new("sh"));
                shell.args(["-c", PASS_STDIN]).arg(binary("enrolld"));
                shell
            }
        };
        command.stdin(self.stdin()).arg("--config").arg(self.path("enrolld.toml"));
        command.arg("--state-dir").arg(state_dir).arg("--socket").arg(socket);
        command
    }

    /// `enrolld` with these arguments and nothing else.
    pub fn enrolld_with<A: AsRef<OsStr>>(&self, args: &[A]) -> Command {
        let mut command = self.command(&binary("enrolld"));
        command.args(args);
        command
    }

    /// `enrollctl`, asking the daemon of this directory.
    pub fn enrollctl<A: AsRef<OsStr>>(&self, args: &[A]) -> Command {
        let mut command = self.command(&binary("enrollctl"));
        command.arg("--socket").arg(self.socket()).args(args);
        command
    }

    /// A program that sees nothing but this directory.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.directory.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).current_dir(self.directory.path());
        command
    }

    /// The standard input of a daemon here: the passed socket, if there is one.
    pub fn stdin(&self) -> Stdio {
        self.passed.as_ref().map_or_else(Stdio::null, |socket| socket.try_clone().expect("a copy").into())
    }

    /// Starts a daemon and waits until it listens.
    pub fn start(self) -> Daemon {
        let mut enrolld = self.enrolld();
        self.start_with(&mut enrolld)
    }

    /// Starts a daemon by a command of one's own and waits until it listens.
    pub fn start_with(self, enrolld: &mut Command) -> Daemon {
        let process = Process::start(enrolld, &self.path("log"));
        let mut daemon = Daemon { home: self, process, announced: Vec::new() };
        daemon.await_announcement();
        daemon
    }

    /// Starts a daemon and waits for nothing.
    pub fn spawn(&self) -> Process {
        Process::start(&mut self.enrolld(), &self.path("log"))
    }
}

/// A daemon in a directory of its own.
#[derive(Debug)]
pub struct Daemon {
    /// Its directory.
    pub home: Home,
    process: Process,
    announced: Vec<String>,
}

impl Daemon {
    /// Starts one in a new directory and waits until it listens.
    pub fn start() -> Self {
        Home::make().start()
    }

    /// Kills it without a warning.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Asks it to stop; its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.process.signal(Signal::SIGTERM);
        self.process.ended(PATIENCE)
    }

    /// Aborts it, as a crash does; how it ended.
    pub fn abort(&mut self) -> ExitStatus {
        self.process.signal(Signal::SIGABRT);
        self.process.ended(PATIENCE);
        self.process.child.wait().expect("ended")
    }

    /// Waits until it has ended; its exit code.
    pub fn ended(&mut self, patience: Duration) -> Option<i32> {
        self.process.ended(patience)
    }

    /// Starts it again where it was, after it has ended or was killed.
    pub fn restart(&mut self) {
        let mut enrolld = self.home.enrolld();
        self.restart_with(&mut enrolld);
    }

    /// The same by a command of one's own.
    pub fn restart_with(&mut self, enrolld: &mut Command) {
        self.process = Process::start(enrolld, &self.home.path("log"));
        self.await_announcement();
    }

    /// The line on standard output when it began to listen.
    pub fn announced(&self) -> &[String] {
        &self.announced
    }

    /// Bytes of memory that it has in use.
    pub fn resident_bytes(&self) -> u64 {
        process_memory::resident_bytes(self.pid())
    }

    /// Everything it has logged, before restarts too.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path("log")).expect("a log")
    }

    /// Runs `enrollctl` with these arguments.
    pub fn enrollctl<A: AsRef<OsStr>>(&self, args: &[A], stdin: &str) -> Output {
        run(&mut self.home.enrollctl(args), stdin)
    }

    /// Runs `enrollctl`, which must succeed; the line that it prints.
    pub fn done(&self, args: &[&str]) -> String {
        let output = self.enrollctl(args, "");
        assert_eq!(output.code, Some(0), "{args:?}: {output:?}");
        output.stdout.trim().to_owned()
    }

    /// A client that is connected.
    pub fn client(&self) -> Client {
        Client::connect(self.home.socket()).expect("a connection")
    }

    fn await_announcement(&mut self) {
        self.announced.clear();
        let until = Instant::now() + PATIENCE;
        // The second command to try is the last line of it; in a log of JSON a line there stands for all of it.
        while self.announced.last().is_none_or(|line| !line.ends_with(" server status")) {
            match self.process.lines.recv_timeout(LOOK) {
                Ok(line) => self.announced.push(line),
                Err(RecvTimeoutError::Timeout) if self.log().contains(LISTENING) => return,
                Err(RecvTimeoutError::Timeout) if Instant::now() < until => {}
                Err(_) => panic!("the daemon does not start: {:?}\n{}", self.announced, self.log()),
            }
        }
    }
}

/// A process whose standard output is read line by line.
#[derive(Debug)]
pub struct Process {
    pub(crate) child: Child,
    pub(crate) lines: Receiver<String>,
}

impl Process {
    /// Starts a program whose standard error goes to this file.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let log = OpenOptions::new().create(true).append(true).open(log).expect("a log");
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("started");
        let lines = lines_of(child.stdout.take().expect("a pipe"));
        Self { child, lines }
    }

    /// True if it has ended.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Kills it without a warning.
    pub fn kill9(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a pid");
        kill(Pid::from_raw(pid), signal).expect("a signal");
    }

    /// Its exit code, if it has ended by itself by now.
    pub fn ended_by_now(&mut self) -> Option<i32> {
        self.child.try_wait().expect("a child").and_then(|status| status.code())
    }

    /// Waits until it has ended, which closes its standard output; its exit code.
    pub fn ended(&mut self, patience: Duration) -> Option<i32> {
        loop {
            match self.lines.recv_timeout(patience) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().expect("ended").code(),
                Err(RecvTimeoutError::Timeout) => panic!("the process does not end within {patience:?}"),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        let all_taken = BufReader::new(pipe).lines().map_while(Result::ok).all(|line| sender.send(line).is_ok());
        drop((sender, all_taken));
    });
    lines
}

fn rest_of(mut pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, rest) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    rest
}

/// `server check` finds nothing.
pub fn expect_sound(daemon: &Daemon) {
    let checked = daemon.enrollctl(&["--json", "server", "check"], "");
    assert_eq!((checked.stdout.as_str(), checked.code), ("[]\n", Some(0)), "{}", checked.stderr);
}

/// The daemon's count of a kind of records.
pub fn count(daemon: &Daemon, kind: &str) -> u64 {
    let status = daemon.enrollctl(&["--json", "server", "status"], "").json();
    status["records"][kind].as_u64().unwrap_or_else(|| panic!("no count of {kind}: {status}"))
}
