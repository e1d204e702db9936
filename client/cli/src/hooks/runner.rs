//! The runner: it takes changes from the feed, runs the command for them, and writes what is passed.
//!
//! The position is written after each success and before anything else of that queue begins. What the filter passes is
//! written once a second at most: a runner that is killed before reads and filters it again, and nothing was run for it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use enroll_client::Client;
use enroll_client::protocol::changes::Change;
use jiff::Timestamp;
use nix::unistd::Pid;
use rand::rngs::{SmallRng, SysRng};
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;

use super::attempt::{self, Attempt};
use super::dead_letters;
use super::feed::{self, Told};
use super::filter::Filter;
use super::passed::Passed;
use super::position::{Position, Skipped};
use super::queues::{QueueKey, Queues, ToSkip};
use super::settings::Settings;
use super::skip::Request;
use super::textfile::Textfile;
use crate::failure::Failure;
use crate::options::Options;
use crate::output::Output;
use crate::process::signals::Signals;

/// Changes that wait, run, or are done ahead of one that is stuck; no more are read then.
const OPEN_MAX: usize = 10_000;

/// Between two writes of what the filter passes, and two looks for a request to skip.
const TICK: Duration = Duration::from_secs(1);

/// A failure that is told again: at the first tries, and then now and then.
const TOLD_TRIES: u32 = 5;

/// A runner between its start and its end.
struct Runner<'a> {
    settings: &'a Settings,
    socket: PathBuf,
    output: &'a Output,
    filter: Filter,
    position: Position,
    queues: Queues,
    attempts: JoinSet<(QueueKey, Result<(), String>)>,
    /// The process groups of the commands that run.
    groups: BTreeMap<QueueKey, Pid>,
    /// A request that was there at the start, for a change that has not been read yet.
    to_skip: Option<Request>,
    /// The record has more than the file.
    is_dirty: bool,
    textfile: Option<Textfile>,
    jitter: SmallRng,
    end: End,
}

/// The end of the runner.
#[derive(Debug, Default)]
struct End {
    /// When it was asked to.
    since: Option<Instant>,
    /// Commands were killed for it.
    has_killed: bool,
    failure: Option<Failure>,
}

/// Runs until a signal stops it, or the feed can not be read any more.
pub(super) async fn run(settings: Settings, options: &Options, output: &Output) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen().map_err(Failure::Io)?;
    let (mut position, is_new) = Position::take(&settings.position)?;
    settings.check(is_new)?;
    let client = options.for_life();
    let begun = async {
        let filter = settings.filter(&client, output).await?;
        if is_new {
            position.record.passed = Passed::upto(settings.beginning(&client, output).await?);
            position.write()?;
        }
        Ok::<_, Failure>((filter, position))
    };
    let (filter, position) = tokio::select! {
        begun = begun => begun?,
        _ = signals.next() => return Ok(ExitCode::SUCCESS),
    };
    let upto = position.record.passed.upto;
    output.note(&format!("changes after {upto} are run; {} remembers how far", settings.position.display()));
    let queues = Queues::new(settings.parallel(), usize::from(settings.batch), position.record.stuck.clone());
    let textfile = settings.metrics.as_ref().map(|path| Textfile::begin(path, &settings.position, client.clone()));
    let jitter = SmallRng::try_from_rng(&mut SysRng).map_err(|err| Failure::Own(format!("no random bytes: {err}")))?;
    let runner = Runner {
        settings: &settings,
        socket: options.socket_path(),
        output,
        filter,
        to_skip: Request::read(position.path()),
        position,
        queues,
        attempts: JoinSet::new(),
        groups: BTreeMap::new(),
        is_dirty: false,
        textfile,
        jitter,
        end: End::default(),
    };
    runner.run(client, &mut signals).await
}

