//! Neighbours: attacks by other users on a daemon, and the latency of a bystander beside them.
//!
//! The measure is a ratio of latencies within one run. Rounds alternate: the attack runs on this daemon or on another one,
//! so its load on the machine is in both, and the ratio is this daemon's part. Two of three pairs decide.

use std::fmt;
use std::fs::Permissions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use enroll_protocol::envelope::{Hello, MAGIC, PROTOCOL_VERSION};
use enroll_protocol::frame::{self, FrameKind};
use enroll_protocol::token;
use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;

use crate::process::{Daemon, Home};
use crate::process_memory;
use crate::socket::Socket;

/// Calls of the bystander in one round at least.
const CALLS: usize = 100;

/// A disturbance must be seen this many times in a row: the machine has other work, too.
const ATTEMPTS: usize = 5;

/// A pause of an attacker.
const PAUSE: Duration = Duration::from_millis(50);

/// An attack, which one thread of each attacker runs.
pub struct Attack<'a> {
    /// For messages.
    pub name: &'a str,
    /// Runs it against the daemon at this socket. It says when it has begun, and ends when its round is over.
    pub run: &'a (dyn Fn(&Path, &Round) + Sync),
}

/// One round of an attack, as the attacker sees it.
pub struct Round {
    begun: Sender<()>,
    over: Receiver<()>,
}

/// The daemons of a comparison, and what the bystander must not notice.
pub struct Comparison<'a> {
    /// The bystander's daemon.
    pub daemon: &'a Daemon,
    /// One that is attacked in the other rounds.
    pub other: &'a Daemon,
    /// The users who attack at once; none stands for the user of the test itself.
    pub uids: &'a [u32],
    /// The least length of a round.
    pub round: Duration,
    /// The longest wait that counts as noise.
    pub noise: Duration,
    /// The bound of the daemon's resident memory.
    pub memory_bytes_max: u64,
}

/// Latencies and memory of a comparison.
#[derive(Debug)]
pub struct Seen {
    /// The 99th percentile beside the attack on the other daemon and beside the one on this daemon, by pair.
    pub p99: Vec<(Duration, Duration)>,
    /// The most memory that the attacked daemon had in use.
    pub peak_bytes: u64,
}

/// A connection that sends all it can without waiting, and reads nothing.
#[derive(Debug)]
pub struct Flood<'a> {
    stream: UnixStream,
    /// The hello, then what the attack sends.
    parts: [&'a [u8]; 2],
    sent: usize,
}

/// A well-behaved client, which counts acknowledged uses of tokens.
pub struct Bystander {
    socket: Socket,
    acknowledged: usize,
}

impl Round {
    /// The attack has begun: the bystander measures from here on.
    pub fn begun(&self) {
        // A bystander that failed waits for nothing.
        let _ = self.begun.send(());
    }

    /// Waits so long; false as soon as the round is over.
    pub fn goes_on(&self, wait: Duration) -> bool {
        self.over.recv_timeout(wait) == Err(RecvTimeoutError::Timeout)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {} MiB; p99 before and during: {:.1?}", self.peak_bytes >> 20, self.p99)
    }
}

impl<'a> Flood<'a> {
    /// Connects, to send a hello and these bytes; `None` where the daemon is gone.
    pub fn open(path: &Path, hello: &'a [u8], bytes: &'a [u8]) -> Option<Self> {
        let stream = UnixStream::connect(path).ok()?;
        stream.set_nonblocking(true).ok()?;
        Some(Self { stream, parts: [hello, bytes], sent: 0 })
    }

    /// Sends what the socket takes; false once the daemon has closed the connection.
    pub fn push(&mut self) -> bool {
        loop {
            let [hello, bytes] = self.parts;
            let rest = hello.get(self.sent..).filter(|rest| !rest.is_empty());
            let rest = rest.or_else(|| bytes.get(self.sent - hello.len()..)).unwrap_or_default();
            match (&self.stream).write(rest) {
                Ok(0) => return true,
                Ok(sent) => self.sent += sent,
                Err(err) => return err.kind() == ErrorKind::WouldBlock,
            }
        }
    }
}

/// The hello of a client.
pub fn hello() -> Vec<u8> {
    let mut bytes = Vec::new();
    let hello = Hello { magic: MAGIC, protocol: PROTOCOL_VERSION, client: "attacker".to_owned() };
    frame::append(&mut bytes, FrameKind::Hello, 0, 0, &hello);
    bytes
}

/// Connects so often, sends these bytes without waiting, and holds the connections without reading. Where the daemon ends
/// one there is another.
pub fn hold(path: &Path, round: &Round, count: usize, bytes: &[u8]) {
    let hello = hello();
    let open = || Flood::open(path, &hello, bytes);
    let mut all: Vec<_> = (0..count).filter_map(|_| open()).collect();
    all.iter_mut().for_each(|flood| {
        flood.push();
    });
    round.begun();
    while round.goes_on(PAUSE) {
        for flood in &mut all {
            if !flood.push()
                && let Some(next) = open()
            {
                *flood = next;
            }
        }
    }
}

