//! The steps of a run: what can be done next, and how it is done.

use std::hash::Hasher as _;
use std::time::Duration;

use rand::RngExt as _;
use rand::seq::IteratorRandom as _;

use super::backups::Backup;
use super::core::{Core, Ended, LEFT_BYTES, now, peer};
use super::hosts::End;
use super::operations::seconds;
use super::plan::Fault;
use super::run::Run;
use crate::disk::Fate;
use crate::machine::Platters;
use crate::oracle::Oracle;

/// A clock is set by less.
const STEP_SECONDS_MAX: i64 = 1800;

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Connect(usize),
    Deliver(usize),
    Take(usize),
    Send(usize),
    Cut(usize),
    Follow(usize),
    /// Time passes.
    Pass,
    /// The daemon of a host starts.
    Start(usize),
    /// A host does something.
    Host(usize, Act),
    /// An append arrives late in the shared journal.
    Arrive,
    /// The shared journal is trimmed.
    Trim,
    /// The lease of a leader that is gone runs out.
    Lapse,
}

/// A step of a host whose daemon runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Poll(u64),
    Write,
    Flush,
    Work,
    SetClock,
    SetSpace,
    Kill,
    Stop,
    Reload,
    BackUp,
    Restore,
    Move,
    /// A standby takes in records of the shared journal.
    TakeIn,
    BeginLook,
    EndLook,
    /// It is elected.
    Lead,
    /// Its lease runs out.
    LoseLease,
    /// It learns that another one may lead.
    Learn,
    /// It stands still.
    Halt,
    GoOn,
    /// It no longer reaches the shared journal.
    CutOff,
    Reach,
}

