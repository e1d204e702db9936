//! Fail-over on real etcds: the leader is killed, paused or stopped under load, another daemon takes over, and no token is
//! lost or used twice.

use std::cell::Cell;
use std::io::Write as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use enroll_tests::etcd::Etcd;
use enroll_tests::process::{Home, Process, run};
use nix::sys::signal::Signal;

/// Rounds of a leader that ends.
const ROUNDS: usize = 4;

/// Reads that wait for a daemon that is paused.
const READERS: usize = 6;

/// Longer than a daemon takes to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon on a host of its own, which may run.
struct Host {
    home: Home,
    daemon: Option<Process>,
    /// It answered the latest write.
    leads: Cell<bool>,
}

impl Host {
    fn new(name: &str, etcd: &Etcd) -> Self {
        let home = Home::make();
        home.configure(&format!(
            "store = \"etcd\"\n[etcd]\nendpoints = {:?}\ntimeout_ms = 500\n[cluster]\nmember = \"{name}\"\nlease_seconds = 2\n",
            etcd.endpoints()
        ));
        Self { home, daemon: None, leads: Cell::new(false) }
    }

    fn start(&mut self) {
        self.daemon = Some(self.home.spawn());
    }

    /// Uses a token with an idempotency key: done, or refused with this code, or not answered.
    fn use_token(&self, token: usize, key: &str) -> Result<(), Option<String>> {
        let output =
            run(&mut self.home.enrollctl(&["--json", "token", "use", "--key", key]), &format!("token-{token}"));
        match output.code {
            Some(0) => Ok(()),
            _ if !output.stdout.contains("error") => Err(None),
            _ => Err(output.json().pointer("/error/code").and_then(|code| code.as_str()).map(str::to_owned)),
        }
    }

    /// Begins to ask when a token was used.
    fn begin_get_token(&self, token: usize) -> Child {
        let mut command = self.home.enrollctl(&["--json", "token", "get"]);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = piped.spawn().expect("started");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(format!("token-{token}").as_bytes()).expect("written");
        child
    }
}

/// An idempotency key of a token's.
fn key(token: usize, kind: usize) -> String {
    format!("00000000-0000-4000-8000-{:012x}", token * 4 + kind)
}

/// Uses a token at any host, until one answers; the time it took.
fn use_somewhere(hosts: &[Host], token: usize) -> Duration {
    let begun = Instant::now();
    loop {
        // A standby has its clients wait, so the one that led is asked first.
        let mut asked: Vec<&Host> = hosts.iter().filter(|host| host.home.socket().exists()).collect();
        asked.sort_by_key(|host| !host.leads.get());
        for host in asked {
            let used = host.use_token(token, &key(token, 0));
            host.leads.set(used.is_ok());
            match used {
                Ok(()) => return begun.elapsed(),
                Err(Some(code)) if code == "token_reuse" => panic!("token {token} was used, and not by its key"),
                Err(_) => {}
            }
        }
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "nobody takes over: {}",
            hosts[0].home.path("log").display()
        );
    }
}

#[test]
fn a_leader_that_ends_is_replaced_and_nothing_is_lost() {
    let Some(etcd) = Etcd::start("a_leader_that_ends_is_replaced_and_nothing_is_lost", 3, &[]) else { return };
    tokio::runtime::Runtime::new().expect("a runtime").block_on(etcd.await_ready());
    let mut hosts = [Host::new("a", &etcd), Host::new("b", &etcd)];
    hosts[0].start();
    use_somewhere(&hosts[..1], 0);
    std::fs::create_dir(hosts[1].home.state_dir()).expect("a directory");
    std::fs::copy(hosts[0].home.state_dir().join("enrolld.key"), hosts[1].home.state_dir().join("enrolld.key"))
        .expect("the same key");
    hosts[1].start();
    let mut token = 1;
    for round in 0..ROUNDS {
        for _ in 0..10 {
            use_somewhere(&hosts, token);
            token += 1;
        }
        let leads = if round % 2 == 0 { 0 } else { 1 };
        let mut leader = hosts[leads].daemon.take().expect("a leader");
        match round {
            0 | 3 => leader.kill9(),
            1 => {
                leader.signal(Signal::SIGTERM);
                assert_eq!(leader.ended(PATIENCE), Some(0), "{round}");
            }
            _ => {
                leader.signal(Signal::SIGSTOP);
                use_somewhere(&hosts[1..], token);
                // It was deposed, and answers no read from the past: not even one that waits when it goes on.
                let readers: Vec<_> = (0..READERS).map(|_| hosts[leads].begin_get_token(token)).collect();
                leader.signal(Signal::SIGCONT);
                assert_eq!(leader.ended(PATIENCE), Some(7), "{round}");
                for reader in readers {
                    let output = reader.wait_with_output().expect("an end");
                    let told = String::from_utf8_lossy(&output.stdout);
                    assert!(!told.contains("not_found"), "a deposed daemon tells of the past: {told}");
                }
                token += 1;
            }
        }
        let _ = std::fs::remove_file(hosts[leads].home.socket());
        let gap = use_somewhere(&hosts, token);
        token += 1;
        assert!(gap < Duration::from_secs(10), "round {round}: {gap:?} without a leader");
        hosts[leads].start();
    }
    // Every token is there, once, and the registry is sound.
    let leader = hosts.iter().find(|host| host.use_token(token, &key(token, 0)).is_ok()).expect("a leader");
    for used in 0..token {
        assert_eq!(leader.use_token(used, &key(used, 1)), Err(Some("token_reuse".to_owned())), "token {used}");
        assert_eq!(leader.use_token(used, &key(used, 0)), Ok(()), "token {used} is answered again under its key");
    }
    let check = run(&mut leader.home.enrollctl(&["server", "check"]), "");
    assert_eq!((check.code, check.stdout.as_str()), (Some(0), ""), "{check:?}");
}
