//! The sender of a file's rows in pipelined batches. A batch that is refused as a whole for its arguments is bisected
//! until the row is found that it is refused for.
//!
//! A dry run puts all rows of a conflict group into one batch, whatever lies between them in the file.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use enroll_client::protocol::limits::{BULK_KEY_BYTES_MAX, BULK_UNITS_MAX};
use enroll_client::protocol::{Code, Envelope, Key, Pk, codec};
use enroll_client::{Answer, Client, Error};
use indicatif::ProgressBar;
use rand::TryRng as _;
use rand::rngs::SysRng;

use super::BAR;
use super::conflict_groups::ConflictGroups;
use super::dedup::Dedup;
use super::report::{Failed, Report};
use super::rows::{Row, Rows};
use super::units::Bulk;
use crate::failure::Failure;
use crate::files::progress_bar;
use crate::output::Output;

/// The time that a daemon may be away, as long as a restart takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Rows of a batch, and bytes of their keys: so few that a batch delays other requests for a moment only. A repeated
/// command resumes only if its batches are the same, so these must not change.
const ROWS_MAX: usize = 1_000;
const BYTES_MAX: usize = 128 << 10;

/// Batches in flight: the one in work, and the next.
const WINDOW: usize = 2;

/// One pass over a file, as a dry run or as writes.
pub(super) struct Run<'a> {
    pub(super) envelope: Envelope,
    /// The groups to keep together in a dry run; `None` for writes.
    pub(super) groups: Option<ConflictGroups>,
    /// Added to the hint at `--key`: the option that it replaces, if any.
    pub(super) again: &'a str,
}

/// The counts of a pass.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub(super) rows: u64,
    pub(super) failed: u64,
    /// Links that would be moved; counted in dry runs only.
    pub(super) moved: u64,
    pub(super) is_dry_run: bool,
}

impl Count {
    /// The counts in a sentence.
    pub(super) fn words(&self) -> String {
        let done = if self.is_dry_run { "would succeed" } else { "succeeded" };
        let moved = if self.moved > 0 { format!(", {} of them by a move", self.moved) } else { String::new() };
        format!("{} rows: {} {done}{moved}, {} failed", self.rows, self.rows - self.failed, self.failed)
    }
}

/// Rows that are sent together, with their lines.
type Batch<U> = Vec<(u64, U)>;
type Batches<U> = Vec<Batch<U>>;

struct Sender<'a, B: Bulk> {
    client: &'a Client,
    operation: &'a B,
    envelope: Envelope,
    report: &'a mut Report,
    output: &'a Output,
    open: VecDeque<(Sent, Answer)>,
    /// Batches sent so far.
    number: u64,
    count: Count,
    dedup: Dedup,
    groups: Option<ConflictGroups>,
    /// Rows parsed so far.
    parsed: usize,
    /// Incomplete groups with their rows so far.
    incomplete: HashMap<usize, Batch<B::Unit>>,
}

/// A batch in flight: the lines of its keys, and its request in case it has to be bisected.
struct Sent {
    lines: Vec<(u64, String)>,
    request: Vec<u8>,
}

/// Sends all rows and reports the failures. Fails if there is no row.
pub(super) async fn send<B: Bulk>(
    client: &Client,
    operation: &B,
    Run { mut envelope, groups, again }: Run<'_>,
    mut rows: Rows,
    bytes: Option<u64>,
    report: &mut Report,
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
    let bar = progress_bar(bytes, BAR, output);
    let count = Count { is_dry_run: envelope.dry_run, ..Count::default() };
    let mut sender = Sender {
        client,
        operation,
        envelope,
        report,
        output,
        open: VecDeque::new(),
        number: 0,
        count,
        dedup: Dedup::default(),
        groups,
        parsed: 0,
        incomplete: HashMap::new(),
    };
    match sender.send_all(&mut rows, &bar).await {
        Ok(()) if sender.count.rows == 0 => {
            Err(Failure::Own(format!("no row was read from {} bytes: a header alone is no row", rows.bytes())))
        }
        Ok(()) => Ok(sender.count),
        Err(failure) => {
            sender.report.give_up(output);
            Err(failure)
        }
    }
}

