//! The feed as a runner reads it: changes in their order, over every absence of the daemon.
//!
//! It is read by a task of its own, which stops reading where the runner does not take what was read.

use std::time::Duration;

use enroll_client::protocol::changes::{Change, Follow};
use enroll_client::protocol::{Code, Operation, server};
use enroll_client::{Client, Error, Stream};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::failure::Failure;

/// Changes that are read before they are taken.
const AHEAD: usize = 64;

/// Between two attempts to reach a daemon that is away.
const LOOK: Duration = Duration::from_secs(1);

/// A message of the feed.
#[derive(Debug)]
pub(super) enum Told {
    /// The next change.
    Change(Change),
    /// The daemon is away, and is waited for.
    Away(String),
    /// It can not be read any more.
    Ended(Failure),
}

/// Asks the daemon, and waits for one that is away. `tell` is told of each absence once.
pub(super) async fn ask<O: Operation + Clone>(
    client: &Client,
    operation: O,
    mut tell: impl FnMut(&str),
) -> Result<O::Reply, Failure> {
    let mut is_told = false;
    loop {
        match client.call(operation.clone()).await {
            Err(Error::Unavailable(why)) => {
                if !is_told {
                    tell(&why);
                }
                is_told = true;
                tokio::time::sleep(LOOK).await;
            }
            other => return other.map_err(Failure::from),
        }
    }
}

/// Reads the feed after this number, until the receiver is dropped.
pub(super) fn read(client: Client, since: u64) -> Receiver<Told> {
    let (sender, receiver) = channel(AHEAD);
    tokio::spawn(async move {
        let mut position = since;
        if let Err(failure) = follow(&client, &mut position, &sender).await {
            // The runner may have ended.
            let _ = sender.send(Told::Ended(failure)).await;
        }
    });
    receiver
}

async fn follow(client: &Client, position: &mut u64, sender: &Sender<Told>) -> Result<(), Failure> {
    let mut stream: Option<Stream<Follow>> = None;
    let mut is_away = false;
    loop {
        let next = match &mut stream {
            None => match client.stream(Follow { since: Some(*position) }).await {
                Ok(begun) => {
                    (stream, is_away) = (Some(begun), false);
                    continue;
                }
                Err(err) => Some(Err(err)),
            },
            Some(stream) => stream.next().await,
        };
        match next {
            Some(Ok(change)) => {
                (*position, is_away) = (change.seq, false);
                if sender.send(Told::Change(change)).await.is_err() {
                    return Ok(());
                }
            }
            None => stream = None,
            Some(Err(Error::Unavailable(why))) => {
                stream = None;
                if !is_away && sender.send(Told::Away(why)).await.is_err() {
                    return Ok(());
                }
                is_away = true;
                tokio::time::sleep(LOOK).await;
            }
            Some(Err(err)) => return Err(lost(err, *position)),
        }
    }
}

/// The failure of a feed that does not have the changes after this number.
fn lost(err: Error, position: u64) -> Failure {
    let Some(refusal) = err.refusal() else { return err.into() };
    let what = match refusal.code {
        Code::EXPIRED => "changes after it are no longer kept, and their commands would never run",
        Code::INVALID_ARGUMENT => "it is one of another registry, or of a later state of this one",
        _ => return err.into(),
    };
    let why = &refusal.message;
    Failure::Own(format!(
        "the position is {position}, and {what} ({why}); to begin anew, move the position file away and name --from"
    ))
}

/// The number of the latest change.
pub(super) async fn head(client: &Client, tell: impl FnMut(&str)) -> Result<u64, Failure> {
    Ok(ask(client, server::Status {}, tell).await?.changes_head)
}
