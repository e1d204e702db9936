//! The plan of a run, drawn from its seed: how many clients ask how many hosts how much, which operations they use, and which
//! faults there are. Each seed leaves most faults and many operations out (swarm testing), so that some runs are all of one
//! kind.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use rand::rngs::ChaCha20Rng;
use rand::seq::IteratorRandom as _;
use rand::{RngExt as _, SeedableRng as _};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Bytes arrive in pieces and late.
    Pieces,
    /// Connections break, with what was on its way.
    Cuts,
    /// The process is killed.
    Kills,
    /// The power is lost at a call of a disk.
    Power,
    /// A call of a disk fails once, a read too.
    FailsOnce,
    /// All calls fail from one on.
    FailsFrom,
    /// The disk has no free space for a while.
    Full,
    /// The clock is set, forward and back.
    Clock,
    /// Time passes in long stretches.
    Pauses,
    /// The daemon is stopped in good order.
    Stops,
    /// The configuration is read again.
    Reloads,
    /// Backups are taken, and one of them is restored in place of the disks; on a host alone.
    Restores,
    /// The registry is exported, and imported into another daemon, which goes on in its place; on a host alone.
    Moves,
    /// The lease of a leader runs out while that goes on. This one and those below are of clusters.
    Elections,
    /// Appends are lost, or their answers are; they arrive late, or twice.
    Appends,
    /// A host stands still for a while.
    Halts,
    /// A host does not reach the journal for a while.
    Partitions,
    /// The journal is trimmed, of a member that is away too.
    Trims,
}

/// A group of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// People.
    People,
    /// Roles.
    Roles,
    /// Invite pools and enrollments.
    Enrollments,
    /// One-time tokens.
    Tokens,
    /// Login codes.
    Codes,
    /// Events and registrations.
    Events,
    /// Certificates.
    Certificates,
    /// Erasures.
    Erasure,
    /// Courses and a program.
    Programs,
    /// Transactions of several writes.
    Transactions,
    /// Streams of changes, which clients follow beside other operations.
    Streams,
    /// Rotations of the keys that sign, and checks.
    Server,
    /// Wrong codes, and small limits of them; on a host alone, as each host counts by itself.
    Guesses,
    /// Bulk writes of several external keys.
    Bulk,
    /// Changes of events, openings and merges.
    Openings,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The seed of everything.
    pub seed: u64,
    /// Hosts. One has a journal of its own, several share one.
    pub hosts: usize,
    /// Clients.
    pub clients: usize,
    /// Operations of all clients.
    pub operations: usize,
    /// The faults.
    pub faults: BTreeSet<Fault>,
    /// The operations.
    pub areas: BTreeSet<Area>,
}

/// All faults and their names, those of clusters last.
const FAULTS: &[(&str, Fault)] = &[
    ("pieces", Fault::Pieces),
    ("cuts", Fault::Cuts),
    ("kills", Fault::Kills),
    ("power", Fault::Power),
    ("fails-once", Fault::FailsOnce),
    ("fails-from", Fault::FailsFrom),
    ("full", Fault::Full),
    ("clock", Fault::Clock),
    ("pauses", Fault::Pauses),
    ("stops", Fault::Stops),
    ("reloads", Fault::Reloads),
    ("restores", Fault::Restores),
    ("moves", Fault::Moves),
    ("elections", Fault::Elections),
    ("appends", Fault::Appends),
    ("halts", Fault::Halts),
    ("partitions", Fault::Partitions),
    ("trims", Fault::Trims),
];

/// Faults that a host alone has too.
const OF_ONE_HOST: usize = 13;

/// Faults that put other disks in place of those of the only host.
const OF_ONE_ALONE: [Fault; 2] = [Fault::Restores, Fault::Moves];

/// The part of the seeds that draw a cluster.
const CLUSTERS: f64 = 0.3;

/// The part of the seeds that are about one area, and people: what many operations on few records do is seldom seen otherwise.
const FOCUSED: f64 = 0.2;

/// The part of the seeds that are about events in time: openings, merges and ends, with clocks that are set.
const TIMED: f64 = 0.15;

/// All areas and their names.
const AREAS: &[(&str, Area)] = &[
    ("people", Area::People),
    ("roles", Area::Roles),
    ("enrollments", Area::Enrollments),
    ("tokens", Area::Tokens),
    ("codes", Area::Codes),
    ("events", Area::Events),
    ("certificates", Area::Certificates),
    ("erasure", Area::Erasure),
    ("programs", Area::Programs),
    ("transactions", Area::Transactions),
    ("streams", Area::Streams),
    ("server", Area::Server),
    ("guesses", Area::Guesses),
    ("bulk", Area::Bulk),
    ("openings", Area::Openings),
];

