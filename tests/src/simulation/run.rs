//! One run: the scheduler, which takes one step after another of clients, sessions, writer and flusher, lets time pass, and
//! has faults come. Everything that it draws comes from the seed of its plan.

use std::fmt;
use std::hash::Hasher as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use enroll_protocol::{Key, Pk};
use enrolld::daemon::clock::MachineClock;
use rand::rngs::{ChaCha20Rng, SmallRng};
use rand::{RngExt as _, SeedableRng as _};
use tokio::runtime::{Builder, Runtime};
use twox_hash::XxHash3_64;

use super::asking::Known;
use super::client::{Client, Link};
use super::control::Control;
use super::core::{Core, Ended, LEFT_BYTES, NoStart, now};
use super::judge::Judge;
use super::operations::time;
use super::plan::{Fault, Plan};
use crate::disk::Fate;
use crate::machine::{Machine, Platters};
use crate::oracle::{Oracle, new_registry};

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

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Connect(usize),
    Deliver(usize),
    Take(usize),
    Send(usize),
    Cut(usize),
    Poll(u64),
    Write,
    Flush,
    Work,
    Pass,
    SetClock,
    SetSpace,
    Kill,
    Stop,
}

struct Run<'a> {
    plan: &'a Plan,
    control: Control,
    random: ChaCha20Rng,
    disks: SmallRng,
    clock: Arc<MachineClock>,
    runtime: Runtime,
    oracle: Arc<Mutex<Oracle>>,
    judge: Judge,
    known: Known,
    clients: Vec<Client>,
    trace: XxHash3_64,
    connections: u64,
    asked: usize,
    pipeline: usize,
    faults_left: u32,
    is_full: bool,
    figures: Figures,
}

/// The end of a life.
enum End {
    /// The store failed, or its power is gone.
    Failed,
    Killed,
    Stopped,
    /// Everything was asked and answered.
    Done,
}

