//! A TCP proxy that a test can make fail: each direction passes, is slow, is held back and delivered late, or is lost. It can
//! keep what went through it.
//!
//! A fault may hold for some connections only, by what their clients say first. Bytes that are lost leave a connection
//! without sense, so it is closed once its direction passes again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Bytes that are read at a time.
const CHUNK: usize = 64 << 10;

/// Bytes that a proxy keeps of what it has seen.
pub const SEEN_MAX: usize = 64 << 20;

/// Between two chunks that were held, so that what follows a request, such as its cancellation, does not overtake its
/// execution.
const LATE_PACE: Duration = Duration::from_millis(30);

/// The fate of the bytes of a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They pass.
    Pass,
    /// They pass so much later.
    Delay(Duration),
    /// They wait until the fate is another one, and then arrive, also those of a client that is gone.
    Hold,
    /// They never arrive, and nobody is told.
    Lose,
}

/// The fates of both directions.
#[derive(Debug, Clone)]
struct Weather {
    asked: Fate,
    answered: Fate,
    /// Connections whose first bytes contain one of these, ignoring case; all connections where there is none.
    only: Vec<String>,
}

/// See the module.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    weather: watch::Sender<Weather>,
    seen: Arc<Mutex<Vec<u8>>>,
    runtime: Option<Runtime>,
}

/// A direction of a connection.
struct Direction {
    is_asked: bool,
    weather: watch::Receiver<Weather>,
    /// The first bytes of the client, once they came.
    head: watch::Receiver<Vec<u8>>,
}

impl Proxy {
    /// A proxy in front of this port of the loopback, on a port of its own.
    pub fn before(server: u16) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name("proxy").enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let clear = Weather { asked: Fate::Pass, answered: Fate::Pass, only: Vec::new() };
        let (weather, changes) = watch::channel(clear);
        let seen = Arc::<Mutex<Vec<u8>>>::default();
        let keep = Arc::clone(&seen);
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connection(client, server, changes.clone(), Arc::clone(&keep)));
            }
        });
        Self { port, weather, seen, runtime: Some(runtime) }
    }

    /// The port that clients connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Decides the fates of what is asked and of what is answered, on all connections.
    pub fn set(&self, asked: Fate, answered: Fate) {
        self.weather.send_replace(Weather { asked, answered, only: Vec::new() });
    }

    /// The same on connections whose first bytes contain one of these texts; the others pass.
    pub fn set_for(&self, only: Vec<String>, asked: Fate, answered: Fate) {
        self.weather.send_replace(Weather { asked, answered, only });
    }

    /// Cuts off both directions.
    pub fn cut(&self) {
        self.set(Fate::Lose, Fate::Lose);
    }

    /// Everything passes again.
    pub fn mend(&self) {
        self.set(Fate::Pass, Fate::Pass);
    }

    /// The bytes that came to it so far, of both directions: the first [`SEEN_MAX`] of them.
    pub fn seen(&self) -> Vec<u8> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn connection(client: TcpStream, server: u16, weather: watch::Receiver<Weather>, seen: Arc<Mutex<Vec<u8>>>) {
    let Ok(server) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], server))).await else { return };
    if client.set_nodelay(true).and_then(|()| server.set_nodelay(true)).is_err() {
        return;
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let (say_head, head) = watch::channel(Vec::new());
    let direction = |is_asked| Direction { is_asked, weather: weather.clone(), head: head.clone() };
    let (asked, ask) = mpsc::unbounded_channel();
    let (answered, answer) = mpsc::unbounded_channel();
    let reads = Arc::clone(&seen);
    tokio::spawn(read(from_client, asked, reads, Some(say_head)));
    tokio::spawn(read(from_server, answered, seen, None));
    tokio::spawn(direction(true).write(ask, to_server));
    direction(false).write(answer, to_client).await;
}

/// Reads what comes, whatever becomes of it.
async fn read(
    mut from: OwnedReadHalf,
    into: mpsc::UnboundedSender<(Instant, Vec<u8>)>,
    seen: Arc<Mutex<Vec<u8>>>,
    head: Option<watch::Sender<Vec<u8>>>,
) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(bytes) = from.read(&mut buffer).await {
        let chunk = &buffer[..bytes];
        if chunk.is_empty() {
            return;
        }
        {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let room = SEEN_MAX.saturating_sub(seen.len());
            seen.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
        if let Some(head) = &head {
            head.send_if_modified(|head| {
                let is_first = head.is_empty();
                if is_first {
                    *head = chunk.to_vec();
                }
                is_first
            });
        }
        if into.send((Instant::now(), chunk.to_vec())).is_err() {
            return;
        }
    }
}

