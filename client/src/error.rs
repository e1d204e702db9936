//! The errors of a call: three kinds, because a caller can react in three ways.

use enroll_protocol::Refusal;

/// Why a call has no reply.
///
/// ```
/// use enroll_client::{Client, Error, protocol::Code, protocol::token};
///
/// async fn spend(client: &Client, spent: token::Use) -> Result<&'static str, Error> {
///     match client.call(spent).await {
///         Ok(_) => Ok("welcome"),
///         Err(Error::Refused(refusal)) if refusal.code == Code::TOKEN_REUSE => Ok("it was used before"),
///         Err(error) => Err(error),
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = enroll_client::fake::Daemon::builder().start()?;
/// # let client = daemon.client()?;
/// let spent = token::Use::new("nonce-4711".parse()?);
/// assert_eq!(spend(&client, spent.clone()).await?, "welcome");
/// assert_eq!(spend(&client, spent).await?, "it was used before");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The daemon refused the request or the connection. A retry changes nothing, unless
    /// [`Code::is_passing`](enroll_protocol::Code::is_passing).
    #[error("{0}")]
    Refused(Refusal),
    /// No answer came within the client's bounds; the message names the socket. A write may have been done or not, and
    /// a retry under the same idempotency key is safe.
    #[error("{0}")]
    Unavailable(String),
    /// The peer does not speak the protocol, or speaks another version of it.
    #[error("{0}")]
    Protocol(String),
}

impl Error {
    /// The refusal of the daemon, if the error is one.
    ///
    /// ```
    /// # use enroll_client::{by_callsign, fake::Daemon, protocol::{Code, person}};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let daemon = Daemon::builder().start()?;
    /// # let client = daemon.client()?;
    /// let error = client.call(person::Get::new(by_callsign("NOBODY")?)).await.expect_err("nobody has this name");
    /// assert_eq!(error.refusal().map(|refusal| refusal.code), Some(Code::NOT_FOUND));
    /// # Ok(())
    /// # }
    /// ```
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Unavailable(_) | Self::Protocol(_) => None,
        }
    }
}