impl<B: Bulk> Sender<'_, B> {
    async fn send_all(&mut self, rows: &mut Rows, bar: &ProgressBar) -> Result<(), Failure> {
        loop {
            let (batches, is_last) = self.read(rows)?;
            for batch in batches {
                self.send(batch);
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

    /// Reads the next batches, and true if they are the last. Reports rows that can not be parsed.
    fn read(&mut self, rows: &mut Rows) -> Result<(Batches<B::Unit>, bool), Failure> {
        let (mut batches, mut batch, mut bytes) = (Vec::new(), Batch::new(), 0);
        while batch.len() < ROWS_MAX && bytes < BYTES_MAX {
            let Some(Row { line, unit }) = rows.next::<B::Unit>()? else {
                // A group stays incomplete if a row of it was refused as a duplicate, and then the file is refused too.
                batches.extend(std::mem::take(&mut self.incomplete).into_values());
                batches.push(batch);
                batches.retain(|batch| !batch.is_empty());
                return Ok((batches, true));
            };
            self.count.rows += 1;
            let unit = match unit {
                Ok(unit) => unit,
                Err(message) => {
                    self.fail(line, Failed { key: String::new(), code: Code::INVALID_ARGUMENT.to_string(), message });
                    continue;
                }
            };
            let group = self.groups.as_mut().and_then(|groups| groups.of_row(self.parsed));
            self.parsed += 1;
            let key = B::key(&unit);
            if !self.dedup.insert(key.as_str()) {
                let message = "the key stands in the file before; upper and lower case do not matter".to_owned();
                let failed = Failed { key: key.to_string(), code: Code::INVALID_ARGUMENT.to_string(), message };
                self.fail(line, failed);
                continue;
            }
            self.report.sent(line);
            let Some((group, rows)) = group else {
                bytes += key.as_str().len();
                batch.push((line, unit));
                continue;
            };
            let others = self.incomplete.entry(group).or_default();
            others.push((line, unit));
            if others.len() < rows as usize {
                continue;
            }
            let group = self.incomplete.remove(&group).unwrap_or_default();
            let group_bytes: usize = group.iter().map(|(_, unit)| B::key(unit).as_str().len()).sum();
            if group.len() > BULK_UNITS_MAX || group_bytes > BULK_KEY_BYTES_MAX {
                self.refuse(group);
            } else if group.len() > ROWS_MAX || group_bytes > BYTES_MAX {
                batches.push(group);
            } else {
                bytes += group_bytes;
                batch.extend(group);
            }
        }
        batches.push(batch);
        Ok((batches, false))
    }

    /// Reports the rows of a group that is too large for one call.
    fn refuse(&mut self, group: Batch<B::Unit>) {
        let rows = group.len();
        let lines: Vec<u64> = group.iter().map(|(line, _)| *line).collect();
        for (line, unit) in group {
            let message = format!("{rows} rows speak of the same people, which is too many to be tried together");
            let (key, code) = (B::key(&unit).to_string(), Code::TOO_LARGE.to_string());
            self.fail(line, Failed { key, code, message });
        }
        self.report.decided(lines, self.output);
    }

    fn send(&mut self, batch: Batch<B::Unit>) {
        let mut operation = self.operation.empty();
        let (lines, units): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|(line, unit)| ((line, B::key(&unit).to_string()), unit)).unzip();
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
                        self.report.failed(line, failed, self.output);
                    } else {
                        self.fail(line, failed);
                    }
                }
                self.report.decided(sent.lines.iter().map(|(line, _)| *line), self.output);
                self.report.flush();
                Ok(())
            }
            Err(Error::Refused(refusal)) if refusal.code == Code::INVALID_ARGUMENT => match &sent.lines[..] {
                [(line, key)] => {
                    let (key, code) = (key.clone(), refusal.code.to_string());
                    self.fail(*line, Failed { key, code, message: refusal.message });
                    self.report.decided([*line], self.output);
                    Ok(())
                }
                _ => self.bisect(&sent),
            },
            Err(err) => Err(Failure::Client(err)),
        }
    }

    fn bisect(&mut self, sent: &Sent) -> Result<(), Failure> {
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
        self.report.failed(line, failed, self.output);
    }
}

/// The idempotency key of a batch: the command's key plus the batch's number.
fn nth_key(key: Key, number: u64) -> Key {
    let number = u128::from_be_bytes(*key.0.as_bytes()).wrapping_add(number.into());
    Key(Pk::from_bytes(number.to_be_bytes()))
}

fn fresh_key() -> Key {
    let mut bytes = [0; 16];
    SysRng.try_fill_bytes(&mut bytes).expect("the operating system gives random bytes");
    Key(Pk::from_bytes(bytes))
}
