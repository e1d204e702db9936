//! A fake daemon for a service's own tests: the rules of enrolld over a store in memory, in the test's own process.
//!
//! It runs the daemon's rules, its dispatch and its writer, and is reached over a socket by the ordinary clients. So
//! codecs, ids, idempotency keys and refusals are those of a daemon. What it leaves out is the machine: no process is
//! started and nothing is written to a disk but the socket, in a temporary directory. Time stands still until the test
//! moves it.
//!
//! ```
//! use enroll_client::Error;
//! use enroll_client::fake::Daemon;
//! use enroll_client::protocol::{Code, code, person};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let daemon = Daemon::builder().start()?;
//! let client = daemon.blocking()?;
//! client.call(person::Create::new("PORA22b".parse()?))?;
//! let created = client.call(code::Create::new(r#"{"sub":"PORA22b"}"#.parse()?))?;
//! let login = created.code.ok_or("a code is answered where it is made")?;
//! assert!(client.call(code::Use::new(login.clone()))?.jwt.is_some());
//! let again = client.call(code::Use::new(login));
//! assert!(matches!(again, Err(Error::Refused(refusal)) if refusal.code == Code::TOKEN_REUSE));
//! # Ok(())
//! # }
//! ```
//!
//! The same seed, times and calls in the same order give the same keys and codes. Key pairs are random: those of the
//! certificate authority, of issued certificates and of a rotated signing key. A process-wide measure, such as the disk
//! in `server.status` or the text of `server.metrics`, says nothing here.

mod registry;
mod session;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use enroll_core::context::Peer;
use enroll_protocol::Time;
use enrolld::config::Config;
use tempfile::TempDir;

pub use enroll_core::context::Grant;

use crate::{Client, Error, blocking};
use registry::Registry;
use session::Session;

/// The time at which a fake daemon begins, where no other is set: 15 January 2027, in microseconds.
const BEGIN_MICROS: i64 = 1_800_000_000_000_000;

/// Settings of a fake daemon; see [`Daemon::builder`].
///
/// ```
/// use enroll_client::fake::Daemon;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let builder = Daemon::builder().seed([7; 32]).time("2027-03-01T12:00:00Z".parse()?);
/// let daemon = builder.config("reserved_callsigns = [\"admin\"]").start()?;
/// assert_eq!(daemon.time().to_string(), "2027-03-01T12:00:00.000000Z");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Builder {
    time: Time,
    seed: [u8; 32],
    config: String,
}

/// Why there is no fake daemon, or no client of it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is refused, with the message that enrolld gives.
    #[error("configuration: {0}")]
    Config(String),
    /// The registry can not be made.
    #[error("the registry can not be made: {0}")]
    Registry(String),
    /// The temporary directory, the socket or its thread can not be made.
    #[error("the socket can not be made: {0}")]
    Socket(#[from] io::Error),
}

/// A fake daemon with a registry of its own. When it is dropped its connections end and its directory is removed.
///
/// ```
/// use enroll_client::fake::{Daemon, Grant};
/// use enroll_client::protocol::{Code, person};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let daemon = Daemon::builder().start()?;
/// let reader = daemon.client_with_grant(Grant::Read)?;
/// let refused = reader.call(person::Create::new("DOGGO01a".parse()?)).await;
/// assert_eq!(refused.err().and_then(|err| err.refusal().map(|refusal| refusal.code)), Some(Code::PERMISSION_DENIED));
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(example()).expect("run");
/// ```
#[derive(Debug)]
pub struct Daemon {
    shared: Arc<Shared>,
    directory: TempDir,
    sockets: Mutex<BTreeMap<(u32, Grant), PathBuf>>,
}

/// The state that its threads share.
pub(crate) struct Shared {
    registry: Mutex<Registry>,
    /// Connections that were accepted, to be ended with the daemon.
    connections: Mutex<Vec<UnixStream>>,
    is_stopping: AtomicBool,
    last_connection: AtomicI32,
    frame_bytes_max: usize,
}

impl Builder {
    /// Sets the time at which it begins.
    ///
    /// The example stands at [`Builder`].
    #[must_use]
    pub fn time(self, time: Time) -> Self {
        Self { time, ..self }
    }

