//! One run: the scheduler, which takes one step after another of clients, sessions, writer and flusher, lets time pass, and
//! has faults come. Everything that it draws comes from the seed of its plan.

use std::fmt;
use std::hash::Hasher as _;
use std::sync::{Arc, Mutex};

use enrolld::daemon::clock::MachineClock;
use rand::rngs::{ChaCha20Rng, SmallRng};
use rand::{RngExt as _, SeedableRng as _};
use tokio::runtime::{Builder, Runtime};
use twox_hash::XxHash3_64;

use super::asking::Known;
use super::backups::Backup;
use super::beginning;
use super::client::Client;
use super::control::Control;
use super::core::{Core, Ended, NoStart, now};
use super::judge::Judge;
use super::operations::time;
use super::plan::{Area, Fault, Plan};
use super::steps::Step;
use super::stuck::Latest;
use crate::disk::Fate;
use crate::machine::{Machine, Platters};
use crate::oracle::Oracle;

/// Steps after which a run should have ended.
const STEPS_MAX: u64 = 60_000;

/// Faults of a run that end a life.
const FAULTS_MAX: u32 = 6;

/// Users; clients of one share its turn in the writer's queue.
const UIDS: u32 = 2;

/// Requests of a connection in flight.
const PIPELINE: [usize; 3] = [1, 4, 16];

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// The hash of every byte on the wire, every step, and the disks at each end of a life.
    pub trace: u64,
    /// Steps of the scheduler.
    pub steps: u64,
    /// Starts of the daemon.
    pub starts: u64,
    /// Operations that were asked.
    pub operations: u64,
    /// Answers that were held against the model.
    pub answers: u64,
    /// Changes that the model followed.
    pub changes: u64,
}

impl Figures {
    /// The sum of both; of traces it is of no use but to tell sums apart.
    pub(super) fn plus(&self, other: &Self) -> Self {
        Self {
            trace: self.trace ^ other.trace,
            steps: self.steps + other.steps,
            starts: self.starts + other.starts,
            operations: self.operations + other.operations,
            answers: self.answers + other.answers,
            changes: self.changes + other.changes,
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, starts, operations, answers, changes, .. } = self;
        write!(
            f,
            "{steps} steps, {starts} starts, {operations} operations, {changes} changes, {answers} answers judged"
        )
    }
}

/// A run that is under way.
pub(super) struct Run<'a> {
    pub(super) plan: &'a Plan,
    pub(super) control: Control,
    pub(super) random: ChaCha20Rng,
    pub(super) disks: SmallRng,
    pub(super) clock: Arc<MachineClock>,
    pub(super) runtime: Runtime,
    pub(super) oracle: Arc<Mutex<Oracle>>,
    pub(super) judge: Judge,
    pub(super) known: Known,
    pub(super) clients: Vec<Client>,
    pub(super) trace: XxHash3_64,
    pub(super) connections: u64,
    pub(super) asked: usize,
    pub(super) pipeline: usize,
    pub(super) faults_left: u32,
    pub(super) is_full: bool,
    pub(super) latest: Latest,
    pub(super) backups: Vec<Backup>,
    /// The export of a registry that moves.
    pub(super) export: String,
    pub(super) figures: Figures,
}

/// The end of a life.
pub(super) enum End {
    /// The store failed, or its power is gone.
    Failed,
    Killed,
    /// The disks are replaced by those of a backup.
    Restored,
    /// Another daemon goes on with an export.
    Moved,
    Stopped,
    /// Everything was asked and answered.
    Done,
}

