//! The source of snapshots: a daemon that is asked again and again and outlives its restarts, or a recording.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use enroll_client::Client;
use enroll_client::protocol::server::{self, DaemonSnapshot};
use nix::unistd::{Uid, User};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::failure::Failure;

/// A daemon that has not answered after this time is away.
const ANSWER: Duration = Duration::from_secs(10);

/// A message of the source of snapshots.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A snapshot.
    Snapshot(Box<DaemonSnapshot>),
    /// No snapshot, and why.
    Away(String),
    /// The end of a recording.
    End,
}

/// A file that takes each snapshot as a line of JSON.
#[derive(Debug)]
pub(crate) struct Recording {
    file: File,
    path: String,
}

/// Asks for a snapshot.
pub(crate) async fn ask(client: &Client) -> Result<DaemonSnapshot, Failure> {
    match timeout(ANSWER, client.call(server::Snapshot {})).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Failure::Own(format!("no answer for {} seconds", ANSWER.as_secs()))),
    }
}

/// Asks in this interval from the next one on, in a task of its own, until nobody listens.
pub(crate) fn follow(client: Client, every: Duration) -> mpsc::Receiver<Arrival> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let arrival = match ask(&client).await {
                Ok(snapshot) => Arrival::Snapshot(Box::new(snapshot)),
                Err(failure) => Arrival::Away(failure.line()),
            };
            if sender.send(arrival).await.is_err() {
                return;
            }
        }
    });
    receiver
}

/// Plays the rest of a recording in this interval, as far as somebody takes it.
pub(crate) fn play(mut recording: Lines<BufReader<File>>, every: Duration) -> mpsc::Receiver<Arrival> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(every).await;
            let arrival = match next_of(&mut recording) {
                Ok(Some(snapshot)) => Arrival::Snapshot(Box::new(snapshot)),
                Ok(None) => Arrival::End,
                Err(failure) => Arrival::Away(failure.line()),
            };
            let is_last = !matches!(arrival, Arrival::Snapshot(_));
            if sender.send(arrival).await.is_err() || is_last {
                return;
            }
        }
    });
    receiver
}

/// Opens a recording.
pub(crate) fn open(path: &Path) -> Result<Lines<BufReader<File>>, Failure> {
    let file = File::open(path).map_err(|err| Failure::Own(format!("{}: {err}", path.display())))?;
    Ok(BufReader::new(file).lines())
}

/// The next snapshot of a recording; none at its end.
pub(crate) fn next_of(recording: &mut Lines<BufReader<File>>) -> Result<Option<DaemonSnapshot>, Failure> {
    let Some(line) = recording.next() else { return Ok(None) };
    let line = line.map_err(Failure::Io)?;
    let snapshot = serde_json::from_str(&line);
    snapshot.map(Some).map_err(|err| Failure::Own(format!("the recording has a line that is no snapshot: {err}")))
}

impl Recording {
    /// Adds to this file, which only its user may read: snapshots have names of people.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        let path = path.display().to_string();
        let file = file.map_err(|err| Failure::Own(format!("{path}: {err}")))?;
        Ok(Self { file, path })
    }

    /// Adds a snapshot.
    pub(crate) fn add(&mut self, snapshot: &DaemonSnapshot) -> Result<(), Failure> {
        let mut line = serde_json::to_string(snapshot).map_err(|err| Failure::Own(err.to_string()))?;
        line.push('\n');
        self.file.write_all(line.as_bytes()).map_err(|err| Failure::Own(format!("{}: {err}", self.path)))
    }
}

/// Adds the names of uids that have connections and were not looked up yet; a uid without a name keeps its number.
pub(crate) fn look_up(users: &mut BTreeMap<u32, String>, snapshot: &DaemonSnapshot) {
    for uid in snapshot.connections.by_uid.iter().filter_map(|row| row.uid) {
        users.entry(uid).or_insert_with(|| {
            let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
            user.map_or_else(|| uid.to_string(), |user| user.name)
        });
    }
}
