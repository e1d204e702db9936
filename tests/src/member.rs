//! A host of a cluster: the directory of one member's daemon, which may run.

use std::fs;
use std::process::Stdio;

use crate::etcd::Etcd;
use crate::poll::until_within;
use crate::process::{Home, Output, PATIENCE, Process, run};

/// A host of a cluster.
#[derive(Debug)]
pub struct MemberHost {
    /// Its directory.
    pub home: Home,
    /// Its daemon, where it runs.
    pub daemon: Option<Process>,
}

impl MemberHost {
    /// A host whose member has this name, with more keys of `[cluster]`.
    pub fn new(name: &str, etcd: &Etcd, more: &str) -> Self {
        let host = Self { home: Home::make(), daemon: None };
        host.configure(name, etcd, more);
        host
    }

    /// A host with the secret key of another one.
    pub fn with_key_of(self, other: &Self) -> Self {
        fs::create_dir(self.home.state_dir()).expect("a directory");
        self.take_key_of(other);
        self
    }

    /// Copies the secret key of another one.
    pub fn take_key_of(&self, other: &Self) {
        let key = |host: &Self| host.home.state_dir().join("enrolld.key");
        fs::copy(key(other), key(self)).expect("the same key");
    }

    /// Makes it the member of this name.
    pub fn configure(&self, name: &str, etcd: &Etcd, more: &str) {
        self.home.configure(&format!(
            "store = \"etcd\"\n[etcd]\nendpoints = {:?}\ntimeout_ms = 1500\n[cluster]\nmember = \"{name}\"\nlisten = \
             \"127.0.0.1:0\"\nlease_seconds = 2\n{more}",
            etcd.endpoints()
        ));
    }

    /// Starts its daemon.
    pub fn start(&mut self) {
        self.daemon = Some(self.home.spawn());
    }

    /// Starts its daemon and waits until it leads.
    pub fn start_leading(&mut self) {
        self.start();
        self.await_lead();
    }

    /// True where its daemon has ended by itself, because another one leads.
    pub fn has_ended(&mut self) -> bool {
        self.daemon.as_mut().is_some_and(Process::has_ended)
    }

    /// Kills its daemon, which leaves its socket and its lease.
    pub fn kill9(&mut self) {
        self.daemon.take().expect("a daemon").kill9();
        let _ = fs::remove_file(self.home.socket());
    }

    /// Stops its daemon in good order.
    pub fn stop(&mut self) {
        let mut daemon = self.daemon.take().expect("a daemon");
        daemon.signal(nix::sys::signal::Signal::SIGTERM);
        assert_eq!(daemon.ended(PATIENCE), Some(0), "{}", self.log());
    }

    /// Runs `enrollctl`.
    pub fn ask(&self, args: &[&str]) -> Output {
        run(&mut self.home.enrollctl(args), "")
    }

    /// Runs `enrollctl`, which must succeed.
    pub fn done(&self, args: &[&str]) -> String {
        let output = self.ask(args);
        assert_eq!(output.code, Some(0), "{args:?}: {output:?} {}", self.log());
        output.stdout
    }

    /// Runs an offline command of `enrolld` on its state directory.
    pub fn offline(&self, args: &[&str]) -> Output {
        let mut command = self.home.enrolld_with(args);
        command.arg("--config").arg(self.home.path("enrolld.toml")).arg("--state-dir").arg(self.home.state_dir());
        run(&mut command, "")
    }

    /// Makes the database of this host from a backup that another one takes meanwhile, through a pipe.
    pub fn join(&self, other: &Self) -> Output {
        let mut backup = other.home.enrollctl(&["server", "backup", "-"]);
        let mut backup = backup.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("started");
        let mut restore = self.home.enrolld_with(&["restore", "--join", "-", "--config"]);
        restore.arg(self.home.path("enrolld.toml")).arg("--state-dir").arg(self.home.state_dir());
        restore.stdin(backup.stdout.take().expect("a pipe"));
        let output = restore.output().expect("restored");
        let _ = backup.wait();
        Output {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Waits until it leads.
    pub fn await_lead(&self) {
        until_within(PATIENCE, "a leader", || {
            let told = self.ask(&["cluster", "status", "--json"]);
            told.code == Some(0) && told.json()["leader"] == told.json()["member"]
        });
    }

    /// Waits until it answers reads.
    pub fn await_answers(&self) {
        until_within(PATIENCE, "a member", || self.ask(&["cluster", "status"]).code == Some(0));
    }

    /// Every record, secrets included, without the head of the export, which tells its time.
    pub fn records(&self) -> Vec<String> {
        let exported = self.done(&["server", "export", "--with-secrets"]);
        exported.lines().skip(1).map(str::to_owned).collect()
    }

    /// The log of its daemon.
    pub fn log(&self) -> String {
        fs::read_to_string(self.home.path("log")).unwrap_or_default()
    }
}
