//! The hosts of a simulation that share a journal: who leads, how appends fare, what is trimmed, and who joins. One more host,
//! on which nothing ever fails, takes in each record as it is appended: the judge follows the changes there.

use std::sync::Arc;

use enroll_core::model::key::WITHOUT_ORDER;
use enroll_core::state::{Store, StoreError};
use enroll_protocol::backup::Position;
use enrolld::cluster::trim::Retention;
use enrolld::storage::journal::{JournalOptions, JournalStore};
use enrolld::storage::redb::RedbOptions;
use rand::RngExt as _;
use rand::rngs::ChaCha20Rng;

use super::backups::joining;
use super::beginning::{self, IDENTITY};
use super::control::Control;
use super::core::{Core, Ended, now, peer};
use super::hosts::{End, Host};
use super::plan::Fault;
use super::run::Run;
use super::shared_journal::{AppendFate, Engine, Way};
use super::steps::{Act, Step};
use crate::machine::{Machine, Platters};
use crate::oracle::everything;
use crate::registry::foundation::secrets;

/// The names of the members.
const NAMES: [&str; 3] = ["a", "b", "c"];

/// Databases that must have a record before it is trimmed.
const COPIES: usize = 2;

/// The part of the appends whose fate is not to be done and known, where a plan has that fault.
const APPENDS: f64 = 0.1;

/// See the module.
pub(super) struct Cluster {
    engine: Arc<Engine>,
    replica: JournalStore,
    /// The host of the replica.
    machine: Machine,
    /// The weight of a standby's steps that take in records. With a small one it is behind for long.
    haste: u32,
}

impl Cluster {
    /// So many hosts. The last one may join late.
    pub(super) fn of(count: usize, random: &mut ChaCha20Rng, control: Control) -> Result<(Self, Vec<Host>), String> {
        let founded = beginning::cluster();
        let engine = Engine::beginning(founded.head, founded.record.clone(), control);
        let platters = || Platters::of(founded.database.clone());
        let has_all = random.random_bool(0.6);
        let mut hosts = Vec::new();
        for at in 0..count.min(NAMES.len()) {
            let is_there = has_all || at + 1 < count;
            hosts.push(Host::with(is_there.then(platters)));
            if is_there {
                engine.claim(at, founded.head.number);
            }
        }
        let options = JournalOptions {
            segment_bytes: 64 << 10,
            memory_bytes: 16 << 20,
            unordered: WITHOUT_ORDER,
            identity: IDENTITY,
        };
        let redb = RedbOptions { cache_bytes: 64 << 10, verify: false };
        let machine = Machine::holding(platters());
        let replica = machine.open_shared(redb, options, Way::to(&engine), secrets())?;
        let haste = [1, 2, 6][random.random_range(0..3)];
        Ok((Self { engine, replica, machine, haste }, hosts))
    }

    /// Ends the replica at once.
    pub(super) fn crash(&self) {
        self.machine.crash();
    }

    /// A way of this host to the journal, for one life, and its name.
    pub(super) fn way_of(&self, host: usize) -> (Arc<Way>, &'static str) {
        (Way::to(&self.engine), NAMES[host])
    }

    /// Fails where a host does not hold what the journal says.
    pub(super) fn expect_same(&self, store: &dyn Store) -> Result<(), String> {
        let unreadable = |err: StoreError| err.to_string();
        match everything(store).map_err(unreadable)? == everything(&self.replica).map_err(unreadable)? {
            true => Ok(()),
            false => Err("a host holds other entries than the journal says".to_owned()),
        }
    }
}

impl Core {
    /// True if the shared journal failed a call of this life.
    pub(super) fn was_refused(&self) -> bool {
        self.member.as_ref().is_some_and(|member| member.way.has_failed())
    }

    /// Tells the cluster what the database of this host has.
    pub(super) fn claim(&self, host: usize) {
        let Some(member) = &self.member else { return };
        let flushed = self.store.with(|store| Ok(store.progress().flushed()));
        if let Ok(flushed) = flushed
            && !member.way.is_cut()
        {
            member.way.engine().claim(host, flushed);
        }
    }

    /// Gives up its tenure, if it leads.
    pub(super) fn resign(&self) {
        if let Some(member) = &self.member
            && let Some(term) = member.term
        {
            member.way.engine().end_tenure(term);
        }
    }
}

