//! One run: the scheduler, which takes one step after another of clients, sessions, writers and flushers of all hosts, lets
//! time pass, and has faults come. Everything that it draws comes from the seed of its plan.

use std::fmt;
use std::hash::Hasher as _;
use std::sync::{Arc, Mutex};

use rand::rngs::{ChaCha20Rng, SmallRng};
use rand::{RngExt as _, SeedableRng as _};
use tokio::runtime::{Builder, Runtime};
use twox_hash::XxHash3_64;

use super::asking::Known;
use super::backups::Backup;
use super::beginning;
use super::client::Client;
use super::cluster::Cluster;
use super::control::Control;
use super::hosts::Host;
use super::judge::Judge;
use super::plan::{Area, Plan};
use super::steps::{Act, Step};
use super::stuck::Latest;
use crate::machine::Platters;
use crate::oracle::Oracle;

/// Steps after which a run should have ended.
const STEPS_MAX: u64 = 60_000;

/// Faults of a run, most of which end a life: those of one host, and of each one more.
const FAULTS_MAX: [u32; 2] = [6, 4];

/// Users; clients of one share its turn in the writer's queue.
const UIDS: u32 = 2;

/// Requests of a connection in flight.
const PIPELINE: [usize; 3] = [1, 4, 16];

/// Steps between two in which flushers may do something.
const FLUSH_EVERY: [u64; 3] = [1, 2, 8];

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
    pub(super) hosts: Vec<Host>,
    /// The journal that the hosts share, if there are several.
    pub(super) cluster: Option<Cluster>,
    pub(super) runtime: Runtime,
    /// The entries of a host alone.
    pub(super) oracle: Arc<Mutex<Oracle>>,
    pub(super) judge: Judge,
    pub(super) known: Known,
    pub(super) clients: Vec<Client>,
    pub(super) trace: XxHash3_64,
    pub(super) connections: u64,
    pub(super) asked: usize,
    pub(super) pipeline: usize,
    /// Steps between two in which flushers may do something. With many of them what is not flushed grows.
    pub(super) flush_every: u64,
    pub(super) faults_left: u32,
    pub(super) latest: Latest,
    pub(super) backups: Vec<Backup>,
    /// The export of a registry that moves.
    pub(super) export: String,
    pub(super) figures: Figures,
}

/// Runs a plan. Fails with what is wrong.
pub fn run(plan: &Plan, control: Control) -> Result<Figures, String> {
    let runtime =
        Builder::new_current_thread().enable_time().start_paused(true).build().map_err(|err| err.to_string())?;
    let mut random = ChaCha20Rng::seed_from_u64(plan.seed ^ 0x5eed);
    let (database, committed) = beginning::registry().clone();
    let pipeline = PIPELINE[random.random_range(0..PIPELINE.len())];
    let flush_every = FLUSH_EVERY[random.random_range(0..FLUSH_EVERY.len())];
    let uid = |number: usize| 1000 + u32::try_from(number).unwrap_or(0) % UIDS;
    let disks = SmallRng::seed_from_u64(random.random());
    let (cluster, hosts) = match plan.hosts {
        0 | 1 => (None, vec![Host::with(Some(Platters::of(database)))]),
        count => {
            let (cluster, hosts) = Cluster::of(count, &mut random, control)?;
            (Some(cluster), hosts)
        }
    };
    let more = u32::try_from(hosts.len() - 1).unwrap_or(0);
    let mut run = Run {
        plan,
        control,
        disks,
        hosts,
        cluster,
        runtime,
        oracle: Arc::new(Mutex::new(Oracle::expecting(committed))),
        judge: Judge::default(),
        known: Known::default(),
        clients: (0..plan.clients).map(|number| Client::of(uid(number), plan.areas.contains(&Area::Streams))).collect(),
        trace: XxHash3_64::new(),
        connections: 0,
        asked: 0,
        pipeline,
        flush_every,
        faults_left: FAULTS_MAX[0] + FAULTS_MAX[1] * more,
        latest: Latest::default(),
        backups: Vec::new(),
        export: String::new(),
        figures: Figures::default(),
        random,
    };
    if plan.areas.contains(&Area::Guesses) {
        run.judge.limits.per_minute = Some(run.random.random_range(1..4));
    }
    let gone = run.go();
    // Nobody needs what a close would write.
    run.hosts.iter().filter_map(|host| host.core.as_ref()).for_each(|core| core.machine.crash());
    run.cluster.iter().for_each(Cluster::crash);
    gone?;
    run.figures.trace = run.trace.finish();
    run.figures.operations = run.asked as u64;
    run.figures.answers = run.judge.judged;
    run.figures.changes = run.judge.seq;
    Ok(run.figures)
}

impl Run<'_> {
    /// Takes one step after another, until everything is answered; then everything is compared once more.
    fn go(&mut self) -> Result<(), String> {
        let mut steps = Vec::new();
        loop {
            // A host alone is down for no step.
            while self.cluster.is_none() && self.hosts[0].core.is_none() {
                self.start(0)?;
            }
            if self.asked >= self.plan.operations && self.clients.iter().all(Client::is_idle) {
                return match self.cluster {
                    None => self.finish_alone(),
                    Some(_) => self.finish_together(),
                };
            }
            self.figures.steps += 1;
            if self.figures.steps > STEPS_MAX {
                return Err(self.stuck());
            }
            self.possible(&mut steps);
            let step = self.drawn(&steps);
            self.trace.write_u64(self.figures.steps);
            self.trace.write(format!("{step:?}").as_bytes());
            self.latest.took(step);
            self.step(step)?;
        }
    }

    /// The deliberate fault, and how many guesses a source has.
    pub(super) fn terms(&self) -> (Control, Option<u32>) {
        (self.control, self.judge.limits.per_minute)
    }

    fn drawn(&mut self, steps: &[(u32, Step)]) -> Step {
        let all: u32 = steps.iter().map(|(weight, _)| weight).sum();
        let mut drawn = self.random.random_range(0..all);
        for (weight, step) in steps {
            if drawn < *weight {
                return *step;
            }
            drawn -= weight;
        }
        Step::Host(0, Act::Write)
    }
}