impl Run<'_> {
    /// The steps that can be taken, with their weights.
    pub(super) fn possible(&self, steps: &mut Vec<(u32, Step)>) {
        steps.clear();
        self.possible_of_clients(steps);
        for (at, host) in self.hosts.iter().enumerate() {
            let Some(core) = host.core.as_ref().filter(|_| !host.is_halted) else { continue };
            steps.extend(core.sessions.ready().into_iter().map(|number| (12, Step::Host(at, Act::Poll(number)))));
            if core.leads() {
                steps.push((if core.is_due() { 12 } else { 6 }, Step::Host(at, Act::Write)));
            }
            if self.figures.steps.is_multiple_of(self.flush_every) {
                steps.push((2, Step::Host(at, Act::Flush)));
            }
            steps.push((2, Step::Host(at, Act::Work)));
        }
        steps.push((1, Step::Pass));
        let is_time = self.figures.steps.is_multiple_of(16) && self.faults_left > 0;
        for (at, host) in self.hosts.iter().enumerate().filter(|(_, host)| host.core.is_some()) {
            steps.extend(host.is_full.then_some((1, Step::Host(at, Act::SetSpace))));
            if is_time {
                self.rare(at, steps);
            }
        }
        self.possible_in_cluster(steps);
    }

    fn possible_of_clients(&self, steps: &mut Vec<(u32, Step)>) {
        for (at, client) in self.clients.iter().enumerate() {
            let Some(link) = &client.link else {
                if self.hosts.iter().any(|host| host.core.is_some()) {
                    steps.push((10, Step::Connect(at)));
                }
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
            if client.wants_to_follow() {
                steps.push((8, Step::Follow(at)));
            }
            if self.plan.has(Fault::Cuts) && self.figures.steps.is_multiple_of(4) {
                steps.push((1, Step::Cut(at)));
            }
            // Another host may take what this one does not.
            if client.is_put_off || self.hosts[client.host].is_halted {
                steps.push((4, Step::Cut(at)));
            }
        }
    }

    /// The faults of a host.
    fn rare(&self, host: usize, steps: &mut Vec<(u32, Step)>) {
        let of_one = [
            (Fault::Clock, Act::SetClock),
            (Fault::Full, Act::SetSpace),
            (Fault::Kills, Act::Kill),
            (Fault::Stops, Act::Stop),
            (Fault::Reloads, Act::Reload),
        ];
        let of_one = of_one.into_iter().filter(|(_, act)| !self.hosts[host].is_halted || *act == Act::Kill);
        let alone = [
            (Fault::Restores, if self.backups.is_empty() { Act::BackUp } else { Act::Restore }),
            (Fault::Restores, Act::BackUp),
            (Fault::Moves, Act::Move),
        ];
        let alone = alone.into_iter().filter(|_| self.cluster.is_none());
        let rare = of_one.chain(alone).filter(|(fault, _)| self.plan.has(*fault));
        steps.extend(rare.map(|(_, act)| (3, Step::Host(host, act))));
    }

    pub(super) fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Connect(at) => self.connect(at),
            Step::Deliver(at) => {
                let count = self.piece();
                if let Some(link) = &mut self.clients[at].link {
                    let bytes = link.deliver(count);
                    self.trace.write(&bytes);
                }
            }
            Step::Take(at) => self.take(at)?,
            Step::Send(at) => self.send(at),
            Step::Cut(at) => self.clients[at].lose_link(&self.judge),
            Step::Follow(at) => {
                let client = &mut self.clients[at];
                if let (Some(link), Some(seen)) = (&mut client.link, client.follows) {
                    link.follow(seen);
                }
            }
            Step::Pass => self.pass(),
            Step::Start(host) => self.start(host)?,
            Step::Host(host, act) => {
                let Some(mut core) = self.hosts[host].core.take() else { return Ok(()) };
                let end = self.act(host, &mut core, act)?;
                let is_off = matches!(core.machine.fate(), Fate::PowerLoss(_)) && core.machine.has_met_its_fate();
                match end.or_else(|| is_off.then_some(End::Failed)) {
                    None => self.hosts[host].core = Some(core),
                    Some(end) => self.end(host, core, end)?,
                }
            }
            Step::Arrive => self.arrive(),
            Step::Trim => self.trim(),
            Step::Lapse => self.lapse(),
        }
        self.follow_journal()
    }

    fn act(&mut self, host: usize, core: &mut Core, act: Act) -> Result<Option<End>, String> {
        match act {
            Act::Poll(number) => {
                {
                    let _runtime = self.runtime.enter();
                    core.sessions.poll(number);
                }
                self.run_waiting();
            }
            Act::Write => return self.write(core),
            Act::Flush => {
                if let Err(Ended(_)) = core.flush() {
                    return self.failed(core, "the flusher").map(Some);
                }
                core.claim(host);
            }
            Act::Work => drop(core.work()),
            Act::SetClock => self.set_clock(host),
            Act::Reload => core.reload(self.random.random_range(8..12)),
            Act::SetSpace => self.set_space(host, core, !self.hosts[host].is_full),
            Act::BackUp => self.back_up(core)?,
            Act::Restore => return Ok(self.fault_with(End::Restored)),
            Act::Move => return self.move_out(core),
            Act::Kill => return Ok(self.fault_with(End::Killed)),
            Act::Stop => return Ok(self.fault_with(End::Stopped)),
            _ => return self.act_in_cluster(host, core, act),
        }
        Ok(None)
    }

    fn fault_with(&mut self, end: End) -> Option<End> {
        self.faults_left -= 1;
        Some(end)
    }

    fn write(&mut self, core: &mut Core) -> Result<Option<End>, String> {
        self.decide_append(core);
        if let Err(Ended(_)) = core.write() {
            // What it has answered may still arrive.
            self.poll_all(core);
            return self.failed(core, "the writer").map(Some);
        }
        if self.cluster.is_some() {
            return Ok(None);
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

    pub(super) fn poll_all(&mut self, core: &mut Core) {
        {
            let _runtime = self.runtime.enter();
            for number in core.sessions.ready() {
                core.sessions.poll(number);
            }
        }
        self.run_waiting();
    }

    fn back_up(&mut self, core: &Core) -> Result<(), String> {
        let (now, seed) = (now(&self.hosts[0].clock), self.random.random());
        match core.back_up(peer(0, 0), now, seed) {
            Ok(bytes) => self.backups.push(Backup::of(bytes, self.judge.seq, self.judge.model())?),
            Err(_) if core.machine.has_met_its_fate() => {}
            Err(fault) => return Err(format!("a backup: {fault}")),
        }
        Ok(())
    }

    /// New disks with one of the backups, whose model everything goes back to.
    pub(super) fn restore(&mut self) -> Result<Platters, String> {
        let drawn = self.random.random_range(0..self.backups.len());
        let backup = &self.backups[drawn];
        let (platters, there) = backup.restored()?;
        *self.oracle.lock().map_err(|err| err.to_string())? = Oracle::expecting(there);
        self.judge.go_back(backup.seq, &backup.model);
        let seq = backup.seq;
        self.clients.iter_mut().filter_map(|client| client.follows.as_mut()).for_each(|seen| *seen = seq.min(*seen));
        // Those of a time that is forgotten are of another history.
        self.backups.retain(|backup| backup.seq <= seq);
        Ok(platters)
    }

    fn pass(&mut self) {
        let time = match self.plan.has(Fault::Pauses) && self.random.random_bool(0.1) {
            true => match self.until_moment(0) {
                Some(seconds @ 1..) => Duration::from_secs(seconds.unsigned_abs()),
                _ => Duration::from_millis(self.random.random_range(1000..700_000)),
            },
            false => Duration::from_millis(self.random.random_range(1..50)),
        };
        self.hosts.iter().for_each(|host| host.clock.pass(time));
        self.runtime.block_on(tokio::time::advance(time));
        self.look_at_clocks();
    }

    /// Has the judge note the clocks of all hosts.
    pub(super) fn look_at_clocks(&mut self) {
        let clocks: Vec<_> = self.hosts.iter().map(|host| now(&host.clock)).collect();
        self.judge.look_at_clocks(&clocks);
    }

    fn set_clock(&mut self, host: usize) {
        self.faults_left -= 1;
        let seconds = self.until_moment(host).unwrap_or_else(|| {
            let seconds = self.random.random_range(1..STEP_SECONDS_MAX);
            if self.random.random_bool(0.5) { seconds } else { -seconds }
        });
        self.hosts[host].clock.set_by_seconds(seconds);
        self.look_at_clocks();
    }

    /// Half the time the seconds from a host's clock to a moment of an event, or near it, which clocks seldom meet by chance.
    fn until_moment(&mut self, host: usize) -> Option<i64> {
        let now = seconds(now(&self.hosts[host].clock));
        let moment = self.judge.model().moments().choose(&mut self.random)?;
        let seconds = moment.checked_signed_diff(now)? + self.random.random_range(-20..20);
        (seconds.abs() < STEP_SECONDS_MAX && self.random.random_bool(0.5)).then_some(seconds)
    }

    pub(super) fn set_space(&mut self, host: usize, core: &Core, is_full: bool) {
        self.hosts[host].is_full = is_full;
        core.machine.set_free_bytes(if is_full { LEFT_BYTES + self.random.random_range(0..200_000) } else { 1 << 40 });
    }
}
