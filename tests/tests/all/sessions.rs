//! Seeded histories of sessions on several hosts over a shared journal in memory: clients of all daemons race for tokens while
//! others are elected without the one before being told, daemons crash, and appends are lost, late, or not answered. What
//! clients are told fits into one order, and in the end all hosts hold the same.
//!
//! `ENROLL_HISTORIES=N` runs N of them, `ENROLL_SEED=S` only the one of that seed; a failure prints the seed:
//! `ENROLL_HISTORIES=2000 cargo test -p enroll-tests --test all -- sessions_on_several_hosts`. Threads take turns as they like,
//! so a seed decides what fails and when, not each answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use enroll_tests::oracle::everything;
use enroll_tests::registry::Registry;
use enroll_tests::seed::of_histories;
use enroll_tests::served::{Defect, Served};
use enroll_tests::shared_memory::{AppendFate, Sabotage, SharedMemory};
use enroll_tests::skip::say;
use enroll_tests::token_race::Race;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

/// Histories in one run.
const HISTORIES: u64 = 16;

/// Histories in which a defect is found.
const CONTROLS: u64 = 60;

/// Things that happen in one.
const STEPS: usize = 14;

const MEMBERS: usize = 3;

const CLIENTS: usize = 5;

/// The longest wait for calls between two steps: all hosts may be away.
const WAIT: Duration = Duration::from_millis(40);

struct History {
    random: SmallRng,
    journal: Arc<SharedMemory>,
    hosts: Vec<Served>,
    leader: usize,
}

impl History {
    fn elect(&mut self, member: usize) -> Result<(), String> {
        let term = self.journal.elect();
        self.hosts[member].elect(term)?;
        self.leader = member;
        Ok(())
    }

    fn step(&mut self) -> Result<(), String> {
        let member = self.random.random_range(0..MEMBERS);
        match self.random.random_range(0..10) {
            0..3 if member != self.leader => self.elect(member)?,
            3 if member != self.leader => self.hosts[member].restart()?,
            4..6 => {
                let fates = [AppendFate::RequestLost, AppendFate::AnswerLost, AppendFate::Held, AppendFate::Held];
                self.journal.decide(Some(fates[self.random.random_range(0..fates.len())]));
            }
            6 => self.journal.deliver(),
            _ => {}
        }
        for at in 0..MEMBERS {
            if let Some(fault) = self.hosts[at].fault() {
                return Err(format!("{at} can not follow: {fault}"));
            }
            // Sooner or later it is noticed.
            if self.hosts[at].has_ended() && self.random.random_bool(0.5) {
                self.hosts[at].restart()?;
                if at == self.leader {
                    let next = self.random.random_range(0..MEMBERS);
                    self.elect(next)?;
                }
            }
        }
        Ok(())
    }

    /// All members hold the same, and it is sound.
    fn finish(mut self) -> Result<(), String> {
        self.journal.decide(None);
        self.journal.deliver();
        self.hosts.iter_mut().try_for_each(Served::restart)?;
        let mut found = Vec::new();
        for (at, host) in self.hosts.iter().enumerate() {
            host.catch_up().map_err(|err| format!("{at} can not follow: {err}"))?;
            found.push(everything(&**host.store()).map_err(|err| err.to_string())?);
        }
        if found.iter().any(|held| *held != found[0]) {
            return Err("the hosts hold other entries".to_owned());
        }
        let violations = Registry::reopened(self.hosts[0].store().clone()).violations();
        if violations.is_empty() { Ok(()) } else { Err(format!("{violations:?}")) }
    }
}

/// Runs one; the number of calls that were recorded.
fn history(seed: u64, sabotage: Sabotage, defect: Defect) -> Result<usize, String> {
    let directory = tempfile::tempdir().expect("a directory");
    let journal = Arc::new(SharedMemory::new(sabotage));
    let host = |at: usize| Served::new(&journal, defect, &directory.path().join(format!("{at}.sock")));
    let mut hosts: Vec<Served> = (0..MEMBERS).map(host).collect();
    hosts[0].found(journal.elect());
    hosts.iter_mut().try_for_each(Served::restart)?;
    let mut history = History { random: SmallRng::seed_from_u64(seed), journal, hosts, leader: 0 };
    history.elect(0)?;
    let race = Race::at(history.hosts.iter().map(Served::socket).collect());
    let (driven, tally) = race.try_run(CLIENTS, seed, || {
        for step in 0..STEPS {
            let (from, begun) = (race.calls(), Instant::now());
            let calls = history.random.random_range(5..40);
            while race.calls() < from + calls && begun.elapsed() < WAIT {
                std::thread::yield_now();
            }
            history.step().map_err(|why| format!("step {step}: {why}"))?;
        }
        Ok::<_, String>(())
    })?;
    driven?;
    history.finish()?;
    Ok(tally.calls)
}

#[test]
fn what_sessions_on_several_hosts_are_told_fits_into_one_order() {
    let mut calls = 0;
    for seed in of_histories(HISTORIES) {
        let told = history(seed, Sabotage::None, Defect::None);
        calls += told.unwrap_or_else(|why| panic!("ENROLL_SEED={seed}: {why}"));
    }
    if std::env::var_os("ENROLL_HISTORIES").is_some() {
        say(&format!("{calls} calls of sessions on several hosts"));
    }
    assert!(calls > 100, "{calls} calls");
}

/// The control: daemons that tell of the past, and an engine that fences nothing, are found.
#[test]
fn a_daemon_that_does_not_look_and_an_engine_that_compares_nothing_are_found() {
    let order = "fits into no order";
    let defects = [
        (Sabotage::None, Defect::ConfirmsAnything, order),
        (Sabotage::None, Defect::StandbyDoesNotWait, order),
        (Sabotage::None, Defect::SkipsBarrier, order),
        (Sabotage::ComparesNothing, Defect::None, ""),
        (Sabotage::RetriesUnderNewNumber, Defect::None, "can not follow"),
    ];
    for (sabotage, defect, expected) in defects {
        let found = (0..CONTROLS).find_map(|seed| history(seed, sabotage, defect).err());
        let why = found.unwrap_or_else(|| panic!("{sabotage:?}, {defect:?} is not found in {CONTROLS} histories"));
        assert!(why.contains(expected), "{sabotage:?}, {defect:?} is found otherwise: {why}");
    }
}
