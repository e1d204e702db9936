//! The cluster of the tour: three etcds and three daemons on this machine, in one temporary directory.
//!
//! Dropping it ends every process and removes the directory. An etcd ends with this process too, where `setpriv` is there
//! to arrange it; a daemon does anyhow.

use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use enroll_client::Client;
use enroll_client::protocol::cluster::{ClusterStatus, Status};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::failure::Failure;
use crate::output::Output;
use crate::process::child_server::{self, ChildServer};
use crate::process::which;

/// The names of the members, which are those of hosts in earnest.
pub(super) const NAMES: [&str; 3] = ["a", "b", "c"];

/// Seconds for which a leader that is gone is waited for.
pub(super) const LEASE_SECONDS: u64 = 3;

/// The longest wait for etcd, and for a member.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// The running cluster.
pub(super) struct TourCluster {
    // The processes end before their directory is removed.
    daemons: Vec<Option<ChildServer>>,
    etcds: Vec<ChildServer>,
    directory: TempDir,
    endpoints: Vec<String>,
    enrolld: PathBuf,
}

impl TourCluster {
    /// Starts the etcds, and writes the configuration of every daemon.
    pub(super) fn begin() -> Result<Self, Failure> {
        let missing = |program: &str, way_out: &str| {
            Failure::Own(format!(
                "tour --cluster needs {program}, which is neither beside enrollctl nor in PATH; {way_out}"
            ))
        };
        let enrolld = which::find("enrolld");
        let enrolld = enrolld.ok_or_else(|| missing("enrolld", "install it, or run cargo build --workspace"))?;
        let etcd = which::find("etcd");
        let etcd = etcd.ok_or_else(|| missing("etcd", "on Debian and Ubuntu it is the package etcd-server"))?;
        let directory = child_server::directory("enrollctl-tour.")?;
        let ports = free_ports().map_err(Failure::Io)?;
        let address = |at: usize, kind: usize| format!("http://127.0.0.1:{}", ports[2 * at + kind]);
        let endpoints = [0, 1, 2].map(|at| address(at, 0)).to_vec();
        let all: Vec<String> =
            NAMES.iter().enumerate().map(|(at, name)| format!("{name}={}", address(at, 1))).collect();
        let mut cluster = Self { daemons: Vec::new(), etcds: Vec::new(), directory, endpoints, enrolld };
        for (at, name) in NAMES.iter().enumerate() {
            let host = cluster.directory.path().join(name);
            let made = std::fs::DirBuilder::new().mode(0o700).create(&host);
            made.and_then(|()| std::fs::write(host.join("enrolld.toml"), cluster.configuration(name)))
                .map_err(Failure::Io)?;
            let (client, peer) = (address(at, 0), address(at, 1));
            let mut command = ending_with_parent(&etcd);
            command.arg("--name").arg(name).arg("--data-dir").arg(host.join("etcd"));
            command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
            command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
            command.args(["--initial-cluster", &all.join(","), "--snapshot-count", "5000"]).env_clear();
            let own = child_server::directory("enrollctl-tour-etcd.")?;
            // What it has is removed anyhow, so it need not end in good order.
            cluster.etcds.push(ChildServer::spawn(format!("etcd {name}"), own, Signal::SIGKILL, &mut command)?);
            cluster.daemons.push(None);
        }
        Ok(cluster)
    }

    /// Waits until the etcds listen.
    pub(super) async fn await_etcds(&mut self) -> Result<(), Failure> {
        for (etcd, endpoint) in self.etcds.iter_mut().zip(&self.endpoints) {
            let address = endpoint.trim_start_matches("http://");
            let attempt = async || TcpStream::connect(address).await.map(drop).map_err(|err| err.to_string());
            etcd.await_start(attempt).await?;
        }
        Ok(())
    }

    /// The configuration of a member.
    fn configuration(&self, name: &str) -> String {
        format!(
            "store = \"etcd\"\n\n[etcd]\nendpoints = {:?}\n\n[cluster]\nmember = \"{name}\"\nlisten = \
             \"127.0.0.1:0\"\nlease_seconds = {LEASE_SECONDS}\n",
            self.endpoints
        )
    }

    /// The directory of a host.
    pub(super) fn host(&self, host: usize) -> PathBuf {
        self.directory.path().join(NAMES[host])
    }

    /// The socket of a host's daemon.
    pub(super) fn socket(&self, host: usize) -> PathBuf {
        self.host(host).join("enrolld.sock")
    }

