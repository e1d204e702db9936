//! A cluster of real etcds on loopback, in a temporary directory, whose members can be killed, stopped and started again.

use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use enroll_etcd::{Client, Config};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::poll::until;
use crate::proxy::{Fate, Proxy};
use crate::skip::is_installed;

/// The time a call may take.
pub const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

/// The ports that members listen on, below those that the kernel gives to clients.
const PORTS: Range<u16> = 20_000..32_000;

/// A running cluster. Dropping it kills its members and removes what they wrote.
#[derive(Debug)]
pub struct Etcd {
    members: Vec<Member>,
    /// The flags of every member.
    flags: Vec<String>,
    directory: TempDir,
}

#[derive(Debug)]
struct Member {
    client_port: u16,
    peer_port: u16,
    /// In front of the port for peers, where the test may cut members off from each other.
    proxy: Option<Proxy>,
    process: Option<Child>,
}

impl Member {
    /// The address that the other members know.
    fn peer_url(&self) -> String {
        let port = self.proxy.as_ref().map_or(self.peer_port, Proxy::port);
        format!("http://127.0.0.1:{port}")
    }
}

impl Etcd {
    /// A cluster of so many members; `None`, said loudly, where etcd is not installed.
    pub fn start(test: &str, members: usize, flags: &[&str]) -> Option<Self> {
        Self::start_with(test, members, flags, |_| None)
    }

    /// The same whose members reach each other by proxies.
    pub fn start_behind_proxies(test: &str, members: usize) -> Option<Self> {
        Self::start_with(test, members, &[], |port| Some(Proxy::before(port)))
    }

    fn start_with(test: &str, members: usize, flags: &[&str], proxy: impl Fn(u16) -> Option<Proxy>) -> Option<Self> {
        if !is_installed(test, "etcd") {
            return None;
        }
        let ports: Vec<u16> = std::iter::repeat_with(free_port).take(members * 2).collect();
        let member = |ports: &[u16]| Member {
            client_port: ports[0],
            peer_port: ports[1],
            proxy: proxy(ports[1]),
            process: None,
        };
        let mut cluster = Self {
            members: ports.chunks_exact(2).map(member).collect(),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            directory: tempfile::tempdir().expect("a directory"),
        };
        (0..members).for_each(|member| cluster.start_member(member));
        Some(cluster)
    }