impl Run<'_> {
    /// The disks of a host whose daemon is about to start; none where it has to join, and nobody is there to join.
    pub(super) fn platters_of(&mut self, host: usize) -> Result<Option<Platters>, String> {
        if let Some(platters) = self.hosts[host].platters.take() {
            return Ok(Some(platters));
        }
        let Some(cluster) = &self.cluster else { return Ok(None) };
        let with = |core: &&Core| !core.has_failed() && core.number() + 1 >= cluster.engine.low();
        let Some(core) = self.hosts.iter().filter_map(|host| host.core.as_ref()).find(with) else { return Ok(None) };
        let (now, seed) = (now(&self.hosts[host].clock), self.random.random());
        let backup = match core.back_up(peer(0, 0), now, seed) {
            Ok(backup) => backup,
            Err(_) if core.machine.has_met_its_fate() => return Ok(None),
            Err(fault) => return Err(format!("a backup: {fault}")),
        };
        let (platters, Position { number, .. }) = joining(&backup)?;
        cluster.engine.claim(host, number);
        Ok(Some(platters))
    }

    /// The steps of a cluster.
    pub(super) fn possible_in_cluster(&self, steps: &mut Vec<(u32, Step)>) {
        let Some(Cluster { engine, haste, .. }) = &self.cluster else { return };
        let is_time = self.figures.steps.is_multiple_of(16) && self.faults_left > 0;
        for (at, host) in self.hosts.iter().enumerate() {
            let mut can = |weight, act| steps.push((weight, Step::Host(at, act)));
            let Some(core) = &host.core else {
                steps.push((2, Step::Start(at)));
                continue;
            };
            let Some(member) = &core.member else { continue };
            let (is_cut, holds_lease) = (member.way.is_cut(), member.term.is_some_and(|term| engine.leads(term)));
            if holds_lease && (host.is_halted || is_cut || is_time && self.plan.has(Fault::Elections)) {
                can(2, Act::LoseLease);
            }
            if is_cut {
                can(1, Act::Reach);
            } else if is_time && self.plan.has(Fault::Partitions) {
                can(3, Act::CutOff);
            }
            if host.is_halted {
                can(1, Act::GoOn);
                continue;
            }
            if is_time && self.plan.has(Fault::Halts) {
                can(3, Act::Halt);
            }
            if !core.leads() {
                if core.number() < engine.number() {
                    can(*haste, Act::TakeIn);
                }
                if engine.leader().is_none() && !is_cut {
                    can(6, Act::Lead);
                }
            } else if core.is_deposed() {
                can(1, Act::Learn);
            }
            match core.is_looking() {
                true if core.has_looked() => can(8, Act::EndLook),
                true if self.figures.steps.is_multiple_of(32) => can(1, Act::EndLook),
                false if core.is_look_due() => can(8, Act::BeginLook),
                _ => {}
            }
        }
        // The lease of one that is down runs out.
        if let Some(leader) = engine.leader()
            && self.hosts[leader].core.as_ref().is_none_or(|core| !core.leads() || core.is_deposed())
        {
            steps.push((4, Step::Lapse));
        }
        if engine.late() > 0 {
            steps.push((2, Step::Arrive));
        }
        if self.plan.has(Fault::Trims) && self.figures.steps.is_multiple_of(8) && engine.leader().is_some() {
            steps.push((3, Step::Trim));
        }
    }

    pub(super) fn act_in_cluster(&mut self, host: usize, core: &mut Core, act: Act) -> Result<Option<End>, String> {
        let Some(Cluster { engine, .. }) = &self.cluster else { return Ok(None) };
        match act {
            Act::TakeIn => {
                let records = [None, Some(1), Some(2)][self.random.random_range(0..3)];
                if let Err(Ended(err)) = core.take_in(records) {
                    return self.ended(core, &err, "taking in").map(Some);
                }
            }
            Act::BeginLook => core.begin_look(),
            Act::EndLook => {
                core.end_look();
                self.run_waiting();
            }
            Act::Lead => {
                let term = engine.elect(host);
                if let Err(Ended(err)) = core.lead(term) {
                    engine.end_tenure(term);
                    return self.ended(core, &err, "leading").map(Some);
                }
                self.follow_journal()?;
                let same = core.machine.watch(|| self.expect_same(core));
                match same {
                    Err(_) if core.machine.has_met_its_fate() => return Ok(Some(End::Failed)),
                    same => same?,
                }
            }
            Act::LoseLease => {
                core.resign();
                // Nobody's fault where the host does not do anything.
                self.faults_left = self.faults_left.saturating_sub(1);
            }
            Act::Learn => return Ok(Some(End::Refused)),
            Act::Halt | Act::GoOn => {
                let is_halted = act == Act::Halt;
                self.hosts[host].is_halted = is_halted;
                self.faults_left = self.faults_left.saturating_sub(u32::from(is_halted));
            }
            Act::CutOff | Act::Reach => {
                let is_cut = act == Act::CutOff;
                if let Some(member) = &core.member {
                    member.way.cut(is_cut);
                }
                self.faults_left = self.faults_left.saturating_sub(u32::from(is_cut));
            }
            _ => {}
        }
        Ok(None)
    }

    fn expect_same(&self, core: &Core) -> Result<(), String> {
        self.cluster.as_ref().map_or(Ok(()), |cluster| cluster.expect_same(&*core.seen))
    }

    /// The end of a member that could not follow, or not lead.
    fn ended(&self, core: &Core, err: &StoreError, what: &str) -> Result<End, String> {
        match err {
            StoreError::Trimmed(_) => Ok(End::Late),
            StoreError::Corrupt(why) if !core.machine.has_met_its_fate() => Err(format!("{what}: {why}")),
            _ => self.failed(core, what),
        }
    }

    /// Decides how the next append of this daemon fares.
    pub(super) fn decide_append(&mut self, core: &Core) {
        let Some(member) = core.member.as_ref().filter(|_| self.plan.has(Fault::Appends)) else { return };
        let fate = (self.faults_left > 0 && self.random.random_bool(APPENDS))
            .then(|| AppendFate::ALL[self.random.random_range(0..AppendFate::ALL.len())]);
        member.way.decide(fate);
        let ends_it = fate.is_some_and(|fate| fate != AppendFate::Repeated);
        self.faults_left -= u32::from(ends_it);
    }

    /// Runs what waits for the looks of its host.
    pub(super) fn run_waiting(&self) {
        if self.cluster.is_some() {
            self.runtime.block_on(tokio::task::yield_now());
        }
    }

    /// Has the judge follow what was appended.
    pub(super) fn follow_journal(&mut self) -> Result<(), String> {
        let Some(Cluster { engine, replica, .. }) = &self.cluster else { return Ok(()) };
        let (had, has) = (replica.number(), engine.number());
        if has < had {
            return Err(format!("the journal ends with record {has}, and had {had}"));
        }
        if has == had {
            return Ok(());
        }
        replica.catch_up(|_| ()).map_err(|err| format!("record {}: {err}", had + 1))?;
        self.judge.follow(&*replica.view().map_err(|err| err.to_string())?)
    }

    pub(super) fn lapse(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.engine.lapse();
        }
    }

    pub(super) fn arrive(&mut self) {
        if let Some(cluster) = &self.cluster {
            let late = cluster.engine.late();
            cluster.engine.arrive(self.random.random_range(0..late));
        }
    }

    pub(super) fn trim(&mut self) {
        if let Some(cluster) = &self.cluster {
            // A short journal is kept for everybody, a long one is not.
            let bytes_max = if self.random.random_bool(0.5) { u64::MAX } else { 0 };
            cluster.engine.trim(Retention { copies: COPIES, bytes_max });
        }
    }

    /// Ends all daemons, starts them again, has one lead, and compares everything on all hosts.
    pub(super) fn finish_together(&mut self) -> Result<(), String> {
        self.faults_left = 0;
        while self.cluster.as_ref().is_some_and(|cluster| cluster.engine.late() > 0) {
            self.arrive();
            self.follow_journal()?;
        }
        for host in 0..self.hosts.len() {
            if let Some(core) = self.hosts[host].core.take() {
                let end = if self.random.random() { End::Stopped } else { End::Killed };
                self.end(host, core, end)?;
                self.follow_journal()?;
            }
        }
        self.lapse();
        // One that has to join does so once another one is there.
        for host in (0..self.hosts.len()).chain(0..self.hosts.len()).chain(0..self.hosts.len()) {
            if self.hosts[host].core.is_none() {
                self.start(host)?;
            }
        }
        for (host, act) in [(0, Act::Lead), (0, Act::Write)] {
            self.step(Step::Host(host, act))?;
        }
        for host in 0..self.hosts.len() {
            self.step(Step::Host(host, Act::TakeIn))?;
            let Some(core) = self.hosts[host].core.as_ref() else {
                return Err(format!("host {host} does not come up"));
            };
            core.take_in(None).map_err(|Ended(err)| format!("host {host}, at the end: {err}"))?;
            self.expect_same(core).map_err(|wrong| format!("host {host}, at the end: {wrong}"))?;
            let view = core.seen.view().map_err(|err| err.to_string())?;
            self.judge.compare(&*view).map_err(|wrong| format!("host {host}, at the end: {wrong}"))?;
        }
        Ok(())
    }
}
