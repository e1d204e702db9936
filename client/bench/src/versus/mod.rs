//! The comparison with other servers, `--vs PEER`: the daemon and its peers do equal work in turn, for some rounds.
//!
//! They take turns because a disk and a machine are faster at one time than at another. A peer is started for the run
//! in a temporary directory, is as durable as the daemon, begins with as many records, and has as many connections with
//! as many operations in flight on each.

mod comparison;
mod postgres;
mod redis;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use enroll_client::protocol::server::Status;
use enrollctl::failure::Failure;
use enrollctl::options::Options;
use enrollctl::output::Output;
use enrollctl::process::signals::{self, Signals};
use tokio::process::Command;

use self::comparison::{Comparison, Side};
use self::postgres::Postgres;
use self::redis::Redis;
use crate::bench::Bench;
use crate::disk;
use crate::measure::Tally;
use crate::resources::{Probe, Usage};
use crate::workload::{Workload, register};

/// Places of an event, as many as the daemon's has.
const CAPACITY: u32 = register::PLACES;

/// The pool of all enrollments; a constant, because a peer does not look it up.
const POOL: &str = "01234567-89ab-cdef-0123-456789abcdef";

/// Another server that does equal work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PeerName {
    /// Redis, with appendfsync always
    Redis,
    /// PostgreSQL, with fsync and synchronous_commit, under its own pgbench
    Postgres,
}

/// The work that peers can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    TokenUse,
    Enroll,
    Lookup,
    Register,
}

/// The work of a peer, and how much of it.
#[derive(Debug, Clone)]
struct Job {
    work: Work,
    connections: u64,
    /// On each connection.
    in_flight: u64,
    seconds: u64,
    /// Records that it begins with.
    records: u64,
    /// Enrollments that are looked up.
    known: u64,
}

/// An installed peer: its executable, or the directory of its executables.
#[derive(Debug)]
struct Installed {
    name: PeerName,
    program: PathBuf,
}

/// A running peer. Dropping it stops it and removes its directory.
#[derive(Debug)]
enum Peer {
    Redis(Redis),
    Postgres(Postgres),
}

/// Runs the comparison and shows its report. The peers are stopped and removed also on a failure or a signal.
pub(crate) async fn run(bench: &Bench, options: &Options, output: &Output) -> Result<ExitCode, Failure> {
    let work = Work::of(bench.workload).map_err(Failure::Usage)?;
    if bench.in_flight > 1 && bench.vs.contains(&PeerName::Postgres) {
        let why = "a connection of pgbench has one operation in flight; compare with more connections instead";
        return Err(Failure::Usage(why.to_owned()));
    }
    let mut names = Vec::new();
    for name in &bench.vs {
        if !names.contains(name) {
            names.push(*name);
        }
    }
    let found = names.into_iter().map(Installed::find).collect::<Result<Vec<_>, _>>().map_err(Failure::Usage)?;
    // From here on no signal ends the process before its peers are dropped.
    let mut signals = Signals::listen().map_err(Failure::Io)?;
    tokio::select! {
        biased;
        signal = signals.next() => Ok(ExitCode::from(signals::exit_code(signal))),
        comparison = compare(bench, work, &found, options, output) => comparison?.show(output),
    }
}

async fn compare<'a>(
    bench: &'a Bench,
    work: Work,
    found: &[Installed],
    options: &Options,
    output: &Output,
) -> Result<Comparison<'a>, Failure> {
    let client = options.connect().await?;
    bench.fill(&client).await?;
    let mut prepared = bench.prepare(&client).await?;
    let status = client.call(Status {}).await?;
    note_other_file_system(Path::new(&status.state_dir), output);
    let records = status.records.get(bench.workload.filling().kind()).copied().unwrap_or(0);
    let known = bench.records.min(records);
    let job = Job {
        work,
        connections: bench.connections,
        in_flight: bench.in_flight,
        seconds: bench.seconds,
        records,
        known,
    };
    let mut peers = Vec::new();
    for found in found {
        let side = Side::new(found.name.word(), found.version().await);
        peers.push((Peer::start(found, &job).await?, side));
    }

    let probe = Probe::of(client.clone()).await;
    let (mut ours, mut usage) = (Side::new("enrolld".to_owned(), status.version), Usage::default());
    for round in 1..=bench.rounds {
        if round > 1 && prepared.is_used_up() {
            prepared = bench.prepare(&client).await?;
        }
        let (tally, of_round) = bench.measure(&prepared, &probe, options).await?;
        usage = usage.plus(of_round);
        ours.add(&tally, bench.seconds)?;
        for (peer, side) in &mut peers {
            let before = peer.disk_bytes();
            let tally = peer.turn(&job, round).await.map_err(|why| side.failed(&why))?;
            side.add(&tally, bench.seconds)?;
            side.add_growth(before.zip(peer.disk_bytes()), tally.done);
        }
        output.note(&comparison::round_line(round, &ours, peers.iter().map(|(_, side)| side)));
    }

    let mut theirs = Vec::new();
    for (mut peer, side) in peers {
        peer.stop().await?;
        theirs.push(side);
    }
    Ok(Comparison { bench, records, ours, theirs, usage })
}