    /// The addresses of the etcds.
    pub(super) fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// Gives a host the secret key of the first one.
    pub(super) fn copy_key(&self, host: usize) -> Result<(), Failure> {
        let (from, to) = (self.host(0).join("state"), self.host(host).join("state"));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&to);
        made.and_then(|()| std::fs::copy(from.join("enrolld.key"), to.join("enrolld.key"))).map_err(Failure::Io)?;
        Ok(())
    }

    /// The arguments of a host's daemon.
    pub(super) fn arguments(&self, host: usize) -> Vec<String> {
        let path = |name: &str| self.host(host).join(name).display().to_string();
        let [config, state, socket] = ["enrolld.toml", "state", "enrolld.sock"].map(path);
        ["--config", &config, "--state-dir", &state, "--socket", &socket].map(str::to_owned).to_vec()
    }

    /// Starts a host's daemon, and waits until it answers.
    pub(super) async fn start(&mut self, host: usize) -> Result<(), Failure> {
        let mut command = Command::new(&self.enrolld);
        command.args(self.arguments(host)).arg("--exit-with-parent").env_clear();
        let (own, name) = (child_server::directory("enrollctl-tour-log.")?, format!("the daemon of {}", NAMES[host]));
        let mut daemon = ChildServer::spawn(name, own, Signal::SIGTERM, &mut command)?;
        let socket = self.socket(host);
        daemon.await_start(async || Client::connect(&socket).await.map(drop).map_err(|err| err.to_string())).await?;
        self.daemons[host] = Some(daemon);
        Ok(())
    }

    /// Starts what systemd would have started again: a daemon that was deposed on a busy machine has ended.
    pub(super) async fn revive(&mut self, output: &Output) -> Result<(), Failure> {
        for (host, name) in NAMES.iter().enumerate() {
            if self.daemons[host].as_mut().is_some_and(ChildServer::has_ended) {
                output
                    .raw(format!("\n# {name} was deposed on this busy machine; it is started again.\n").as_bytes())?;
                self.start(host).await?;
            }
        }
        Ok(())
    }

    /// The process of a host's daemon; 0 where none runs.
    pub(super) fn pid(&self, host: usize) -> u32 {
        self.daemons[host].as_ref().and_then(ChildServer::pid).unwrap_or(0)
    }

    /// Kills a host's daemon, which has no time to say anything to anybody.
    pub(super) async fn kill(&mut self, host: usize) -> Result<(), Failure> {
        match self.daemons[host].take() {
            Some(daemon) => daemon.kill().await,
            None => Ok(()),
        }
    }

    /// Waits until a host tells this of the cluster.
    pub(super) async fn until(
        &self,
        host: usize,
        what: &str,
        is_so: impl Fn(&ClusterStatus) -> bool,
    ) -> Result<ClusterStatus, Failure> {
        let looked = tokio::time::timeout(PATIENCE, async {
            loop {
                match self.client(host).call(Status {}).await {
                    Ok(status) if is_so(&status) => return status,
                    _ => tokio::time::sleep(LOOK).await,
                }
            }
        });
        let late = |_| Failure::Own(format!("within {} s, {} did not tell of {what}", PATIENCE.as_secs(), NAMES[host]));
        looked.await.map_err(late)
    }

    /// A client of a host's daemon that repeats nothing by itself for long.
    pub(super) fn client(&self, host: usize) -> Client {
        client(&self.socket(host))
    }

    /// Ends all processes, and removes the directory.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        for daemon in self.daemons.iter_mut().flatten() {
            daemon.stop().await?;
        }
        for etcd in &mut self.etcds {
            etcd.stop().await?;
        }
        let path = self.directory.path().display().to_string();
        self.directory.close().map_err(|err| Failure::Own(format!("{path} can not be removed: {err}")))
    }
}

/// A client that tries a daemon only once, so that its caller asks another one.
pub(super) fn client(socket: &Path) -> Client {
    Client::builder(socket).reconnect_for(Duration::ZERO).busy_for(Duration::ZERO).lazy()
}

/// The command of a program that ends with its parent, where that can be arranged.
fn ending_with_parent(program: &Path) -> Command {
    let Some(setpriv) = which::find("setpriv") else { return Command::new(program) };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

/// Ports of loopback that nobody listens on.
fn free_ports() -> std::io::Result<Vec<u16>> {
    // All at once, so that no two are the same.
    let listeners = (0..2 * NAMES.len()).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<Result<Vec<_>, _>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