/// Connects so often, sends what the sockets take of these bytes, and leaves at once; again and again.
pub fn abandon(path: &Path, round: &Round, count: usize, bytes: &[u8]) {
    let hello = hello();
    loop {
        let mut all: Vec<_> = (0..count).filter_map(|_| Flood::open(path, &hello, bytes)).collect();
        all.iter_mut().for_each(|flood| {
            flood.push();
        });
        round.begun();
        if !round.goes_on(PAUSE) {
            return;
        }
    }
}

impl Bystander {
    /// One that is connected, and has called until its latency is steady.
    pub fn of(daemon: &Daemon) -> Self {
        let mut bystander = Self { socket: Socket::connect(&daemon.home.socket()), acknowledged: 0 };
        bystander.p99(Duration::ZERO);
        bystander
    }

    /// The uses that were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged
    }

    /// Two of three pairs of rounds find no difference: of a pair one has the attack on the other daemon, one here.
    ///
    /// # Panics
    /// If the bystander notices the attack, or the daemon takes too much memory.
    pub fn expect_undisturbed(&mut self, comparison: &Comparison<'_>, attack: &Attack<'_>) -> Seen {
        let Comparison { daemon, other, noise, memory_bytes_max, .. } = *comparison;
        let mut seen = Seen { p99: Vec::new(), peak_bytes: 0 };
        for _ in 0..ATTEMPTS {
            let (mut unnoticed, mut noticed) = (0, 0);
            while unnoticed < 2 && noticed < 2 {
                let before = self.p99_beside(other, comparison, attack);
                process_memory::forget_peak(daemon.pid());
                let during = self.p99_beside(daemon, comparison, attack);
                seen.peak_bytes = seen.peak_bytes.max(process_memory::peak_bytes(daemon.pid()));
                let peak = seen.peak_bytes;
                assert!(peak < memory_bytes_max, "{}: the daemon takes {peak} bytes", attack.name);
                *(if during > noise.max(before * 2) { &mut noticed } else { &mut unnoticed }) += 1;
                seen.p99.push((before, during));
            }
            if unnoticed == 2 {
                return seen;
            }
        }
        panic!("{}: others notice (p99 beside the attack on the other daemon and on theirs): {seen:?}", attack.name);
    }

    /// The 99th percentile of the latency while an attack runs against a daemon.
    fn p99_beside(&mut self, attacked: &Daemon, comparison: &Comparison<'_>, attack: &Attack<'_>) -> Duration {
        let path = &attacked.home.socket();
        let uids: Vec<Option<u32>> = match comparison.uids {
            [] => vec![None],
            uids => uids.iter().copied().map(Some).collect(),
        };
        std::thread::scope(|scope| {
            let rounds: Vec<_> = uids
                .into_iter()
                .map(|uid| {
                    let ((begun, has_begun), (finish, over)) = (channel(), channel());
                    scope.spawn(move || {
                        uid.into_iter().for_each(become_user);
                        (attack.run)(path, &Round { begun, over });
                    });
                    (has_begun, finish)
                })
                .collect();
            rounds.iter().for_each(|(has_begun, _)| has_begun.recv().expect("it has begun"));
            self.p99(comparison.round)
        })
    }

    fn p99(&mut self, least: Duration) -> Duration {
        let (begun, mut times) = (Instant::now(), Vec::new());
        while times.len() < CALLS || begun.elapsed() < least {
            times.push(self.use_token());
        }
        times.sort_unstable();
        times[times.len() * 99 / 100 - 1]
    }

    fn use_token(&mut self) -> Duration {
        let token = format!("nonce {}", self.acknowledged).parse().expect("a token");
        let begun = Instant::now();
        self.socket.call(&token::Use::new(token)).expect("used");
        self.acknowledged += 1;
        begun.elapsed()
    }
}

/// Two daemons with this configuration.
pub fn two_daemons(configuration: &str) -> [Daemon; 2] {
    [(); 2].map(|()| {
        let home = Home::make();
        home.configure(configuration);
        home.start()
    })
}

/// Opens the way to a daemon's socket to every user.
pub fn open_to_all(daemon: &Daemon) {
    open_home_to_all(&daemon.home);
}

/// Opens the way to the socket of a home's daemon to every user.
pub fn open_home_to_all(home: &Home) {
    for (path, mode) in [("", 0o711), ("run", 0o755), ("run/enrolld.sock", 0o666)] {
        std::fs::set_permissions(home.path(path), Permissions::from_mode(mode)).expect("opened");
    }
}

/// Runs something as another user, on a thread of its own. Takes root.
pub fn as_user<T: Send>(uid: u32, run: impl FnOnce() -> T + Send) -> T {
    let asked = || {
        become_user(uid);
        run()
    };
    std::thread::scope(|scope| scope.spawn(asked).join().expect("it ends"))
}

/// Makes this thread, and no other of the process, another user's for the rest of its life. Takes root.
pub fn become_user(uid: u32) {
    let uid = Uid::from_raw(uid);
    set_thread_res_uid(uid, uid, uid).expect("another user");
}