/// Runs a plan. Fails with what is wrong.
pub fn run(plan: &Plan, control: Control) -> Result<Figures, String> {
    let runtime =
        Builder::new_current_thread().enable_time().start_paused(true).build().map_err(|err| err.to_string())?;
    let mut random = ChaCha20Rng::seed_from_u64(plan.seed ^ 0x5eed);
    let (database, committed) = new_registry().clone();
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
        clients: (0..plan.clients).map(|number| Client::of(uid(number))).collect(),
        trace: XxHash3_64::new(),
        connections: 0,
        asked: 0,
        pipeline,
        faults_left: FAULTS_MAX,
        is_full: false,
        figures: Figures::default(),
        random,
    };
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
        loop {
            self.note_disks(&platters);
            let machine = Machine::with(platters, self.fate(), self.control.liar());
            self.figures.starts += 1;
            let started = Core::start(machine, &self.clock, &mut self.random, &self.oracle, self.control);
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
                self.judge.compare(&*view)
            });
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
                    (machine, true) => machine.live(),
                    (machine, false) => machine.after_power_loss(&mut self.disks),
                },
                End::Killed => core.crash().live(),
                End::Failed => core.crash().after_power_loss(&mut self.disks),
            };
            if is_done {
                return self.look_once_more(platters);
            }
        }
    }

    fn look_once_more(&mut self, platters: Platters) -> Result<(), String> {
        self.note_disks(&platters);
        let machine = Machine::with(platters, Fate::None, self.control.liar());
        let started = Core::start(machine, &self.clock, &mut self.random, &self.oracle, self.control);
        let core = started.map_err(|(_, why)| format!("the last start: {why:?}"))?;
        let view = core.seen.view().map_err(|err| err.to_string())?;
        self.judge.follow(&*view)?;
        self.judge.compare(&*view).map_err(|wrong| format!("at the end: {wrong}"))
    }

    /// The fate of the next life's disks.
    fn fate(&mut self) -> Fate {
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
                return Err("it does not come to an end".to_owned());
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

    /// The steps that can be taken, with their weights.
    fn possible(&self, core: &Core, steps: &mut Vec<(u32, Step)>) {
        steps.clear();
        for (at, client) in self.clients.iter().enumerate() {
            let Some(link) = &client.link else {
                steps.push((10, Step::Connect(at)));
                continue;
            };
            if !link.under_way.is_empty() {
                steps.push((12, Step::Deliver(at)));
            }
            if link.wire.waiting() > 0 || link.wire.is_closed() {
                steps.push((12, Step::Take(at)));
            }
            let has_next = !client.again.is_empty() || self.asked < self.plan.operations;
            if link.is_greeted() && has_next && link.in_flight() < self.pipeline {
                steps.push((8, Step::Send(at)));
            }
            if self.plan.has(Fault::Cuts) && self.figures.steps.is_multiple_of(4) {
                steps.push((1, Step::Cut(at)));
            }
        }
        steps.extend(core.sessions.ready().into_iter().map(|number| (12, Step::Poll(number))));
        steps.extend([
            (if core.is_due() { 12 } else { 6 }, Step::Write),
            (2, Step::Flush),
            (2, Step::Work),
            (1, Step::Pass),
        ]);
        let rare = [
            (Fault::Clock, Step::SetClock),
            (Fault::Full, Step::SetSpace),
            (Fault::Kills, Step::Kill),
            (Fault::Stops, Step::Stop),
        ];
        let is_time = self.figures.steps.is_multiple_of(16) && self.faults_left > 0;
        steps.extend(self.is_full.then_some((1, Step::SetSpace)));
        steps.extend(rare.into_iter().filter(|(fault, _)| is_time && self.plan.has(*fault)).map(|(_, step)| (3, step)));
    }

    fn step(&mut self, core: &mut Core, step: Step) -> Result<Option<End>, String> {
        match step {
            Step::Connect(at) => {
                self.connections += 1;
                let wire = core.connect(self.clients[at].uid, self.connections);
                self.clients[at].link = Some(Link::begin(wire));
            }
            Step::Deliver(at) => {
                let count = self.piece();
                if let Some(link) = &mut self.clients[at].link {
                    let bytes = link.deliver(count);
                    self.trace.write(&bytes);
                }
            }
            Step::Take(at) => self.take(core, at)?,
            Step::Send(at) => self.send(at),
            Step::Cut(at) => self.clients[at].lose_link(&self.judge),
            Step::Poll(number) => {
                let _runtime = self.runtime.enter();
                core.sessions.poll(number);
            }
            Step::Write => return self.write(core),
            Step::Flush => {
                if let Err(Ended(_)) = core.flush() {
                    return self.failed(core, "the flusher").map(Some);
                }
            }
            Step::Work => drop(core.work()),
            Step::Pass => self.pass(),
            Step::SetClock => self.set_clock(),
            Step::SetSpace => self.set_space(core, !self.is_full),
            Step::Kill => {
                self.faults_left -= 1;
                return Ok(Some(End::Killed));
            }
            Step::Stop => {
                self.faults_left -= 1;
                return Ok(Some(End::Stopped));
            }
        }
        Ok(None)
    }

    fn write(&mut self, core: &mut Core) -> Result<Option<End>, String> {
        if let Err(Ended(_)) = core.write() {
            // What it has answered may still arrive.
            self.poll_all(core);
            return self.failed(core, "the writer").map(Some);
        }
        let followed = core.machine.watch(|| {
            let view = core.seen.view().map_err(|err| err.to_string())?;
            self.judge.follow(&*view)
        });
        match followed {
            // The database may have failed for good.
            Err(_) if core.machine.has_met_its_fate() => Ok(Some(End::Failed)),
            followed => followed.map(|()| None),
        }
    }

    fn failed(&self, core: &Core, what: &str) -> Result<End, String> {
        match core.machine.has_met_its_fate() {
            true => Ok(End::Failed),
            false => Err(format!("{what} failed, and no disk did")),
        }
    }

    fn poll_all(&mut self, core: &mut Core) {
        let _runtime = self.runtime.enter();
        for number in core.sessions.ready() {
            core.sessions.poll(number);
        }
    }

    fn take(&mut self, core: &Core, at: usize) -> Result<(), String> {
        let most = self.piece();
        let Some(link) = &mut self.clients[at].link else { return Ok(()) };
        let bytes = link.wire.take(most);
        self.trace.write(&bytes);
        let is_over = bytes.is_empty() && link.wire.is_closed();
        let mut bytes = &bytes[..];
        loop {
            let Some(link) = &mut self.clients[at].link else { return Ok(()) };
            match link.read(std::mem::take(&mut bytes)) {
                Ok(None) => break,
                Ok(Some(arrived)) => {
                    let (number, answer) = (arrived.request, arrived.answer);
                    let since = match self.judge.requests[number].op.writes() {
                        true => self.judge.first(number),
                        false => arrived.since,
                    };
                    self.known.learn(&self.judge, number, &answer)?;
                    let may_fail_inside = core.machine.has_met_its_fate();
                    let is_one = self.judge.answered(number, since, answer, may_fail_inside)?;
                    link.saw(self.judge.change_of(number));
                    if !is_one && self.may_repeat(number) {
                        self.clients[at].again.push_back(number);
                    }
                }
                Err(None) => return Ok(self.clients[at].lose_link(&self.judge)),
                Err(Some(wrong)) => return Err(wrong),
            }
        }
        if is_over {
            self.clients[at].lose_link(&self.judge);
        }
        self.forget();
        Ok(())
    }

    fn may_repeat(&self, number: usize) -> bool {
        let request = &self.judge.requests[number];
        request.key.is_some() || !request.op.writes()
    }

    /// Forgets the models that no answer to come can be of.
    fn forget(&mut self) {
        let judge = &self.judge;
        let again = self.clients.iter().flat_map(|client| client.again.iter().map(|number| judge.first(*number)));
        let links = self.clients.iter().filter_map(|client| client.link.as_ref());
        let under_way = links.filter_map(Link::earliest).map(|(number, since)| judge.first(number).min(since));
        let earliest = again.chain(under_way).min().unwrap_or(judge.seq);
        self.judge.forget_before(earliest);
    }

    fn send(&mut self, at: usize) {
        let number = match self.clients[at].again.pop_front() {
            Some(number) => number,
            None => {
                let op = self.known.draw(&mut self.random, &self.plan.areas, now(&self.clock));
                let key =
                    (op.writes() && self.random.random_bool(0.8)).then(|| Key(Pk::from_bytes(self.random.random())));
                self.asked += 1;
                self.judge.add(op, key)
            }
        };
        if let Some(link) = &mut self.clients[at].link {
            link.send(&self.judge, number);
        }
    }

    /// Bytes that arrive at once.
    fn piece(&mut self) -> usize {
        match self.plan.has(Fault::Pieces) {
            true => self.random.random_range(1..200),
            false => usize::MAX,
        }
    }

    fn pass(&mut self) {
        let milliseconds = match self.plan.has(Fault::Pauses) && self.random.random_bool(0.1) {
            true => self.random.random_range(1000..700_000),
            false => self.random.random_range(1..50),
        };
        let time = Duration::from_millis(milliseconds);
        self.clock.pass(time);
        self.runtime.block_on(tokio::time::advance(time));
        self.judge.look_at_clock(now(&self.clock));
    }

    fn set_clock(&mut self) {
        self.faults_left -= 1;
        let seconds = self.random.random_range(1..1800);
        self.clock.set_by_seconds(if self.random.random_bool(0.5) { seconds } else { -seconds });
        self.judge.look_at_clock(now(&self.clock));
    }

    fn set_space(&mut self, core: &Core, is_full: bool) {
        self.is_full = is_full;
        core.machine.set_free_bytes(if is_full { LEFT_BYTES + self.random.random_range(0..200_000) } else { 1 << 40 });
    }

    /// Stops in good order. False where the disk failed meanwhile.
    fn stop(&mut self, mut core: Core) -> Result<(Machine, bool), String> {
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

    fn note_disks(&mut self, platters: &Platters) {
        self.trace.write(&platters.database);
        platters.slots.iter().for_each(|slot| self.trace.write(slot));
    }
}
