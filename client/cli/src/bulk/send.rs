//! Rows in pieces: while the daemon is at one, the next is read. A piece that is refused as a whole for its arguments is
//! halved until the row is found that it is refused for.
//!
//! A trial has rows that have to do with each other in one piece, whatever lies between them in the file.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use enroll_client::protocol::limits::{BULK_KEY_BYTES_MAX, BULK_UNITS_MAX};
use enroll_client::protocol::{Code, Envelope, Key, Pk, codec};
use enroll_client::{Answer, Client, Error};
use indicatif::ProgressBar;
use rand::TryRng as _;
use rand::rngs::SysRng;

use super::kin::Kin;
use super::rows::{Row, Rows};
use super::seen::Seen;
use super::told::{Failed, Told};
use super::{BAR, Bulk};
use crate::failure::Failure;
use crate::output::Output;
use crate::progress;

/// How long a daemon that went away is waited for: it starts again.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Rows of a piece, and the bytes of their keys: so few that reading one keeps the daemon from others for a moment only.
/// They are part of what a repeated command means: its pieces must be the same.
const ROWS_MAX: usize = 1_000;
const BYTES_MAX: usize = 128 << 10;

/// Pieces on their way: one that is worked on, and the next.
const WINDOW: usize = 2;

/// How a file is to be sent.
pub(super) struct Run<'a> {
    pub(super) envelope: Envelope,
    /// For a trial, which rows belong together.
    pub(super) kin: Option<Kin>,
    /// Where the command's key has its place when it is given again, if not behind the rest.
    pub(super) again: &'a str,
}

/// How a file went.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub(super) rows: u64,
    pub(super) failed: u64,
    /// Links that would be moved; known of trials only.
    pub(super) moved: u64,
    pub(super) is_trial: bool,
}

/// Rows that are sent together, and their lines.
type Piece<U> = Vec<(u64, U)>;
type Pieces<U> = Vec<Piece<U>>;

struct Sender<'a, B: Bulk> {
    client: &'a Client,
    operation: &'a B,
    envelope: Envelope,
    told: &'a mut Told,
    output: &'a Output,
    open: VecDeque<(Sent, Answer)>,
    /// Pieces sent so far.
    number: u64,
    count: Count,
    seen: Seen,
    kin: Option<Kin>,
    /// Rows that could be read so far.
    readable: usize,
    /// Of each group the rows so far, until it has all.
    groups: HashMap<usize, Piece<B::Unit>>,
}

/// A piece on its way: the lines of its keys, and its request in case it has to be halved.
struct Sent {
    lines: Vec<(u64, String)>,
    request: Vec<u8>,
}

/// Sends all rows.
pub(super) async fn send<B: Bulk>(
    client: &Client,
    operation: &B,
    Run { mut envelope, kin, again }: Run<'_>,
    mut rows: Rows,
    bytes: Option<u64>,
    told: &mut Told,
    output: &Output,
) -> Result<Count, Failure> {
    if envelope.key.is_none() && !envelope.dry_run {
        let key = fresh_key();
        output.note(&format!(
            "if this is interrupted, the same command with --key {key}{again} goes on where it was",
            key = key.0
        ));
        envelope.key = Some(key);
    }
    let bar = progress::bar(bytes, BAR, output);
    let count = Count { is_trial: envelope.dry_run, ..Count::default() };
    let (open, groups) = (VecDeque::new(), HashMap::new());
    let (number, readable, seen) = (0, 0, Seen::default());
    let mut sender =
        Sender { client, operation, envelope, told, output, open, number, count, seen, kin, readable, groups };
    match sender.send_all(&mut rows, &bar).await {
        Ok(()) if sender.count.rows == 0 => {
            Err(Failure::Own(format!("no row was read from {} bytes: a header alone is no row", rows.bytes())))
        }
        Ok(()) => Ok(sender.count),
        Err(failure) => {
            sender.told.give_up(output);
            Err(failure)
        }
    }
}