/// Notes if the daemon and its peers are on different file systems: then their disks are compared too.
fn note_other_file_system(state_dir: &Path, output: &Output) {
    let temporary = std::env::temp_dir();
    let device = |path: &Path| path.metadata().map(|metadata| metadata.dev());
    if let (Ok(ours), Ok(theirs)) = (device(state_dir), device(&temporary))
        && ours != theirs
    {
        output.note(&format!(
            "enroll-bench: {} is not on the file system of {}, so disks are compared as well; TMPDIR names another place",
            temporary.display(),
            state_dir.display()
        ));
    }
}

impl Work {
    /// The peers' work that equals a workload. Refuses a workload that they have none for.
    fn of(workload: Workload) -> Result<Self, String> {
        Ok(match workload {
            Workload::TokenUse => Self::TokenUse,
            Workload::Enroll => Self::Enroll,
            Workload::Lookup => Self::Lookup,
            Workload::Register => Self::Register,
            Workload::TokenGet | Workload::Code | Workload::Certificate | Workload::RegisterWaiting => {
                let name = workload.name();
                return Err(format!("no peer has an equal of {name}; compare token-use, enroll, lookup or register"));
            }
        })
    }
}

impl PeerName {
    fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

impl Installed {
    /// Finds a peer; fails with the package to install.
    fn find(name: PeerName) -> Result<Self, String> {
        let program = match name {
            PeerName::Redis => redis::find(),
            PeerName::Postgres => postgres::find(),
        };
        Ok(Self { name, program: program? })
    }

    /// The version that the executable prints.
    async fn version(&self) -> String {
        let program = match self.name {
            PeerName::Redis => self.program.clone(),
            PeerName::Postgres => self.program.join("postgres"),
        };
        let output = Command::new(program).arg("--version").kill_on_drop(true).output().await;
        version_in(&String::from_utf8_lossy(&output.map(|output| output.stdout).unwrap_or_default()))
    }
}

/// The first word that begins with a digit, without a leading `v=`.
fn version_in(text: &str) -> String {
    let mut words = text.split_whitespace().map(|word| word.trim_start_matches("v="));
    words.find(|word| word.starts_with(|c: char| c.is_ascii_digit())).unwrap_or_default().to_owned()
}

impl Peer {
    /// Starts a peer and makes the records that it begins with.
    async fn start(found: &Installed, job: &Job) -> Result<Self, Failure> {
        let mut peer = match found.name {
            PeerName::Redis => Self::Redis(Redis::start(&found.program, job).await?),
            PeerName::Postgres => Self::Postgres(Postgres::start(&found.program, job).await?),
        };
        let filled = match &mut peer {
            Self::Redis(redis) => redis.fill(job).await,
            Self::Postgres(postgres) => postgres.fill(job).await,
        };
        let name = found.name.word();
        filled.map_err(|why| Failure::Own(format!("{name} can not be filled: {why}")))?;
        Ok(peer)
    }

    /// Does the work for one round.
    async fn turn(&mut self, job: &Job, round: u64) -> Result<Tally, String> {
        match self {
            Self::Redis(redis) => redis.turn(job, round).await,
            Self::Postgres(postgres) => postgres.turn(job, round).await,
        }
    }

    /// The space of its files on the disk; `None` where they can not be looked at.
    fn disk_bytes(&self) -> Option<u64> {
        let directory = match self {
            Self::Redis(redis) => redis.directory(),
            Self::Postgres(postgres) => postgres.directory(),
        };
        directory.and_then(|directory| disk::bytes_below(directory).ok())
    }

    /// Stops it and removes its directory.
    async fn stop(&mut self) -> Result<(), Failure> {
        match self {
            Self::Redis(redis) => redis.stop().await,
            Self::Postgres(postgres) => postgres.stop().await,
        }
    }
}

/// The approve code of the enrollment of this number: a bijection of 32 bits that spreads the codes.
fn code_of(number: u64) -> String {
    // An odd factor is invertible modulo 2^32.
    format!("{:08X}", number.wrapping_mul(2_654_435_761) & 0xFFFF_FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_programs_say() {
        for (text, expected) in [
            ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", "7.0.15"),
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", "15.18"),
            ("what?", ""),
        ] {
            assert_eq!(version_in(text), expected, "{text}");
        }
    }

    #[test]
    fn what_no_peer_does_is_refused() {
        for workload in Workload::value_variants() {
            let is_compared = !matches!(
                workload,
                Workload::TokenGet | Workload::Code | Workload::Certificate | Workload::RegisterWaiting
            );
            assert_eq!(Work::of(*workload).is_ok(), is_compared, "{workload:?}");
        }
        assert_eq!(
            Work::of(Workload::Code),
            Err("no peer has an equal of code; compare token-use, enroll, lookup or register".to_owned())
        );
    }
}