impl Runner<'_> {
    async fn run(mut self, client: Client, signals: &mut Signals) -> Result<ExitCode, Failure> {
        let mut told = feed::read(client, self.position.record.passed.upto);
        let outcome = self.work(&mut told, signals).await;
        self.kill_all();
        if self.is_dirty {
            self.write()?;
        }
        self.publish(true);
        outcome?;
        match self.end.failure {
            Some(failure) => Err(failure),
            None => Ok(ExitCode::SUCCESS),
        }
    }

    /// Works until it is to end and no command runs.
    async fn work(&mut self, told: &mut Receiver<Told>, signals: &mut Signals) -> Result<(), Failure> {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while self.end.since.is_none() || !self.attempts.is_empty() {
            if self.end.since.is_none() {
                self.begin();
            }
            let reads = self.end.since.is_none() && self.queues.len() + self.position.record.passed.ranges() < OPEN_MAX;
            let wakes = self.wakes();
            tokio::select! {
                Some(ended) = self.attempts.join_next() => {
                    let (key, outcome) = ended.map_err(|err| Failure::Own(format!("a command: {err}")))?;
                    self.ended(key, outcome)?;
                }
                next = told.recv(), if reads => self.told(next),
                () = tokio::time::sleep_until(wakes.unwrap_or_else(Instant::now).into()), if wakes.is_some() => {
                    self.stop_late();
                }
                _ = ticks.tick(), if self.has_chores() => self.tick()?,
                _ = signals.next() => self.stop(),
            }
        }
        Ok(())
    }

    /// Begins the commands that may run now.
    fn begin(&mut self) {
        while let Some((key, batch)) = self.queues.begin(Instant::now()) {
            match Attempt::begin(&self.settings.command, &self.socket, &batch) {
                Ok(attempt) => {
                    self.groups.extend(attempt.group().map(|group| (key, group)));
                    self.attempts.spawn(async move { (key, attempt.end().await) });
                }
                Err(why) => self.failed(key, &batch, &why),
            }
        }
    }

    /// The time of the next retry, or at which commands are killed for the end.
    fn wakes(&self) -> Option<Instant> {
        match self.end.since {
            None => self.queues.next_retry(),
            Some(_) if self.end.has_killed => None,
            Some(since) => Some(since + self.settings.stop_within()),
        }
    }

    /// True while there is something to write, or somebody may ask to skip.
    fn has_chores(&self) -> bool {
        self.is_dirty || self.textfile.is_some() || !self.position.record.stuck.is_empty()
    }

    fn told(&mut self, told: Option<Told>) {
        match told {
            Some(Told::Change(change)) => self.take(change),
            Some(Told::Away(why)) => self.output.note(&format!("waiting for the daemon: {why}")),
            Some(Told::Ended(failure)) => self.end_with(failure),
            None => self.end_with(Failure::Own("the feed has ended".to_owned())),
        }
    }

    fn take(&mut self, change: Change) {
        let seq = change.seq;
        if self.position.record.passed.has(seq) {
            return;
        }
        if let Some(request) = self.to_skip.take_if(|request| request.seq == seq) {
            let stuck = self.queues.stuck().into_iter().find(|stuck| (stuck.seq..=stuck.last).contains(&seq));
            if let Some(stuck) = stuck {
                return self.skipped(request, stuck.tries, stuck.why);
            }
        }
        if self.filter.admits(&change) {
            let key = self.settings.per.and_then(|per| per.of(&change));
            self.queues.push(key, change);
        } else {
            self.position.record.passed.pass(seq);
            self.is_dirty = true;
        }
    }

    fn ended(&mut self, key: QueueKey, outcome: Result<(), String>) -> Result<(), Failure> {
        self.groups.remove(&key);
        match outcome {
            Ok(()) => {
                let batch = self.queues.take(key);
                batch.iter().for_each(|change| self.position.record.passed.pass(change.seq));
                self.count(|textfile| textfile.done += 1);
                self.write()
            }
            Err(_) if self.end.has_killed => {
                self.queues.put_back(key);
                Ok(())
            }
            Err(why) => {
                let batch = self.queues.batch(key);
                self.failed(key, &batch, &why);
                self.write()
            }
        }
    }

    /// Notes a failure, and gives the changes up where that is asked for.
    fn failed(&mut self, key: QueueKey, batch: &[Change], why: &str) {
        let at = now();
        let jitter = 1.0 + 0.25 * self.jitter.random::<f64>();
        let (tries, wait) = self.queues.fail(key, why, (Instant::now(), at.clone()), jitter);
        self.is_dirty = true;
        self.count(|textfile| textfile.failed += 1);
        let what = named(batch);
        if let (Some(most), Some(path)) = (self.settings.give_up_after, &self.settings.dead_letters)
            && tries >= most
        {
            match dead_letters::append(path, batch, &at, (tries, why)) {
                Ok(()) => {
                    self.queues.take(key);
                    batch.iter().for_each(|change| self.position.record.passed.pass(change.seq));
                    self.count(|textfile| textfile.dead_letters += batch.len() as u64);
                    let shown = path.display();
                    self.output.note(&format!("{what}: given up after {tries} tries ({why}), and written to {shown}"));
                    return;
                }
                Err(err) => self.output.note(&format!("{}: {err}; {what} is not given up", path.display())),
            }
        }
        if tries <= TOLD_TRIES || wait >= Duration::from_secs(60) {
            let seconds = wait.as_secs_f64();
            self.output.note(&format!("{what}: try {tries} failed ({why}); the next is in {seconds:.0} s"));
        }
    }

    fn tick(&mut self) -> Result<(), Failure> {
        if let Some(request) = Request::read(self.position.path()) {
            match self.queues.skip(request.seq) {
                ToSkip::Runs => {}
                ToSkip::Taken(stuck) => self.skipped(request, stuck.tries, stuck.why),
                ToSkip::NotStuck if self.to_skip == Some(request) => {}
                ToSkip::NotStuck => {
                    self.output.note(&format!("{} is to be skipped, and is not stuck; it is not skipped", request.seq));
                    Request::remove(self.position.path());
                }
            }
        }
        if self.is_dirty {
            self.write()?;
        }
        self.publish(false);
        Ok(())
    }

    fn skipped(&mut self, request: Request, tries: u32, why: String) {
        let Request { seq, by } = request;
        self.output.note(&format!("{seq}: skipped, as the user {by} asked, after {tries} tries ({why})"));
        self.position.record.passed.pass(seq);
        self.position.record.note_skipped(Skipped { seq, at: now(), by, tries, why });
        self.count(|textfile| textfile.skipped += 1);
        // The request goes after the record says so: otherwise a crash in between would forget it.
        match self.write() {
            Ok(()) => Request::remove(self.position.path()),
            Err(failure) => self.end_with(failure),
        }
    }

    /// Writes the position, durably.
    fn write(&mut self) -> Result<(), Failure> {
        let passed = self.position.record.passed.clone();
        self.queues.forget(|seq| passed.has(seq));
        self.position.record.stuck = self.queues.stuck();
        self.position.write()?;
        self.is_dirty = false;
        Ok(())
    }

    fn count(&mut self, count: impl FnOnce(&mut Textfile)) {
        if let Some(textfile) = &mut self.textfile {
            count(textfile);
        }
    }

    fn publish(&mut self, is_last: bool) {
        if let Some(textfile) = &mut self.textfile
            && let Err(why) = textfile.publish(&self.position.record, is_last)
        {
            self.output.note(&why);
        }
    }

    /// Begins the end; the second time the commands have no more time.
    fn stop(&mut self) {
        match self.end.since {
            None => {
                self.end.since = Some(Instant::now());
                if !self.attempts.is_empty() {
                    let (count, seconds) = (self.attempts.len(), self.settings.stop_within().as_secs());
                    self.output.note(&format!("stopping; {count} that run may end within {seconds} s"));
                }
            }
            Some(_) => self.kill_all(),
        }
    }

    /// Kills commands that had their time to end.
    fn stop_late(&mut self) {
        if self.end.since.is_some() && !self.end.has_killed {
            self.kill_all();
        }
    }

    fn kill_all(&mut self) {
        self.end.has_killed = true;
        if !self.groups.is_empty() {
            self.output.note(&format!("{} that run are killed, and will be repeated", self.groups.len()));
        }
        std::mem::take(&mut self.groups).into_values().for_each(attempt::kill);
    }

    fn end_with(&mut self, failure: Failure) {
        self.end.since.get_or_insert_with(Instant::now);
        self.end.failure.get_or_insert(failure);
    }
}

/// The time in the form of the feed.
fn now() -> String {
    format!("{:.6}", Timestamp::now())
}

/// `1201`, or `1201 to 1210` for a batch.
fn named(batch: &[Change]) -> String {
    match (batch.first(), batch.last()) {
        (Some(first), Some(last)) if first.seq != last.seq => format!("{} to {}", first.seq, last.seq),
        (Some(first), _) => first.seq.to_string(),
        (None, _) => "nothing".to_owned(),
    }
}