impl<B: Bulk> Sender<'_, B> {
    async fn send_all(&mut self, rows: &mut Rows, bar: &ProgressBar) -> Result<(), Failure> {
        loop {
            let (pieces, is_last) = self.read(rows)?;
            for piece in pieces {
                self.send(piece);
                while self.open.len() >= WINDOW {
                    self.take_answer().await?;
                }
            }
            while is_last && !self.open.is_empty() {
                self.take_answer().await?;
            }
            bar.set_position(rows.bytes());
            bar.set_message(self.count.rows.to_string());
            if is_last {
                bar.finish_and_clear();
                return Ok(());
            }
        }
    }

    /// The next pieces, and whether they are the last. Rows that can not be read are told of.
    fn read(&mut self, rows: &mut Rows) -> Result<(Pieces<B::Unit>, bool), Failure> {
        let (mut pieces, mut piece, mut bytes) = (Vec::new(), Piece::new(), 0);
        while piece.len() < ROWS_MAX && bytes < BYTES_MAX {
            let Some(Row { line, unit }) = rows.next::<B::Unit>()? else {
                // Of those that lack a row, that one is refused, and so is the file.
                pieces.extend(std::mem::take(&mut self.groups).into_values());
                pieces.push(piece);
                pieces.retain(|piece| !piece.is_empty());
                return Ok((pieces, true));
            };
            self.count.rows += 1;
            let unit = match unit {
                Ok(unit) => unit,
                Err(message) => {
                    self.fail(line, Failed { key: String::new(), code: Code::INVALID_ARGUMENT.to_string(), message });
                    continue;
                }
            };
            let group = self.kin.as_mut().and_then(|kin| kin.of_row(self.readable));
            self.readable += 1;
            let key = B::key(&unit);
            if !self.seen.insert(key) {
                let message = "the key stands in the file before; upper and lower case do not matter".to_owned();
                let failed = Failed { key: key.to_string(), code: Code::INVALID_ARGUMENT.to_string(), message };
                self.fail(line, failed);
                continue;
            }
            self.told.sent(line);
            let Some((group, rows)) = group else {
                bytes += key.as_str().len();
                piece.push((line, unit));
                continue;
            };
            let others = self.groups.entry(group).or_default();
            others.push((line, unit));
            if others.len() < rows as usize {
                continue;
            }
            let group = self.groups.remove(&group).unwrap_or_default();
            let group_bytes: usize = group.iter().map(|(_, unit)| B::key(unit).as_str().len()).sum();
            if group.len() > BULK_UNITS_MAX || group_bytes > BULK_KEY_BYTES_MAX {
                self.refuse(group);
            } else if group.len() > ROWS_MAX || group_bytes > BYTES_MAX {
                pieces.push(group);
            } else {
                bytes += group_bytes;
                piece.extend(group);
            }
        }
        pieces.push(piece);
        Ok((pieces, false))
    }

    /// Refuses rows that can not be tried.
    fn refuse(&mut self, group: Piece<B::Unit>) {
        let rows = group.len();
        let lines: Vec<u64> = group.iter().map(|(line, _)| *line).collect();
        for (line, unit) in group {
            let message = format!("{rows} rows speak of the same people, which is too many to be tried together");
            let (key, code) = (B::key(&unit).to_string(), Code::TOO_LARGE.to_string());
            self.fail(line, Failed { key, code, message });
        }
        self.told.decided(lines, self.output);
    }

    fn send(&mut self, piece: Piece<B::Unit>) {
        let mut operation = self.operation.empty();
        let (lines, units): (Vec<_>, Vec<_>) =
            piece.into_iter().map(|(line, unit)| ((line, B::key(&unit).to_string()), unit)).unzip();
        operation.replace(units);
        let request = codec::encode(&operation);
        let mut envelope = self.envelope.clone();
        envelope.key = envelope.key.map(|key| nth_key(key, self.number));
        self.number += 1;
        let answer = self.client.call_raw(B::ROW, envelope, &request);
        self.open.push_back((Sent { lines, request }, answer));
    }

    async fn take_answer(&mut self) -> Result<(), Failure> {
        let Some((sent, answer)) = self.open.pop_front() else { return Ok(()) };
        match answer.await {
            Ok(reply) => {
                let reply = codec::decode::<B::Reply>(&reply).map_err(|err| Error::Protocol(err.to_string()))?;
                let failed = B::failed(reply);
                let lines: HashMap<&str, u64> = match failed.is_empty() {
                    true => HashMap::new(),
                    false => sent.lines.iter().map(|(line, key)| (key.as_str(), *line)).collect(),
                };
                for failed in failed {
                    let line = lines.get(failed.key.as_str()).copied().unwrap_or(0);
                    if failed.code == Code::WOULD_MOVE.to_string() {
                        self.count.moved += 1;
                        self.told.failed(line, failed, self.output);
                    } else {
                        self.fail(line, failed);
                    }
                }
                self.told.decided(sent.lines.iter().map(|(line, _)| *line), self.output);
                self.told.flush();
                Ok(())
            }
            Err(Error::Refused(refusal)) if refusal.code == Code::INVALID_ARGUMENT => match &sent.lines[..] {
                [(line, key)] => {
                    let (key, code) = (key.clone(), refusal.code.to_string());
                    self.fail(*line, Failed { key, code, message: refusal.message });
                    self.told.decided([*line], self.output);
                    Ok(())
                }
                _ => self.halve(&sent),
            },
            Err(err) => Err(Failure::Client(err)),
        }
    }

    fn halve(&mut self, sent: &Sent) -> Result<(), Failure> {
        let unreadable = |err: enroll_client::protocol::Invalid| Error::Protocol(err.0);
        let units = codec::decode::<B>(&sent.request).map_err(unreadable)?.replace(Vec::new());
        let mut rows: Vec<_> = sent.lines.iter().map(|(line, _)| *line).zip(units).collect();
        let rest = rows.split_off(rows.len() / 2);
        self.send(rows);
        self.send(rest);
        Ok(())
    }

    fn fail(&mut self, line: u64, failed: Failed) {
        self.count.failed += 1;
        self.told.failed(line, failed, self.output);
    }
}

/// The key of a piece, which follows from the command's.
fn nth_key(key: Key, number: u64) -> Key {
    let number = u128::from_be_bytes(*key.0.as_bytes()).wrapping_add(number.into());
    Key(Pk::from_bytes(number.to_be_bytes()))
}

fn fresh_key() -> Key {
    let mut bytes = [0; 16];
    SysRng.try_fill_bytes(&mut bytes).expect("the operating system gives random bytes");
    Key(Pk::from_bytes(bytes))
}
