//! The steps of a run: what can be done next, and how it is done.

use std::hash::Hasher as _;
use std::time::Duration;

use enroll_protocol::{Code, Key, Pk};
use rand::RngExt as _;

use super::backups::Backup;
use super::bulk;
use super::client::Link;
use super::core::{Core, Ended, LEFT_BYTES, now, peer};
use super::operations::Op;
use super::plan::Fault;
use super::programs::Ask;
use super::run::{End, Run};
use crate::machine::Platters;
use crate::oracle::Oracle;

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
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
    Reload,
    BackUp,
    Restore,
    Move,
    Follow(usize),
}

impl Run<'_> {
    /// The steps that can be taken, with their weights.
    pub(super) fn possible(&self, core: &Core, steps: &mut Vec<(u32, Step)>) {
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
            if client.wants_to_follow() {
                steps.push((8, Step::Follow(at)));
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
            (Fault::Reloads, Step::Reload),
            (Fault::Restores, if self.backups.is_empty() { Step::BackUp } else { Step::Restore }),
            (Fault::Restores, Step::BackUp),
            (Fault::Moves, Step::Move),
        ];
        let is_time = self.figures.steps.is_multiple_of(16) && self.faults_left > 0;
        steps.extend(self.is_full.then_some((1, Step::SetSpace)));
        steps.extend(rare.into_iter().filter(|(fault, _)| is_time && self.plan.has(*fault)).map(|(_, step)| (3, step)));
    }

    pub(super) fn step(&mut self, core: &mut Core, step: Step) -> Result<Option<End>, String> {
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
            Step::Reload => core.reload(self.random.random_range(8..12)),
            Step::SetSpace => self.set_space(core, !self.is_full),
            Step::BackUp => self.back_up(core)?,
            Step::Restore => {
                self.faults_left -= 1;
                return Ok(Some(End::Restored));
            }
            Step::Move => return self.leave(core),
            Step::Follow(at) => {
                let client = &mut self.clients[at];
                if let (Some(link), Some(seen)) = (&mut client.link, client.follows) {
                    link.follow(seen);
                }
            }
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

    pub(super) fn failed(&self, core: &Core, what: &str) -> Result<End, String> {
        match core.machine.has_met_its_fate() {
            true => Ok(End::Failed),
            false => Err(format!("{what} failed, and no disk did")),
        }
    }

    pub(super) fn poll_all(&mut self, core: &mut Core) {
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
                    let refused = answer.as_ref().err().map(|refusal| format!("{}: {}", refusal.code, refusal.message));
                    let is_limited = answer.as_ref().is_err_and(|refusal| refusal.code == Code::TOO_MANY_ATTEMPTS);
                    let may_fail_inside = core.machine.has_met_its_fate();
                    let is_one = self.judge.answered(number, since, answer, may_fail_inside)?;
                    link.saw(self.judge.change_of(number));
                    if !is_one && !is_limited && self.may_repeat(number) {
                        self.clients[at].again.push_back(number);
                        self.latest.refused(number, refused.unwrap_or_default());
                    }
                }
                Err(None) => {
                    self.clients[at].lose_link(&self.judge);
                    return Ok(());
                }
                Err(Some(wrong)) => return Err(wrong),
            }
        }
        self.clients[at].take_followed(&self.judge)?;
        if is_over {
            self.clients[at].lose_link(&self.judge);
        }
        self.forget();
        Ok(())
    }

    fn back_up(&mut self, core: &Core) -> Result<(), String> {
        let (now, seed) = (now(&self.clock), self.random.random());
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

    fn may_repeat(&self, number: usize) -> bool {
        let request = &self.judge.requests[number];
        request.key.is_some() || !request.op.writes()
    }

    /// Forgets the models that no answer to come can be of.
    fn forget(&mut self) {
        let judge = &self.judge;
        let again = self.clients.iter().flat_map(|client| client.again.iter().copied());
        let links = self.clients.iter().filter_map(|client| client.link.as_ref());
        let open = again.chain(links.flat_map(Link::unanswered));
        let earliest = open.map(|number| judge.first(number)).min().unwrap_or(judge.seq);
        self.judge.forget_before(earliest);
    }

    fn send(&mut self, at: usize) {
        let number = match self.clients[at].again.pop_front() {
            Some(number) => number,
            None => {
                let op = self.known.draw(&mut self.random, &self.plan.areas, now(&self.clock));
                let op = match (op, self.judge.open_keys()) {
                    (Op::Study(Ask::Many(units)), open) if open + units.len() > bulk::OPEN_MAX => {
                        Op::Study(units[0].clone())
                    }
                    (op, _) => op,
                };
                let uid = self.clients[at].uid;
                let shared = match self.judge.limits.per_minute.is_some() && self.random.random_bool(0.8) {
                    true => self.judge.shared(&op, uid, self.random.random_range(0..100)),
                    false => None,
                };
                let has_key = op.writes() && self.random.random_bool(0.8) || shared.is_some() && op.may_spend();
                let key = has_key.then(|| Key(Pk::from_bytes(self.random.random())));
                self.asked += 1;
                self.judge.add(op, key, uid, shared)
            }
        };
        if let Some(link) = &mut self.clients[at].link {
            self.judge.requests[number].sent.times += 1;
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

    pub(super) fn set_space(&mut self, core: &Core, is_full: bool) {
        self.is_full = is_full;
        core.machine.set_free_bytes(if is_full { LEFT_BYTES + self.random.random_range(0..200_000) } else { 1 << 40 });
    }
}
