//! The leader's end of forwarding: links of other members are accepted over TLS, and each becomes a connection of the
//! listener, served by an ordinary session.

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use enroll_core::context::Peer;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::{Introduction, MemberTls, tune};
use crate::net::handshake::RETRY_AFTER_MS;
use crate::net::rate_limited_log::RateLimitedLog;

/// The time that a link has for TLS and its introduction.
const GREETING: Duration = Duration::from_secs(5);

/// Links that have not introduced themselves, at a time. Where there are more, the oldest is ended: so nobody who proves
/// nothing keeps members away.
const GREETED_MAX: usize = 64;

/// A connection that another member forwards, and whose it is.
pub type Forwarded = (UnixStream, Peer);

/// Accepts links for ever, and gives each that proved the key to the listener.
pub async fn accept(listener: std::net::TcpListener, tls: MemberTls, sessions: mpsc::Sender<Forwarded>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(err) => return tracing::error!(%err, "writes that other members forward can not be accepted"),
    };
    let log = Arc::<Mutex<RateLimitedLog>>::default();
    let refused = move |err: &io::Error| {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.say(|unsaid| tracing::warn!(%err, unsaid, "a connection to cluster.listen was refused"));
    };
    let mut greeted: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(err) => {
                refused(&err);
                tokio::time::sleep(Duration::from_millis(RETRY_AFTER_MS)).await;
                continue;
            }
        };
        greeted.retain(|greeting| !greeting.is_finished());
        if greeted.len() == GREETED_MAX
            && let Some(oldest) = greeted.pop_front()
        {
            oldest.abort();
        }
        let (tls, sessions, refused) = (tls.clone(), sessions.clone(), refused.clone());
        let greeting = tokio::spawn(async move {
            match timeout(GREETING, begin(stream, &tls, &sessions)).await {
                Ok(Ok((mut link, mut session))) => {
                    // The end of either is the end of both.
                    tokio::spawn(async move { copy_bidirectional(&mut link, &mut session).await });
                }
                Ok(Err(err)) => refused(&err),
                Err(late) => refused(&late.into()),
            }
        });
        greeted.push_back(greeting.abort_handle());
    }
}

type Link = tokio_rustls::server::TlsStream<TcpStream>;

/// Takes a link up to its session.
async fn begin(
    stream: TcpStream,
    tls: &MemberTls,
    sessions: &mpsc::Sender<Forwarded>,
) -> io::Result<(Link, tokio::net::UnixStream)> {
    tune(&stream)?;
    let mut link = tls.acceptor.accept(stream).await?;
    let peer = Introduction::read(&mut link).await?.peer();
    let (near, far) = UnixStream::pair()?;
    near.set_nonblocking(true)?;
    far.set_nonblocking(true)?;
    sessions.send((far, peer)).await.map_err(|_| io::Error::other("the daemon is stopping"))?;
    Ok((link, tokio::net::UnixStream::from_std(near)?))
}
