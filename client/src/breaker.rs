//! The circuit breaker of a client: while it is open, calls fail at once in place of waiting for a daemon that is away,
//! and each of them has the daemon looked for.
//!
//! No timer looks for it: the first call after the daemon is back finds it, and a client without calls costs nothing.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::builder::Builder;
use crate::calls::Calls;
use crate::connection::{ConnectError, Connection};
use crate::error::Error;

/// Fails the calls that come until one of them finds the daemon; its connection. `None` once no client is left.
pub(crate) async fn until_found(builder: &Builder, calls: &Calls, error: Error) -> Option<Connection> {
    let (mut error, mut not_before) = (error, Instant::now());
    while calls.awaited().await {
        if Instant::now() >= not_before {
            match attempt(builder, calls).await {
                Ok(connection) => return Some(connection),
                // Open calls came after that attempt had begun, and have another.
                Err(None) => continue,
                Err(Some(refused)) => {
                    // A daemon that has no room is not asked more often than it wants.
                    let (why, wait) = refused.reason();
                    not_before = Instant::now() + wait.unwrap_or(Duration::ZERO).min(builder.reconnect_for);
                    error = Error::Unavailable(why);
                }
            }
        }
        calls.fail_all(&error);
    }
    None
}

/// Connects once, however long that takes: calls fail while it takes longer than a call waits, and then it ends without
/// an error. Ends also if no client is left.
async fn attempt(builder: &Builder, calls: &Calls) -> Result<Connection, Option<ConnectError>> {
    let mut attempt = pin!(Connection::open(builder));
    if let Ok(ended) = timeout(builder.reconnect_for, &mut attempt).await {
        return ended.map_err(Some);
    }
    let why = format!("the daemon at {} does not answer", builder.socket.display());
    loop {
        calls.fail_all(&Error::Unavailable(why.clone()));
        tokio::select! {
            biased;
            ended = &mut attempt => return ended.map_err(|_| None),
            is_awaited = calls.awaited() => if !is_awaited {
                return Err(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use enroll_protocol::{Code, Refusal, role};

    use super::*;
    use crate::fake_daemon::FakeDaemon;
    use crate::{Client, Reply};

    /// The patience of a call, long enough to tell a call that waits from one that fails at once.
    const PATIENCE: Duration = Duration::from_millis(400);

    fn client_of(daemon: &FakeDaemon) -> Client {
        Client::builder(daemon.socket()).reconnect_for(PATIENCE).circuit_breaker().lazy()
    }

    fn ask(client: &Client) -> Reply<role::Has> {
        client.call(role::Has {
            person: "DOGGO01a".parse().expect("a person"),
            role: "member".parse().expect("a role"),
            allow_deleted: false,
        })
    }

    async fn why(reply: Reply<role::Has>) -> String {
        match reply.await {
            Err(Error::Unavailable(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    /// Many calls, one after the other, fail in less time than one would wait.
    async fn fail_at_once(client: &Client) {
        let begun = Instant::now();
        for _ in 0..100 {
            why(ask(client)).await;
        }
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    }

    /// The next call is answered by this daemon.
    async fn is_served(client: &Client, daemon: &FakeDaemon) {
        let serving = async {
            let mut session = daemon.accept().await;
            let asked = session.asked::<role::Has>().await;
            session.reply(asked.id, &true).await;
        };
        assert_eq!(tokio::join!(ask(client), serving).0, Ok(true));
    }

    #[tokio::test]
    async fn calls_of_an_outage_fail_at_once_and_the_first_after_it_is_served() {
        let daemon = FakeDaemon::listen();
        let (client, socket) = (client_of(&daemon), daemon.socket());
        let away = socket.with_extension("away");
        for _ in 0..2 {
            std::fs::rename(&socket, &away).expect("renamed");
            let begun = Instant::now();
            why(ask(&client)).await;
            assert!(begun.elapsed() >= PATIENCE, "the first call waits");
            fail_at_once(&client).await;
            std::fs::rename(&away, &socket).expect("renamed");
            is_served(&client, &daemon).await;
        }
    }

    #[tokio::test]
    async fn a_daemon_that_refuses_the_connection_is_away() {
        let daemon = FakeDaemon::listen();
        let client = client_of(&daemon);
        let refusal = Refusal::new(Code::PERMISSION_DENIED, "uid 1000 has no grant");
        let refusing = async {
            loop {
                daemon.turn_away(&refusal).await;
            }
        };
        let asking = async {
            for _ in 0..3 {
                assert_eq!(why(ask(&client)).await, refusal.message);
            }
        };
        tokio::select! {
            () = refusing => {}
            () = asking => {}
        }
        is_served(&client, &daemon).await;
    }

    #[tokio::test]
    async fn calls_do_not_wait_for_a_handshake_that_takes_long() {
        let daemon = FakeDaemon::listen();
        let client = client_of(&daemon);
        let waiting = async {
            let mut greeted = vec![daemon.greet().await];
            greeted.push(daemon.greet().await);
            greeted
        };
        let asking = async {
            for _ in 0..2 {
                why(ask(&client)).await;
            }
            fail_at_once(&client).await;
        };
        let (mut greeted, ()) = tokio::join!(waiting, asking);
        let mut session = greeted.remove(1);
        let serving = async {
            session.welcome().await;
            let asked = session.asked::<role::Has>().await;
            session.reply(asked.id, &true).await;
        };
        // The welcome is on its way while calls still fail.
        let asking = async { while ask(&client).await != Ok(true) {} };
        tokio::join!(serving, asking);
    }
}