impl Direction {
    fn fate(&self) -> Fate {
        let weather = self.weather.borrow();
        let head = String::from_utf8_lossy(&self.head.borrow()).to_lowercase();
        let is_meant = weather.only.is_empty() || weather.only.iter().any(|only| head.contains(&only.to_lowercase()));
        match (is_meant, self.is_asked) {
            (false, _) => Fate::Pass,
            (true, true) => weather.asked,
            (true, false) => weather.answered,
        }
    }

    /// Writes what was read, as the weather allows. The end of what was read ends the connection's other half too.
    async fn write(mut self, mut chunks: mpsc::UnboundedReceiver<(Instant, Vec<u8>)>, mut to: OwnedWriteHalf) {
        let mut has_lost = false;
        loop {
            let next = tokio::select! {
                next = chunks.recv() => next,
                changed = self.weather.changed() => match changed {
                    Ok(()) if has_lost && self.fate() != Fate::Lose => return,
                    Ok(()) => continue,
                    Err(_) => return,
                },
            };
            let Some((came, chunk)) = next else { return };
            let mut was_held = false;
            loop {
                match self.fate() {
                    Fate::Lose => has_lost = true,
                    _ if has_lost => return,
                    Fate::Hold => {
                        was_held = true;
                        if self.weather.changed().await.is_err() {
                            return;
                        }
                        continue;
                    }
                    Fate::Delay(by) => tokio::time::sleep_until(came + by).await,
                    Fate::Pass if was_held => tokio::time::sleep(LATE_PACE).await,
                    Fate::Pass => {}
                }
                break;
            }
            if !has_lost && to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::poll::until;

    /// A server that keeps what it is told, and answers each connection with what it said.
    fn server() -> (u16, Arc<Mutex<Vec<u8>>>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let (port, told) = (listener.local_addr().expect("an address").port(), Arc::<Mutex<Vec<u8>>>::default());
        let keep = Arc::clone(&told);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, keep) = (stream.expect("a connection"), Arc::clone(&keep));
                std::thread::spawn(move || {
                    let mut buffer = [0; 64];
                    while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
                        keep.lock().expect("unpoisoned").extend_from_slice(&buffer[..bytes]);
                        let _ = stream.write_all(&buffer[..bytes]);
                    }
                });
            }
        });
        (port, told)
    }

    fn connect(proxy: &Proxy) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", proxy.port())).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
        stream
    }

    /// The next bytes; none at the end; `None` if nothing comes.
    fn heard(stream: &mut TcpStream) -> Option<Vec<u8>> {
        let mut buffer = [0; 64];
        match stream.read(&mut buffer) {
            Ok(bytes) => Some(buffer[..bytes].to_vec()),
            Err(err) if matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(_) => Some(Vec::new()),
        }
    }

    #[test]
    fn bytes_pass_wait_come_late_or_are_lost() {
        let (port, told) = server();
        let proxy = Proxy::before(port);
        let mut stream = connect(&proxy);
        stream.write_all(b"one").expect("sent");
        assert_eq!(heard(&mut stream).as_deref(), Some(&b"one"[..]));
        // What is held arrives though its client is gone.
        proxy.set(Fate::Hold, Fate::Pass);
        stream.write_all(b"two").expect("sent");
        assert_eq!(heard(&mut stream), None);
        drop(stream);
        assert_eq!(told.lock().expect("unpoisoned").as_slice(), b"one");
        proxy.mend();
        until("late delivery", || told.lock().expect("unpoisoned").as_slice() == b"onetwo");
        // One way: the request arrives, its answer does not, and the connection is closed when all is well again.
        let mut stream = connect(&proxy);
        proxy.set(Fate::Pass, Fate::Lose);
        stream.write_all(b"six").expect("sent");
        until("the request", || told.lock().expect("unpoisoned").as_slice() == b"onetwosix");
        assert_eq!(heard(&mut stream), None);
        proxy.mend();
        assert_eq!(heard(&mut stream).as_deref(), Some(&b""[..]));
        // Only those who say so are meant.
        let (mut meant, mut other) = (connect(&proxy), connect(&proxy));
        proxy.set_for(vec!["From: A".to_owned()], Fate::Lose, Fate::Lose);
        meant.write_all(b"from: a").expect("sent");
        other.write_all(b"from: b").expect("sent");
        assert_eq!(heard(&mut other).as_deref(), Some(&b"from: b"[..]));
        assert_eq!(heard(&mut meant), None);
        proxy.set(Fate::Delay(Duration::from_millis(100)), Fate::Pass);
        let (mut slow, begun) = (connect(&proxy), Instant::now());
        slow.write_all(b"slow").expect("sent");
        assert_eq!(heard(&mut slow).as_deref(), Some(&b"slow"[..]));
        assert!(begun.elapsed() >= Duration::from_millis(100));
        assert!(proxy.seen().windows(7).any(|bytes| bytes == b"from: a"));
    }
}
