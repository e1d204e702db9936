//! The builder of a client: its settings, and how it connects.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::backoff::{Backoff, Jitter};
use crate::calls::Calls;
use crate::connection::Connection;
use crate::error::Error;
use crate::worker::{Retry, Worker, reach};
use crate::{Client, blocking};

/// Settings of a client; see [`Client::builder`].
///
/// ```
/// use std::time::Duration;
///
/// use enroll_client::Client;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = enroll_client::fake::Daemon::builder().start()?;
/// # let socket = daemon.socket_of(1000, enroll_client::fake::Grant::Admin)?;
/// # let user = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self")?).to_string();
/// // For a daemon of the package the user is "enrolld".
/// let builder = Client::builder(socket).name("portal").require_peer(user);
/// let client = builder.reconnect_for(Duration::from_secs(10)).connect().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Builder {
    pub(crate) socket: PathBuf,
    pub(crate) name: String,
    pub(crate) reconnect_for: Duration,
    pub(crate) busy_for: Duration,
    pub(crate) required_peers: Vec<String>,
    pub(crate) has_breaker: bool,
}

impl Builder {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            name: concat!("enroll-client ", env!("CARGO_PKG_VERSION")).to_owned(),
            reconnect_for: Duration::from_secs(2),
            busy_for: Duration::from_secs(10),
            required_peers: Vec::new(),
            has_breaker: false,
        }
    }

    /// The client's name in the daemon's log, such as `myportal 2.1`.
    ///
    /// ```
    /// # use enroll_client::{Client, fake::Daemon, fake::Grant, protocol::server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let daemon = Daemon::builder().start()?;
    /// # let socket = daemon.socket_of(1000, Grant::Admin)?;
    /// let client = Client::builder(socket).name("portal 2.1").connect().await?;
    /// # client.call(server::Status {}).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The time that calls wait for a daemon that went away before they fail as unavailable; 2 seconds by default.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use enroll_client::{Client, Error, protocol::server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // A web service would rather say 503 at once than keep a visitor waiting.
    /// let client = Client::builder("/nowhere/enrolld.sock").reconnect_for(Duration::from_millis(50)).lazy();
    /// let absent = client.call(server::Status {}).await;
    /// assert!(matches!(absent, Err(Error::Unavailable(_))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn reconnect_for(mut self, longest: Duration) -> Self {
        self.reconnect_for = longest;
        self
    }

    /// The time that a call is retried while the daemon answers `busy`, before that is its answer; 10 seconds by
    /// default.
    ///
    /// A batch that nobody waits for takes minutes, a web service less than its visitors' patience:
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use enroll_client::{Client, fake::Daemon, fake::Grant, protocol::server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let daemon = Daemon::builder().start()?;
    /// # let socket = daemon.socket_of(1000, Grant::Admin)?;
    /// let client = Client::builder(socket).busy_for(Duration::from_secs(1)).connect().await?;
    /// # client.call(server::Status {}).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn busy_for(mut self, longest: Duration) -> Self {
        self.busy_for = longest;
        self
    }

    /// Adds a circuit breaker, for a program that outlives its daemons: when a call has failed as unavailable, later
    /// calls fail at once until one of them finds the daemon. Every call looks for it. After the first connection
    /// whatever prevents another one is an outage, also a refusal of the daemon or another version of the protocol. The
    /// begin of a stream waits for an absent daemon as a call does.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use enroll_client::{Client, Error, protocol::server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Client::builder("/nowhere/enrolld.sock").reconnect_for(Duration::from_millis(50));
    /// let client = builder.circuit_breaker().lazy();
    /// // The first call waits its 50 milliseconds, each one after it fails at once.
    /// for _ in 0..3 {
    ///     assert!(matches!(client.call(server::Status {}).await, Err(Error::Unavailable(_))));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn circuit_breaker(mut self) -> Self {
        self.has_breaker = true;
        self
    }

    /// Accepts only a daemon that runs as this user, by name or uid; called again, one of these users. By default root,
    /// the user `enrolld` and this process's user are accepted. Checked at every connection before anything is sent; a
    /// daemon that runs as somebody else is unavailable at once.
    ///
    /// ```
    /// # use enroll_client::{Client, fake::Daemon, fake::Grant};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let daemon = Daemon::builder().start()?;
    /// # let socket = daemon.socket_of(1000, Grant::Admin)?;
    /// let other = Client::builder(&socket).require_peer("4294967294").connect().await;
    /// assert!(other.is_err(), "no daemon runs as that uid");
    /// # Ok(())
    /// # }
    /// ```
    pub fn require_peer(mut self, user: impl Into<String>) -> Self {
        self.required_peers.push(user.into());
        self
    }

    /// Connects now. Fails at once if the daemon is absent or grants nothing. Must be called in a tokio runtime, where
    /// a task serves the connection from then on.
    ///
    /// A service that can not work without the daemon begins with this, so that its own start fails and says why:
    ///
    /// ```
    /// # use enroll_client::{Client, Error};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let absent = Client::builder("/nowhere/enrolld.sock").connect().await;
    /// assert!(matches!(absent, Err(Error::Unavailable(_))));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(self) -> Result<Client, Error> {
        let connection = self.reach().await?;
        Ok(self.spawn(Some(connection)))
    }

    /// Connects at the first call. Must be called in a tokio runtime.
    ///
    /// A service that may start before the daemon begins with this:
    ///
    /// ```
    /// # use enroll_client::{Client, fake::Daemon, fake::Grant, protocol::server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let daemon = Daemon::builder().start()?;
    /// # let socket = daemon.socket_of(1000, Grant::Admin)?;
    /// let client = Client::builder(socket).lazy();
    /// assert!(client.call(server::Status {}).await.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn lazy(self) -> Client {
        self.spawn(None)
    }

    /// Connects now, for a program without async.
    ///
    /// ```
    /// # use enroll_client::{Client, fake::Daemon, fake::Grant, protocol::server};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let daemon = Daemon::builder().start()?;
    /// # let socket = daemon.socket_of(1000, Grant::Admin)?;
    /// let client = Client::builder(socket).name("nightly report").connect_blocking()?;
    /// assert!(client.call(server::Status {}).is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_blocking(self) -> Result<blocking::Client, Error> {
        blocking::Client::connect_with(self)
    }

    /// Connects now; retries only while the daemon is full.
    pub(crate) async fn reach(&self) -> Result<Connection, Error> {
        let mut backoff = Backoff::begin(self.reconnect_for);
        reach(self, &mut backoff, &mut Jitter::new(), Retry::WhileBusy).await
    }

    fn spawn(self, connection: Option<Connection>) -> Client {
        let calls = Arc::new(Calls::new(self.busy_for));
        tokio::spawn(Worker::new(self.clone(), Arc::clone(&calls)).run(connection));
        Client::new(self, calls)
    }
}