    /// The members' addresses for clients.
    pub fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(|member| self.client_url(member)).collect()
    }

    /// A client of all members.
    pub fn client(&self) -> Client {
        let config = Config { endpoints: self.endpoints(), timeout: TIMEOUT, ..Config::default() };
        Client::new(&config).expect("a client")
    }

    /// A client of one member.
    pub fn client_of(&self, member: usize) -> Client {
        let config = Config { endpoints: vec![self.endpoints().remove(member)], timeout: TIMEOUT, ..Config::default() };
        Client::new(&config).expect("a client")
    }

    /// Waits until the cluster has a leader and answers linearizable reads.
    pub async fn await_ready(&self) {
        let client = self.client();
        let begun = std::time::Instant::now();
        loop {
            match client.range(enroll_etcd::messages::RangeRequest { key: b"x".to_vec(), ..Default::default() }).await {
                Ok(_) => return,
                Err(err) => assert!(begun.elapsed().as_secs() < 30, "no cluster: {err}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Starts a member that does not run.
    pub fn start_member(&mut self, number: usize) {
        let name = |number: usize| format!("m{number}");
        let cluster = self.initial_cluster();
        let member = &self.members[number];
        let client = self.client_url(member);
        let data = self.data_of(number);
        let log = std::fs::File::create(self.directory.path().join(format!("log{number}"))).expect("a log");
        let mut command = Command::new("etcd");
        command.args(["--name", &name(number), "--data-dir"]).arg(data).args(&self.flags);
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &format!("http://127.0.0.1:{}", member.peer_port)]);
        command.args(["--initial-advertise-peer-urls", &member.peer_url()]);
        command.args(["--initial-cluster", &cluster, "--snapshot-count", "1000", "--logger", "zap"]);
        let log_too = log.try_clone().expect("a log");
        command.env_clear().stdin(Stdio::null()).stdout(log).stderr(log_too);
        self.members[number].process = Some(command.spawn().expect("etcd"));
    }

    /// The address of a member for clients: with a certificate among the flags it is one of TLS.
    fn client_url(&self, member: &Member) -> String {
        let scheme = if self.flags.iter().any(|flag| flag == "--cert-file") { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", member.client_port)
    }

    /// Removes what a member wrote, which does not run.
    pub fn forget(&self, number: usize) {
        std::fs::remove_dir_all(self.data_of(number)).expect("removed");
    }

    /// Puts a new member in the place of one that is lost, as etcd's documentation says: it is removed, one is added at
    /// its addresses, and begins with nothing.
    pub fn replace(&mut self, number: usize) {
        let others: Vec<String> =
            self.endpoints().into_iter().enumerate().filter(|(at, _)| *at != number).map(|(_, url)| url).collect();
        let ask = |args: &[&str]| {
            let mut etcdctl = Command::new("etcdctl");
            etcdctl.env_clear().env("ETCDCTL_API", "3").arg(format!("--endpoints={}", others.join(","))).args(args);
            let output = etcdctl.output().expect("etcdctl");
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let (name, peer) = (format!("m{number}"), format!("http://127.0.0.1:{}", self.members[number].peer_port));
        let listed = ask(&["member", "list"]).expect("the members");
        let lost = listed.lines().find(|line| line.contains(&peer)).expect("a member");
        ask(&["member", "remove", lost.split(',').next().unwrap_or_default()]).expect("removed");
        // Members that were just connected are not counted as healthy for some seconds.
        let peers = format!("--peer-urls={peer}");
        until("a member is added", || ask(&["member", "add", &name, &peers]).is_some());
        let _ = std::fs::remove_dir_all(self.data_of(number));
        self.flags.push("--initial-cluster-state=existing".to_owned());
        self.start_member(number);
        self.flags.pop();
    }

    /// The ports of the members for clients.
    pub fn client_ports(&self) -> Vec<u16> {
        self.members.iter().map(|member| member.client_port).collect()
    }

    /// The member that leads the others, once there is one.
    pub async fn leader(&self) -> usize {
        let begun = std::time::Instant::now();
        loop {
            for member in 0..self.members.len() {
                if let Ok(status) = self.client_of(member).status().await
                    && status.leader != 0
                    && status.header.is_some_and(|header| header.member_id == status.leader)
                {
                    return member;
                }
            }
            assert!(begun.elapsed().as_secs() < 30, "no member leads");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Cuts a member off from the other members: behind proxies only. Its clients still reach it.
    pub async fn isolate(&self, number: usize) {
        let status = self.client_of(number).status().await.expect("a state");
        // A member tells who it is in the first line of each connection to another one.
        let id = format!("X-Server-From: {:x}", status.header.expect("a header").member_id);
        for (at, member) in self.members.iter().enumerate() {
            let proxy = member.proxy.as_ref().expect("a proxy");
            match at == number {
                true => proxy.cut(),
                false => proxy.set_for(vec![id.clone()], Fate::Lose, Fate::Lose),
            }
        }
    }

    /// Ends what [`Etcd::isolate`] did.
    pub fn rejoin(&self) {
        self.members.iter().filter_map(|member| member.proxy.as_ref()).for_each(Proxy::mend);
    }

    /// Bytes that went between the members: behind proxies only.
    pub fn seen_between_members(&self) -> Vec<u8> {
        self.members.iter().filter_map(|member| member.proxy.as_ref()).flat_map(Proxy::seen).collect()
    }

    /// Sends a member a signal.
    pub fn signal(&self, number: usize, signal: Signal) {
        let process = self.members[number].process.as_ref().expect("a running member");
        kill(Pid::from_raw(i32::try_from(process.id()).expect("a pid")), signal).expect("a signal");
    }

    /// Kills a member.
    pub fn kill(&mut self, number: usize) {
        if let Some(mut process) = self.members[number].process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Saves what the first member has, by etcd's own tool.
    pub fn save_snapshot(&self, path: &Path) {
        let endpoint = format!("http://127.0.0.1:{}", self.members[0].client_port);
        etcdctl(&["--endpoints", &endpoint, "snapshot", "save", &path.display().to_string()]);
    }

    /// Makes the members those of a saved copy, by etcd's own tool, and starts them.
    pub fn restore_snapshot(&mut self, path: &Path) {
        (0..self.members.len()).for_each(|member| self.kill(member));
        for (at, member) in self.members.iter().enumerate() {
            let data = self.data_of(at);
            std::fs::remove_dir_all(&data).expect("removed");
            let (name, cluster) = (format!("m{at}"), self.initial_cluster());
            etcdctl(&[
                "snapshot",
                "restore",
                &path.display().to_string(),
                "--name",
                &name,
                "--initial-cluster",
                &cluster,
                "--initial-advertise-peer-urls",
                &member.peer_url(),
                "--data-dir",
                &data.display().to_string(),
            ]);
        }
        (0..self.members.len()).for_each(|member| self.start_member(member));
    }

    /// Names and addresses of all members.
    fn initial_cluster(&self) -> String {
        let members = self.members.iter().enumerate().map(|(at, member)| format!("m{at}={}", member.peer_url()));
        members.collect::<Vec<_>>().join(",")
    }

    /// A member's data.
    pub fn data_of(&self, number: usize) -> PathBuf {
        self.directory.path().join(format!("data{number}"))
    }
}

fn etcdctl(args: &[&str]) {
    let output = Command::new("etcdctl").env("ETCDCTL_API", "3").args(args).output().expect("etcdctl");
    assert!(output.status.success(), "{args:?}: {output:?}");
}

/// A port that nobody listens on, and that no other call is given. The kernel takes none below its range for clients, so it is
/// still free when etcd listens on it.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = std::process::id().wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + u16::try_from(next % u32::from(PORTS.end - PORTS.start)).expect("within the range");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        (0..self.members.len()).for_each(|member| self.kill(member));
    }
}
