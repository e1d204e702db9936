//! A cluster on one machine: three etcds, whose members can be cut off from each other, and daemons on hosts of their own,
//! each of which can be cut off from etcd, killed, stopped and started again.

use std::process::Command;
use std::time::{Duration, Instant};

use enroll_etcd::messages::RangeRequest;
use tokio::runtime::Runtime;

use crate::etcd::{Etcd, free_port};
use crate::poll::until_within;
use crate::process::{Home, Output, PATIENCE, Process, run};
use crate::proxy::{Fate, Proxy};

/// The time to live of a leader's lease, in seconds.
pub const LEASE: Duration = Duration::from_secs(2);

/// Between two looks at who leads.
const LOOK: Duration = Duration::from_millis(10);

/// The exit code of a daemon that was deposed or has handed over.
pub const DEPOSED: i32 = 7;

/// See the module.
#[derive(Debug)]
pub struct Cluster {
    /// Its hosts.
    pub hosts: Vec<Host>,
    /// The etcds.
    pub etcd: Etcd,
    /// For calls to etcd.
    pub runtime: Runtime,
}

/// A host of a cluster, and its way to etcd.
#[derive(Debug)]
pub struct Host {
    /// The name of its member.
    pub name: &'static str,
    /// Its directory.
    pub home: Home,
    /// Its daemon, where one runs.
    pub daemon: Option<Process>,
    /// In front of each etcd, for this host alone.
    pub proxies: Vec<Proxy>,
    /// In front of what the other members forward to this one.
    pub peers: Proxy,
}

impl Cluster {
    /// A cluster whose daemons run and have caught up; `None`, said loudly, where etcd is not installed. The first member
    /// leads.
    pub fn start(test: &str, names: &[&'static str]) -> Option<Self> {
        Self::start_with(test, names, "")
    }

    /// The same with more keys of the configuration, before its sections.
    pub fn start_with(test: &str, names: &[&'static str], keys: &str) -> Option<Self> {
        let etcd = Etcd::start_behind_proxies(test, 3)?;
        let runtime = Runtime::new().expect("a runtime");
        runtime.block_on(etcd.await_ready());
        let mut hosts: Vec<Host> = names.iter().map(|name| Host::new(name, &etcd, keys)).collect();
        hosts[0].start();
        hosts[0].await_serving();
        for at in 1..hosts.len() {
            let key = std::fs::read(hosts[0].home.state_dir().join("enrolld.key")).expect("a key");
            hosts[at].put_key(&key);
            hosts[at].start();
        }
        hosts.iter().for_each(Host::await_serving);
        Some(Self { hosts, etcd, runtime })
    }

    /// The place of the host whose member leads, by etcd.
    pub fn leader(&self) -> Option<usize> {
        let name = self.value("enrolld/leader")?;
        self.hosts.iter().position(|host| host.name.as_bytes() == name)
    }

    /// Waits until a member leads that may be this one only if `other_than` is none.
    pub fn await_leader(&self, other_than: Option<usize>) -> usize {
        let begun = Instant::now();
        loop {
            let led = self.leader();
            match led {
                Some(leads) if led != other_than && self.hosts[leads].leads() => return leads,
                _ => {}
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{led:?} leads: {}",
                self.hosts.iter().map(Host::log).collect::<String>()
            );
            std::thread::sleep(LOOK);
        }
    }

    /// The value of a key of etcd; `None` where there is none, or etcd does not answer.
    pub fn value(&self, key: &str) -> Option<Vec<u8>> {
        let range = RangeRequest { key: key.into(), ..RangeRequest::default() };
        let found = self.runtime.block_on(async { self.etcd.client().range(range).await }).ok()?;
        found.kvs.into_iter().next().map(|kv| kv.value)
    }

    /// Starts the daemons that do not run.
    pub fn start_all(&mut self) {
        self.hosts.iter_mut().filter(|host| host.daemon.is_none()).for_each(Host::start);
    }

    /// Starts the daemons that were deposed and have ended, as a service manager does.
    pub fn revive(&mut self) {
        for host in &mut self.hosts {
            if let Some(code) = host.daemon.as_mut().and_then(Process::ended_by_now) {
                assert_eq!(code, DEPOSED, "{} ended: {}", host.name, host.log());
                host.start();
            }
        }
    }

    /// Every host serves, its registry is sound, and all hold the same: their exports at one number are equal.
    pub fn expect_same_everywhere(&mut self) {
        self.start_all();
        self.hosts.iter().for_each(Host::await_serving);
        self.await_leader(None);
        let mut exports = Vec::new();
        for host in &self.hosts {
            let check = host.run(&["--json", "server", "check"], "");
            assert_eq!((check.stdout.as_str(), check.code), ("[]\n", Some(0)), "{}: {}", host.name, check.stderr);
            let export = host.run(&["server", "export", "--with-secrets"], "");
            assert_eq!(export.code, Some(0), "{}: {}", host.name, export.stderr);
            // The first line tells the time of the export.
            let (head, records) = export.stdout.split_once('\n').expect("lines");
            assert!(head.contains("\"enrolld"), "{head}");
            exports.push(records.to_owned());
        }
        for (host, export) in self.hosts.iter().zip(&exports) {
            assert!(export.len() > 100 && *export == exports[0], "{} holds other records", host.name);
        }
    }
}

impl Host {
    fn new(name: &'static str, etcd: &Etcd, keys: &str) -> Self {
        let proxies: Vec<Proxy> = etcd.client_ports().into_iter().map(Proxy::before).collect();
        let endpoints: Vec<_> = proxies.iter().map(|proxy| format!("http://127.0.0.1:{}", proxy.port())).collect();
        let (home, listen) = (Home::make(), free_port());
        let peers = Proxy::before(listen);
        home.configure(&format!(
            "store = \"etcd\"\n{keys}\n[etcd]\nendpoints = {endpoints:?}\ntimeout_ms = 500\n[cluster]\nmember = \
             \"{name}\"\nlease_seconds = {}\nlisten = \"127.0.0.1:{listen}\"\naddress = \"127.0.0.1:{}\"\n",
            LEASE.as_secs(),
            peers.port()
        ));
        Self { name, home, daemon: None, proxies, peers }
    }

    fn put_key(&self, key: &[u8]) {
        std::fs::create_dir(self.home.state_dir()).expect("a directory");
        let path = self.home.state_dir().join("enrolld.key");
        std::fs::write(&path, key).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(path, mode).expect("a mode");
    }

    /// Starts its daemon.
    pub fn start(&mut self) {
        let mut enrolld = self.home.enrolld();
        self.start_by(&mut enrolld);
    }

    /// Starts its daemon by a command of one's own.
    pub fn start_by(&mut self, enrolld: &mut Command) {
        // A daemon that was killed leaves its socket.
        let _ = std::fs::remove_file(self.home.socket());
        self.daemon = Some(Process::start(enrolld, &self.home.path("log")));
    }

    /// Its daemon.
    pub fn process(&mut self) -> &mut Process {
        self.daemon.as_mut().expect("a daemon")
    }

    /// Kills its daemon.
    pub fn kill9(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill9();
        }
    }

    /// Waits until its daemon has ended by itself; its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        self.daemon.take().and_then(|mut daemon| daemon.ended(PATIENCE))
    }