/// The first of both. The others are drawn last, so that the seeds without them are what they were.
const DRAWN_FIRST: usize = 12;

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Self {
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let chance = [0.15, 0.4, 0.7][random.random_range(0..3)];
        let (of_one, of_clusters) = FAULTS.split_at(OF_ONE_HOST);
        let (first, later_faults) = of_one.split_at(DRAWN_FIRST);
        let mut faults: BTreeSet<Fault> =
            first.iter().map(|(_, fault)| *fault).filter(|_| random.random_bool(chance)).collect();
        let (first, later) = AREAS.split_at(DRAWN_FIRST);
        let mut areas: BTreeSet<Area> =
            first.iter().map(|(_, area)| *area).filter(|_| random.random_bool(0.5)).collect();
        // Most of the others are about people.
        areas.insert(Area::People);
        let clients = random.random_range(1..=4);
        let mut operations = [12, 30, 60, 100][random.random_range(0..4)];
        areas.extend(later.iter().map(|(_, area)| *area).filter(|_| random.random_bool(0.25)));
        faults.extend(later_faults.iter().map(|(_, fault)| *fault).filter(|_| random.random_bool(chance / 2.0)));
        // Of a stream of its own, which leaves what is drawn above as it was.
        let mut random = ChaCha20Rng::seed_from_u64(!seed);
        let hosts = if random.random_bool(CLUSTERS) { random.random_range(2..=3) } else { 1 };
        if hosts > 1 {
            let chance = [0.2, 0.5, 0.8][random.random_range(0..3)];
            faults.extend(of_clusters.iter().map(|(_, fault)| *fault).filter(|_| random.random_bool(chance)));
        }
        if random.random_bool(FOCUSED)
            && let Some(area) = areas.iter().copied().filter(|area| *area != Area::People).choose(&mut random)
        {
            areas.retain(|of| [area, Area::People].contains(of));
        } else if random.random_bool(TIMED) {
            // An event that is over goes on where the clock goes back.
            areas = BTreeSet::from([Area::People, Area::Roles, Area::Openings]);
            faults.insert(Fault::Clock);
            operations = operations.max(60);
        }
        if areas.contains(&Area::Openings) {
            // Somebody must register meanwhile, and what opens does so only as time passes.
            areas.insert(Area::Events);
            faults.insert(Fault::Pauses);
        }
        Self { seed, hosts, clients, operations, faults, areas }.possible()
    }

    /// The same without what its number of hosts does not have.
    #[must_use]
    pub fn possible(mut self) -> Self {
        if self.hosts > 1 {
            self.faults.retain(|fault| !OF_ONE_ALONE.contains(fault));
            self.areas.remove(&Area::Guesses);
        }
        self
    }

    /// True if this fault comes.
    pub(super) fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    /// Smaller plans, the much smaller ones first.
    pub fn smaller(&self) -> Vec<Self> {
        let mut smaller = Vec::new();
        for operations in [self.operations / 2, self.operations * 3 / 4, self.operations.saturating_sub(1)] {
            if operations > 0 && operations < self.operations {
                smaller.push(Self { operations, ..self.clone() });
            }
        }
        if self.hosts > 1 {
            smaller.push(Self { hosts: 1, ..self.clone() });
            smaller.push(Self { hosts: self.hosts - 1, ..self.clone() });
        }
        if self.clients > 1 {
            smaller.push(Self { clients: 1, ..self.clone() });
            smaller.push(Self { clients: self.clients - 1, ..self.clone() });
        }
        for fault in &self.faults {
            let mut faults = self.faults.clone();
            faults.remove(fault);
            smaller.push(Self { faults, ..self.clone() });
        }
        for area in self.areas.iter().filter(|_| self.areas.len() > 1) {
            let mut areas = self.areas.clone();
            areas.remove(area);
            smaller.push(Self { areas, ..self.clone() });
        }
        smaller
    }
}

impl fmt::Display for Plan {
    /// The arguments that run it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = FAULTS.iter().filter(|(_, fault)| self.faults.contains(fault)).map(|(name, _)| *name);
        let areas = AREAS.iter().filter(|(_, area)| self.areas.contains(area)).map(|(name, _)| *name);
        let list = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(",") };
        write!(
            f,
            "--seed {} --hosts {} --clients {} --operations {} --faults {} --areas {}",
            self.seed,
            self.hosts,
            self.clients,
            self.operations,
            list(faults.collect()),
            list(areas.collect())
        )
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        named(FAULTS, name)
    }
}

impl FromStr for Area {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        named(AREAS, name)
    }
}

fn named<T: Copy>(all: &[(&str, T)], name: &str) -> Result<T, String> {
    let found = all.iter().find(|(of, _)| *of == name).map(|(_, it)| *it);
    found.ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
        format!("{name} is none of: {}", names.join(", "))
    })
}