    /// Sets the seed of its keys and codes.
    ///
    /// ```
    /// # use enroll_client::{fake::Daemon, protocol::person};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pk = |seed| -> Result<_, Box<dyn std::error::Error>> {
    ///     let daemon = Daemon::builder().seed([seed; 32]).start()?;
    ///     Ok(daemon.blocking()?.call(person::Create::new("DOGGO01a".parse()?))?.pk)
    /// };
    /// assert_eq!(pk(1)?, pk(1)?);
    /// assert_ne!(pk(1)?, pk(2)?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn seed(self, seed: [u8; 32]) -> Self {
        Self { seed, ..self }
    }

    /// Sets the configuration, as in `enrolld.toml`. Grants do not apply, see [`Daemon::client_with_grant`], nor do
    /// places of files, sockets and limits of connections.
    ///
    /// ```
    /// # use enroll_client::fake::Daemon;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let wrong = Daemon::builder().config("reserved = 1").start().expect_err("there is no such setting");
    /// assert!(wrong.to_string().contains("reserved"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn config(self, toml: impl Into<String>) -> Self {
        Self { config: toml.into(), ..self }
    }

    /// Starts it, with an empty registry.
    ///
    /// The example stands at [`Builder`].
    pub fn start(self) -> Result<Daemon, StartError> {
        let config = Config::parse(&self.config, []).map_err(|err| StartError::Config(err.to_string()))?;
        let frame_bytes_max = config.limits().frame_bytes_max;
        let registry = Registry::found(&config, self.time, self.seed);
        let registry = registry.map_err(|err| StartError::Registry(err.to_string()))?;
        let shared = Shared {
            registry: Mutex::new(registry),
            connections: Mutex::default(),
            is_stopping: AtomicBool::new(false),
            last_connection: AtomicI32::new(0),
            frame_bytes_max,
        };
        let directory = tempfile::Builder::new().prefix("enroll-fake").tempdir()?;
        let daemon = Daemon { shared: Arc::new(shared), directory, sockets: Mutex::default() };
        daemon.socket_of(own_uid(), Grant::Admin)?;
        Ok(daemon)
    }
}

impl Daemon {
    /// A builder: the seed is zeros, the time is in 2027 and the configuration is empty.
    ///
    /// The example stands at [`Daemon`].
    pub fn builder() -> Builder {
        let time = Time::from_micros(BEGIN_MICROS).unwrap_or(Time::EPOCH);
        Builder { time, seed: [0; 32], config: String::new() }
    }