    /// Waits until its daemon answers.
    pub fn await_serving(&self) {
        until_within(PATIENCE, self.name, || self.run(&["server", "status"], "").code.is_some_and(|code| code <= 1));
    }

    /// True if its daemon says that it leads.
    pub fn leads(&self) -> bool {
        let status = self.run(&["cluster", "status", "--json"], "");
        status.code == Some(0) && status.json()["leader"] == status.json()["member"]
    }

    /// Runs `enrollctl` with these arguments.
    pub fn run(&self, args: &[&str], stdin: &str) -> Output {
        run(&mut self.home.enrollctl(args), stdin)
    }

    /// Runs `enrollctl`, which must succeed; what it prints.
    pub fn done(&self, args: &[&str], stdin: &str) -> String {
        let output = self.run(args, stdin);
        assert_eq!(output.code, Some(0), "{} {args:?}: {output:?}", self.name);
        output.stdout.trim().to_owned()
    }

    /// The fates of what this host asks etcd, and of its answers.
    pub fn set(&self, asked: Fate, answered: Fate) {
        self.proxies.iter().for_each(|proxy| proxy.set(asked, answered));
    }

    /// Everything between this host and etcd passes again.
    pub fn mend(&self) {
        self.set(Fate::Pass, Fate::Pass);
    }

    /// Everything that its daemon has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path("log")).unwrap_or_default()
    }
}

/// `enrolld` for this directory with a clock that is so far off. The program `faketime` would start it as a child, which
/// outlives it; so it only tells where its library is.
pub fn enrolld_with_clock_off(home: &Home, seconds: i64) -> Command {
    let told = Command::new("faketime").args(["-f", "+1s", "sh", "-c", "printf %s \"$LD_PRELOAD\""]).output();
    let library = String::from_utf8(told.expect("faketime").stdout).expect("a path");
    let mut enrolld = home.enrolld();
    enrolld.env("LD_PRELOAD", library).env("FAKETIME", format!("{seconds:+}s")).env("DONT_FAKE_MONOTONIC", "1");
    enrolld
}