/// Runs a plan. Fails with what is wrong.
pub fn run(plan: &Plan, control: Control) -> Result<Figures, String> {
    let runtime =
        Builder::new_current_thread().enable_time().start_paused(true).build().map_err(|err| err.to_string())?;
    let mut random = ChaCha20Rng::seed_from_u64(plan.seed ^ 0x5eed);
    let (database, committed) = beginning::registry().clone();
    let pipeline = PIPELINE[random.random_range(0..PIPELINE.len())];
    let uid = |number: usize| 1000 + u32::try_from(number).unwrap_or(0) % UIDS;
    let mut run = Run {
        plan,
        control,
        disks: SmallRng::seed_from_u64(random.random()),
        clock: MachineClock::at(time(1)),
        runtime,
        oracle: Arc::new(Mutex::new(Oracle::expecting(committed))),
        judge: Judge::default(),
        known: Known::default(),
        clients: (0..plan.clients).map(|number| Client::of(uid(number), plan.areas.contains(&Area::Streams))).collect(),
        trace: XxHash3_64::new(),
        connections: 0,
        asked: 0,
        pipeline,
        faults_left: FAULTS_MAX,
        is_full: false,
        latest: Latest::default(),
        backups: Vec::new(),
        export: String::new(),
        figures: Figures::default(),
        random,
    };
    if plan.areas.contains(&Area::Guesses) {
        run.judge.limits.per_minute = Some(run.random.random_range(1..4));
    }
    run.live_on(Platters { database, slots: Vec::new() })?;
    run.figures.trace = run.trace.finish();
    run.figures.operations = run.asked as u64;
    run.figures.answers = run.judge.judged;
    run.figures.changes = run.judge.seq;
    Ok(run.figures)
}