    /// A client with the grant `admin`, which connects at its first call. Must be called in a tokio runtime.
    ///
    /// ```
    /// # use enroll_client::{fake::Daemon, protocol::person};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let daemon = Daemon::builder().start()?;
    /// let client = daemon.client()?;
    /// client.call(person::Create::new("DOGGO01a".parse()?)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn client(&self) -> Result<Client, StartError> {
        self.client_with_grant(Grant::Admin)
    }

    /// A client with this grant.
    ///
    /// It shows what a service may do that has less; the example stands at [`Daemon`].
    pub fn client_with_grant(&self, grant: Grant) -> Result<Client, StartError> {
        self.client_of(own_uid(), grant)
    }

    /// A client that the daemon takes for a process of this uid, with this grant.
    ///
    /// Idempotency keys are of a user, and wrong codes are counted for each:
    ///
    /// ```
    /// # use enroll_client::{fake::{Daemon, Grant}, protocol::changes, protocol::token};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let daemon = Daemon::builder().start()?;
    /// let portal = daemon.client_of(1001, Grant::Operate)?;
    /// portal.call(token::Use::new("nonce-4711".parse()?)).await?;
    /// let page = daemon.client()?.call(changes::List::default()).await?;
    /// assert_eq!(page.items.last().map(|change| change.peer.uid), Some(1001));
    /// # Ok(())
    /// # }
    /// ```
    pub fn client_of(&self, uid: u32, grant: Grant) -> Result<Client, StartError> {
        Ok(Client::builder(self.socket_of(uid, grant)?).lazy())
    }

    /// A client with the grant `admin`, for a program without async.
    ///
    /// ```
    /// # use enroll_client::{fake::Daemon, protocol::person};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let daemon = Daemon::builder().start()?;
    /// let client = daemon.blocking()?;
    /// client.call(person::Create::new("DOGGO01a".parse()?))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn blocking(&self) -> Result<blocking::Client, Error> {
        let socket = self.socket_of(own_uid(), Grant::Admin).map_err(|err| Error::Unavailable(err.to_string()))?;
        blocking::Client::connect(socket)
    }

    /// The socket whose connections are those of this uid with this grant: for a service that takes a path.
    ///
    /// ```
    /// # use enroll_client::{blocking::Client, fake::{Daemon, Grant}, protocol::person};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let daemon = Daemon::builder().start()?;
    /// // As a service reads it from its configuration.
    /// let path = daemon.socket_of(1001, Grant::Operate)?.display().to_string();
    /// let client = Client::connect(path)?;
    /// client.call(person::Create::new("DOGGO01a".parse()?))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn socket_of(&self, uid: u32, grant: Grant) -> Result<PathBuf, StartError> {
        let mut sockets = lock(&self.sockets);
        if let Some(path) = sockets.get(&(uid, grant)) {
            return Ok(path.clone());
        }
        let path = self.directory.path().join(format!("{uid}-{}.sock", grant.name()));
        let listener = UnixListener::bind(&path)?;
        let shared = Arc::clone(&self.shared);
        thread::Builder::new().name("fake".to_owned()).spawn(move || shared.listen(&listener, uid, grant))?;
        sockets.insert((uid, grant), path.clone());
        Ok(path)
    }

    /// The time by the daemon's clock.
    ///
    /// It stands still, but for [`advance`](Self::advance) and [`set_time`](Self::set_time).
    pub fn time(&self) -> Time {
        self.shared.registry().time()
    }

    /// Lets time pass: what is due by then is done, such as an opening or an expiry.
    ///
    /// ```
    /// # use enroll_client::{fake::Daemon, protocol::{Code, code}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let daemon = Daemon::builder().start()?;
    /// let client = daemon.blocking()?;
    /// let mut create = code::Create::new(r#"{"sub":"DOGGO01a"}"#.parse()?);
    /// create.expires = Some(daemon.time().plus_seconds(60));
    /// let login = client.call(create)?.code.ok_or("a code is answered where it is made")?;
    /// daemon.advance(61);
    /// let late = client.call(code::Use::new(login)).expect_err("it has expired");
    /// assert_eq!(late.refusal().map(|refusal| refusal.code), Some(Code::EXPIRED));
    /// # Ok(())
    /// # }
    /// ```
    pub fn advance(&self, seconds: u64) {
        let mut registry = self.shared.registry();
        let then = registry.time().plus_seconds(seconds);
        registry.pass_until(then);
    }

    /// Sets the clock to a later time, as [`advance`](Self::advance) does, or back, as an administrator may.
    ///
    /// ```
    /// # use enroll_client::fake::Daemon;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let daemon = Daemon::builder().start()?;
    /// daemon.set_time("2027-07-01T10:00:00Z".parse()?);
    /// assert_eq!(daemon.time().to_string(), "2027-07-01T10:00:00.000000Z");
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_time(&self, time: Time) {
        let mut registry = self.shared.registry();
        if time < registry.time() {
            registry.set_back(time);
        }
        registry.pass_until(time);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        for connection in lock(&self.shared.connections).drain(..) {
            // It may have ended by itself.
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
        for path in lock(&self.sockets).values() {
            // The listener wakes, and finds that it shall end.
            let _ = UnixStream::connect(path);
        }
    }
}

impl Shared {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        lock(&self.registry)
    }

    fn listen(self: &Arc<Self>, listener: &UnixListener, uid: u32, grant: Grant) {
        for accepted in listener.incoming() {
            let Ok(stream) = accepted else { return };
            let mut connections = lock(&self.connections);
            if self.is_stopping.load(Ordering::SeqCst) {
                return;
            }
            let Ok(copy) = stream.try_clone() else { continue };
            connections.push(copy);
            drop(connections);
            let number = self.last_connection.fetch_add(1, Ordering::Relaxed) + 1;
            let connection = u64::try_from(number).unwrap_or_default();
            let pid = i32::try_from(std::process::id()).unwrap_or_default();
            let peer = Peer { uid, pid, connection, grant, delegation: Arc::default(), member: None };
            let session = Session::new(stream, peer, Arc::clone(self));
            // Without a thread the connection ends at once.
            let _ = thread::Builder::new().name("fake".to_owned()).spawn(move || session.serve());
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").finish_non_exhaustive()
    }
}

fn own_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