impl Run<'_> {
    /// Lives one life after another, until everything is answered; then a last start compares everything once more.
    fn live_on(&mut self, mut platters: Platters) -> Result<(), String> {
        let mut was_stopped = false;
        loop {
            self.note_disks(&platters);
            let machine = Machine::with(platters, self.fate(), self.control.liar());
            self.figures.starts += 1;
            let terms = self.terms();
            let started = Core::start(machine, &self.clock, &mut self.random, &self.oracle, terms);
            let mut core = match started {
                Ok(core) => core,
                Err((machine, NoStart::Fault)) => {
                    platters = machine.after_power_loss(&mut self.disks);
                    continue;
                }
                Err((_, NoStart::Wrong(wrong))) => return Err(format!("it does not start: {wrong}")),
            };
            let looked = core.machine.watch(|| {
                let view = core.seen.view().map_err(|err| err.to_string())?;
                self.judge.look_at_clock(now(&self.clock));
                self.judge.follow(&*view)?;
                self.judge.begin_life(&core.shared.daemon.identity.now().secrets, was_stopped)?;
                self.judge.compare(&*view)
            });
            was_stopped = false;
            let end = match looked {
                Err(_) if core.machine.has_met_its_fate() => End::Failed,
                Err(wrong) => return Err(format!("after a start: {wrong}")),
                Ok(()) => self.live(&mut core)?,
            };
            let is_done = matches!(end, End::Done);
            for client in &mut self.clients {
                client.lose_link(&self.judge);
            }
            platters = match end {
                End::Stopped | End::Done => match self.stop(core)? {
                    (machine, true) => {
                        // Without space nothing is written of those who were refused.
                        was_stopped = !self.is_full;
                        machine.live()
                    }
                    (machine, false) => machine.after_power_loss(&mut self.disks),
                },
                End::Killed => core.crash().live(),
                End::Restored => {
                    drop(core);
                    self.restore()?
                }
                End::Moved => {
                    drop(core);
                    self.arrive()?
                }
                End::Failed => core.crash().after_power_loss(&mut self.disks),
            };
            if is_done {
                return self.look_once_more(platters, was_stopped);
            }
        }
    }

    fn look_once_more(&mut self, platters: Platters, was_stopped: bool) -> Result<(), String> {
        self.note_disks(&platters);
        let machine = Machine::with(platters, Fate::None, self.control.liar());
        let terms = self.terms();
        let started = Core::start(machine, &self.clock, &mut self.random, &self.oracle, terms);
        let core = started.map_err(|(_, why)| format!("the last start: {why:?}"))?;
        let view = core.seen.view().map_err(|err| err.to_string())?;
        self.judge.follow(&*view)?;
        self.judge.begin_life(&core.shared.daemon.identity.now().secrets, was_stopped)?;
        self.judge.compare(&*view).map_err(|wrong| format!("at the end: {wrong}"))
    }

    /// The fate of the next life's disks.
    pub(super) fn fate(&mut self) -> Fate {
        let faults = [Fault::Power, Fault::FailsOnce, Fault::FailsFrom];
        let faults: Vec<_> = faults.into_iter().filter(|fault| self.plan.has(*fault)).collect();
        if faults.is_empty() || self.faults_left == 0 || self.random.random_bool(0.2) {
            return Fate::None;
        }
        self.faults_left -= 1;
        let at = if self.random.random_bool(0.3) { 40 } else { 240 };
        let at = self.random.random_range(0..at);
        match faults[self.random.random_range(0..faults.len())] {
            Fault::Power => Fate::PowerLoss(at),
            Fault::FailsOnce => Fate::FailsOnce(2 * at),
            _ => Fate::FailsFrom(2 * at),
        }
    }

    fn live(&mut self, core: &mut Core) -> Result<End, String> {
        self.set_space(core, false);
        let mut steps = Vec::new();
        while self.asked < self.plan.operations || self.clients.iter().any(|client| !client.is_idle()) {
            self.figures.steps += 1;
            if self.figures.steps > STEPS_MAX {
                return Err(self.stuck(core));
            }
            self.possible(core, &mut steps);
            let all: u32 = steps.iter().map(|(weight, _)| weight).sum();
            let mut drawn = self.random.random_range(0..all);
            let mut drawn_from = steps.iter();
            let step = loop {
                match drawn_from.next() {
                    Some((weight, step)) if drawn < *weight => break *step,
                    Some((weight, _)) => drawn -= weight,
                    None => break Step::Write,
                }
            };
            self.trace.write_u64(self.figures.steps);
            self.trace.write(format!("{step:?}").as_bytes());
            self.latest.took(step);
            match self.step(core, step)? {
                None if matches!(core.machine.fate(), Fate::PowerLoss(_)) && core.machine.has_met_its_fate() => {
                    return Ok(End::Failed);
                }
                None => {}
                Some(end) => return Ok(end),
            }
        }
        Ok(End::Done)
    }

    /// Stops in good order. False where the disk failed meanwhile.
    pub(super) fn stop(&mut self, mut core: Core) -> Result<(Machine, bool), String> {
        core.stop();
        for _ in 0..1000 {
            self.poll_all(&mut core);
            if core.sessions.is_empty() {
                break;
            }
            if let Err(Ended(_)) = core.write() {
                self.failed(&core, "the writer")?;
                return Ok((core.crash(), false));
            }
            while core.work() {}
        }
        if !core.sessions.is_empty() {
            return Err("sessions whose clients are gone do not end".to_owned());
        }
        loop {
            match core.write() {
                Ok(true) => {}
                Ok(false) => break,
                Err(Ended(_)) => {
                    self.failed(&core, "the writer")?;
                    return Ok((core.crash(), false));
                }
            }
        }
        let (machine, closed) = core.close();
        match closed {
            Ok(()) => Ok((machine, true)),
            Err(_) if machine.has_met_its_fate() => Ok((machine, false)),
            Err(err) => Err(format!("it does not close: {err}")),
        }
    }

    /// The deliberate fault, and how many guesses a source has.
    pub(super) fn terms(&self) -> (Control, Option<u32>) {
        (self.control, self.judge.limits.per_minute)
    }

    fn note_disks(&mut self, platters: &Platters) {
        self.trace.write(&platters.database);
        platters.slots.iter().for_each(|slot| self.trace.write(slot));
    }
}
